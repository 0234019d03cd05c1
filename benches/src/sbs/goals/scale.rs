//! Own cost against own cost: what grows with what it must not grow with.

use std::cell::RefCell;
use std::time::Duration;

use crate::sbs::fixtures;
use crate::sbs::goals::memory::of_process;
use crate::sbs::world::{World, config, get_request};
use bench_harness::clock;
use bench_harness::{Case, Limit, Run, quantile};

/// Devices of one account; a million devices are a hundred thousand accounts.
pub(super) const EACH: usize = 10;
pub(super) const LINKS: usize = 5;
/// What the dead subscribe to.
const CHANGED: &str = "resource_contentchanged";

fn account(number: usize) -> String {
    format!("account-{number:06}")
}

/// Accounts of [`EACH`] devices. No body is kept, or few accounts would be answered from memory and many would not.
pub(super) fn populated(accounts: usize) -> World {
    let mut settings = config();
    settings.snapshot_every = u64::MAX;
    settings.body_cache = 0;
    let mut world = World::with(settings);
    for number in 0..accounts * EACH {
        world.add_device(&account(number / EACH), number, LINKS);
    }
    world
}

/// Visits devices in an order that no cache foresees.
fn stroll(devices: usize) -> impl FnMut() -> usize {
    let mut at = 0_usize;
    move || {
        at = at
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (at >> 33) % devices
    }
}

pub(super) fn devices(run: &mut Run) {
    let few = run.scaled(100, 2);
    let many = run.scaled(100_000, 4);
    let [few, many] = [few, many].map(|accounts| {
        run.note(&format!("filling {accounts} accounts"));
        (populated(accounts), accounts * EACH)
    });
    let mut pair = Pair::new(few, many, ["1,000", "1,000,000"]);
    pair.compare(run, "`GET /devices/{id}`", |world, number| {
        let path = format!("/{}", fixtures::device_id(number));
        world.get(&account(number / EACH), &get_request(&path));
    });
    pair.compare(run, "a representation changes", |world, number| {
        world.change(&account(number / EACH), number, 0);
    });
    pair.compare(run, "links are published", |world, number| {
        world.publish(&account(number / EACH), number);
    });
}

/// One account of many devices, beside one of ten.
pub(super) fn big_account(run: &mut Run) {
    let many = run.scaled(10_000, 20);
    let filled = |count: usize| {
        let mut world = World::new();
        for number in 0..count {
            world.add_device("big", number, LINKS);
        }
        (world, count)
    };
    let mut pair = Pair::new(filled(EACH), filled(many), ["10", "10,000"]);
    pair.compare(run, "`GET /devices/{id}`", |world, number| {
        let path = format!("/{}", fixtures::device_id(number));
        world.get("big", &get_request(&path));
    });
    pair.compare(run, "a representation changes", |world, number| {
        world.change("big", number, 0);
    });
}

/// Two worlds, of few devices and of many, and the numbers in words.
struct Pair {
    few: (World, usize),
    many: (RefCell<World>, usize),
    words: [&'static str; 2],
}

impl Pair {
    fn new(few: (World, usize), (many, count): (World, usize), words: [&'static str; 2]) -> Self {
        let many = (RefCell::new(many), count);
        Self { few, many, words }
    }

    /// Compares work on all of the many, and on as many of them as the few are: what the second one is cheaper by is
    /// memory that no cache holds, and not what anything here does.
    fn compare(&mut self, run: &mut Run, what: &str, work: fn(&mut World, usize)) {
        let ((few, count), (many, all)) = (&mut self.few, &self.many);
        let (mut of_few, mut of_some, mut of_all) = (stroll(*count), stroll(*count), stroll(*all));
        let figures = run.medians([
            run.computing(|| work(few, of_few())),
            run.computing(|| work(&mut many.borrow_mut(), of_some())),
            run.computing(|| work(&mut many.borrow_mut(), of_all())),
        ]);
        let [few, some, all] = figures.map(|nanos| nanos / 1000.0);
        let [less, more] = self.words;
        let mut row = |which: String, ours| {
            run.row(
                &format!("{what}, {which}"),
                "µs",
                (ours, few),
                Limit::AtMost(1.5),
            );
        };
        row(format!("each of {more} and each of {less}"), all);
        row(
            format!("each of {less} among {more} and each of {less}"),
            some,
        );
    }
}

/// What changes cost with their share of a snapshot, which is of the whole account.
pub(super) fn snapshots(run: &mut Run) {
    let many = run.scaled(1000, 20);
    let every = config().snapshot_every;
    let changes = run.scaled(every as usize, 4);
    let filled = |count: usize| {
        let mut world = World::with(config());
        for number in 0..count {
            world.add_device("big", number, LINKS);
        }
        world
    };
    let (mut few, mut many) = ((filled(EACH), EACH), (filled(many), many));
    let work = |(world, devices): &mut (World, usize)| {
        let began = clock::process_cpu();
        for number in 0..changes {
            world.change("big", number % *devices, 0);
        }
        (clock::process_cpu() - began) as f64 / 1000.0 / changes as f64
    };
    let [few, many] = run.medians([Box::new(|| work(&mut few)), Box::new(|| work(&mut many))]);
    run.row(
        "a representation changes, its share of a snapshot included, account of 1,000 and of 10",
        "µs",
        (many, few),
        Limit::AtMost(1.5),
    );
}

fn on<'a>(
    run: &Run,
    (world, devices): &'a mut (World, usize),
    work: fn(&mut World, usize),
) -> Case<'a> {
    let mut next = stroll(*devices);
    run.computing(move || work(world, next()))
}

/// An event beside many subscriptions that it does not concern, and with many that it does.
pub(super) fn subscriptions(run: &mut Run) {
    let many = run.scaled(100_000, 20);
    let beside = |others: usize| {
        let mut world = World::new();
        let devices = others.div_ceil(LINKS) + 1;
        for number in 0..devices {
            world.add_device("big", number, LINKS);
        }
        let path = |number, link| {
            format!(
                "/{}{}",
                fixtures::device_id(number),
                fixtures::href(number, link)
            )
        };
        world.subscribe("big", &path(0, 0), CHANGED);
        for other in 0..others {
            world.subscribe("big", &path(1 + other / LINKS, other % LINKS), CHANGED);
        }
        world.deliver_all();
        (world, 1)
    };
    run.note("subscribing");
    let (mut few, mut crowd) = (beside(10), beside(many));
    let event = |world: &mut World, _| {
        world.change("big", 0, 0);
        assert_eq!(world.deliver_all(), 1);
    };
    let [of_few, of_many] = run.medians([on(run, &mut few, event), on(run, &mut crowd, event)]);
    run.row(
        "an event beside 100,000 subscriptions of others and beside 10",
        "µs",
        (of_many / 1000.0, of_few / 1000.0),
        Limit::AtMost(1.3),
    );

    let matching = run.scaled(1000, 4);
    let told = |count: usize| {
        let mut world = World::new();
        world.add_device("big", 0, LINKS);
        let path = format!("/{}{}", fixtures::device_id(0), fixtures::href(0, 0));
        for _ in 0..count {
            world.subscribe("big", &path, CHANGED);
        }
        world.deliver_all();
        (world, 1)
    };
    let (mut one, mut all) = (told(1), told(matching));
    let event = |world: &mut World, _| {
        world.change("big", 0, 0);
        world.deliver_all();
    };
    let [of_one, of_all] = run.medians([on(run, &mut one, event), on(run, &mut all, event)]);
    run.row(
        "a notification when 1,000 subscriptions match and when 1 does",
        "µs",
        (of_all / 1000.0 / matching as f64, of_one / 1000.0),
        Limit::AtMost(1.1),
    );
}

/// Accounts with a device each whose receiver is dead and has missed so many changes.
pub(super) fn owing(accounts: usize, changes: usize) -> World {
    let mut world = World::new();
    for account in 0..accounts {
        let name = format!("{account:08}");
        world.add_device(&name, account, LINKS);
        let path = format!(
            "/{}{}",
            fixtures::device_id(account),
            fixtures::href(account, 0)
        );
        world.subscribe_dead(&name, &path, CHANGED);
        for _ in 0..changes {
            world.change(&name, account, 0);
            // What was sent to nobody is not held by the sender for long either.
            world.deliver_all();
        }
    }
    world
}

/// The slowest of many events, with a receiver beside that never answers and without.
pub(super) fn dead_subscriber(run: &mut Run) {
    const CHANGED: &str = "resource_contentchanged";
    let samples = run.scaled(20_000, 20);
    let with = |dead: bool| {
        let mut world = World::new();
        for number in 0..EACH {
            world.add_device("alice", number, LINKS);
        }
        let path = |number| {
            format!(
                "/{}{}",
                fixtures::device_id(number),
                fixtures::href(number, 0)
            )
        };
        world.subscribe("alice", &path(0), CHANGED);
        world.deliver_all();
        if dead {
            world.subscribe_dead("alice", &path(1), CHANGED);
            world.change("alice", 1, 0);
        }
        world
    };
    let (mut quiet, mut burdened) = (with(false), with(true));
    let slowest = |world: &mut World| {
        let times = (0..samples).map(|_| {
            // The dead receiver's device has news too, outside of what is timed.
            world.change("alice", 1, 0);
            let began = clock::wall();
            // 20,000 of them are 100 minutes, in which attempts are given up after 30 s each, and made again.
            world.pass(Duration::from_millis(300));
            world.change("alice", 0, 0);
            assert_eq!(world.deliver_all(), 1);
            (clock::wall() - began) as f64 / 1000.0
        });
        quantile(times.collect(), 0.99)
    };
    let [quiet, burdened] = run.medians([
        Box::new(|| slowest(&mut quiet)),
        Box::new(|| slowest(&mut burdened)),
    ]);
    run.row(
        "p99 of event to delivered with a dead receiver beside and without",
        "µs",
        (burdened, quiet),
        Limit::AtMost(1.2),
    );
    let accounts = run.scaled(2_000, 20);
    let [little, lot] =
        ["owing a little", "owing a lot"].map(|layout| of_process(layout, accounts));
    run.row(
        "memory of a device whose dead receiver missed 400 changes and 4",
        "B",
        (lot, little),
        Limit::AtMost(1.05),
    );
}
