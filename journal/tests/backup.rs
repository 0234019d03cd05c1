//! Backups: complete, taken while others write, checked when they come back, and of no use for reading who was erased.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use journal::seal::{Keyring, MasterKey};
use journal::{Append, AppendId, Appended, Embedded, Error, ErrorKind, Journal, StreamAppend};

#[path = "support/folder.rs"]
mod folder;
#[path = "support/workload.rs"]
mod workload;
use folder::Folder;
use workload::{Actor, Random, perform, rounds};

/// How many actors write while backups are made.
const BUSY: u64 = 3;

fn restored(backup: &Path, path: PathBuf) -> Embedded {
    Embedded::restore(backup, &path, |_| Ok(())).unwrap();
    Embedded::open(path).unwrap()
}

fn append(id: u8, stream: &str, version: u64, change: Vec<u8>) -> Append {
    let part = StreamAppend::new(stream, version, vec![Bytes::from(change)]);
    Append::new(AppendId::new([id; 16]), vec![part])
}

#[test]
fn a_backup_under_load_holds_what_was_acknowledged_before_it() {
    let folder = Folder::new("under-load");
    let journal = Embedded::open(folder.path().join("journal.redb")).unwrap();
    let stop = AtomicBool::new(false);
    let mut idle: Vec<_> = (0..3).map(Actor::new).collect();
    for actor in &mut idle {
        for _ in 0..40 {
            assert_eq!(
                perform(&journal, &actor.next()).unwrap(),
                actor.acknowledge()
            );
        }
    }
    let steps: Vec<_> = (0..BUSY).map(|_| AtomicU64::new(0)).collect();
    let mut followers: Vec<_> = (0..BUSY).map(|number| Actor::new(10 + number)).collect();
    std::thread::scope(|scope| {
        for (number, steps) in (10..).zip(&steps) {
            let (journal, stop) = (&journal, &stop);
            scope.spawn(move || {
                let mut busy = Actor::new(number);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(perform(journal, &busy.next()).unwrap(), busy.acknowledge());
                    steps.store(busy.done(), Ordering::SeqCst);
                }
            });
        }
        // Should an assertion fail, the others must end too.
        let _stop = StopWhenDropped(&stop);
        for round in 0..rounds(3, 20) {
            // This one goes on between the backups and stands still during each.
            for _ in 0..25 {
                assert_eq!(
                    perform(&journal, &idle[0].next()).unwrap(),
                    idle[0].acknowledge()
                );
            }
            for (follower, steps) in followers.iter_mut().zip(&steps) {
                while follower.done() < steps.load(Ordering::SeqCst) {
                    follower.acknowledge();
                }
            }
            let backup = folder.path().join(format!("backup-{round}"));
            journal.backup(&backup).unwrap();
            let copy = restored(&backup, folder.path().join(format!("restored-{round}")));
            for actor in &idle {
                actor.compare(&copy, &format!("backup {round}"));
            }
            // What was written meanwhile is there up to one step, whichever, and none of the one after it.
            for (follower, steps) in followers.iter_mut().zip(&steps) {
                let last = steps.load(Ordering::SeqCst) + 1;
                assert!(
                    follower.catch_up(&copy, last),
                    "backup {round} holds no step of an actor as a whole"
                );
            }
        }
        assert!(followers.iter().all(|follower| follower.done() > 12));
    });
}

struct StopWhenDropped<'s>(&'s AtomicBool);

impl Drop for StopWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_restored_journal_goes_on_where_the_backup_was_made() {
    let folder = Folder::new("goes-on");
    let journal = Embedded::open(folder.path().join("journal.redb")).unwrap();
    let first = append(1, "a", 0, b"one".to_vec());
    let answer = journal.append(&first).unwrap();
    let backup = folder.path().join("backup");
    journal.backup(&backup).unwrap();
    let copy = restored(&backup, folder.path().join("restored.redb"));
    assert_eq!(
        copy.append(&first).unwrap(),
        answer,
        "the append is remembered"
    );
    let next = copy.append(&append(2, "a", 1, b"two".to_vec())).unwrap();
    assert_eq!(next, Appended::Done { versions: vec![2] });
    drop(copy);
    let again = restored(&backup, folder.path().join("again.redb"));
    assert_eq!(
        again.load("a").unwrap().version,
        1,
        "the backup was not written to"
    );
}

#[test]
fn nothing_is_overwritten_and_nothing_half_made_is_left() {
    let folder = Folder::new("exists");
    let path = folder.path().join("journal.redb");
    let journal = Embedded::open(&path).unwrap();
    let taken = folder.path().join("taken");
    fs::write(&taken, "something else").unwrap();
    assert_eq!(
        journal.backup(&taken).unwrap_err().kind(),
        ErrorKind::Exists
    );
    let backup = folder.path().join("backup");
    journal.backup(&backup).unwrap();
    let kind = |result: Result<(), Error>| result.unwrap_err().kind();
    let target = folder.path().join("target");
    let missing = folder.path().join("missing");
    assert_eq!(
        kind(Embedded::restore(&backup, &path, |_| Ok(()))),
        ErrorKind::Exists
    );
    assert_eq!(
        kind(Embedded::restore(&taken, &target, |_| Ok(()))),
        ErrorKind::NotAJournal
    );
    assert_eq!(
        kind(Embedded::restore(&missing, &target, |_| Ok(()))),
        ErrorKind::Io
    );
    let refusing = Embedded::restore(&backup, &target, |_| Err(ErrorKind::NoKey.into()));
    assert_eq!(kind(refusing), ErrorKind::NoKey);
    assert_eq!(fs::read_to_string(&taken).unwrap(), "something else");
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["backup", "journal.redb", "taken"]);
}

/// A backup may lie about for years; what comes back is what was written, or nothing.
#[test]
fn a_damaged_backup_is_refused() {
    let folder = Folder::new("damaged-backup");
    let journal = Embedded::open(folder.path().join("journal.redb")).unwrap();
    let mut actor = Actor::new(1);
    for _ in 0..30 {
        assert_eq!(
            perform(&journal, &actor.next()).unwrap(),
            actor.acknowledge()
        );
    }
    let backup = folder.path().join("backup");
    journal.backup(&backup).unwrap();
    let whole = fs::read(&backup).unwrap();
    let (mut random, mut refused) = (Random(11), 0);
    for round in 0..rounds(60, 1000) {
        let mut bytes = whole.clone();
        if round.is_multiple_of(8) {
            bytes.truncate(random.below(whole.len() as u64) as usize);
        } else {
            let place = random.below(whole.len() as u64) as usize;
            bytes[place] ^= 1 << random.below(8);
        }
        fs::write(&backup, &bytes).unwrap();
        let path = folder.path().join("restored.redb");
        match Embedded::restore(&backup, &path, |_| Ok(())) {
            Ok(()) => {
                // The damage was where nothing is.
                actor.compare(&Embedded::open(&path).unwrap(), &format!("round {round}"));
                fs::remove_file(&path).unwrap();
            }
            Err(error) => {
                refused += 1;
                let clear = [ErrorKind::Damaged, ErrorKind::NotAJournal];
                assert!(clear.contains(&error.kind()), "round {round}: {error:?}");
                assert!(!path.exists());
            }
        }
    }
    assert!(refused > 5, "only {refused} were refused");
}

struct Cloud {
    journal: Embedded,
    keys: Keyring,
}

fn cloud(folder: &Path) -> Cloud {
    let master = MasterKey::load_or_create(folder.join("master.key"), [7; 32]).unwrap();
    Cloud {
        journal: Embedded::open(folder.join("journal.redb")).unwrap(),
        keys: Keyring::load(master, folder.join("keys")).unwrap(),
    }
}

#[test]
fn who_was_erased_stays_erased_in_an_older_backup() {
    let folder = Folder::new("erased");
    let Cloud { journal, keys } = cloud(folder.path());
    let secret = |stream: &str| format!("the secret of {stream}");
    for (id, stream) in [(1, "alice"), (2, "bob")] {
        let sealed = keys
            .seal(stream, "f", [id; 32], secret(stream).as_bytes())
            .unwrap();
        journal.append(&append(id, stream, 0, sealed)).unwrap();
    }
    let (old, mirror) = (folder.path().join("old"), folder.path().join("mirror"));
    journal.backup(&old).unwrap();
    keys.backup(&mirror).unwrap();

    journal.erase("alice").unwrap();
    keys.destroy("alice").unwrap();
    let new = folder.path().join("new");
    journal.backup(&new).unwrap();
    keys.backup(&mirror).unwrap();

    for file in [&old, &new] {
        let bytes = fs::read(file).unwrap();
        let found = bytes.windows(13).any(|window| window == b"the secret of");
        assert!(!found, "a secret is in the clear in {}", file.display());
    }
    // The machine is lost; what is left are the backups and, kept apart, the master key.
    drop((journal, keys));
    let machine = Folder::new("erased-anew");
    fs::copy(
        folder.path().join("master.key"),
        machine.path().join("master.key"),
    )
    .unwrap();
    let master = MasterKey::load(machine.path().join("master.key")).unwrap();
    let keys = Keyring::load(master, machine.path().join("keys")).unwrap();
    assert!(!keys.is_destroyed("alice").unwrap(), "not known here yet");
    keys.restore(&mirror).unwrap();
    assert!(keys.is_destroyed("alice").unwrap());
    assert!(!keys.is_destroyed("bob").unwrap());
    let sealed = restored(&old, machine.path().join("as-it-was.redb"));
    let sealed = sealed.load("alice").unwrap().changes;
    let opened = keys.open("alice", "f", &sealed[0]);
    assert_eq!(
        opened.unwrap_err().kind(),
        ErrorKind::NoKey,
        "the old backup is unreadable"
    );

    let path = machine.path().join("journal.redb");
    let erase = |journal: &Embedded| {
        assert_eq!(keys.erase_destroyed(journal)?, 1);
        Ok(())
    };
    Embedded::restore(&old, &path, erase).unwrap();
    let journal = Embedded::open(&path).unwrap();
    assert_eq!(journal.list("", None, 9).unwrap(), ["bob"]);
    let sealed = journal.load("bob").unwrap().changes;
    let opened = keys.open("bob", "f", &sealed[0]).unwrap();
    assert_eq!(opened.expose(), secret("bob").as_bytes());
}

/// With another master key nothing in the backup would count as destroyed, and who was erased would come back.
#[test]
fn keys_are_neither_restored_nor_backed_up_with_another_master_key() {
    let folder = Folder::new("wrong-master");
    let Cloud { keys, .. } = cloud(folder.path());
    keys.seal("a", "f", [1; 32], b"secret").unwrap();
    keys.destroy("a").unwrap();
    let mirror = folder.path().join("mirror");
    keys.backup(&mirror).unwrap();
    let machine = Folder::new("wrong-master-anew");
    let path = machine.path().join("keys");
    let wrong = Keyring::load(MasterKey::new([8; 32]), &path).unwrap();
    for result in [wrong.restore(&mirror), wrong.backup(&mirror)] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::KeyFile);
    }
    drop(wrong);
    let master = MasterKey::load(folder.path().join("master.key")).unwrap();
    let right = Keyring::load(master, &path).unwrap();
    right.restore(&mirror).unwrap();
    assert!(right.is_destroyed("a").unwrap());
}

#[test]
fn a_folder_of_keys_that_lost_its_files_empties_no_backup() {
    let folder = Folder::new("lost-keys");
    let Cloud { keys, .. } = cloud(folder.path());
    let sealed = keys.seal("a", "f", [1; 32], b"secret").unwrap();
    let mirror = folder.path().join("mirror");
    keys.backup(&mirror).unwrap();
    drop(keys);
    fs::remove_dir_all(folder.path().join("keys")).unwrap();
    let Cloud { keys, .. } = cloud(folder.path());
    keys.backup(&mirror).unwrap();
    assert_eq!(
        keys.open("a", "f", &sealed).unwrap_err().kind(),
        ErrorKind::NoKey
    );
    keys.restore(&mirror).unwrap();
    assert_eq!(keys.open("a", "f", &sealed).unwrap().expose(), b"secret");
}

#[test]
fn a_backup_does_not_bring_back_a_key_that_was_destroyed_since() {
    let folder = Folder::new("rollback");
    let Cloud { keys, .. } = cloud(folder.path());
    let sealed = keys.seal("a", "f", [1; 32], b"secret").unwrap();
    let mirror = folder.path().join("mirror");
    keys.backup(&mirror).unwrap();
    keys.destroy("a").unwrap();
    keys.restore(&mirror).unwrap();
    assert_eq!(
        keys.open("a", "f", &sealed).unwrap_err().kind(),
        ErrorKind::NoKey
    );
    // A new key under the same name replaces the old one in the backup.
    let anew = keys.seal("a", "f", [2; 32], b"new").unwrap();
    keys.backup(&mirror).unwrap();
    drop(keys);
    fs::remove_dir_all(folder.path().join("keys")).unwrap();
    let Cloud { keys, .. } = cloud(folder.path());
    keys.restore(&mirror).unwrap();
    assert_eq!(keys.open("a", "f", &anew).unwrap().expose(), b"new");
    assert_eq!(
        keys.open("a", "f", &sealed).unwrap_err().kind(),
        ErrorKind::Unopenable
    );
}
