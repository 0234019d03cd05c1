//! The log: what a process that was cut short left in it, and what it must never take for that.
#![allow(clippy::cast_possible_truncation)]

use bytes::Bytes;
use redb::StorageBackend as _;

use crate::embedded::log::{LOG_BYTES, LOG_START};
use crate::embedded::tests::disk::SharedDisk;
use crate::{Append, AppendId, Appended, Due, Embedded, ErrorKind, Journal as _, StreamAppend};

fn append(number: u64, value: &[u8]) -> Append {
    let change = Bytes::copy_from_slice(value);
    let part = StreamAppend::new("a", number, vec![change]).with_due(Some(number + 1));
    let id = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834);
    Append::new(AppendId::new(id.to_be_bytes()), vec![part])
}

/// A journal whose process dies with so many appends in its log, each a record of its own.
fn died_with(appends: u64) -> (SharedDisk, u64) {
    let (disk, journal) = SharedDisk::new_journal();
    for number in 0..appends {
        journal.append(&append(number, &[7; 100])).unwrap();
    }
    std::mem::forget(journal);
    let log = &disk.bytes()[LOG_START as usize..][..LOG_BYTES as usize];
    let used = log.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    (disk, used.next_multiple_of(8) / appends)
}

fn version(journal: &Embedded) -> u64 {
    journal.load("a").unwrap().version
}

#[test]
fn what_a_process_left_in_the_log_is_there_again() {
    let (disk, _) = died_with(5);
    let journal = disk.open().unwrap();
    let loaded = journal.load("a").unwrap();
    assert_eq!(
        (loaded.version, loaded.changes.len(), loaded.due),
        (5, 5, Some(5))
    );
    assert_eq!(journal.read("a", 3, 1).unwrap().changes.len(), 1);
    // It was answered before, and so it is again.
    let again = journal.append(&append(2, &[7; 100])).unwrap();
    assert_eq!(again, Appended::Done { versions: vec![3] });
    assert_eq!(journal.list("", None, 9).unwrap(), ["a"]);
    assert_eq!(journal.due(9, None, 9).unwrap(), [Due::new(5, "a")]);
    assert_eq!(journal.load("a").unwrap(), loaded);
    journal.append(&append(5, b"more")).unwrap();
    drop(journal);
    assert_eq!(version(&disk.open().unwrap()), 6);
}

#[test]
fn a_record_that_was_cut_short_was_never_there_and_its_place_is_used_again() {
    for cut in [0, 9, 60, 100] {
        let (disk, length) = died_with(3);
        let last = LOG_START + 2 * length + cut;
        disk.write(last, &[0xee; 20]).unwrap();
        let journal = disk.open().unwrap();
        assert_eq!(version(&journal), 2, "{cut}");
        journal.append(&append(2, b"short")).unwrap();
        journal.append(&append(3, b"short")).unwrap();
        std::mem::forget(journal);
        assert_eq!(version(&disk.open().unwrap()), 4, "{cut}");
    }
}

#[test]
fn a_record_that_does_not_hold_before_one_that_does_is_damage() {
    let (disk, length) = died_with(4);
    for place in 0..3 * length {
        // The last bytes of a record fill it up and say nothing.
        if place % length > length - 8 || (20..24).contains(&(place % length)) {
            continue;
        }
        let place = (LOG_START + place) as usize;
        disk.flip(place, 3);
        let error = disk.open().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{place}");
        disk.flip(place, 3);
    }
    assert_eq!(version(&disk.open().unwrap()), 4);
}

#[test]
fn records_of_before_a_commit_are_of_no_log() {
    let (disk, journal) = SharedDisk::new_journal();
    for number in 0..6 {
        journal.append(&append(number, &[1; 50])).unwrap();
    }
    // Everything is in the tables, and its records are still in the file.
    journal.list("", None, 1).unwrap();
    let old = disk.bytes()[LOG_START as usize..][..4096].to_vec();
    std::mem::forget(journal);
    assert_eq!(version(&disk.open().unwrap()), 6);
    let journal = disk.open().unwrap();
    journal.append(&append(6, b"x")).unwrap();
    std::mem::forget(journal);
    assert_eq!(version(&disk.open().unwrap()), 7);
    disk.write(LOG_START, &old).unwrap();
    assert_eq!(
        version(&disk.open().unwrap()),
        7,
        "they are not taken again"
    );
}

#[test]
fn a_change_that_looks_like_records_is_a_change() {
    let (disk, _) = died_with(4);
    let records = disk.bytes()[LOG_START as usize..][..1024].to_vec();
    let (disk, journal) = SharedDisk::new_journal();
    journal.append(&append(0, &records)).unwrap();
    std::mem::forget(journal);
    // Its head is lost, so that the copies in it are what a reader could find first.
    disk.write(LOG_START, &[0; 24]).unwrap();
    let opened = disk.open().map(|journal| version(&journal));
    assert!(matches!(opened, Ok(0)) || opened.unwrap_err().kind() == ErrorKind::Damaged);
}

#[test]
fn a_batch_that_no_log_can_hold_and_a_full_log_lose_nothing() {
    let (disk, journal) = SharedDisk::new_journal();
    let large = vec![3; LOG_BYTES as usize + 1];
    for number in 0..3 {
        journal.append(&append(3 * number, b"small")).unwrap();
        journal.append(&append(3 * number + 1, &large)).unwrap();
        journal
            .append(&append(3 * number + 2, &large[..300_000]))
            .unwrap();
    }
    for number in 9..2100 {
        journal.append(&append(number, &[4; 700])).unwrap();
    }
    std::mem::forget(journal);
    let journal = disk.open().unwrap();
    let loaded = journal.load("a").unwrap();
    assert_eq!((loaded.version, loaded.changes.len()), (2100, 2100));
    assert_eq!(loaded.changes[4].len(), large.len());
    assert_eq!(journal.read("a", 2095, 3).unwrap().changes.len(), 3);
}

#[test]
fn a_log_that_is_not_what_is_written_is_damage() {
    let (disk, length) = died_with(1);
    let bytes = disk.bytes();
    let record = &bytes[LOG_START as usize..][..length as usize];
    let mut wrong = record.to_vec();
    // A count of streams that are not there, with the right sum.
    wrong[24 + 16] = 9;
    let body = u32::from_le_bytes(*wrong[8..].first_chunk().unwrap()) as usize;
    let mut sum = crc32fast::Hasher::new();
    sum.update(&wrong[..16]);
    sum.update(&wrong[24..24 + body]);
    wrong[16..20].copy_from_slice(&sum.finalize().to_le_bytes());
    disk.write(LOG_START, &wrong).unwrap();
    assert_eq!(disk.open().unwrap_err().kind(), ErrorKind::Damaged);
}
