//! Both roles against each other, over a channel that loses, repeats, delays and reorders what it carries, in virtual
//! time: whatever happens, they agree in the end, and no link is lost but where the standards end it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_imports,
    missing_docs
)]
#![allow(
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_debug_implementations
)]

#[path = "closure/acts.rs"]
mod acts;
#[path = "closure/bench.rs"]
mod bench;
#[path = "closure/channel.rs"]
mod channel;
#[path = "closure/checks.rs"]
mod checks;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "server/harness.rs"]
mod harness;
#[path = "closure/runs.rs"]
mod runs;
#[path = "closure/shadow.rs"]
mod shadow;
#[allow(dead_code, reason = "shared with the tests of the server")]
#[path = "server/store.rs"]
mod store;
#[allow(dead_code, reason = "shared with the tests of the client")]
#[path = "client_links/world.rs"]
mod world;

use std::time::Duration;

use account_linking::client::Event;
use proptest::prelude::*;

use crate::acts::{Act, Kind, USERS, act, kind};
use crate::runs::Life;

proptest! {
    /// I36, with the seed of the channel's choices.
    #[test]
    fn both_sides_agree_once_the_channel_heals(
        kind in kind(),
        seed in any::<u64>(),
        acts in prop::collection::vec(act(), 1..40),
    ) {
        let mut life = Life::new(kind, seed);
        for act in &acts {
            life.act(act);
        }
        life.settle();
    }
}

/// A refresh whose answer is lost is asked for again inside the retry window, and the link lives: for every way of
/// registering, and for many fates of the messages.
#[test]
fn a_lost_answer_ends_no_link() {
    let mut retries = 0;
    for kind in [
        Kind::Stable,
        Kind::Asking,
        Kind::Rotating,
        Kind::Public,
        Kind::Patient,
    ] {
        for seed in 0..16 {
            let mut life = Life::new(kind, seed);
            let linked = life.link(0, USERS[0].1, false).unwrap();
            life.bench.pass(Duration::from_secs(1));
            assert!(matches!(life.end_of(linked), Some(Event::Linked { .. })));
            life.bench.channel.repeats = false;
            for _ in 0..4 {
                life.bench.pass(Duration::from_secs(3_500));
                life.act(&Act::Weather(true));
                life.bench.pass(Duration::from_secs(50));
                life.act(&Act::Weather(false));
                life.bench.pass(Duration::from_secs(300));
            }
            retries += life.bench.shadow.retries;
            life.settle();
        }
    }
    assert!(retries > 20, "the channel was too kind: {retries}");
}

/// With the defaults of both sides, the retries of a client without a secret fall into the window of ten seconds that its tokens
/// have: two answers in a row may be lost, again and again, and the link lives. Three are one too many, which ends it (RFC 9700, 4.14.2).
#[test]
fn with_the_defaults_two_answers_in_a_row_may_be_lost() {
    for (lost, lives) in [(1, true), (2, true), (3, false)] {
        for seed in 0..32 {
            let mut life = Life::new(Kind::Public, seed);
            let linked = life.link(0, USERS[0].1, false).unwrap();
            life.bench.pass(Duration::from_secs(1));
            assert!(matches!(life.end_of(linked), Some(Event::Linked { .. })));
            let grants = life.live_grants(USERS[0].1);
            for _ in 0..if lives { 3 } else { 1 } {
                life.bench.channel.loses = lost;
                life.bench.pass(Duration::from_secs(3_600));
                assert_eq!(life.bench.channel.loses, 0, "nothing was lost");
            }
            let retries = life.bench.shadow.retries;
            assert!(!lives || retries == 3 * lost as usize, "{retries} retries");
            let still = life.live_grants(USERS[0].1);
            assert_eq!(
                still == grants,
                lives,
                "{lost} answers were lost, seed {seed}"
            );
            life.settle();
        }
    }
}

/// The client's store is put back to an hour ago, with the refresh token of then (F25): one that stays works on; one that was
/// replaced is a replay, which a client without a secret pays for with its grant, and both are told once to link again.
#[test]
fn after_a_restore_from_a_backup_links_work_or_say_that_they_must_be_made_anew() {
    for (kind, works, lives) in [
        (Kind::Stable, true, true),
        (Kind::Rotating, false, true),
        (Kind::Public, false, false),
    ] {
        let mut life = Life::new(kind, 1);
        let linked = life.link(0, USERS[0].1, false).unwrap();
        life.bench.pass(Duration::from_secs(1));
        assert!(matches!(life.end_of(linked), Some(Event::Linked { .. })));
        let grants = life.live_grants(USERS[0].1);
        let backup = life.bench.disk.clone();
        // Twice, so that the token of the backup is not the one before the last.
        life.bench.pass(Duration::from_secs(2 * 3_600));
        let told = life.bench.events.len();
        life.bench.disk = backup;
        life.bench.restart_client();
        life.bench.pass(Duration::from_secs(3_600));
        let relinks = life.bench.events[told..].iter();
        let relinks = relinks.filter(|(_, event)| matches!(event, Event::RelinkNeeded { .. }));
        assert_eq!(relinks.count(), usize::from(!works), "{kind:?}");
        assert_eq!(life.live_grants(USERS[0].1) == grants, lives, "{kind:?}");
        // A new attempt works, and there is one grant again.
        let again = life.link(0, USERS[0].1, false).unwrap();
        life.bench.pass(Duration::from_secs(1));
        assert!(
            matches!(life.end_of(again), Some(Event::Linked { .. })),
            "{kind:?}"
        );
    }
}
