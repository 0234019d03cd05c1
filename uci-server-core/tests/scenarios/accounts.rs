//! Accounts that are exported, erased, and unloaded.

use super::*;
use rig::EVENTS;

/// Alice with a light that two subscriptions watch; all is delivered.
fn watched() -> World {
    let mut world = World::new();
    world.light();
    world.subscribe("", DEVICES);
    world.subscribe(&path(1, LIGHT), CHANGED);
    world.receive_all();
    world
}

#[test]
fn an_export_holds_what_the_account_holds() {
    let mut world = watched();
    world.end_grant("g9");
    world.change(device(1), LIGHT, cbor(r#"{"power":7}"#));
    let export = serde_json::to_value(world.export("alice")).unwrap();
    assert_eq!(export["format"], 1);
    assert_eq!(export["account"], "alice");
    assert_eq!(export["endedGrants"], value!(["g9"]));
    let listed = world.get_json("");
    let device = &export["devices"][0];
    assert_eq!(device["di"], listed[0]["device"]["di"]);
    assert_eq!(device["generation"], 1);
    assert_eq!(device["status"], "online");
    assert_eq!(device["resources"][0]["link"], listed[0]["links"][0]);
    assert_eq!(device["resources"][0]["rep"], value!({"power": 7}));
    let mut watching = export["subscriptions"].as_array().unwrap().iter();
    let light = watching.find(|s| s["href"] == LIGHT).unwrap();
    assert_eq!(light["di"], device["di"]);
    assert_eq!(light["client"], "client-of-g1");
    assert_eq!(light["grant"], "g1");
    assert_eq!(light["eventTypes"], value!(CHANGED));
    assert_eq!(light["undelivered"][0]["sequenceNumber"], 1);
    assert_eq!(light["undelivered"][0]["body"], value!({"power": 7}));
    // The query may be a secret of the client's.
    let (base, _) = EVENTS.split_once('?').unwrap();
    assert_eq!(light["eventsUrl"], base);
    // An account that nobody knows is an empty one, and stays unwritten.
    assert!(world.export("nobody").devices.is_empty());
    assert!(!world.journal.streams.contains_key("account/nobody"));
}

#[test]
fn an_erased_account_is_an_empty_one() {
    let mut world = watched();
    world.change(device(1), LIGHT, cbor("{}"));
    assert_eq!(world.erase("alice"), Ok(()));
    assert!(!world.journal.streams.contains_key("account/alice"));
    assert!(world.journal.due.is_empty());
    assert_eq!(world.get_json(""), value!([]));
    // What was under way is stopped.
    assert_eq!(world.aborted.len(), 1);
    assert!(world.deliveries.is_empty());
    world.pass(Duration::from_secs(86_400));
    assert!(world.receive_all().is_empty());
    // Its device can be registered anew, by anybody, under a later ownership.
    let old = world.report_as("bob", device(1), 1, Occurrence::Registered);
    assert_eq!(old, Err(ErrorKind::Superseded));
    world
        .report_as("bob", device(1), 2, Occurrence::Registered)
        .unwrap();
    assert_eq!(world.erase("alice"), Ok(()), "again is harmless");
    assert_eq!(world.erase("nobody"), Ok(()));
}

#[test]
fn an_account_begins_again_after_its_erasure() {
    let mut world = watched();
    let erased_at = world.journal.load("account/alice").version;
    assert_eq!(world.erase("alice"), Ok(()));
    // The device left, the account was emptied, and the tombstone counts as one.
    assert_eq!(world.journal.load("account/alice").version, erased_at + 3);
    world.report(device(2), Occurrence::Registered);
    world.report(device(2), Occurrence::Online);
    world.subscribe("", &["devices_online"]);
    world.restart();
    assert_eq!(world.get_json("")[0]["status"], "online");
    assert_eq!(world.receive(), seen(&[(0, "devices_online")]));
    assert_eq!(world.erase("alice"), Ok(()));
    assert_eq!(world.get_json(""), value!([]));
}

#[test]
fn who_comes_after_an_erasure_finds_a_new_account() {
    let mut world = World::new();
    world.appends_wait = true;
    let subscribe = subscribe_request("", DEVICES);
    let before = world.start(&subscribe, granted("alice", "g1"));
    let erasure = world
        .cloud
        .erase_account(account("alice"), world.wall, world.now);
    // Both wait for the first subscription, and could be carried out together.
    let after = world.start(&subscribe, granted("alice", "g1"));
    world.appends_wait = false;
    let append = world.unanswered.remove(0);
    let appended = world.journal.append(&append);
    world
        .cloud
        .handle_appended(append.id, appended, world.wall, world.now);
    world.settle();
    assert_eq!(world.erased.remove(&erasure), Some(Ok(())));
    let mut unsubscribe = |request| {
        let response = world.responses.remove(&request).unwrap();
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        world.unsubscribe("", body["subscriptionId"].as_str().unwrap())
    };
    assert_eq!(unsubscribe(before), StatusCode::NOT_FOUND);
    assert_eq!(unsubscribe(after), StatusCode::ACCEPTED);
}

#[test]
fn an_interrupted_erasure_is_carried_on() {
    let mut world = watched();
    world.appends_wait = true;
    world
        .cloud
        .erase_account(account("alice"), world.wall, world.now);
    world.settle();
    let append = world.unanswered.remove(0);
    assert!(
        append
            .streams
            .iter()
            .any(|part| part.stream.starts_with("device/"))
    );
    world.journal.append(&append);
    world.appends_wait = false;
    assert!(world.journal.streams.contains_key("account/alice"));
    // It is due, so the restarted cloud wakes it, and erases it.
    world.restart();
    assert!(!world.journal.streams.contains_key("account/alice"));
    assert_eq!(world.get_json(""), value!([]));
}

#[test]
fn an_erasure_that_fails_says_so_and_is_carried_on_when_the_account_is_needed() {
    let mut world = watched();
    world.erase_fails = true;
    assert_eq!(world.erase("alice"), Err(ErrorKind::Unavailable));
    assert_eq!(world.stalled, [account("alice")]);
    assert_eq!(world.get("").status(), StatusCode::SERVICE_UNAVAILABLE);
    world.erase_fails = false;
    assert_eq!(world.get_json(""), value!([]));
    assert!(!world.journal.streams.contains_key("account/alice"));
}

#[test]
fn a_large_account_is_erased_step_by_step() {
    let mut world = World::new();
    let many = 600_u32;
    for number in 0..many {
        let device = format!("d0000000-0000-4000-8000-{number:012x}")
            .parse()
            .unwrap();
        world.report(device, Occurrence::Registered);
    }
    let before = world.journal.appends;
    assert_eq!(world.erase("alice"), Ok(()));
    assert_eq!(world.journal.appends, before + 3);
    assert_eq!(world.get_json(""), value!([]));
}

#[test]
fn an_account_that_is_not_used_is_unloaded_and_loaded_again_on_need() {
    let mut config = Config::default();
    config.idle_after = Duration::from_secs(60);
    let mut world = World::with(config);
    world.light();
    world.report(device(1), Occurrence::Offline);
    world.subscribe("", DEVICES);
    world.receive_all();
    let loads = world.loads;
    world.pass(Duration::from_secs(59));
    world.get_json("");
    world.pass(Duration::from_secs(59));
    world.get_json("");
    assert_eq!(world.loads, loads, "what is in use stays");
    world.pass(Duration::from_secs(60));
    assert_eq!(
        world.cloud.next_deadline(),
        None,
        "nothing is left to wait for"
    );
    assert_eq!(world.get_json("")[0]["status"], "offline");
    assert_eq!(world.loads, loads + 1);
    // Its subscriptions are as they were.
    world.pass(Duration::from_secs(60));
    world.report(device(1), Occurrence::Online);
    assert_eq!(world.receive(), seen(&[(4, "devices_online")]));
    assert_eq!(world.loads, loads + 2);
}

#[test]
fn an_account_that_owes_something_stays() {
    let mut config = Config::default();
    config.idle_after = Duration::from_secs(60);
    let mut world = World::with(config);
    world.light();
    let loads = world.loads;
    // A device that counts as online is owed a verdict.
    world.pass(Duration::from_secs(3600));
    world.get_json("");
    assert_eq!(world.loads, loads);
    world.report(device(1), Occurrence::Offline);
    world.subscribe("", &["devices_offline"]);
    for _ in 0..5 {
        while let Some((id, _)) = world.next_delivery() {
            world.fail_delivery(id);
        }
        world.pass(Duration::from_secs(600));
    }
    assert_eq!(world.loads, loads);
    assert_eq!(world.receive(), seen(&[(0, "devices_offline")]));
}

#[test]
fn a_step_of_the_wall_clock_gives_nothing_up() {
    let mut world = watched();
    world.change(device(1), LIGHT, cbor("{}"));
    let (id, _) = world.next_delivery().unwrap();
    world.fail_delivery(id);
    // The clock is set forward by a year: that is no year of attempts.
    world.wall += Duration::from_secs(365 * 86_400);
    for _ in 0..3 {
        world.pass(Duration::from_secs(600));
        while let Some((id, _)) = world.next_delivery() {
            world.fail_delivery(id);
        }
    }
    assert!(world.ended.is_empty());
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.receive(), seen(&[(1, "resource_contentchanged")]));
}
