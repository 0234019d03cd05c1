//! Blocks by themselves: whatever is read was written there, or it is an error.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use bytes::Bytes;
use redb::StorageBackend;

use crate::embedded::blocks::{Blocks, Damaged};
use crate::embedded::log::{LOG_BYTES, LOG_START};
use crate::embedded::schema::FORMAT;
use crate::embedded::tests::disk::SharedDisk;
use crate::embedded::tests::power::Random;
use crate::{Append, AppendId, Appended, ErrorKind, Journal as _, StreamAppend};

const BLOCK: u64 = 4096;
/// Two blocks of checksums are needed for so many.
const BLOCKS: u64 = 1030;

fn content(number: u64) -> Vec<u8> {
    let word = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word.to_le_bytes().repeat(512)
}

fn filled() -> (SharedDisk, Blocks<SharedDisk>) {
    let disk = SharedDisk::default();
    let blocks = Blocks::create(disk.clone()).unwrap();
    blocks.set_len(BLOCKS * BLOCK).unwrap();
    let all: Vec<_> = (0..BLOCKS).flat_map(content).collect();
    // The last write of many blocks goes past the checksums of the second group.
    blocks.write(0, &all[..8 * 4096]).unwrap();
    blocks.write(8 * BLOCK, &all[8 * 4096..]).unwrap();
    blocks.sync_data().unwrap();
    blocks.close().unwrap();
    (disk.clone(), Blocks::open(disk, FORMAT).unwrap())
}

fn read(blocks: &Blocks<SharedDisk>, offset: u64, length: usize) -> std::io::Result<Vec<u8>> {
    let mut out = vec![0; length];
    blocks.read(offset, &mut out).map(|()| out)
}

fn is_damage(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<Damaged>())
}

#[test]
fn what_was_written_is_read_in_any_pieces() {
    let (_, blocks) = filled();
    assert_eq!(blocks.len().unwrap(), BLOCKS * BLOCK);
    let mut all: Vec<_> = (0..BLOCKS).flat_map(content).collect();
    let mut random = Random(9);
    for round in 0..200 {
        let offset = random.below(BLOCKS * BLOCK);
        let length = random.below((BLOCKS * BLOCK - offset).min(20_000)) as usize;
        let start = offset as usize;
        if round % 3 == 0 {
            all[start..start + length].fill(round as u8);
            blocks.write(offset, &all[start..start + length]).unwrap();
        }
        let seen = read(&blocks, offset, length).unwrap();
        assert!(seen == all[start..start + length], "{offset} {length}");
    }
    assert!(read(&blocks, 0, all.len()).unwrap() == all);
    assert!(
        read(&blocks, BLOCKS * BLOCK - 1, 2).is_err(),
        "past the end"
    );
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (disk, _) = filled();
    let length = disk.bytes().len() as u64;
    let mut random = Random(10);
    for round in 0..300 {
        let place = match round {
            0..20 => round,
            _ => random.below(length),
        };
        let (place, bit) = (place as usize, random.below(8) as u32);
        disk.flip(place, bit);
        let Ok(blocks) = Blocks::open(disk.clone(), FORMAT) else {
            assert!(place < 20, "only the head is read to open it: {place}");
            disk.flip(place, bit);
            continue;
        };
        let mut found = 0;
        for number in 0..BLOCKS {
            match read(&blocks, number * BLOCK, 4096) {
                Ok(seen) => assert!(seen == content(number), "round {round}, {place}: {number}"),
                Err(error) => {
                    assert!(is_damage(&error), "{error:?}");
                    found += 1;
                }
            }
        }
        // Behind the first twenty bytes, the head is empty; so is the place of checksums without a block.
        let is_used = place >= 4096 && {
            let second = (1 + 1 + 1024) * 4096;
            !(second + 6 * 4..second + 4096).contains(&place)
        };
        assert_eq!(found, usize::from(is_used), "round {round}: {place}");
        disk.flip(place, bit);
    }
}

#[test]
fn a_block_in_the_place_of_another_is_found() {
    let (disk, blocks) = filled();
    // Block 7 lies behind the head, the checksums and seven others.
    disk.write(9 * BLOCK, &content(3)).unwrap();
    assert!(is_damage(&read(&blocks, 7 * BLOCK, 4096).unwrap_err()));
    assert!(read(&blocks, 3 * BLOCK, 4096).unwrap() == content(3));
}

#[test]
fn a_file_that_shrank_and_grew_is_empty_there() {
    let (disk, blocks) = filled();
    for shorter in [1024, 700, 1] {
        blocks.set_len(shorter * BLOCK).unwrap();
        assert_eq!(blocks.len().unwrap(), shorter * BLOCK);
        blocks.set_len(BLOCKS * BLOCK).unwrap();
        blocks.sync_data().unwrap();
        let anew = Blocks::open(disk.clone(), FORMAT).unwrap();
        for blocks in [&blocks, &anew] {
            let rest = ((BLOCKS - shorter) * BLOCK) as usize;
            let seen = read(blocks, shorter * BLOCK, rest).unwrap();
            assert!(seen.iter().all(|byte| *byte == 0), "{shorter}");
            let last = shorter - 1;
            assert!(read(blocks, last * BLOCK, 4096).unwrap() == content(last));
        }
    }
}

/// A journal's file at rest has a checksum of everything; a bit of the header would bring back the commit before the last.
#[test]
fn the_header_of_a_closed_file_is_checked_and_of_an_open_one_is_not() {
    let (disk, journal) = SharedDisk::new_journal();
    for number in 0..3 {
        journal.append(&super::append(number)).unwrap();
        journal.list("", None, 1).unwrap();
    }
    let open = disk.bytes();
    drop(journal);
    let sum = 4096 + usize::try_from(LOG_BYTES).unwrap();
    let header = sum + 4096;
    for place in header..header + 320 {
        disk.flip(place, 0);
        let error = disk.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{place}");
        disk.flip(place, 0);
    }
    assert_eq!(disk.open().unwrap().load("a").unwrap().version, 3);
    assert_eq!(open[sum..sum + 4], [0; 4], "no checksum while it is in use");
    // The power failed as it was noted, or as it was taken away.
    for written in 0..=4 {
        for noted_last in [true, false] {
            let mut torn = disk.bytes()[sum..sum + 4].to_vec();
            assert!(torn != [0; 4], "the file is closed");
            if noted_last {
                torn[written..].fill(0);
            } else {
                torn[..written].fill(0);
            }
            disk.write(sum as u64, &torn).unwrap();
            assert_eq!(disk.open().unwrap().load("a").unwrap().version, 3);
        }
    }
}

/// Only what is to be appended needs the answers to earlier appends.
#[test]
fn a_journal_whose_answers_are_damaged_is_read_like_any_other() {
    let (disk, journal) = SharedDisk::new_journal();
    let append = |number: u8| {
        let change = Bytes::from_static(b"change");
        let part = StreamAppend::new("a", u64::from(number), vec![change]);
        Append::new(AppendId::new([0xa0 + number; 16]), vec![part])
    };
    journal.append(&append(0)).unwrap();
    drop(journal);
    let tables = (LOG_START + LOG_BYTES) as usize;
    let bytes = disk.bytes();
    let mut places = bytes.windows(16).enumerate().skip(tables);
    let (place, _) = places.find(|(_, id)| *id == [0xa0; 16]).unwrap();
    disk.flip(place, 3);
    let journal = disk.open().unwrap();
    for _ in 0..2 {
        assert_eq!(journal.load("a").unwrap().changes, ["change"]);
        let error = journal.append(&append(1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
    }
    disk.flip(place, 3);
    let versions = vec![2];
    let done = journal.append(&append(1)).unwrap();
    assert_eq!(done, Appended::Done { versions });
}
