//! How fast the simulation of server, clients, devices and journals plays, beside an event loop that does nothing else.

use std::process::Command;
use std::time::Duration;

use bench_harness::clock;
use bench_harness::{Limit, Run};

#[path = "../../../../uci-server-core/tests/simulation/world.rs"]
#[allow(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    dead_code,
    missing_debug_implementations,
    missing_docs,
    unreachable_pub,
    reason = "the simulation is a test, and more of it than is played here"
)]
mod world;

use world::World;
use world::dice::Dice;
use world::queue::Queue;

/// Whom the plain loop has to deliver to.
const SUBSCRIBERS: usize = 4;

pub(super) fn speed(run: &mut Run) {
    let seeds = run.scaled(40, 1) as u64;
    let messages = run.scaled(100_000, 10) as u64;
    let (mut first, mut seed) = (1, 0);
    let [ours, plain] = run.medians([
        Box::new(|| {
            let began = clock::process_cpu();
            let happenings: u64 = (first..first + seeds).map(play).sum();
            first += seeds;
            per_second(happenings, began)
        }),
        Box::new(|| {
            let began = clock::process_cpu();
            seed += 1;
            per_second(plain_loop(seed, messages), began)
        }),
    ]);
    run.row(
        "happenings of the simulation, all checks included, and of a plain loop with a toy outbox",
        "/s",
        (ours, plain),
        Limit::AtLeast(0.05),
    );
    let turmoil = by_turmoil(run.scaled(1000, 1));
    run.row(
        "happenings of the simulation, all checks included, and of that loop played by turmoil",
        "/s",
        (ours, turmoil),
        Limit::AtLeast(20.0),
    );
}

/// What the program beside this one says: turmoil brings a clock into tokio that is not to be measured here.
fn by_turmoil(messages: usize) -> f64 {
    let program = std::env::current_exe().expect("a program");
    let output = Command::new(program.with_file_name("turmoil-loop"))
        .arg(messages.to_string())
        .output()
        .expect("turmoil-loop is built and beside this program");
    let text = String::from_utf8(output.stdout).expect("text");
    text.trim().parse().expect("a number")
}

fn per_second(count: u64, began: u64) -> f64 {
    count as f64 / (clock::process_cpu() - began).max(1) as f64 * 1e9
}

/// One seed of the simulation from its beginning to its end.
fn play(seed: u64) -> u64 {
    let mut world = World::new(seed, false);
    world.turmoil();
    world.come_to_rest();
    world.counts.happenings
}

/// What happens in the plain loop, to a subscriber.
#[derive(Clone, Copy)]
enum Happening {
    Arrives { number: u64 },
    Acknowledged { number: u64 },
    Retry { number: u64, attempt: u32 },
}

/// So many messages to each subscriber in order, each until it is acknowledged, over a network that loses one in twenty either
/// way: the least that a simulation of notifications does. Returns how much happened.
fn plain_loop(seed: u64, messages: u64) -> u64 {
    let (mut dice, mut queue) = (Dice::new(seed), Queue::new());
    let (mut delivered, mut happenings) = ([0; SUBSCRIBERS], 0);
    let mut send = |queue: &mut Queue<_>, now, subscriber, number, attempt| {
        if !dice.one_in(20) {
            let arrival = now + dice.milliseconds(1, 20);
            queue.put(arrival, (subscriber, Happening::Arrives { number }));
        }
        let retry = now + Duration::from_millis(200_u64 << attempt);
        let attempt = attempt + 1;
        queue.put(retry, (subscriber, Happening::Retry { number, attempt }));
        (!dice.one_in(20)).then(|| dice.milliseconds(1, 20))
    };
    let mut way_back = [None; SUBSCRIBERS];
    for (subscriber, back) in way_back.iter_mut().enumerate() {
        *back = send(&mut queue, Duration::ZERO, subscriber, 0, 0);
    }
    while let Some((now, (subscriber, happening))) = queue.take() {
        happenings += 1;
        let (Some(delivered), Some(back)) =
            (delivered.get_mut(subscriber), way_back.get_mut(subscriber))
        else {
            continue;
        };
        match happening {
            Happening::Arrives { number } => {
                if let Some(delay) = *back {
                    queue.put(
                        now + delay,
                        (subscriber, Happening::Acknowledged { number }),
                    );
                }
            }
            Happening::Acknowledged { number } if number == *delivered => {
                *delivered += 1;
                if *delivered < messages {
                    *back = send(&mut queue, now, subscriber, *delivered, 0);
                }
            }
            Happening::Retry { number, attempt } if number == *delivered => {
                *back = send(&mut queue, now, subscriber, number, attempt);
            }
            Happening::Acknowledged { .. } | Happening::Retry { .. } => {}
        }
    }
    assert_eq!(delivered, [messages; SUBSCRIBERS]);
    happenings
}
