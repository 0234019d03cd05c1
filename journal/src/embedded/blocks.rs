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

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

use crate::ErrorKind;
use crate::embedded::failure::Failure;
use crate::embedded::schema::FORMAT;

/// The bytes of a block, which is also what the store calls a page.
const BLOCK: usize = 4096;
const BLOCK_BYTES: u64 = BLOCK as u64;
/// How many blocks have their checksums in one block.
const SUMS: usize = BLOCK / size_of::<u32>();
const GROUP: u64 = SUMS as u64;
const MAGIC: [u8; 8] = *b"journal\x1a";
const HEAD: usize = MAGIC.len() + size_of::<u64>() + size_of::<u32>();
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
    /// Whether everything that was written is on the disk.
    synced: bool,
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

impl<B: StorageBackend> Blocks<B> {
    /// Makes an empty one in an empty file.
    pub(super) fn create(file: B) -> io::Result<Self> {
        file.set_len(BLOCK_BYTES)?;
        file.write(0, &head(FORMAT))?;
        Ok(Self::of(file))
    }

    /// Opens one that has something in it.
    pub(super) fn open(file: B) -> Result<Self, Failure> {
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
        if format > FORMAT {
            let (found, newest) = (format, FORMAT);
            return Err(ErrorKind::NewerFormat { found, newest }.into());
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
        let mut state = self.state();
        for (number, block) in (first..).zip(out.chunks_exact(BLOCK)) {
            let (sums, place) = state.sums_with(&self.file, number)?;
            let is_as_written = match sums.sums.get(place) {
                Some(0) => number == HEADER || block.iter().all(|byte| *byte == 0),
                sum => sum == Some(&checksum(number, block)),
            };
            if !is_as_written {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Damaged(number)));
            }
        }
        Ok(())
    }

    /// Writes whole blocks; their checksums follow at the next sync.
    fn write_blocks(&self, first: u64, blocks: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if first == HEADER {
            self.use_header(&mut state)?;
        }
        state.synced = false;
        let (mut number, mut rest) = (first, blocks);
        while !rest.is_empty() {
            let (run, beyond) = rest.split_at(run_of(number, rest.len()));
            self.file.write(position(number), run)?;
            number = number.saturating_add((run.len() / BLOCK) as u64);
            rest = beyond;
        }
        for (number, block) in (first..).zip(blocks.chunks_exact(BLOCK)) {
            if number != HEADER {
                state.note(&self.file, number, checksum(number, block))?;
            }
        }
        Ok(())
    }

    /// Takes the checksum of the header away, durably before the header is changed.
    fn use_header(&self, state: &mut State) -> io::Result<()> {
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
        if state.in_use && state.synced {
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
    /// The group of checksums that a block's is in, and its place there.
    fn sums_with(
        &mut self,
        file: &impl StorageBackend,
        block: u64,
    ) -> io::Result<(&mut Group, usize)> {
        let (number, place) = (block / GROUP, (block % GROUP) as usize);
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
        let behind_head = (self.file.len()? / BLOCK_BYTES).saturating_sub(1);
        let (groups, rest) = (behind_head / (GROUP + 1), behind_head % (GROUP + 1));
        let blocks = groups.saturating_mul(GROUP);
        Ok(blocks
            .saturating_add(rest.saturating_sub(1))
            .saturating_mul(BLOCK_BYTES))
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
        state.synced = false;
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
        self.file.sync_data()?;
        state.synced = true;
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

/// The blocks that some bytes of the store lie in.
struct Span {
    first: u64,
    /// Where the bytes begin in the first block.
    start: usize,
    /// The length of the blocks.
    bytes: usize,
}

impl Span {
    fn of(offset: u64, length: usize) -> Self {
        let start = (offset % BLOCK_BYTES) as usize;
        Self {
            first: offset / BLOCK_BYTES,
            start,
            bytes: start.saturating_add(length).next_multiple_of(BLOCK),
        }
    }

    fn is_whole(&self, length: usize) -> bool {
        self.bytes == length
    }

    fn part<'b>(&self, blocks: &'b mut [u8], length: usize) -> io::Result<&'b mut [u8]> {
        let from = blocks.get_mut(self.start..);
        let part = from.and_then(|from| from.get_mut(..length));
        part.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// The first bytes of a file of that format.
pub(super) fn head(format: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let format = format.to_le_bytes();
    let sum = crc32fast::hash(&[MAGIC, format].concat()).to_le_bytes();
    let bytes = MAGIC.iter().chain(&format).chain(&sum);
    for (place, byte) in head.iter_mut().zip(bytes) {
        *place = *byte;
    }
    head
}

/// The checksum of a block, in its place; never zero, which stands for a block that was not written yet.
fn checksum(number: u64, block: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&number.to_le_bytes());
    sum.update(block);
    sum.finalize().max(1)
}

/// How many of so many bytes from a block on lie behind one another.
fn run_of(number: u64, length: usize) -> usize {
    let blocks = SUMS.saturating_sub((number % GROUP) as usize);
    length.min(blocks.saturating_mul(BLOCK))
}

/// Where a block of the store is in the file.
fn position(number: u64) -> u64 {
    position_of_sums(number / GROUP).saturating_add(
        (number % GROUP)
            .saturating_add(1)
            .saturating_mul(BLOCK_BYTES),
    )
}

/// Where the checksums of a group are in the file.
fn position_of_sums(group: u64) -> u64 {
    let blocks = group.saturating_mul(GROUP + 1).saturating_add(1);
    blocks.saturating_mul(BLOCK_BYTES)
}
