//! What a restart costs: changes read back, and an account that is loaded after few changes and after many.

use uci_server_core::account::{Account, Change};

use super::scale::{EACH, LINKS};
use crate::sbs::fixtures;
use crate::sbs::world::{World, config, get_request};
use bench_harness::{Limit, Run};

/// Reading a journal of changes back, for the share of it that decoding and applying are.
pub(super) fn replay(run: &mut Run) {
    let devices = run.scaled(100, 2);
    let mut settings = config();
    settings.snapshot_every = u64::MAX;
    let mut world = World::remembering(settings);
    change(&mut world, devices, devices * 20);
    let stream = world.journal().get("account/big");
    let changes = stream.map(|stream| stream.changes.clone());
    let changes = changes.unwrap_or_default();
    let [ours, peer] = run.medians([
        run.computing(|| {
            let mut account = Account::default();
            for bytes in &changes {
                account.apply(&Change::decode(bytes).expect("readable"));
            }
        }),
        run.computing(|| {
            for bytes in &changes {
                let read: ciborium::Value = ciborium::from_reader(&**bytes).expect("readable");
                drop(read);
            }
        }),
    ]);
    let each = |nanos: f64| nanos / 1000.0 / changes.len() as f64;
    run.row(
        "a change read and applied, and only read as a tree of `ciborium`",
        "µs",
        (each(ours), each(peer)),
        Limit::AtMost(1.0),
    );
}

/// The first request of an account after a restart: what it takes depends on what the account holds, not on how often it changed.
pub(super) fn restart(run: &mut Run) {
    // As many after the last snapshot, however many before it.
    const TAIL: usize = 100;
    let every = config().snapshot_every as usize;
    let snapshots = [run.scaled(200, 2), run.scaled(2, 1)];
    let journals = snapshots.map(|snapshots| {
        let mut world = World::remembering(config());
        change(&mut world, EACH, snapshots * every + TAIL);
        world.journal().clone()
    });
    let request = get_request(&format!("/{}", fixtures::device_id(0)));
    let first_request = |journal| {
        let request = &request;
        run.computing(move || {
            World::started_on(Clone::clone(journal)).get("big", request);
        })
    };
    let [long, short] = &journals;
    let [of_long, of_short] = run.medians([first_request(long), first_request(short)]);
    run.row(
        "first request of an account that has changed 102,500 times and 1,124 times",
        "µs",
        (of_long / 1000.0, of_short / 1000.0),
        Limit::AtMost(1.2),
    );
}

/// An account of so many devices, whose representations change so often in all.
fn change(world: &mut World, devices: usize, changes: usize) {
    for number in 0..devices {
        world.add_device("big", number, LINKS);
    }
    for number in 0..changes {
        world.change("big", number % devices, number / devices % LINKS);
    }
}
