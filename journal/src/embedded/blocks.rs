//! The file under the store: blocks with a checksum of each, so that nothing is read that was not written.
//!
//! ```text
//! the head        what the file is and its format
//! checksums       of the 1,024 blocks that follow
//! 1,024 blocks    of the store
//! checksums       and so on
//! ```
//!
//! Why this holds when the power fails: the store never writes over a block that its last commit refers to, so that what is
//! torn is of no commit; and a torn block of checksums is either way the same where nothing changed. Only the store's first
//! block, its header, is written in place. It guards itself against tearing and has no checksum while it is in use.

mod layout;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

use crate::ErrorKind;
pub(super) use crate::embedded::blocks::layout::head;
use crate::embedded::blocks::layout::{
    BLOCK, BLOCK_BYTES, GROUP, HEAD, MAGIC, Span, blocks_in, checksum, place_of_sum, position,
    position_of_sums, run_of,
};
use crate::embedded::failure::Failure;
use crate::embedded::schema::FORMAT;

/// The store's block that is written in place.
const HEADER: u64 = 0;

/// A file of checked blocks, which the store sees as a file of its own.
#[derive(Debug)]
pub(super) struct Blocks<B> {
    file: B,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<u64, Group>,
    /// Whether the header was written, and so has no checksum until the file is closed.
    in_use: bool,
    /// How many writes there were, and how many of them are on the disk.
    written: u64,
    synced: u64,
}

#[derive(Debug)]
struct Group {
    sums: Vec<u32>,
    changed: bool,
}

/// A block that is not as it was written.
#[derive(Debug, thiserror::Error)]
#[error("block {0} is not as it was written")]
pub(super) struct Damaged(u64);

/// The format that the head of a file names.
pub(super) fn format_of(file: &impl StorageBackend) -> Result<u64, Failure> {
    let mut found = [0; HEAD];
    if file.len()? < BLOCK_BYTES {
        return Err(ErrorKind::NotAJournal.into());
    }
    file.read(0, &mut found)?;
    let (magic, rest) = found.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(ErrorKind::NotAJournal.into());
    }
    let format = rest.first_chunk().map_or(0, |it| u64::from_le_bytes(*it));
    if found != head(format) {
        return Err(ErrorKind::Damaged.into());
    }
    Ok(format)
}

impl<B: StorageBackend> Blocks<B> {
    /// Makes an empty one in an empty file.
    pub(super) fn create(file: B) -> io::Result<Self> {
        file.set_len(BLOCK_BYTES)?;
        file.write(0, &head(FORMAT))?;
        Ok(Self::of(file))
    }

    /// Opens one that has something in it, of this format.
    pub(super) fn open(file: B, format: u64) -> Result<Self, Failure> {
        match format_of(&file)? {
            found if found == format => {}
            found if found > FORMAT => {
                let newest = FORMAT;
                return Err(ErrorKind::NewerFormat { found, newest }.into());
            }
            _ => return Err(ErrorKind::Damaged.into()),
        }
        let blocks = Self::of(file);
        // The store would begin a new one in nothing.
        if blocks.len()? == 0 {
            return Err(ErrorKind::Damaged.into());
        }
        Ok(blocks)
    }

    fn of(file: B) -> Self {
        let state = Mutex::default();
        Self { file, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Should a panic have stopped a change halfway, a checksum does not fit, and that is an error and no wrong answer.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads whole blocks, and checks them.
    fn read_blocks(&self, first: u64, out: &mut [u8]) -> io::Result<()> {
        let (mut number, mut rest) = (first, &mut *out);
        while !rest.is_empty() {
            let (run, beyond) = rest.split_at_mut(run_of(number, rest.len()));
            self.file.read(position(number), run)?;
            number = number.saturating_add((run.len() / BLOCK) as u64);
            rest = beyond;
        }
        for (number, block) in (first..).zip(out.chunks_exact(BLOCK)) {
            let noted = self.state().noted(&self.file, number)?;
            let sum = checksum(number, block);
            let is_as_written = match noted {
                _ if number == HEADER => is_of_header(noted, sum),
                0 => block.iter().all(|byte| *byte == 0),
                _ => noted == sum,
            };
            if !is_as_written {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Damaged(number)));
            }
        }
        Ok(())
    }

    /// Writes whole blocks; their checksums follow at the next sync.
    fn write_blocks(&self, first: u64, blocks: &[u8]) -> io::Result<()> {
        if first == HEADER {
            self.use_header()?;
        }
        self.state().count_write();
        let (mut number, mut rest) = (first, blocks);
        while !rest.is_empty() {
            let (run, beyond) = rest.split_at(run_of(number, rest.len()));
            self.file.write(position(number), run)?;
            number = number.saturating_add((run.len() / BLOCK) as u64);
            rest = beyond;
        }
        let mut state = self.state();
        for (number, block) in (first..).zip(blocks.chunks_exact(BLOCK)) {
            if number != HEADER {
                state.note(&self.file, number, checksum(number, block))?;
            }
        }
        Ok(())
    }

    /// Takes the checksum of the header away, durably, before the header is changed.
    fn use_header(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.in_use {
            state.note(&self.file, HEADER, 0)?;
            state.write_sums(&self.file)?;
            self.file.sync_data()?;
            state.in_use = true;
        }
        Ok(())
    }

    /// Gives the header its checksum, unless it is not known whether it is whole.
    fn seal_header(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.in_use && state.synced == state.written {
            let mut header = [0; BLOCK];
            self.file.read(position(HEADER), &mut header)?;
            state.note(&self.file, HEADER, checksum(HEADER, &header))?;
            state.write_sums(&self.file)?;
            self.file.sync_data()?;
        }
        Ok(())
    }
}

impl State {
    fn count_write(&mut self) {
        self.written = self.written.saturating_add(1);
    }

    /// The group of checksums that a block's is in, and its place there.
    fn sums_with(
        &mut self,
        file: &impl StorageBackend,
        block: u64,
    ) -> io::Result<(&mut Group, usize)> {
        let (number, place) = place_of_sum(block);
        let group = match self.groups.entry(number) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let mut bytes = [0; BLOCK];
                file.read(position_of_sums(number), &mut bytes)?;
                let (sums, _) = bytes.as_chunks();
                unknown.insert(Group {
                    sums: sums.iter().map(|sum| u32::from_le_bytes(*sum)).collect(),
                    changed: false,
                })
            }
        };
        Ok((group, place))
    }

    fn noted(&mut self, file: &impl StorageBackend, block: u64) -> io::Result<u32> {
        let (group, place) = self.sums_with(file, block)?;
        Ok(group.sums.get(place).copied().unwrap_or(0))
    }

    fn note(&mut self, file: &impl StorageBackend, block: u64, sum: u32) -> io::Result<()> {
        let (group, place) = self.sums_with(file, block)?;
        if let Some(noted) = group.sums.get_mut(place).filter(|noted| **noted != sum) {
            *noted = sum;
            group.changed = true;
        }
        Ok(())
    }

    fn write_sums(&mut self, file: &impl StorageBackend) -> io::Result<()> {
        for (number, group) in &mut self.groups {
            if group.changed {
                let sums = group.sums.iter().flat_map(|sum| sum.to_le_bytes());
                file.write(position_of_sums(*number), &sums.collect::<Vec<_>>())?;
                group.changed = false;
            }
        }
        Ok(())
    }
}

impl<B: StorageBackend> StorageBackend for Blocks<B> {
    fn len(&self) -> io::Result<u64> {
        let blocks = blocks_in(self.file.len()? / BLOCK_BYTES);
        Ok(blocks.saturating_mul(BLOCK_BYTES))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let span = Span::of(offset, out.len());
        if span.is_whole(out.len()) {
            return self.read_blocks(span.first, out);
        }
        let mut blocks = vec![0; span.bytes];
        self.read_blocks(span.first, &mut blocks)?;
        out.copy_from_slice(span.part(&mut blocks, out.len())?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let blocks = len.div_ceil(BLOCK_BYTES);
        let kept = blocks.min(self.len()? / BLOCK_BYTES);
        let mut state = self.state();
        state.count_write();
        // What is cut off, or comes anew, is not written yet.
        if !kept.is_multiple_of(GROUP) {
            let (group, place) = state.sums_with(&self.file, kept)?;
            group.sums.iter_mut().skip(place).for_each(|sum| *sum = 0);
            group.changed = true;
        }
        state.groups.split_off(&kept.div_ceil(GROUP));
        let end = match blocks.checked_sub(1) {
            Some(last) => position(last).saturating_add(BLOCK_BYTES),
            None => BLOCK_BYTES,
        };
        self.file.set_len(end)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state();
        state.write_sums(&self.file)?;
        let written = state.written;
        // Who reads meanwhile does not wait for the disk.
        drop(state);
        self.file.sync_data()?;
        self.state().synced = written;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let span = Span::of(offset, data.len());
        if span.is_whole(data.len()) {
            return self.write_blocks(span.first, data);
        }
        let mut blocks = vec![0; span.bytes];
        self.read_blocks(span.first, &mut blocks)?;
        span.part(&mut blocks, data.len())?.copy_from_slice(data);
        self.write_blocks(span.first, &blocks)
    }

    fn close(&self) -> io::Result<()> {
        let sealed = self.seal_header();
        self.file.close().and(sealed)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

/// Whether a header may have the checksum that is noted: none, its own, or half of it where the power failed as it was
/// noted or taken away.
fn is_of_header(noted: u32, sum: u32) -> bool {
    [0, 8, 16, 24, 32].into_iter().any(|bits| {
        let written = u32::MAX.checked_shl(bits).unwrap_or(0);
        noted == sum & written || noted == sum & !written
    })
}
