//! A journal file that was damaged behind the store's back: a clear error or what was written, nothing else, and no panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::path::Path;

use bytes::Bytes;
use journal::{Append, AppendId, Embedded, ErrorKind, Journal, StreamAppend};

#[path = "support/folder.rs"]
mod folder;
#[path = "support/workload.rs"]
mod workload;
use folder::Folder;
use workload::{Actor, Random, perform, rounds};

/// Works for a while on a new journal; returns its bytes.
fn journal_of(path: &Path, actors: &mut [Actor]) -> Vec<u8> {
    let journal = Embedded::open(path).unwrap();
    for actor in actors {
        for _ in 0..50 {
            assert_eq!(
                perform(&journal, &actor.next()).unwrap(),
                actor.acknowledge()
            );
        }
    }
    drop(journal);
    fs::read(path).unwrap()
}

/// The first bytes of the file, and of the store in it: behind a block of the file's own, the log and a block of checksums.
const HEAD: u64 = 20;
const LOG: u64 = 1 << 20;
const HEADER: u64 = 4096 + LOG + 4096;

#[test]
fn what_is_read_of_a_damaged_file_is_the_truth_or_an_error() {
    let folder = Folder::new("damaged");
    let path = folder.path().join("journal.redb");
    let mut actors = [Actor::new(1), Actor::new(2)];
    let whole = journal_of(&path, &mut actors);
    let (mut random, mut refused, mut found) = (Random(3), 0, 0);
    for round in 0..rounds(150, 3000) {
        let occasion = format!("round {round}");
        fs::write(&path, damaged(&whole, round, &mut random)).unwrap();
        match Embedded::open(&path) {
            Ok(journal) => {
                for actor in &actors {
                    let damaged = actor.compare_or_damaged(&journal, &occasion);
                    found += usize::from(damaged > 0);
                }
                work_until_damage(&journal, &occasion);
            }
            Err(error) => {
                refused += 1;
                let clear = [ErrorKind::Damaged, ErrorKind::NotAJournal];
                assert!(clear.contains(&error.kind()), "{occasion}: {error:?}");
            }
        }
    }
    assert!(refused > 20, "only {refused} were refused");
    assert!(found > 8, "damage was only read {found} times");
}

/// Works on top of what is there.
fn work_until_damage(journal: &Embedded, occasion: &str) {
    let mut actor = Actor::new(3);
    for _ in 0..12 {
        match perform(journal, &actor.next()) {
            Ok(answer) => assert_eq!(answer, actor.acknowledge(), "{occasion}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Damaged, "{occasion}: {error:?}");
                return;
            }
        }
    }
    actor.compare_or_damaged(journal, occasion);
}

fn damaged(whole: &[u8], round: u64, random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let length = whole.len() as u64;
    match round % 4 {
        // What the file and the store in it begin with: what they are, and where the last two commits are.
        0 => {
            let places = [random.below(HEAD), HEADER + random.below(320)];
            let place = places[random.below(2) as usize] as usize;
            bytes[place] ^= 1 << random.below(8);
        }
        1 => bytes.truncate(random.below(length) as usize),
        // A sector that was never written, or belongs elsewhere.
        2 => {
            let (place, source) = (random.below(length / 512), random.below(length / 512));
            let source = source as usize * 512..(source as usize + 1) * 512;
            let content = if random.below(2) == 0 {
                vec![0; 512]
            } else {
                whole[source].to_vec()
            };
            let place = place as usize * 512;
            bytes[place..place + 512].copy_from_slice(&content);
        }
        _ => {
            for _ in 0..=random.below(40) {
                let place = random.below(length) as usize;
                bytes[place] = random.next() as u8;
            }
        }
    }
    bytes
}

/// What is lost is the value and what shares its page, and no backup is made that passes it on.
#[test]
fn a_flipped_bit_costs_no_more_than_its_page() {
    const STREAMS: u8 = 40;
    let folder = Folder::new("flipped");
    let path = folder.path().join("journal.redb");
    let journal = Embedded::open(&path).unwrap();
    // So long that a page has room for two or three.
    let value = |number: u8| Bytes::from(vec![number; 3000]);
    for number in 1..=STREAMS {
        let part = StreamAppend::new(format!("{number:02}"), 0, vec![value(number)]);
        let append = Append::new(AppendId::new([number; 16]), vec![part]);
        journal.append(&append).unwrap();
    }
    drop(journal);
    let whole = fs::read(&path).unwrap();
    // Blocks that an older commit held may still be there.
    let places: Vec<_> = (0..whole.len() - 3000)
        .filter(|place| whole[*place..place + 3000] == value(17))
        .collect();
    let mut random = Random(12);
    for _ in 0..rounds(20, 500) {
        let (offset, bit) = (random.below(3000) as usize, random.below(8));
        let mut bytes = whole.clone();
        for place in &places {
            bytes[place + offset] ^= 1 << bit;
        }
        fs::write(&path, &bytes).unwrap();
        let journal = Embedded::open(&path).unwrap();
        let mut lost = Vec::new();
        for number in 1..=STREAMS {
            match journal.load(&format!("{number:02}")) {
                Ok(loaded) => assert_eq!(loaded.changes, [value(number)]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Damaged);
                    lost.push(number);
                }
            }
        }
        assert!(lost.contains(&17) && lost.len() <= 3, "{lost:?}");
        let backup = folder.path().join("backup");
        let error = journal.backup(&backup).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(!backup.exists());
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_left_as_it_was() {
    let folder = Folder::new("untouched");
    let path = folder.path().join("journal.redb");
    let whole = journal_of(&path, &mut [Actor::new(1)]);
    let (mut random, mut refused) = (Random(4), 0);
    for round in 0..rounds(100, 1000) {
        let bytes = damaged(&whole, round % 2, &mut random);
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = Embedded::open(&path) {
            refused += 1;
            assert!(
                fs::read(&path).unwrap() == bytes,
                "round {round}: changed after {error:?}"
            );
        }
    }
    assert!(refused > 10, "only {refused} were refused");
}
