//! A journal file that was damaged behind the store's back: a clear error or what was written, and no panic.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::path::Path;

use journal::{Embedded, Error, ErrorKind, Journal};

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

#[test]
fn a_damaged_file_is_an_error_and_never_a_panic() {
    let folder = Folder::new("damaged");
    let path = folder.path().join("journal.redb");
    let whole = journal_of(&path, &mut [Actor::new(1), Actor::new(2)]);
    let (mut random, mut refused) = (Random(3), 0);
    for round in 0..rounds(150, 3000) {
        let bytes = damaged(&whole, round, &mut random);
        fs::write(&path, &bytes).unwrap();
        let seen = Embedded::open(&path).and_then(|journal| read_all(&journal));
        if let Err(error) = seen {
            refused += 1;
            let clear = [ErrorKind::Damaged, ErrorKind::NotAJournal];
            assert!(clear.contains(&error.kind()), "round {round}: {error:?}");
        }
    }
    assert!(refused > 20, "only {refused} were found damaged");
}

/// Reads everything that there is, and does some work on top.
fn read_all(journal: &Embedded) -> Result<(), Error> {
    journal.due(u64::MAX, None, usize::MAX)?;
    for stream in journal.list("", None, usize::MAX)? {
        journal.load(&stream)?;
        journal.load_snapshot(&stream)?;
    }
    let mut actor = Actor::new(3);
    for _ in 0..12 {
        perform(journal, &actor.next())?;
        actor.acknowledge();
    }
    Ok(())
}

fn damaged(whole: &[u8], round: u64, random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let length = whole.len() as u64;
    match round % 4 {
        // The header and its two commit slots.
        0 => {
            let place = random.below(320) as usize;
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
