//! The real store on a disk that loses its power at any operation and keeps, drops and tears what was not synced.
//!
//! `LONG=1` plays 1,500 seeds. `SEED=7` plays one.

use crate::embedded::tests::disk::SharedDisk;
use crate::{Appended, Embedded, Error, Journal as _};

#[path = "../../../tests/support/workload.rs"]
mod workload;
pub(super) use workload::Random;
use workload::{Actor, Work, perform, rounds};

const ACTORS: u64 = 4;
const CUTS: u64 = 4;

#[test]
fn a_power_cut_at_any_operation_loses_tears_and_doubles_nothing() {
    if let Some(seed) = std::env::var_os("SEED") {
        let seed = seed.into_string().unwrap().parse().unwrap();
        assert!(play(seed, false).steps > 0);
        return;
    }
    let (mut steps, seeds) = (0, rounds(200, 1500));
    for seed in 0..seeds {
        steps += play(seed, false).steps;
    }
    assert!(
        steps > seeds * CUTS * 5,
        "only {steps} steps were acknowledged"
    );
}

#[test]
fn a_seed_replays_exactly() {
    for seed in [3, 1_000_003] {
        assert_eq!(play(seed, false), play(seed, false));
    }
}

/// The control: the same check does find what a disk loses that only says that it synced.
#[test]
fn a_disk_that_lies_is_found_out() {
    let found = |seed| std::panic::catch_unwind(|| play(seed, true)).is_err();
    let lies = (0..8).filter(|seed| found(*seed)).count();
    assert!(lies >= 7, "only {lies} of 8 lying disks were found out");
}

#[derive(Debug, Eq, PartialEq)]
struct Played {
    steps: u64,
    disk: u64,
}

/// Works and cuts the power, again and again on the same disk.
fn play(seed: u64, lies: bool) -> Played {
    let mut random = Random(seed);
    let (disk, journal) = SharedDisk::new_journal();
    drop(journal);
    if lies {
        disk.lie_about_syncs();
    }
    let mut actors: Vec<_> = (0..ACTORS).map(Actor::new).collect();
    for cut in 0..CUTS {
        let occasion = format!("SEED={seed}, cut {cut}");
        disk.let_operations(1 + random.below(240));
        if let Ok(journal) = disk.open() {
            work_until_dark(&journal, &mut actors, &mut random);
        }
        assert!(!disk.has_power());
        disk.restart(&mut random);
        // The power may fail again while what the first cut left is being put in order.
        if random.below(3) == 0 {
            disk.let_operations(random.below(12));
            drop(disk.open());
            disk.restart(&mut random);
        }
        let journal = disk
            .open()
            .unwrap_or_else(|error| panic!("{occasion}: {error:?}"));
        for actor in &mut actors {
            actor.recover(&journal, &occasion);
        }
    }
    Played {
        steps: actors.iter().map(Actor::done).sum(),
        disk: disk.digest(),
    }
}

fn work_until_dark(journal: &Embedded, actors: &mut [Actor], random: &mut Random) {
    loop {
        let first = usize::try_from(random.below(ACTORS)).unwrap();
        let count = 1 + usize::try_from(random.below(ACTORS)).unwrap();
        let group: Vec<_> = (first..first + count)
            .map(|number| number % actors.len())
            .collect();
        let batch: Vec<_> = group
            .iter()
            .filter_map(|number| match actors[*number].next() {
                Work::Append(append) => Some((*number, append)),
                _ => None,
            })
            .collect();
        let appends: Vec<_> = batch.iter().map(|(_, append)| append.clone()).collect();
        let appended = journal.append_batch(&appends).into_iter();
        for ((number, _), answer) in batch.iter().zip(appended) {
            if !taken_in(&mut actors[*number], answer.map(Some)) {
                return;
            }
        }
        for number in group {
            let next = actors[number].next();
            if !matches!(next, Work::Append(_))
                && !taken_in(&mut actors[number], perform(journal, &next))
            {
                return;
            }
        }
    }
}

/// Whether there was power for it.
fn taken_in(actor: &mut Actor, answer: Result<Option<Appended>, Error>) -> bool {
    let Ok(answer) = answer else {
        return false;
    };
    assert_eq!(answer, actor.acknowledge());
    true
}
