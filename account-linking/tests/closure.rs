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
    for kind in [Kind::Stable, Kind::Asking, Kind::Rotating, Kind::Public] {
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
