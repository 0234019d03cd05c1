//! Devices that an operator hands over or removes.

use super::*;
use uci_server_core::DeviceReport;

/// Subscribes at the level of all devices, for a user's client.
fn subscribe_for(world: &mut World, user: &str, path: &str, types: &[&str]) -> String {
    let response = world.call(&subscribe_request(path, types), granted(user, "g1"));
    assert_eq!(response.status(), StatusCode::CREATED);
    let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    body["subscriptionId"].as_str().unwrap().to_owned()
}

fn list(world: &mut World, user: &str) -> serde_json::Value {
    let response = world.call(&request(Method::GET, ""), granted(user, "g1"));
    serde_json::from_slice(response.body()).unwrap()
}

/// What was told, by subscription: event type and body.
fn told_to(world: &mut World, subscription: &str) -> Vec<(String, String)> {
    let all = world.receive_all().into_iter();
    all.filter(|told| told.subscription == subscription)
        .map(|told| (told.event, String::from_utf8(told.body.to_vec()).unwrap()))
        .collect()
}

fn only(device: &str) -> String {
    format!(r#"[{{"di":"{device}"}}]"#)
}

#[test]
fn a_transfer_is_told_on_both_sides_and_is_one_append() {
    let mut world = World::new();
    let light = world.light();
    let devices = subscribe_for(&mut world, "alice", "", &["devices_unregistered"]);
    world.subscribe(&path(1, LIGHT), CHANGED);
    world.subscribe(&format!("/{light}"), &["resources_published"]);
    let bobs = subscribe_for(&mut world, "bob", "", &["devices_registered"]);
    world.receive_all();
    let before = world.journal.appends;
    assert_eq!(world.transfer(light, "bob"), Ok(2));
    assert_eq!(world.journal.appends, before + 1);
    let told = world.receive_all();
    let cancelled = told
        .iter()
        .filter(|told| told.event == "subscription_cancelled");
    assert_eq!(cancelled.count(), 2);
    let body_of = |id: &str| {
        let mut of = told.iter().filter(|told| told.subscription == id);
        let one = of.next().unwrap();
        assert!(of.next().is_none());
        (
            one.event.clone(),
            String::from_utf8(one.body.to_vec()).unwrap(),
        )
    };
    let device = only(&light.to_string());
    assert_eq!(
        body_of(&devices),
        ("devices_unregistered".to_owned(), device.clone())
    );
    assert_eq!(body_of(&bobs), ("devices_registered".to_owned(), device));
    assert_eq!(list(&mut world, "alice"), value!([]));
    // What the former owner's device showed does not come along.
    let bobs_list = list(&mut world, "bob");
    assert_eq!(bobs_list[0]["links"], value!([]));
    assert_eq!(bobs_list[0]["status"], "offline");
}

#[test]
fn late_reports_of_the_former_owner_are_refused_and_those_of_the_new_one_taken() {
    let mut world = World::new();
    let light = world.light();
    assert_eq!(world.transfer(light, "bob"), Ok(2));
    let href = LIGHT.parse().unwrap();
    let content = cbor(r#"{"state":false}"#);
    let changed = Occurrence::RepresentationChanged { href, content };
    let late = [
        (Occurrence::Registered, ErrorKind::Superseded),
        (Occurrence::Online, ErrorKind::NotFound),
        (changed, ErrorKind::NotFound),
        (Occurrence::Unregistered, ErrorKind::NotFound),
    ];
    for (what, refused) in late {
        assert_eq!(world.report_as("alice", light, 1, what), Err(refused));
    }
    let stale = world.report_as("bob", light, 1, Occurrence::Online);
    assert_eq!(stale, Err(ErrorKind::Superseded));
    for what in [Occurrence::Registered, Occurrence::Online] {
        world.report_as("bob", light, 2, what).unwrap();
    }
    assert_eq!(list(&mut world, "bob")[0]["status"], "online");
    // Handed back, the first ownership does not come to life again.
    assert_eq!(world.transfer(light, "alice"), Ok(3));
    let stale = world.report_as("alice", light, 1, Occurrence::Online);
    assert_eq!(stale, Err(ErrorKind::Superseded));
}

#[test]
fn a_removed_device_is_nobodys_until_a_later_generation_registers_it() {
    let mut world = World::new();
    let light = world.light();
    let devices = subscribe_for(&mut world, "alice", "", &["devices_unregistered"]);
    let watching = world.subscribe(&path(1, LIGHT), CHANGED);
    world.receive_all();
    let before = world.journal.appends;
    assert_eq!(world.remove(light), Ok(1));
    assert_eq!(world.journal.appends, before + 1);
    assert_eq!(list(&mut world, "alice"), value!([]));
    let told = told_to(&mut world, &devices);
    assert_eq!(
        told,
        [("devices_unregistered".to_owned(), only(&light.to_string()))]
    );
    assert!(
        world
            .ended
            .contains(&(watching, EndCause::DeviceUnregistered))
    );
    let again = world.report_as("alice", light, 1, Occurrence::Registered);
    assert_eq!(again, Err(ErrorKind::Superseded));
    world
        .report_as("alice", light, 2, Occurrence::Registered)
        .unwrap();
}

#[test]
fn what_cannot_be_handed_over_stays_where_it_is() {
    let mut config = Config::default();
    config.account.devices = 1;
    let mut world = World::with(config);
    let light = world.light();
    world
        .report_as("bob", device(2), 1, Occurrence::Registered)
        .unwrap();
    let before = world.journal.appends;
    assert_eq!(world.transfer(light, "bob"), Err(ErrorKind::Full));
    assert_eq!(world.transfer(device(9), "bob"), Err(ErrorKind::NotFound));
    assert_eq!(world.remove(device(9)), Err(ErrorKind::NotFound));
    // To the owner that it has is nothing to do.
    assert_eq!(world.transfer(light, "alice"), Ok(1));
    assert_eq!(world.journal.appends, before);
    assert_eq!(list(&mut world, "alice")[0]["status"], "online");
}

#[test]
fn a_transfer_that_a_crash_interrupts_is_whole_or_not_at_all() {
    for durable in [false, true] {
        let mut world = World::new();
        let light = world.light();
        let gone = subscribe_for(&mut world, "alice", "", &["devices_unregistered"]);
        let come = subscribe_for(&mut world, "bob", "", &["devices_registered"]);
        world.receive_all();
        world.appends_wait = true;
        world
            .cloud
            .transfer_device(light, account("bob"), world.wall, world.now);
        world.settle();
        assert!(
            world.owners_changed.is_empty(),
            "nothing is said before it is durable"
        );
        let append = world.unanswered.remove(0);
        assert_eq!(append.streams.len(), 3);
        if durable {
            world.journal.append(&append);
        }
        world.appends_wait = false;
        world.restart();
        let owner = if durable { "bob" } else { "alice" };
        assert_eq!(
            list(&mut world, owner)[0]["device"]["di"],
            light.to_string()
        );
        let told = world.receive_all();
        assert_eq!(told.len(), if durable { 2 } else { 0 }, "{told:?}");
        // The operator, who got no answer, asks again; each side is told once.
        assert_eq!(world.transfer(light, "bob"), Ok(2));
        let told: Vec<_> = told.into_iter().chain(world.receive_all()).collect();
        for id in [&gone, &come] {
            assert_eq!(
                told.iter().filter(|told| told.subscription == *id).count(),
                1
            );
        }
    }
}

#[test]
fn a_transfer_with_an_unknown_outcome_is_answered_once() {
    let mut world = World::new();
    let light = world.light();
    world.appends_wait = true;
    let id = world
        .cloud
        .transfer_device(light, account("bob"), world.wall, world.now);
    world.settle();
    let append = world.unanswered.remove(0);
    // It happened, but the answer was lost: the same append is repeated, and is the same.
    world.journal.append(&append);
    let unknown = uci_server_core::Appended::Unknown;
    world
        .cloud
        .handle_appended(append.id, unknown, world.wall, world.now);
    world.appends_wait = false;
    world.settle();
    assert_eq!(world.owners_changed.remove(&id), Some(Ok(2)));
    assert_eq!(list(&mut world, "bob").as_array().unwrap().len(), 1);
}

#[test]
fn a_transfer_that_meets_another_is_decided_again() {
    let mut world = World::new();
    let light = world.light();
    // Another node hands it to carol behind this one's back.
    world.appends_wait = true;
    let id = world
        .cloud
        .transfer_device(light, account("bob"), world.wall, world.now);
    world.settle();
    let append = world.unanswered.remove(0);
    let mut other = World::with(world.config.clone());
    other.journal = world.journal.clone();
    other.restart();
    assert_eq!(other.transfer(light, "carol"), Ok(2));
    world.journal = other.journal;
    world.appends_wait = false;
    let appended = world.journal.append(&append);
    assert_eq!(appended, uci_server_core::Appended::Conflict);
    world
        .cloud
        .handle_appended(append.id, appended, world.wall, world.now);
    world.settle();
    assert_eq!(world.owners_changed.remove(&id), Some(Ok(3)));
    assert_eq!(list(&mut world, "bob").as_array().unwrap().len(), 1);
    for former in ["alice", "carol"] {
        assert_eq!(list(&mut world, former), value!([]));
    }
}

#[test]
fn a_journal_that_refuses_for_ever_ends_in_one_answer() {
    let mut world = World::new();
    let light = world.light();
    let id = world
        .cloud
        .transfer_device(light, account("bob"), world.wall, world.now);
    let request = world.cloud.handle_request(
        &subscribe_request("", DEVICES),
        granted("alice", "g1"),
        world.wall,
        world.now,
    );
    world.journal.refuses = true;
    world.settle();
    assert_eq!(
        world.owners_changed.remove(&id),
        Some(Err(ErrorKind::Unavailable))
    );
    let response = world.responses.remove(&request).unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(world.stalled.contains(&account("alice")));
    world.journal.refuses = false;
    assert_eq!(world.transfer(light, "bob"), Ok(2));
}

#[test]
fn an_answer_of_a_device_that_changed_hands_is_for_nobody() {
    let mut world = World::new();
    let light = world.light();
    let asked = world.start(
        &request(Method::GET, &path(1, LIGHT)),
        granted("alice", "g1"),
    );
    world.transfer(light, "bob").unwrap();
    world.answer_ask(69, Some(cbor(r#"{"of":"bob"}"#)));
    let response = world.responses.remove(&asked).unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[test]
fn an_answer_after_the_consent_was_withdrawn_is_for_nobody() {
    let mut world = World::new();
    world.light();
    let asked = world.start(
        &request(Method::GET, &path(1, LIGHT)),
        granted("alice", "g1"),
    );
    world.end_grant("g1");
    world.answer_ask(69, Some(cbor("{}")));
    let response = world.responses.remove(&asked).unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn former_owners_are_named_in_no_history_that_is_kept() {
    let mut world = World::new();
    let light = world.light();
    let report = DeviceReport::new(account("alice"), light, 1, Occurrence::Offline);
    world.cloud.handle_report(report, world.wall, world.now);
    world.transfer(light, "bob").unwrap();
    world.journal.truncate();
    let stream = format!("device/{light}");
    let loaded = world.journal.load(&stream);
    let kept = format!("{:?} {:?}", loaded.snapshot, loaded.changes);
    assert!(kept.contains("bob") && !kept.contains("alice"), "{kept}");
    // It loads from there.
    assert_eq!(world.transfer(light, "carol"), Ok(3));
}
