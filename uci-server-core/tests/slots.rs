//! How attempts to deliver are shared out: bounds, fairness, dead hosts, a restart with much to do.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Method, StatusCode};
use rig::{World, account, device, granted, post, request};
use uci_server_core::{Config, DeliveryId, DeliveryOutcome, Occurrence, Output};

fn limited(most: usize, most_per_host: usize) -> World {
    let mut config = Config::default();
    config.delivery.max_concurrent = most;
    config.delivery.max_concurrent_per_host = most_per_host;
    World::with(config)
}

/// Subscribes `owner` to its devices, with notifications to `host`.
fn subscribe(world: &mut World, owner: &str, host: &str) -> String {
    let body = serde_json::json!({
        "eventsUrl": format!("https://{host}/hook"),
        "eventTypes": ["devices_online"],
        "signingSecret": rig::SECRET,
    });
    let subscribe = post("/subscriptions", "application/json", &body.to_string());
    let response = world.call(&subscribe, granted(owner, "g1"));
    assert_eq!(response.status(), StatusCode::CREATED);
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    body["subscriptionId"].as_str().unwrap().to_owned()
}

fn hosts(world: &World) -> BTreeMap<String, usize> {
    let mut hosts = BTreeMap::new();
    for (_, request) in &world.deliveries {
        *hosts
            .entry(request.uri().host().unwrap().to_owned())
            .or_insert(0) += 1;
    }
    hosts
}

/// Takes the attempts to a host out of those under way.
fn to_host(world: &mut World, host: &str) -> Vec<DeliveryId> {
    let mut taken = Vec::new();
    world.deliveries.retain(|(id, request)| {
        let is_to_host = request.uri().host() == Some(host);
        taken.extend(is_to_host.then_some(*id));
        !is_to_host
    });
    taken
}

fn answer(world: &mut World, id: DeliveryId, status: u16, retry_after: Option<&str>) {
    let mut response = http::Response::builder().status(status);
    if let Some(retry_after) = retry_after {
        response = response.header("retry-after", retry_after);
        response = response.header("date", "Sun, 22 Nov 2026 04:15:00 GMT");
    }
    let response = response.body(bytes::Bytes::new()).unwrap();
    let outcome = DeliveryOutcome::from_response(&response);
    world
        .cloud
        .handle_delivery(id, Ok(outcome), world.wall, world.now);
    world.settle();
}

#[test]
fn attempts_are_bounded_over_all_and_for_each_host() {
    let mut world = limited(5, 2);
    for host in ["a.example", "b.example", "c.example"] {
        for _ in 0..3 {
            subscribe(&mut world, "alice", host);
        }
    }
    let under_way = hosts(&world);
    assert_eq!(under_way.values().sum::<usize>(), 5);
    assert!(under_way.values().all(|count| *count <= 2), "{under_way:?}");
    // Every one of the nine gets there.
    let mut received = 0;
    while let Some((id, _)) = world.deliveries.pop_front() {
        received += 1;
        world.answer_delivery(id, 200);
        assert!(world.deliveries.len() <= 5);
    }
    assert_eq!(received, 9);
    world.pass(Duration::from_secs(3600));
    assert!(world.deliveries.is_empty());
}

#[test]
fn a_dead_host_does_not_hold_the_slots_of_others() {
    let mut world = limited(4, 3);
    for _ in 0..20 {
        subscribe(&mut world, "alice", "dead.example");
    }
    assert_eq!(hosts(&world)["dead.example"], 3);
    subscribe(&mut world, "alice", "live.example");
    let live = to_host(&mut world, "live.example");
    assert_eq!(live.len(), 1);
    answer(&mut world, live[0], 200, None);
    // Its attempts end without an answer: from now on it has one at a time.
    world.deliveries.clear();
    world.pass(Duration::from_secs(30));
    for _ in 0..50 {
        assert_eq!(to_host(&mut world, "dead.example").len(), 1);
        for _ in 0..3 {
            subscribe(&mut world, "bob", "live.example");
        }
        // What is left over is all for the others, at once.
        let live = to_host(&mut world, "live.example");
        assert_eq!(live.len(), 3);
        for id in live {
            answer(&mut world, id, 200, None);
        }
        world.pass(Duration::from_secs(30));
    }
}

#[test]
fn hosts_of_which_nothing_is_known_hold_few_slots_until_they_answer() {
    // As many as there are by default: 1,024 over all and 64 for a host.
    let mut world = World::new();
    let dead = (0..20).map(|number| format!("dead-{number}.example"));
    let names: Vec<String> = dead
        .chain(["slow.example", "live.example"].map(str::to_owned))
        .collect();
    for name in &names {
        for _ in 0..64 {
            subscribe(&mut world, name, name);
        }
    }
    world.restart();
    let all_at_first: BTreeMap<String, usize> =
        names.iter().map(|name| (name.clone(), 4)).collect();
    assert_eq!(hosts(&world), all_at_first);
    // No time passes, and whoever answers has everything.
    let mut delivered = 0;
    loop {
        let live = to_host(&mut world, "live.example");
        if live.is_empty() {
            break;
        }
        delivered += live.len();
        for id in live {
            answer(&mut world, id, 200, None);
        }
    }
    assert_eq!(delivered, 64);
    // The slow one gets all its slots with its first answer; the dead ones keep the few they have.
    world.pass(Duration::from_secs(29));
    let slow = to_host(&mut world, "slow.example");
    answer(&mut world, slow[0], 503, None);
    // The first four are out of the rig's sight.
    assert_eq!(hosts(&world)["slow.example"], 60);
    assert_eq!(hosts(&world)["dead-0.example"], 4);
    world.pass(Duration::from_secs(1));
    assert_eq!(hosts(&world)["dead-0.example"], 1);
}

#[test]
fn a_host_that_answers_again_gets_all_its_slots_again() {
    let mut world = limited(10, 3);
    for _ in 0..6 {
        subscribe(&mut world, "alice", "a.example");
    }
    for id in to_host(&mut world, "a.example") {
        world.fail_delivery(id);
    }
    let probe = to_host(&mut world, "a.example");
    assert_eq!(probe.len(), 1);
    // Any answer shows that somebody is there.
    answer(&mut world, probe[0], 503, None);
    assert_eq!(hosts(&world)["a.example"], 2);
}

#[test]
fn a_busy_subscription_does_not_take_the_turns_of_the_others() {
    let mut world = limited(1, 1);
    world.report(device(1), Occurrence::Registered);
    let busy = subscribe(&mut world, "alice", "a.example");
    for _ in 0..4 {
        world.report(device(1), Occurrence::Online);
        world.report(device(1), Occurrence::Offline);
    }
    let quiet = subscribe(&mut world, "alice", "a.example");
    let mut order = Vec::new();
    while let Some((id, told)) = world.next_delivery() {
        order.push(told.subscription);
        world.answer_delivery(id, 200);
    }
    assert_eq!(order[..3], [busy.clone(), quiet, busy.clone()]);
    assert_eq!(order.len(), 6);
}

#[test]
fn a_pause_that_one_subscription_is_asked_for_does_not_hold_up_the_others() {
    for (status, retry_after, seconds) in [
        (429, "120", 120),
        (503, "Sun, 22 Nov 2026 04:17:00 GMT", 120),
        (503, "9999", 3600),
    ] {
        let mut world = limited(10, 1);
        subscribe(&mut world, "alice", "a.example");
        subscribe(&mut world, "alice", "a.example");
        let first = to_host(&mut world, "a.example");
        answer(&mut world, first[0], status, Some(retry_after));
        let second = to_host(&mut world, "a.example");
        answer(&mut world, second[0], 200, None);
        let wait = world.cloud.next_deadline().unwrap() - world.now;
        assert_eq!(wait, Duration::from_secs(seconds), "{retry_after}");
        world.pass(wait);
        assert_eq!(world.deliveries.len(), 1);
    }
}

#[test]
fn a_restart_with_much_to_do_floods_nobody() {
    let mut world = limited(7, 3);
    let names: Vec<String> = (0..300).map(|number| format!("user-{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        for _ in 0..3 {
            subscribe(&mut world, name, &format!("host-{}.example", number % 5));
        }
    }
    // The process starts again; the journal is slow, so that all that is asked of it can be seen.
    world.cloud = uci_server_core::DeviceCloud::new(
        world.config.clone(),
        [9; 32],
        std::sync::Arc::new(rig::Labels),
    );
    world.deliveries.clear();
    for name in &names {
        world.cloud.wake(account(name), world.wall, world.now);
    }
    let mut loading = Vec::new();
    let (mut delivered, mut most_loading, mut most_delivering) = (0, 0, 0);
    loop {
        while let Some(output) = world.cloud.poll_output() {
            match output {
                Output::Load { stream } => loading.push(stream),
                Output::Deliver { delivery, request } => {
                    world.deliveries.push_back((delivery, request));
                }
                Output::Append(append) => {
                    let appended = world.journal.append(&append);
                    world
                        .cloud
                        .handle_appended(append.id, appended, world.wall, world.now);
                }
                other => panic!("{other:?}"),
            }
        }
        most_loading = most_loading.max(loading.len());
        most_delivering = most_delivering.max(world.deliveries.len());
        assert!(hosts(&world).values().all(|count| *count <= 3));
        if let Some(stream) = loading.pop() {
            let loaded = world.journal.load(&stream);
            world
                .cloud
                .handle_loaded(&stream, &loaded, world.wall, world.now);
        } else if let Some((id, _)) = world.deliveries.pop_front() {
            delivered += 1;
            let response = http::Response::new(bytes::Bytes::new());
            let outcome = DeliveryOutcome::from_response(&response);
            world
                .cloud
                .handle_delivery(id, Ok(outcome), world.wall, world.now);
        } else {
            break;
        }
    }
    assert_eq!((delivered, most_loading, most_delivering), (900, 64, 7));
    assert_eq!(
        world
            .call(&request(Method::GET, ""), granted("user-7", "g1"))
            .status(),
        StatusCode::OK
    );
}

#[test]
fn accounts_that_cannot_be_loaded_do_not_keep_the_others_asleep() {
    let mut config = Config::default();
    config.max_waking = 1;
    let mut world = World::with(config);
    subscribe(&mut world, "alice", "a.example");
    subscribe(&mut world, "bob", "a.example");
    world.deliveries.clear();
    world.journal_silent = true;
    world.restart();
    assert_eq!(world.stalled, [account("alice"), account("bob")]);
}
