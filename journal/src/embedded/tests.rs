//! A disk that runs full at any moment, and one that loses its power.
#![allow(clippy::arithmetic_side_effects)]

mod checked;
mod disk;
mod log;
mod power;

use bytes::Bytes;

use crate::embedded::tests::disk::SharedDisk;
use crate::embedded::{blocks, schema};
use crate::{
    Append, AppendId, Appended, Embedded, ErrorKind, Journal, REMEMBERED_APPENDS, Snapshot,
    StreamAppend,
};

fn append(number: u64) -> Append {
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let change = Bytes::from(vec![u8::try_from(number % 251).unwrap(); 3000]);
    let parts = ["a", "b"].map(|stream| StreamAppend::new(stream, number, vec![change.clone()]));
    Append::new(AppendId::new(id), parts.to_vec())
}

#[test]
fn a_disk_that_runs_full_at_any_write_tears_nothing() {
    let (disk, journal) = SharedDisk::new_journal();
    let mut full = 0;
    for number in 0..120 {
        disk.let_writes(Some(u32::try_from(number % 24).unwrap()));
        let appended = journal.append(&append(number)).map(|_| ());
        // What is in the log goes into the tables, which takes most of the writes.
        let listed = journal.list("", None, 1).map(|_| ());
        for error in [appended, listed].into_iter().filter_map(Result::err) {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{error:?}");
            full += 1;
        }
        disk.let_writes(None);
        // The outcome was unknown, so the same append is repeated; it happened once all the same.
        let versions = vec![number + 1, number + 1];
        let again = journal.append(&append(number)).unwrap();
        assert_eq!(again, Appended::Done { versions });
        let loaded = journal.load("a").unwrap();
        assert_eq!(loaded, journal.load("b").unwrap());
        assert_eq!(loaded.version, number + 1);
        assert_eq!(loaded.changes.len() as u64, number + 1);
    }
    assert!(full > 20, "the disk was full only {full} times");
}

#[test]
fn a_full_disk_fails_the_whole_batch_and_reading_goes_on() {
    let (disk, journal) = SharedDisk::new_journal();
    journal.append(&append(0)).unwrap();
    disk.let_writes(Some(0));
    let malformed = Append::new(AppendId::new([9; 16]), vec![]);
    let answers = journal.append_batch(&[append(1), malformed, append(2)]);
    let kinds: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap_err().kind())
        .collect();
    let expected = [ErrorKind::NoSpace, ErrorKind::Invalid, ErrorKind::NoSpace];
    assert_eq!(kinds, expected);
    disk.let_writes(None);
    assert_eq!(journal.load("a").unwrap().version, 1);
    journal
        .save_snapshot("a", &Snapshot::new(1, 1, Bytes::new()))
        .unwrap();
    drop(journal);
    assert_eq!(disk.open().unwrap().load("a").unwrap().version, 1);
}

#[test]
fn a_newer_format_is_refused() {
    let folder = std::env::temp_dir();
    let path = folder.join(format!("journal-newer-{}.redb", std::process::id()));
    drop(Embedded::open(&path).unwrap());
    let mut file = std::fs::read(&path).unwrap();
    let head = blocks::head(schema::FORMAT + 1);
    file[..head.len()].copy_from_slice(&head);
    std::fs::write(&path, &file).unwrap();
    let kind = Embedded::open(&path).unwrap_err().kind();
    assert!(std::fs::read(&path).unwrap() == file, "left as it was");
    std::fs::remove_file(&path).unwrap();
    let (found, newest) = (schema::FORMAT + 1, schema::FORMAT);
    assert_eq!(kind, ErrorKind::NewerFormat { found, newest });
    let text = format!("the journal has format {found}; this release reads formats up to {newest}");
    assert_eq!(kind.to_string(), text);
}

#[test]
fn only_so_many_appends_are_remembered() {
    let (_, journal) = SharedDisk::new_journal();
    let guard = |number: usize| {
        let mut append = append(0);
        append.id = AppendId::new((number as u128).to_be_bytes());
        append
            .streams
            .iter_mut()
            .for_each(|part| part.changes.clear());
        append
    };
    let appends: Vec<_> = (0..2 * REMEMBERED_APPENDS).map(guard).collect();
    for batch in appends.chunks(1000) {
        assert!(journal.append_batch(batch).iter().all(Result::is_ok));
    }
    let rows = journal
        .reading(|transaction| {
            use redb::ReadableTableMetadata as _;
            Ok(transaction.open_table(schema::REMEMBERED)?.len()?)
        })
        .unwrap();
    assert_eq!(rows, 17);
}
