//! Files that releases of this crate wrote: they must open, whatever the current format is, and hold what they held.
//!
//! A fixture is a journal file without its empty sectors. It never changes; a release with a new format adds its own, which
//! `WRITE_FIXTURE=1` writes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use journal::{
    Append, AppendId, Appended, Due, Embedded, ErrorKind, Journal, Snapshot, StreamAppend,
};

#[path = "support/folder.rs"]
mod folder;
use folder::Folder;

const SECTOR: usize = 512;
/// The newest format, and so the one that is written.
const NEWEST: &str = "format-3-rows";

fn fixture(format: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    folder.join(format).with_extension("sectors")
}

fn unpack(format: &str, path: &Path) {
    fs::write(path, unpacked(&fs::read(fixture(format)).unwrap())).unwrap();
}

fn names(folder: &Folder) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_file_of_format_3_opens_with_everything_in_it() {
    // At first it had a row for each answer that is remembered.
    for format in ["format-3", "format-3-rows"] {
        let folder = Folder::new(format);
        let path = folder.path().join("journal.redb");
        unpack(format, &path);
        let opened = Embedded::open_reporting(&path, |_| panic!("there is nothing to copy"));
        let journal = opened.unwrap();
        check(&journal);
        drop(journal);
        check(&Embedded::open(&path).unwrap());
    }
}

#[test]
fn a_file_of_an_older_format_is_upgraded_once_with_everything_in_it() {
    for format in ["format-1", "format-2"] {
        let folder = Folder::new(format);
        let path = folder.path().join("journal.redb");
        unpack(format, &path);
        let mut reports = Vec::new();
        let journal = Embedded::open_reporting(&path, |report| reports.push(report)).unwrap();
        let last = reports.last().unwrap();
        assert_eq!((last.rows, last.of), (12, 12));
        check(&journal);
        drop(journal);
        assert_eq!(names(&folder), ["journal.redb"]);
        let again = Embedded::open_reporting(&path, |_| panic!("it was done before"));
        check(&again.unwrap());
    }
}

#[test]
fn a_backup_of_format_1_is_restored() {
    let folder = Folder::new("restored-1");
    let (backup, path) = (folder.path().join("backup"), folder.path().join("restored"));
    unpack("format-1", &backup);
    let bytes = fs::read(&backup).unwrap();
    Embedded::restore(&backup, &path, |journal| {
        check(journal);
        Ok(())
    })
    .unwrap();
    check(&Embedded::open(&path).unwrap());
    assert!(fs::read(&backup).unwrap() == bytes, "left as it was");
}

/// A process that is killed during the upgrade leaves the old file and half of a new one.
#[test]
fn an_upgrade_that_was_cut_short_is_made_anew() {
    let folder = Folder::new("cut-short");
    let path = folder.path().join("journal.redb");
    unpack("format-1", &path);
    let draft = format!("journal.redb.new-{}", std::process::id());
    fs::write(folder.path().join(draft), [1; 9000]).unwrap();
    check(&Embedded::open(&path).unwrap());
    assert_eq!(names(&folder), ["journal.redb"]);
}

/// What is damaged gets no checksum that would make it pass for sound.
#[test]
fn a_damaged_file_of_format_1_is_not_upgraded() {
    let folder = Folder::new("damaged-1");
    let path = folder.path().join("journal.redb");
    unpack("format-1", &path);
    let mut bytes = fs::read(&path).unwrap();
    let place = bytes.windows(5).position(|five| five == b"state").unwrap();
    bytes[place] ^= 1;
    fs::write(&path, &bytes).unwrap();
    for _ in 0..2 {
        let error = Embedded::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert_eq!(names(&folder), ["journal.redb"]);
    }
    assert!(fs::read(&path).unwrap().starts_with(b"redb"));
}

/// What the fixtures hold is what this release writes, and packing loses nothing.
#[test]
fn the_newest_fixture_holds_what_is_written_now() {
    let folder = Folder::new("newest");
    let path = folder.path().join("journal.redb");
    let journal = Embedded::open(&path).unwrap();
    fill(&journal);
    check(&journal);
    let copy = folder.path().join("copy.redb");
    journal.backup(&copy).unwrap();
    let bytes = fs::read(&copy).unwrap();
    assert!(unpacked(&packed(&bytes)) == bytes);
    if std::env::var_os("WRITE_FIXTURE").is_some() {
        fs::write(fixture(NEWEST), packed(&bytes)).unwrap();
    }
    assert!(fixture(NEWEST).exists());
}

fn append(id: u8, parts: Vec<StreamAppend>) -> Append {
    Append::new(AppendId::new([id; 16]), parts)
}

fn part(stream: &str, version: u64, changes: &[&'static str]) -> StreamAppend {
    let changes = changes.iter().map(|change| Bytes::from(*change));
    StreamAppend::new(stream, version, changes.collect())
}

fn first() -> Append {
    let a = part("a", 0, &["a1", "a2", "a3", "a4"]).with_due(Some(77));
    append(1, vec![a, part("b", 0, &["b1"])])
}

fn fill(journal: &Embedded) {
    journal.append(&first()).unwrap();
    let gone = vec![part("gone", 0, &["g1"]).with_due(Some(5))];
    journal.append(&append(2, gone)).unwrap();
    let snapshot = Snapshot::new(3, 9, Bytes::from_static(b"state"));
    journal.save_snapshot("a", &snapshot).unwrap();
    journal.truncate("a", 2).unwrap();
    journal.erase("gone").unwrap();
}

fn check(journal: &Embedded) {
    let a = journal.load("a").unwrap();
    let snapshot = Snapshot::new(3, 9, Bytes::from_static(b"state"));
    assert_eq!(
        (a.version, a.snapshot, a.due),
        (4, Some(snapshot), Some(77))
    );
    assert_eq!(a.changes, ["a4"]);
    assert_eq!(journal.read("a", 2, 9).unwrap().changes, ["a3", "a4"]);
    assert_eq!(journal.load("b").unwrap().changes, ["b1"]);
    assert_eq!(journal.load("gone").unwrap().version, 2);
    assert_eq!(journal.list("", None, 9).unwrap(), ["a", "b"]);
    assert_eq!(journal.due(u64::MAX, None, 9).unwrap(), [Due::new(77, "a")]);
    let versions = vec![4, 1];
    assert_eq!(
        journal.append(&first()).unwrap(),
        Appended::Done { versions }
    );
    let late = append(3, vec![part("gone", 1, &["g2"])]);
    let stream = "gone".to_owned();
    assert_eq!(
        journal.append(&late).unwrap(),
        Appended::Conflict { stream }
    );
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = (bytes.len() as u64).to_le_bytes().to_vec();
    for (number, sector) in (0_u32..).zip(bytes.chunks(SECTOR)) {
        if sector.iter().any(|byte| *byte != 0) {
            packed.extend(number.to_le_bytes());
            packed.extend(sector);
        }
    }
    packed
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let (length, sectors) = packed.split_first_chunk().unwrap();
    let mut bytes = vec![0; usize::try_from(u64::from_le_bytes(*length)).unwrap()];
    for entry in sectors.chunks(4 + SECTOR) {
        let (number, sector) = entry.split_first_chunk().unwrap();
        let start = u32::from_le_bytes(*number) as usize * SECTOR;
        bytes[start..start + sector.len()].copy_from_slice(sector);
    }
    bytes
}
