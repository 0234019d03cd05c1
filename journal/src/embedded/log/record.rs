//! The written form of a batch of appends.

use bytes::{Buf as _, BufMut as _, Bytes};

use crate::{Append, AppendId, StreamAppend};

/// The bytes of a record before its appends.
pub(super) const HEAD: usize = 24;
/// The bytes of the head before the sum.
const SUMMED: usize = 16;

/// A record whose sum is right.
pub(super) struct Found<'b> {
    pub(super) before: u32,
    pub(super) sum: u32,
    /// Of the whole record.
    pub(super) length: usize,
    pub(super) appends: &'b [u8],
}

/// The record that begins here, if there is one behind the commit with this mark.
pub(super) fn read(bytes: Option<&[u8]>, mark: u64) -> Option<Found<'_>> {
    let bytes = bytes?;
    let mut head = bytes.get(..HEAD)?;
    if head.get_u64_le() != mark {
        return None;
    }
    let length = usize::try_from(head.get_u32_le()).ok()?;
    let (before, sum) = (head.get_u32_le(), head.get_u32_le());
    let appends = bytes.get(HEAD..HEAD.checked_add(length)?)?;
    (sum_of(bytes.get(..SUMMED)?, appends) == sum).then(|| Found {
        before,
        sum,
        length: HEAD.saturating_add(length).next_multiple_of(8),
        appends,
    })
}

/// Writes a record; gives its sum.
pub(super) fn write(to: &mut Vec<u8>, mark: u64, before: u32, appends: &[&Append]) -> u32 {
    to.extend([0; HEAD]);
    for append in appends {
        put_append(to, append);
    }
    let length = to.len().saturating_sub(HEAD);
    let mut head = Vec::with_capacity(HEAD);
    head.put_u64_le(mark);
    head.put_u32_le(count(length));
    head.put_u32_le(before);
    let sum = sum_of(&head, to.get(HEAD..).unwrap_or_default());
    head.put_u32_le(sum);
    to.iter_mut().zip(head).for_each(|(to, byte)| *to = byte);
    to.resize(to.len().next_multiple_of(8), 0);
    sum
}

fn sum_of(head: &[u8], appends: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(head);
    sum.update(appends);
    sum.finalize()
}

/// How long the written form of an append is at most.
pub(super) fn length(append: &Append) -> usize {
    append.streams.iter().fold(20, |sum, part| {
        let changes = part
            .changes
            .iter()
            .map(|change| change.len().saturating_add(4));
        let changes = changes.fold(0_usize, usize::saturating_add);
        sum.saturating_add(part.stream.len())
            .saturating_add(changes)
            .saturating_add(25)
    })
}

fn put_append(to: &mut Vec<u8>, append: &Append) {
    to.extend(append.id.as_bytes());
    to.put_u32_le(count(append.streams.len()));
    for part in &append.streams {
        put_bytes(to, part.stream.as_bytes());
        to.put_u64_le(part.expected_version);
        match part.due {
            None => to.put_u8(0),
            Some(at) => {
                to.put_u8(1);
                to.put_u64_le(at);
            }
        }
        to.put_u32_le(count(part.changes.len()));
        for change in &part.changes {
            put_bytes(to, change);
        }
    }
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.put_u32_le(count(bytes.len()));
    to.extend(bytes);
}

/// A length that the limits of the log keep far below what fits.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The appends of a record; `None` when it is not what [`write()`] writes.
pub(super) fn appends(bytes: &[u8]) -> Option<Vec<Append>> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let mut appends = Vec::new();
    while !bytes.is_empty() {
        appends.push(append(&mut bytes)?);
    }
    Some(appends)
}

fn append(bytes: &mut Bytes) -> Option<Append> {
    let id = *taken(bytes, 16)?.first_chunk()?;
    let count = bytes.try_get_u32_le().ok()?;
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(part(bytes)?);
    }
    Some(Append::new(AppendId::new(id), streams))
}

fn part(bytes: &mut Bytes) -> Option<StreamAppend> {
    let stream = counted(bytes)?;
    let stream = core::str::from_utf8(&stream).ok()?.to_owned();
    let expected_version = bytes.try_get_u64_le().ok()?;
    let due = match bytes.try_get_u8().ok()? {
        0 => None,
        1 => Some(bytes.try_get_u64_le().ok()?),
        _ => return None,
    };
    let count = bytes.try_get_u32_le().ok()?;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(counted(bytes)?);
    }
    Some(StreamAppend::new(stream, expected_version, changes).with_due(due))
}

fn counted(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    taken(bytes, length)
}

fn taken(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}
