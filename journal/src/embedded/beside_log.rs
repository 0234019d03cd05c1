//! The file as the blocks see it: without the log behind its head.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use redb::{BackendError, StorageBackend};

use crate::embedded::log::{LOG_BYTES, LOG_LENGTH, LOG_START};

/// A file whose bytes behind the head are further on than they seem, by as much as the log takes.
#[derive(Debug)]
pub(super) struct BesideLog(Arc<dyn StorageBackend>);

impl BesideLog {
    pub(super) fn new(file: Arc<dyn StorageBackend>) -> Self {
        Self(file)
    }

    /// Makes room for the log in an empty file: written, so that a record never has to wait for room.
    pub(super) fn create(file: Arc<dyn StorageBackend>) -> io::Result<Self> {
        file.set_len(LOG_START.saturating_add(LOG_BYTES))?;
        file.write(LOG_START, &vec![0; LOG_LENGTH])?;
        Ok(Self(file))
    }
}

fn place_of(offset: u64) -> u64 {
    if offset < LOG_START {
        offset
    } else {
        offset.saturating_add(LOG_BYTES)
    }
}

impl StorageBackend for BesideLog {
    fn len(&self) -> io::Result<u64> {
        let len = self.0.len()?;
        // A file that was cut off inside the log has nothing behind it.
        Ok(len.min(LOG_START.max(len.saturating_sub(LOG_BYTES))))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(place_of(offset), out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(place_of(len))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(place_of(offset), data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
