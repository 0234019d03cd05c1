//! A process with several writers is killed with SIGKILL, again and again, on the same file: whatever it was told to be
//! durable is there afterwards, whole and once. `LONG=1` kills 200 times.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use journal::Embedded;

#[path = "support/folder.rs"]
mod folder;
#[path = "support/process.rs"]
mod process;
#[path = "support/workload.rs"]
mod workload;
use folder::Folder;
use workload::{Random, rounds};

/// The part of the child process; run by hand it does a little of the same, and checks it.
#[test]
fn works_until_killed() {
    if process::work_if_told_to() {
        return;
    }
    let folder = Folder::new("unkilled");
    let path = folder.path().join("journal.redb");
    let mut actors = process::actors();
    let journal = Embedded::open(&path).unwrap();
    for actor in &mut actors {
        for _ in 0..30 {
            let answer = workload::perform(&journal, &actor.next()).unwrap();
            assert_eq!(answer, actor.acknowledge());
        }
    }
    drop(journal);
    let journal = Embedded::open(&path).unwrap();
    for actor in &actors {
        actor.compare(&journal, "after closing");
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let folder = Folder::new("killed");
    let path = folder.path().join("journal.redb");
    let mut actors = process::actors();
    let mut random = Random(20_261_122);
    for kill in 0..rounds(6, 200) {
        let enough = 1_u64.saturating_add(random.below(600));
        process::kill_after(enough, "works_until_killed", &path, &mut actors);
        let journal = Embedded::open(&path).unwrap();
        for actor in &mut actors {
            actor.recover(&journal, &format!("kill {kill} after {enough}"));
        }
    }
    assert!(
        actors.iter().all(|actor| actor.done() > 12),
        "every actor went through its script"
    );
}
