//! What is where in the file.

use std::io;

/// The bytes of a block, which is also what the store calls a page.
pub(super) const BLOCK: usize = 4096;
pub(super) const BLOCK_BYTES: u64 = BLOCK as u64;
/// How many blocks have their checksums in one block.
const SUMS: usize = BLOCK / size_of::<u32>();
pub(super) const GROUP: u64 = SUMS as u64;
/// What a group takes with its checksums, in blocks.
const GROUP_AND_SUMS: u64 = GROUP + 1;

pub(super) const MAGIC: [u8; 8] = *b"journal\x1a";
pub(super) const HEAD: usize = MAGIC.len() + size_of::<u64>() + size_of::<u32>();

/// The blocks that some bytes of the store lie in.
pub(super) struct Span {
    pub(super) first: u64,
    /// Where the bytes begin in the first block.
    start: usize,
    /// The length of the blocks.
    pub(super) bytes: usize,
}

impl Span {
    pub(super) fn of(offset: u64, length: usize) -> Self {
        let start = (offset % BLOCK_BYTES) as usize;
        Self {
            first: offset / BLOCK_BYTES,
            start,
            bytes: start.saturating_add(length).next_multiple_of(BLOCK),
        }
    }

    pub(super) fn is_whole(&self, length: usize) -> bool {
        self.bytes == length
    }

    pub(super) fn part<'b>(&self, blocks: &'b mut [u8], length: usize) -> io::Result<&'b mut [u8]> {
        let from = blocks.get_mut(self.start..);
        let part = from.and_then(|from| from.get_mut(..length));
        part.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// The first bytes of a file of that format.
pub(in crate::embedded) fn head(format: u64) -> [u8; HEAD] {
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
pub(super) fn checksum(number: u64, block: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&number.to_le_bytes());
    sum.update(block);
    sum.finalize().max(1)
}

/// How many of so many bytes from a block on lie behind one another.
pub(super) fn run_of(number: u64, length: usize) -> usize {
    let blocks = SUMS.saturating_sub((number % GROUP) as usize);
    length.min(blocks.saturating_mul(BLOCK))
}

/// Where a block of the store is in the file.
pub(super) fn position(number: u64) -> u64 {
    position_of_sums(number / GROUP).saturating_add(
        (number % GROUP)
            .saturating_add(1)
            .saturating_mul(BLOCK_BYTES),
    )
}

/// Where the checksums of a group are in the file.
pub(super) fn position_of_sums(group: u64) -> u64 {
    let blocks = group.saturating_mul(GROUP_AND_SUMS).saturating_add(1);
    blocks.saturating_mul(BLOCK_BYTES)
}

/// How many blocks of the store are in so many of the file.
pub(super) fn blocks_in(file: u64) -> u64 {
    let behind_head = file.saturating_sub(1);
    let rest = behind_head % GROUP_AND_SUMS;
    (behind_head / GROUP_AND_SUMS)
        .saturating_mul(GROUP)
        .saturating_add(rest.saturating_sub(1))
}

/// The group that the checksum of a block is in, and its place there.
pub(super) fn place_of_sum(number: u64) -> (u64, usize) {
    (number / GROUP, (number % GROUP) as usize)
}
