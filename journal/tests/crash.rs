//! A process that appends is killed with SIGKILL, again and again, on the same file: whatever it was told to be durable is
//! there afterwards. `LONG=1` kills 40 times.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use journal::{Append, AppendId, Appended, Embedded, Journal, StreamAppend, Writer, WriterConfig};

#[path = "support/folder.rs"]
mod folder;
use folder::Folder;

const PAIRS: u64 = 8;
const FILE: &str = "KILLED_JOURNAL";

/// The part of the child process; run by hand it does a little of the same, and checks it.
#[test]
fn appends_until_killed() {
    if let Some(path) = std::env::var_os(FILE) {
        load(Path::new(&path), u64::MAX);
    } else {
        let folder = Folder::new("unkilled");
        let path = folder.path().join("journal.redb");
        load(&path, 5);
        assert_eq!(
            versions(&path),
            BTreeMap::from_iter((0..PAIRS).map(|pair| (pair, 5)))
        );
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let folder = Folder::new("killed");
    let path = folder.path().join("journal.redb");
    let kills = if std::env::var_os("LONG").is_some() {
        40
    } else {
        4
    };
    let mut acknowledged = BTreeMap::<u64, u64>::new();
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "appends_until_killed", "--nocapture"])
            .env(FILE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (mut heard, enough) = (0, 40 + kill * 17);
        for line in output.lines() {
            if let Some((pair, version)) = acknowledgement(&line.unwrap()) {
                let last = acknowledged.insert(pair, version).unwrap_or(0);
                assert!(version > last, "version {version} of {pair} after {last}");
                heard += 1;
                // What the child still had in its pipe was acknowledged too, so reading goes on to the end.
                if heard == enough {
                    child.kill().unwrap();
                }
            }
        }
        assert!(!child.wait().unwrap().success());
        assert!(heard >= enough, "it ended by itself after {heard}");
        for (pair, version) in versions(&path) {
            let promised = acknowledged.get(&pair).copied().unwrap_or(0);
            assert!(
                version >= promised,
                "{pair} lost {promised}, is at {version}"
            );
        }
    }
    assert!(acknowledged.len() as u64 == PAIRS, "every pair was written");
}

fn acknowledgement(line: &str) -> Option<(u64, u64)> {
    let (pair, version) = line.strip_prefix("done ")?.split_once(' ')?;
    Some((pair.parse().ok()?, version.parse().ok()?))
}

/// Appends to pairs of streams up to `rounds` times each, and prints each pair's version once it is durable.
fn load(path: &Path, rounds: u64) {
    let journal: Arc<dyn Journal> = Arc::new(Embedded::open(path).unwrap());
    let writer = Writer::start(Arc::clone(&journal), WriterConfig::default()).unwrap();
    let output = Arc::new(Mutex::new(std::io::stdout()));
    let (next, ready) = channel();
    for pair in 0..PAIRS {
        let version = journal.load(&format!("left/{pair}")).unwrap().version;
        next.send((pair, version)).unwrap();
    }
    for _ in 0..PAIRS.saturating_mul(rounds) {
        let (pair, version) = ready.recv().unwrap();
        let (next, output) = (next.clone(), Arc::clone(&output));
        writer.append(append(pair, version), move |answer| {
            let Ok(Appended::Done { versions }) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!(versions, [version + 1, version + 1]);
            writeln!(output.lock().unwrap(), "done {pair} {}", version + 1).unwrap();
            let _ = next.send((pair, version + 1));
        });
    }
}

fn append(pair: u64, version: u64) -> Append {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&pair.to_be_bytes());
    id[8..].copy_from_slice(&version.to_be_bytes());
    let change = Bytes::from(format!("{pair} {}", version + 1));
    let parts = ["left", "right"]
        .map(|side| StreamAppend::new(format!("{side}/{pair}"), version, vec![change.clone()]));
    Append::new(AppendId::new(id), parts.to_vec())
}

/// The versions of the pairs after opening again; both sides must agree and have every change, in order.
fn versions(path: &Path) -> BTreeMap<u64, u64> {
    let journal = Embedded::open(path).unwrap();
    let versions = (0..PAIRS).map(|pair| {
        let left = journal.load(&format!("left/{pair}")).unwrap();
        let right = journal.load(&format!("right/{pair}")).unwrap();
        assert_eq!(left, right, "an append to two streams was torn");
        let expected = (1..=left.version).map(|version| Bytes::from(format!("{pair} {version}")));
        assert_eq!(left.changes, expected.collect::<Vec<_>>());
        let again = journal.append(&append(pair, left.version.saturating_sub(1)));
        let versions = vec![left.version, left.version];
        assert_eq!(
            again.unwrap(),
            Appended::Done { versions },
            "the last id is remembered"
        );
        (pair, left.version)
    });
    versions.collect()
}
