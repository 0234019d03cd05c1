//! Every implementation is held to the same rules, and so are their properties under random use.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::sync::Arc;

use bytes::Bytes;
use journal::{
    Append, AppendId, Appended, Embedded, Journal, Memory, Snapshot, StreamAppend, conformance,
};
use proptest::prelude::*;

#[path = "support/folder.rs"]
mod folder;
#[path = "support/mutant.rs"]
mod mutant;
use folder::Folder;
use mutant::{AppendAs, Mutant};

#[test]
fn memory_keeps_the_contract() {
    let made = conformance::check(&mut || Ok(Box::new(Memory::new()) as Box<dyn Journal>));
    made.unwrap();
}

#[test]
fn embedded_keeps_the_contract() {
    let folder = Folder::new("contract");
    let mut count = 0;
    conformance::check(&mut || {
        count += 1;
        let journal = Embedded::open(folder.path().join(format!("{count}.redb")))?;
        Ok(Box::new(journal) as Box<dyn Journal>)
    })
    .unwrap();
}

#[test]
fn memory_that_nodes_share_keeps_the_rules_of_leases() {
    let memory = Memory::with_leases();
    conformance::check_leases(&memory, &memory, &mut |time| memory.pass(time)).unwrap();
}

#[test]
fn the_suite_finds_leases_that_never_run_out() {
    let memory = Memory::with_leases();
    let broken = conformance::check_leases(&memory, &memory, &mut |_| ()).unwrap_err();
    assert_eq!(broken.rule, "J9");
    let sole = Memory::new();
    let broken = conformance::check_leases(&sole, &sole, &mut |_| ()).unwrap_err();
    assert_eq!(broken.rule, "J9");
}

#[test]
fn memory_keeps_the_contract_when_threads_race() {
    let memory = Memory::new();
    conformance::check_shared(&memory, &memory).unwrap();
    let memory = Memory::with_leases();
    conformance::check_shared(&memory, &memory).unwrap();
}

#[test]
fn embedded_keeps_the_contract_when_threads_race() {
    let folder = Folder::new("shared");
    let journal = Embedded::open(folder.path().join("journal.redb")).unwrap();
    conformance::check_shared(&journal, &journal).unwrap();
}

#[test]
fn the_suite_finds_a_journal_that_confuses_appends() {
    let append: AppendAs = |memory, append| {
        // All with as many streams are the same one.
        let mut append = append.clone();
        append.id = AppendId::new([append.streams.len().try_into().unwrap_or(9); 16]);
        memory.append(&append)
    };
    let made = conformance::check(&mut || {
        let mutant = Mutant::new(&Arc::default()).appending(append);
        Ok(Box::new(mutant) as Box<dyn Journal>)
    });
    assert_eq!(made.unwrap_err().rule, "J1");
}

#[test]
fn the_suite_finds_a_version_that_is_compared_too_early() {
    let append: AppendAs = |memory, append| {
        for part in &append.streams {
            if memory.load(&part.stream)?.version != part.expected_version {
                return memory.append(append);
            }
        }
        let mut append = append.clone();
        pause();
        loop {
            let appended = memory.append(&append)?;
            let Appended::Conflict { stream } = &appended else {
                return Ok(appended);
            };
            for part in append
                .streams
                .iter_mut()
                .filter(|part| part.stream == *stream)
            {
                part.expected_version = memory.load(stream)?.version;
            }
        }
    };
    let mutant = Mutant::new(&Arc::default()).appending(append);
    let broken = conformance::check_shared(&mutant, &mutant).unwrap_err();
    assert_eq!(broken.rule, "J1");
}

#[test]
fn the_suite_finds_handles_that_remember_appends_apart() {
    let memory = Arc::default();
    let other = Mutant::new(&memory).appending(|memory, append| {
        let mut append = append.clone();
        append.id = AppendId::new(append.id.as_bytes().map(|byte| !byte));
        memory.append(&append)
    });
    let broken = conformance::check_shared(&Mutant::new(&memory), &other).unwrap_err();
    assert_eq!(broken.rule, "J3");
}

#[test]
fn the_suite_finds_a_journal_that_condenses_in_two_steps() {
    let mutant = Mutant::new(&Arc::default()).condensing(|memory, stream, snapshot| {
        memory.save_snapshot(stream, snapshot)?;
        pause();
        memory.truncate(stream, snapshot.version)
    });
    let broken = conformance::check_shared(&mutant, &mutant).unwrap_err();
    assert_eq!(broken.rule, "J6");
}

/// Lets other threads do something.
fn pause() {
    for _ in 0..20 {
        std::thread::yield_now();
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append(u8, Vec<(usize, u64, usize, Option<u64>)>),
    Snapshot(usize, u64),
    Truncate(usize, u64),
    Condense(usize, u64),
    Erase(usize),
}

const STREAMS: [&str; 4] = ["a", "a/b", "b", "z\u{10ffff}"];

fn step() -> impl Strategy<Value = Step> {
    let part = (0..4_usize, 0..6_u64, 0..3_usize, prop::option::of(0..5_u64));
    prop_oneof![
        6 => (any::<u8>(), prop::collection::vec(part, 0..3)).prop_map(|(id, parts)| Step::Append(id, parts)),
        2 => (0..4_usize, 0..6_u64).prop_map(|(stream, version)| Step::Snapshot(stream, version)),
        2 => (0..4_usize, 0..6_u64).prop_map(|(stream, version)| Step::Truncate(stream, version)),
        2 => (0..4_usize, 0..6_u64).prop_map(|(stream, version)| Step::Condense(stream, version)),
        1 => (0..4_usize).prop_map(Step::Erase),
    ]
}

fn snapshot(version: u64) -> Snapshot {
    Snapshot::new(version, 1, Bytes::from_static(b"s"))
}

fn apply(journal: &dyn Journal, step: &Step) -> String {
    let said = match step {
        Step::Append(id, parts) => {
            let parts = parts.iter().map(|(stream, version, count, due)| {
                let changes = vec![Bytes::from(vec![*id]); *count];
                StreamAppend::new(STREAMS[*stream], *version, changes).with_due(*due)
            });
            let append = Append::new(AppendId::new([*id; 16]), parts.collect());
            return format!(
                "{:?}",
                journal.append(&append).map_err(|error| error.kind())
            );
        }
        Step::Snapshot(stream, version) => {
            journal.save_snapshot(STREAMS[*stream], &snapshot(*version))
        }
        Step::Condense(stream, version) => journal.condense(STREAMS[*stream], &snapshot(*version)),
        Step::Truncate(stream, version) => journal.truncate(STREAMS[*stream], *version),
        Step::Erase(stream) => journal.erase(STREAMS[*stream]),
    };
    format!("{:?}", said.map_err(|error| error.kind()))
}

fn everything(journal: &dyn Journal) -> String {
    let mut seen = String::new();
    for stream in STREAMS {
        let page = journal.read(stream, 1, 2).map_err(|error| error.kind());
        seen += &format!("{stream}: {:?} {page:?}\n", journal.load(stream).unwrap());
    }
    let due = journal.due(4, None, 99).unwrap();
    seen + &format!("{due:?} {:?}", journal.list("a", None, 99).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The two stores answer alike, and the embedded one answers alike after it was opened again.
    #[test]
    fn embedded_behaves_as_memory(steps in prop::collection::vec(step(), 1..30)) {
        let folder = Folder::new("model");
        let path = folder.path().join("journal.redb");
        let (memory, mut embedded) = (Memory::new(), Embedded::open(&path).unwrap());
        for (number, step) in steps.iter().enumerate() {
            prop_assert_eq!(apply(&memory, step), apply(&embedded, step), "{:?}", step);
            if number % 7 == 6 {
                drop(embedded);
                embedded = Embedded::open(&path).unwrap();
            }
        }
        prop_assert_eq!(everything(&memory), everything(&embedded));
    }
}
