//! The log in the file: one record for each batch of appends since the store's last commit, so that a batch costs one write and
//! one flush.
//!
//! ```text
//! mark     8   of the commit that it follows: another one's records are none of this log
//! length   4   of the appends
//! before   4   the sum of the record before it, at first the lower half of the mark
//! sum      4   CRC-32 of all the rest of the record
//!          4   nothing
//! appends      filled up to a multiple of 8
//! ```
//!
//! A record is written when the one before it is on the disk, so that the first one that does not hold is the last of a process that
//! was cut short, and nobody was told of it. When one that holds lies behind it, that is damage. What an append brings cannot
//! pass for a record: the sums depend on the ids of appends, which are random.

mod record;

use std::sync::Arc;

use redb::StorageBackend;

use crate::embedded::failure::Failure;
use crate::embedded::log::record::HEAD;
use crate::{Append, ErrorKind};

/// What the log takes of the file, in bytes.
pub(super) const LOG_LENGTH: usize = 1 << 20;
/// The same for places in the file.
pub(super) const LOG_BYTES: u64 = LOG_LENGTH as u64;
/// Where it begins: behind the head of the file.
pub(super) const LOG_START: u64 = 4096;
/// The mark of a file without a commit that was behind a log.
pub(super) const FIRST_MARK: u64 = 1 << 32;

/// Where the next record goes.
#[derive(Debug)]
pub(super) struct Log {
    file: Arc<dyn StorageBackend>,
    mark: u64,
    /// How much of the log is used.
    end: usize,
    /// The sum of the last record.
    sum: u32,
    record: Vec<u8>,
}

impl Log {
    /// Reads what was appended since the commit that has this mark, and makes it durable: a file that could not be flushed may show
    /// what is not on its disk.
    pub(super) fn open(
        file: Arc<dyn StorageBackend>,
        mark: u64,
    ) -> Result<(Self, Vec<Append>), Failure> {
        let mut bytes = vec![0; LOG_LENGTH];
        file.read(LOG_START, &mut bytes)?;
        let mut log = Self {
            file,
            mark,
            end: 0,
            sum: first_sum(mark),
            record: Vec::new(),
        };
        let mut appends = Vec::new();
        while let Some(found) = record::read(bytes.get(log.end..), mark)
            && found.before == log.sum
        {
            let kept = record::appends(found.appends).ok_or(ErrorKind::Damaged)?;
            appends.extend(kept);
            log.end = log.end.saturating_add(found.length);
            log.sum = found.sum;
        }
        let behind = (log.end..bytes.len()).step_by(8).skip(1);
        if behind
            .into_iter()
            .any(|place| record::read(bytes.get(place..), mark).is_some())
        {
            return Err(ErrorKind::Damaged.into());
        }
        if let Some(used) = bytes.get(..log.end).filter(|used| !used.is_empty()) {
            log.file.write(LOG_START, used)?;
            log.file.sync_data()?;
        }
        Ok((log, appends))
    }

    /// Writes a record of these appends durably, or says that there is no room for it.
    pub(super) fn write(&mut self, appends: &[&Append]) -> Result<bool, Failure> {
        let length = appends
            .iter()
            .fold(HEAD, |sum, append| {
                sum.saturating_add(record::length(append))
            })
            .saturating_add(7);
        let end = self.end.saturating_add(length);
        if end > LOG_LENGTH {
            return Ok(false);
        }
        self.record.clear();
        let sum = record::write(&mut self.record, self.mark, self.sum, appends);
        let place = LOG_START.saturating_add(self.end as u64);
        self.file.write(place, &self.record)?;
        self.file.sync_data()?;
        self.end = self.end.saturating_add(self.record.len());
        self.sum = sum;
        Ok(true)
    }

    /// The mark of the next commit, behind which the log begins anew.
    pub(super) fn next_mark(&self) -> u64 {
        let number = (self.mark >> 32).saturating_add(1);
        (number << 32) | u64::from(self.sum)
    }

    /// Begins anew behind a commit that has this mark and everything that was logged.
    pub(super) fn restart(&mut self, mark: u64) {
        (self.mark, self.end, self.sum) = (mark, 0, first_sum(mark));
    }
}

/// What the first record behind a commit names as the sum before it.
fn first_sum(mark: u64) -> u32 {
    let [first, second, third, fourth, ..] = mark.to_le_bytes();
    u32::from_le_bytes([first, second, third, fourth])
}
