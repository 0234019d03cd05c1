//! What an operator may find in place of a journal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fs;

use bytes::Bytes;
use journal::{Append, AppendId, Embedded, ErrorKind, Journal, StreamAppend};

#[path = "support/folder.rs"]
mod folder;
use folder::Folder;

#[test]
fn a_file_that_another_holds_is_locked() {
    let folder = Folder::new("locked");
    let path = folder.path().join("journal.redb");
    let first = Embedded::open(&path).unwrap();
    assert_eq!(Embedded::open(&path).unwrap_err().kind(), ErrorKind::Locked);
    drop(first);
    Embedded::open(&path).unwrap();
}

#[test]
fn other_files_are_not_journals() {
    let folder = Folder::new("others");
    let path = folder.path().join("journal.redb");
    for content in [
        &b"no journal at all, but long enough to look"[..],
        b"short",
        b"",
    ] {
        fs::write(&path, content).unwrap();
        let kind = Embedded::open(&path).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::NotAJournal, "{content:?}");
        assert_eq!(fs::read(&path).unwrap(), content, "left as it was");
    }
    let missing = folder.path().join("no such folder").join("journal.redb");
    let error = Embedded::open(missing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
#[cfg(unix)]
fn a_new_journal_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("mode");
    let path = folder.path().join("journal.redb");
    drop(Embedded::open(&path).unwrap());
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = fs::read_dir(folder.path()).unwrap();
    assert_eq!(names.count(), 1, "no draft is left behind");
}

#[test]
fn a_file_is_found_as_it_was_left() {
    let folder = Folder::new("left");
    let path = folder.path().join("journal.redb");
    let part = StreamAppend::new("a", 0, vec![Bytes::from_static(b"change")]).with_due(Some(7));
    let append = Append::new(AppendId::new([1; 16]), vec![part]);
    let journal = Embedded::open(&path).unwrap();
    let answer = journal.append(&append).unwrap();
    let loaded = journal.load("a").unwrap();
    drop(journal);
    let journal = Embedded::open(&path).unwrap();
    assert_eq!(journal.load("a").unwrap(), loaded);
    assert_eq!(journal.append(&append).unwrap(), answer);
}
