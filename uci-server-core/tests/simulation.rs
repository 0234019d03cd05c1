//! Server, clients, devices and journals together, among seeded faults, in virtual time.
//!
//! `SEED=n` plays one seed and prints what happens; `LONG=1` plays ten times as many.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

#[path = "simulation/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use world::{Counts, World};

/// Plays one seed to its end, and returns the hash of all that happened.
fn play(seed: u64, prints: bool) -> (u64, Counts) {
    let mut world = World::new(seed, prints);
    world.turmoil();
    world.come_to_rest();
    (world.trace.hash(), world.counts)
}

/// Plays every `step`th seed from `first` on; the first one that fails says its number.
fn play_some(first: u64, step: usize, seeds: u64) -> Counts {
    let mut sum = Counts::default();
    for seed in (first..=seeds).step_by(step) {
        match catch_unwind(AssertUnwindSafe(|| play(seed, false))) {
            Ok((_, counts)) => sum = sum.plus(counts),
            Err(_) => panic!("seed {seed} failed: SEED={seed} prints what happens in it"),
        }
    }
    sum
}

#[test]
fn no_promised_notification_is_lost_whatever_fails() {
    if let Some(seed) = std::env::var_os("SEED") {
        let seed = seed
            .to_str()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        println!("{:?}", play(seed, true));
        return;
    }
    let seeds = if std::env::var_os("LONG").is_some() {
        10_000
    } else {
        1_000
    };
    let step = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let sum = std::thread::scope(|scope| {
        let parts: Vec<_> = (1..=step as u64)
            .map(|first| scope.spawn(move || play_some(first, step, seeds)))
            .collect();
        parts.into_iter().fold(Counts::default(), |sum, part| {
            sum.plus(part.join().unwrap())
        })
    });
    println!("{seeds} seeds: {sum:?}");
    // The faults really happen, and so does everything else.
    assert!(sum.crashes > 2 * seeds, "{sum:?}");
    assert!(sum.notifications > 50 * seeds, "{sum:?}");
    assert!(sum.asks > seeds && sum.grants_ended > seeds, "{sum:?}");
    assert!(sum.aborts > seeds / 10, "{sum:?}");
}

#[test]
fn a_seed_plays_the_same_every_time() {
    for seed in [3, 77, 1_234] {
        assert_eq!(play(seed, false).0, play(seed, false).0, "seed {seed}");
    }
    assert_ne!(play(3, false).0, play(77, false).0);
}

#[test]
fn where_nothing_fails_every_change_is_told_once_to_everybody_whom_it_concerns() {
    let mut world = World::new(1, false);
    world.pass(Duration::from_secs(200));
    let before = world.counts;
    for round in 0..100 {
        world.change_everything(1_000_000 + round);
        world.pass(Duration::from_secs(1));
    }
    // Four devices with a resource each, of which two belong to alice and one to bob, who have both linked two clouds.
    assert_eq!(world.counts.reports - before.reports, 400);
    assert_eq!(world.counts.notifications - before.notifications, 600);
    assert_eq!(world.counts.subscriptions, before.subscriptions);
    world.come_to_rest();
}
