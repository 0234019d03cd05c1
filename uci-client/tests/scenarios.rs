//! One test for each rule, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    missing_docs
)]

#[path = "support/world.rs"]
mod world;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use uci_client::{EndReason, Event, FailureKind, Refusal, Reply, RetryReason, SubscribeId, Target};
use uci_model::api::{BatchFormat, retrieve_devices};
use uci_model::{DeviceId, DeviceStatus, EventTypes, SubscriptionLevel, Value};
use world::{LAMP, World, config, json, status};

const SECOND: Duration = Duration::from_secs(1);

fn lamp() -> DeviceId {
    LAMP.parse().unwrap()
}

fn all_devices(world: &mut World) -> SubscribeId {
    let types = EventTypes::all(SubscriptionLevel::Devices);
    let id = world
        .client
        .subscribe(Target::Devices, &types, world.now)
        .unwrap();
    world.run();
    id
}

fn light(world: &mut World) -> SubscribeId {
    let target = Target::Resource {
        device: lamp(),
        href: "/light/1".parse().unwrap(),
    };
    let types = EventTypes::all(SubscriptionLevel::Resource);
    let id = world.client.subscribe(target, &types, world.now).unwrap();
    world.run();
    id
}

fn live_light(world: &mut World) -> SubscribeId {
    let id = light(world);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":false}"#)),
        Some(200)
    );
    id
}

fn ended(world: &World, id: SubscribeId) -> Vec<EndReason> {
    let reason = |event: &Event| match event {
        Event::Ended { id: over, reason } if *over == id => Some(*reason),
        _ => None,
    };
    world.events.iter().filter_map(reason).collect()
}

fn retries(world: &World) -> Vec<RetryReason> {
    let reason = |event: &Event| match event {
        Event::Retrying { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    world.events.iter().filter_map(reason).collect()
}

fn confirmed(world: &World) -> usize {
    world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Confirmed { .. }))
        .count()
}

fn notified(world: &World) -> Vec<u64> {
    let sequence = |event: &Event| match event {
        Event::Notified(notification) => Some(notification.sequence),
        _ => None,
    };
    world.events.iter().filter_map(sequence).collect()
}

fn state(world: &World) -> Option<bool> {
    let device = world.client.mirror().device(lamp())?;
    device
        .representation(&"/light/1".parse().unwrap())?
        .get("state")
        .and_then(Value::as_bool)
}

#[test]
fn a_subscribe_request_is_what_the_reference_peer_reads() {
    let mut world = World::new();
    all_devices(&mut world);
    let request = world
        .cloud
        .requests
        .iter()
        .find(|request| request.method() == Method::POST)
        .unwrap();
    assert_eq!(
        request.uri(),
        "https://cloud.example/api/v1/devices/subscriptions"
    );
    assert_eq!(request.headers()["authorization"], "Bearer token-1");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["accept"], "application/json");
    let kept = &world.cloud.subscriptions[0];
    assert_eq!(kept.secret.expose().len(), 32);
    assert_eq!(kept.correlation.len(), 36);
    assert_eq!(kept.event_types.len(), 4);
}

#[test]
fn a_subscription_is_confirmed_by_its_first_notification() {
    let mut world = World::new();
    live_light(&mut world);
    assert_eq!(confirmed(&world), 1);
    assert_eq!(state(&world), Some(false));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.cloud.subscriptions.len(), 1, "it is left alone");
}

#[test]
fn a_subscription_without_notification_is_made_anew_with_another_secret() {
    let mut world = World::new();
    light(&mut world);
    let first = world.cloud.subscriptions[0].clone();
    world.pass(65 * SECOND);
    assert_eq!(retries(&world), [RetryReason::Unconfirmed]);
    assert_eq!(
        world.cloud.subscriptions.len(),
        1,
        "the first was unsubscribed"
    );
    let second = &world.cloud.subscriptions[0];
    assert_ne!(first.id, second.id);
    assert_ne!(first.secret.expose(), second.secret.expose());
    assert_ne!(first.correlation, second.correlation);
}

#[test]
fn a_cancelled_subscription_is_made_anew() {
    let mut world = World::new();
    let id = live_light(&mut world);
    assert_eq!(world.notify(0, "subscription_cancelled", None), Some(200));
    let old = world.signed(0, "resource_contentchanged", Some("{}"));
    world.pass(5 * SECOND);
    assert_eq!(retries(&world), [RetryReason::Cancelled]);
    assert_eq!(world.cloud.subscriptions.len(), 2);
    assert_eq!(world.deliver(&old), Some(410), "the cancellation was final");
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(state(&world), Some(true));
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_refused_subscription_ends_and_a_failed_one_is_tried_again() {
    let mut world = World::new();
    world.cloud.script.push_back(Some(status(403)));
    let id = light(&mut world);
    assert_eq!(ended(&world, id), [EndReason::Refused(403)]);

    let mut busy = status(503);
    busy.headers_mut()
        .insert("retry-after", "20".parse().unwrap());
    world.cloud.script.push_back(Some(busy));
    let id = light(&mut world);
    world.pass(19 * SECOND);
    assert!(
        world.cloud.subscriptions.is_empty(),
        "the peer asked for 20 seconds"
    );
    world.pass(2 * SECOND);
    assert_eq!(world.cloud.subscriptions.len(), 1);
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_token_is_asked_for_again_once_after_401() {
    let mut world = World::new();
    world.cloud.script.push_back(Some(status(401)));
    let call = world
        .client
        .call(retrieve_devices::Request::new(BatchFormat::Base), world.now)
        .unwrap();
    world.run();
    assert_eq!(world.tokens, 2);
    assert_eq!(
        world.cloud.requests[1].headers()["authorization"],
        "Bearer token-2"
    );
    let answered = world.events.iter().any(|event| {
        matches!(event, Event::Answered { call: of, result: Ok(Reply::Devices(_)) } if *of == call)
    });
    assert!(answered);

    world
        .cloud
        .script
        .extend([Some(status(401)), Some(status(401))]);
    world
        .client
        .call(retrieve_devices::Request::new(BatchFormat::Base), world.now)
        .unwrap();
    world.run();
    assert_eq!(world.cloud.requests.len(), 4);
    assert!(matches!(
        world.events.last(),
        Some(Event::Answered { result: Err(failure), .. }) if failure.kind == FailureKind::Status(401)
    ));
}

#[test]
fn calls_carry_one_accept_and_no_other_query_than_content() {
    let mut world = World::new();
    for batch in [BatchFormat::Base, BatchFormat::All] {
        world
            .client
            .call(retrieve_devices::Request::new(batch), world.now)
            .unwrap();
    }
    world.run();
    let queries: Vec<_> = world
        .cloud
        .requests
        .iter()
        .map(|request| request.uri().query().unwrap())
        .collect();
    assert_eq!(queries, ["content=base", "content=all"]);
    for request in &world.cloud.requests {
        assert_eq!(request.headers()["accept"], "application/json");
    }
}

#[test]
fn retry_after_of_an_offline_device_reaches_the_caller_and_the_device_stays() {
    let mut world = World::new();
    live_light(&mut world);
    let mut offline = status(504);
    offline
        .headers_mut()
        .insert("retry-after", "30".parse().unwrap());
    world.cloud.script.push_back(Some(offline));
    let request =
        uci_model::api::retrieve_resource::Request::new(lamp(), "/light/1".parse().unwrap());
    world.client.call(request, world.now).unwrap();
    world.run();
    let Some(Event::Answered {
        result: Err(failure),
        ..
    }) = world.events.last()
    else {
        panic!()
    };
    assert_eq!(
        (failure.kind, failure.retry_after),
        (FailureKind::Status(504), Some(30 * SECOND))
    );
    assert_eq!(state(&world), Some(false));
}

#[test]
fn a_call_without_answer_times_out() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    world
        .client
        .call(retrieve_devices::Request::new(BatchFormat::Base), world.now)
        .unwrap();
    world.run();
    world.pass(31 * SECOND);
    assert!(matches!(
        world.events.last(),
        Some(Event::Answered { result: Err(failure), .. }) if failure.kind == FailureKind::Timeout
    ));
}

#[test]
fn a_notification_that_overtakes_the_201_is_taken() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(state(&world), Some(true));
    // The answer never comes: the notification was proof enough.
    world.pass(31 * SECOND);
    assert_eq!(confirmed(&world), 1);
    assert!(retries(&world).is_empty());
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":false}"#)),
        Some(200)
    );
}

#[test]
fn a_notification_with_a_wrong_signature_changes_nothing_early_or_late() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    let mut forged = world.signed(0, "resource_contentchanged", Some(r#"{"state":true}"#));
    *forged.body_mut() = Bytes::from_static(br#"{"state":null}"#);
    let before = world.streams["link/1"].changes.len();
    assert_eq!(world.deliver(&forged), Some(400));
    assert_eq!(
        world.streams["link/1"].changes.len(),
        before,
        "the early one binds nothing"
    );
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    let mut forged = world.signed(0, "resource_contentchanged", Some(r#"{"state":false}"#));
    forged
        .headers_mut()
        .insert("sequence-number", "9".parse().unwrap());
    assert_eq!(world.deliver(&forged), Some(400));
    assert_eq!(notified(&world), [0]);
}

#[test]
fn hex_of_the_signature_may_be_upper_case() {
    let mut world = World::new();
    light(&mut world);
    let mut request = world.signed(0, "resource_contentchanged", Some("{}"));
    let upper = request.headers()["event-signature"]
        .to_str()
        .unwrap()
        .to_uppercase();
    request
        .headers_mut()
        .insert("event-signature", upper.parse().unwrap());
    assert_eq!(world.deliver(&request), Some(200));
}

#[test]
fn an_unknown_subscription_is_gone_and_malformed_headers_are_a_bad_request() {
    let mut world = World::new();
    light(&mut world);
    let good = world.signed(0, "resource_contentchanged", Some("{}"));
    let mut unknown = good.clone();
    unknown
        .headers_mut()
        .insert("subscription-id", LAMP.parse().unwrap());
    unknown.headers_mut().remove("correlation-id");
    assert_eq!(world.deliver(&unknown), Some(410));
    for name in [
        "event-type",
        "subscription-id",
        "sequence-number",
        "event-timestamp",
        "event-signature",
    ] {
        let mut bad = good.clone();
        bad.headers_mut().remove(name);
        assert_eq!(world.deliver(&bad), Some(400), "{name} missing");
        let mut bad = good.clone();
        bad.headers_mut().append(name, "1".parse().unwrap());
        assert_eq!(world.deliver(&bad), Some(400), "{name} twice");
        let mut bad = good.clone();
        bad.headers_mut().insert(name, "+007".parse().unwrap());
        assert_eq!(world.deliver(&bad), Some(400), "{name} malformed");
    }
    let mut get = good.clone();
    *get.method_mut() = Method::GET;
    assert_eq!(world.deliver(&get), Some(405));
    let mut empty_correlation = good;
    empty_correlation
        .headers_mut()
        .insert("correlation-id", "".parse().unwrap());
    assert_eq!(world.deliver(&empty_correlation), Some(200));
}

#[test]
fn a_timestamp_outside_the_window_is_refused() {
    let mut world = World::new();
    light(&mut world);
    let request = world.signed(0, "resource_contentchanged", Some("{}"));
    let wall = world.wall;
    for (offset, expected) in [(301, 400), (-301, 400), (299, 200)] {
        let apart = Duration::from_secs(i64::unsigned_abs(offset));
        world.wall = if offset > 0 {
            wall + apart
        } else {
            wall - apart
        };
        assert_eq!(world.deliver(&request), Some(expected), "{offset}");
    }
}

#[test]
fn a_repeated_notification_is_acknowledged_and_ignored() {
    let mut world = World::new();
    live_light(&mut world);
    let second = world.signed(0, "resource_contentchanged", Some(r#"{"state":true}"#));
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":false}"#)),
        Some(200)
    );
    assert_eq!(world.deliver(&second), Some(200));
    assert_eq!(notified(&world), [0, 1, 2]);
    assert_eq!(state(&world), Some(false));
}

#[test]
fn a_gap_is_answered_by_a_fetch() {
    let mut world = World::new();
    live_light(&mut world);
    world.cloud.subscriptions[0].sequence = 5;
    world
        .cloud
        .script
        .push_back(Some(json(200, r#"{"state":true,"power":7}"#)));
    let before = world.cloud.requests.len();
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":false}"#)),
        Some(200)
    );
    let fetch = &world.cloud.requests[before];
    assert_eq!(
        fetch.uri().path(),
        format!("/api/v1/devices/{LAMP}/light/1")
    );
    assert_eq!(state(&world), Some(true), "what was fetched is newer");
    assert_eq!(notified(&world), [0, 5]);
}

#[test]
fn a_fetch_that_is_refused_is_not_repeated() {
    for (code, fetches) in [(403, 1), (404, 1), (500, 2)] {
        let mut world = World::new();
        live_light(&mut world);
        world.cloud.subscriptions[0].sequence = 5;
        world.cloud.script.push_back(Some(status(code)));
        let before = world.cloud.requests.len();
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#));
        world.pass(SECOND);
        assert_eq!(world.cloud.requests.len() - before, fetches, "{code}");
        assert_eq!(state(&world), Some(true), "what is known stays");
    }
}

#[test]
fn a_notification_is_answered_only_when_it_is_durable() {
    let mut world = World::new();
    live_light(&mut world);
    world.hold_appends = true;
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        None
    );
    assert_eq!(state(&world), Some(false));
    assert_eq!(notified(&world), [0]);
    world.hold_appends = false;
    let append = world.held.remove(0);
    let appended = world.append(&append);
    world
        .client
        .handle_appended(append.id, &appended, world.now);
    world.run();
    assert_eq!(world.responses.values().last().unwrap().status(), 200);
    assert_eq!(notified(&world), [0, 1]);
    assert_eq!(state(&world), Some(true));
}

#[test]
fn a_slow_journal_is_asked_again_with_the_same_append_and_the_peer_gets_503() {
    let mut world = World::new();
    live_light(&mut world);
    world.hold_appends = true;
    let request = world.signed(0, "resource_contentchanged", Some(r#"{"state":true}"#));
    assert_eq!(world.deliver(&request), None);
    world.pass(11 * SECOND);
    assert_eq!(world.responses.values().last().unwrap().status(), 503);
    assert!(world.held.len() >= 2);
    assert!(world.held.iter().all(|append| *append == world.held[0]));
    world.hold_appends = false;
    let append = world.held.remove(0);
    let appended = world.append(&append);
    world
        .client
        .handle_appended(append.id, &appended, world.now);
    world.run();
    assert_eq!(
        world.deliver(&request),
        Some(200),
        "the repeated one was taken before"
    );
    assert_eq!(notified(&world), [0, 1]);
}

#[test]
fn what_does_not_belong_to_the_subscription_is_refused() {
    let mut world = World::new();
    live_light(&mut world);
    let other = world.signed(0, "devices_online", Some("[]"));
    assert_eq!(world.deliver(&other), Some(400));
    let broken = world.signed(0, "resource_contentchanged", Some("{"));
    assert_eq!(world.deliver(&broken), Some(400));
    let refusals: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        })
        .collect();
    assert_eq!(refusals, [Refusal::EventType, Refusal::Content]);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(200)
    );
}

#[test]
fn subscriptions_survive_a_restart_with_their_numbers() {
    let mut world = World::new();
    let id = live_light(&mut world);
    let first = world.signed(0, "resource_contentchanged", Some(r#"{"state":true}"#));
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    let posts = world.cloud.requests.len();
    let mut world = world.restart();
    let resumed = world.events.iter().any(|event| {
        matches!(event, Event::Loaded { subscriptions } if subscriptions.as_slice() == [id])
    });
    assert!(resumed);
    assert_eq!(world.deliver(&first), Some(200));
    assert!(notified(&world).is_empty(), "it was taken by the last run");
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(notified(&world), [2]);
    world.pass(Duration::from_secs(600));
    let made = world.cloud.requests[posts..]
        .iter()
        .filter(|request| request.method() == Method::POST);
    assert_eq!(made.count(), 0, "nothing is subscribed anew");
}

#[test]
fn a_subscription_whose_answer_was_lost_with_the_last_run_is_made_anew() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    let id = light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    let mut world = world.restart();
    assert_eq!(retries(&world), [RetryReason::Interrupted]);
    world.pass(2 * SECOND);
    assert_eq!(world.cloud.subscriptions.len(), 2);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(410),
        "the orphan learns it is one"
    );
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some("{}")),
        Some(200)
    );
    assert!(ended(&world, id).is_empty());
}

#[test]
fn unsubscribing_waits_for_the_last_notification() {
    let mut world = World::new();
    let id = live_light(&mut world);
    let last = world.cloud.subscriptions[0].clone();
    world.client.unsubscribe(id, world.now).unwrap();
    world.run();
    assert!(ended(&world, id).is_empty());
    world.cloud.subscriptions.push(last);
    assert_eq!(world.notify(0, "subscription_cancelled", None), Some(200));
    assert_eq!(ended(&world, id), [EndReason::Unsubscribed]);
    assert_eq!(world.notify(0, "subscription_cancelled", None), Some(410));
}

#[test]
fn unsubscribing_takes_every_answer_that_means_done() {
    for code in [200, 202, 204, 404] {
        let mut world = World::new();
        let ids = [live_light(&mut world), all_devices(&mut world)];
        let before = world.cloud.requests.len();
        world
            .cloud
            .script
            .extend([Some(status(code)), Some(status(code))]);
        world.client.unsubscribe_all(world.now).unwrap();
        world.run();
        let unsubscribed: Vec<_> = world.cloud.requests[before..]
            .iter()
            .map(|request| (request.method(), request.uri().path()))
            .collect();
        for kept in &world.cloud.subscriptions {
            let path = format!("{}/{}", kept.path, kept.id);
            assert!(unsubscribed.contains(&(&Method::DELETE, path.as_str())));
        }
        world.pass(31 * SECOND);
        for id in ids {
            assert_eq!(ended(&world, id), [EndReason::Unsubscribed], "{code}");
        }
        assert_eq!(world.streams["link/1"].due, None);
    }
}

#[test]
fn unsubscribing_is_repeated_and_at_last_given_up() {
    let mut world = World::new();
    let id = live_light(&mut world);
    world.cloud.script.extend((0..8).map(|_| Some(status(500))));
    world.client.unsubscribe(id, world.now).unwrap();
    world.run();
    world.pass(Duration::from_secs(3600));
    assert_eq!(ended(&world, id), [EndReason::Abandoned]);
    let deletes = world
        .cloud
        .requests
        .iter()
        .filter(|request| request.method() == Method::DELETE);
    assert_eq!(deletes.count(), 8);
}

#[test]
fn empty_and_repeated_initial_notifications_are_nothing_special() {
    let mut world = World::new();
    all_devices(&mut world);
    world.cloud.base = format!(
        r#"[{{"device":{{"di":"{LAMP}","n":"Lamp","rt":["oic.wk.d"],"dmn":[]}},"status":"offline","links":[]}}]"#
    );
    for event_type in [
        "devices_registered",
        "devices_registered",
        "devices_unregistered",
        "devices_online",
    ] {
        assert_eq!(world.notify(0, event_type, Some("[]")), Some(200));
    }
    let di = format!(r#"{{"content":[{{"di":"{LAMP}"}}]}}"#);
    for _ in 0..2 {
        assert_eq!(world.notify(0, "devices_online", Some(&di)), Some(200));
    }
    let device = world.client.mirror().device(lamp()).unwrap();
    assert_eq!(device.status(), Some(DeviceStatus::Online));
    assert_eq!(notified(&world), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn unpublished_links_may_have_null_types() {
    let mut world = World::new();
    let types = EventTypes::all(SubscriptionLevel::Device);
    world
        .client
        .subscribe(Target::Device { device: lamp() }, &types, world.now)
        .unwrap();
    world.run();
    let link = format!(r#"[{{"di":"{LAMP}","href":"/{LAMP}/x","rt":["x.y"],"if":["oic.if.r"]}}]"#);
    world.cloud.script.extend([None, None]);
    assert_eq!(
        world.notify(0, "resources_published", Some(&link)),
        Some(200)
    );
    assert_eq!(
        world
            .client
            .mirror()
            .device(lamp())
            .unwrap()
            .links()
            .count(),
        1
    );
    let gone = format!(r#"[{{"di":"{LAMP}","href":"/{LAMP}/x","rt":null,"if":null}}]"#);
    assert_eq!(
        world.notify(0, "resources_unpublished", Some(&gone)),
        Some(200)
    );
    assert_eq!(
        world
            .client
            .mirror()
            .device(lamp())
            .unwrap()
            .links()
            .count(),
        0
    );
}

#[test]
fn polling_finds_new_and_vanished_devices() {
    let mut config = config();
    config.poll_interval = Some(10 * SECOND);
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    let device = format!(
        r#""device":{{"di":"{LAMP}","n":"Lamp","rt":["oic.wk.d"],"dmn":[]}},"status":"online""#
    );
    world.cloud.base =
        format!(r#"[{{{device},"links":[{{"href":"/{LAMP}/light/1","rt":["a"],"if":["b"]}}]}}]"#);
    world.cloud.all =
        format!(r#"[{{{device},"links":[{{"href":"/{LAMP}/light/1","rep":{{"state":true}}}}]}}]"#);
    world.pass(11 * SECOND);
    assert_eq!(state(&world), Some(true));
    assert_eq!(
        world
            .client
            .mirror()
            .device(lamp())
            .unwrap()
            .links()
            .count(),
        1
    );
    world.cloud.base = "[]".into();
    world.cloud.all = "[]".into();
    world.pass(10 * SECOND);
    assert!(world.client.mirror().device(lamp()).is_none());
}

#[test]
fn a_snapshot_carries_what_the_changes_did() {
    let mut config = config();
    config.snapshot_every = 4;
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    live_light(&mut world);
    for _ in 0..5 {
        assert_eq!(
            world.notify(0, "resource_contentchanged", Some("{}")),
            Some(200)
        );
    }
    let stream = world.streams.get_mut("link/1").unwrap();
    let version = stream.snapshot.as_ref().unwrap().version as usize;
    assert!(version >= 4);
    // What a journal does below a durable snapshot: nothing may need these again.
    for change in &mut stream.changes[..version] {
        *change = Bytes::new();
    }
    let mut world = world.restart();
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(200)
    );
    assert_eq!(notified(&world), [6]);
}

#[test]
fn no_secret_reaches_the_journal_in_clear_or_is_printed() {
    let mut world = World::new();
    live_light(&mut world);
    let secret = world.cloud.subscriptions[0].secret.expose().to_owned();
    for change in &world.streams["link/1"].changes {
        assert!(
            !change
                .windows(secret.len())
                .any(|window| window == secret.as_bytes())
        );
    }
    let printed = format!("{:?}{:?}{}", world.client, world.events, world.printed);
    assert!(printed.contains("POST"), "the subscribe request is there");
    assert!(!printed.contains("token-1") && !printed.contains(&secret));
}

#[test]
fn a_subscription_that_is_given_up_before_it_is_durable_is_never_requested() {
    let mut world = World::new();
    live_light(&mut world);
    world.hold_appends = true;
    let request = world.signed(0, "resource_contentchanged", Some("{}"));
    assert_eq!(world.deliver(&request), None);
    let id = all_devices(&mut world);
    world.client.unsubscribe(id, world.now).unwrap();
    world.release_appends();
    assert_eq!(ended(&world, id), [EndReason::Unsubscribed]);
    assert_eq!(world.cloud.subscriptions.len(), 1);
}

#[test]
fn a_subscription_whose_answer_is_late_lives_by_its_first_notification() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.pass(30 * SECOND);
    assert_eq!(retries(&world).len(), 1);
    world.cloud.keep(&request);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(200)
    );
    assert_eq!(confirmed(&world), 1);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.cloud.subscriptions.len(), 1, "none is made beside it");
}

#[test]
fn a_subscription_that_a_notification_made_is_told_only_when_that_is_durable() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    world.pass(29 * SECOND);
    world.hold_appends = true;
    let body = Some(r#"{"state":true}"#);
    assert_eq!(world.notify(0, "resource_contentchanged", body), None);
    world.pass(2 * SECOND);
    let told = |world: &World| {
        let is = |event: &&Event| matches!(event, Event::Subscribed { .. });
        world.events.iter().filter(is).count()
    };
    assert_eq!((told(&world), confirmed(&world)), (0, 0));
    world.release_appends();
    assert_eq!((told(&world), confirmed(&world)), (1, 1));
    assert!(retries(&world).is_empty());
}

#[test]
fn a_subscription_is_replaced_at_once_at_the_end_of_its_lifetime() {
    let mut config = config();
    config.lifetime = Some(60 * SECOND);
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    live_light(&mut world);
    for _ in 0..6 {
        world.pass(62 * SECOND);
        assert_eq!(
            world.cloud.subscriptions.len(),
            1,
            "the old one is unsubscribed"
        );
        let body = Some(r#"{"state":true}"#);
        assert_eq!(world.notify(0, "resource_contentchanged", body), Some(200));
    }
    assert_eq!(retries(&world), vec![RetryReason::Expired; 6]);
}

#[test]
fn thousands_of_subscriptions_end_in_appends_that_a_journal_takes() {
    let mut world = World::new();
    world.refuse_tokens = true;
    let types = EventTypes::all(SubscriptionLevel::Devices);
    for _ in 0..3_000 {
        world
            .client
            .subscribe(Target::Devices, &types, world.now)
            .unwrap();
    }
    world.client.unsubscribe_all(world.now).unwrap();
    world.run();
    assert!(world.streams["link/1"].due.is_none());
    let ended = |event: &&Event| matches!(event, Event::Ended { .. });
    assert_eq!(world.events.iter().filter(ended).count(), 3_000);
    assert!(world.largest_append <= 4_096, "{}", world.largest_append);
}

#[test]
fn a_stream_that_was_erased_begins_anew() {
    let mut world = World::new();
    live_light(&mut world);
    let stream = world.streams.get_mut("link/1").unwrap();
    stream.erased = stream.changes.len() as u64 + 1;
    stream.changes.clear();
    let mut world = world.restart();
    live_light_again(&mut world);
    let mut world = world.restart();
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(notified(&world), [1]);
}

fn live_light_again(world: &mut World) {
    light(world);
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some("{}")),
        Some(200)
    );
}

#[test]
fn a_resource_that_cannot_be_fetched_holds_no_other_up() {
    let mut world = World::new();
    live_light(&mut world);
    let (device, href) = ("99999999-5e3e-4291-802f-3436238232d2", "/light/2");
    let target = Target::Resource {
        device: device.parse().unwrap(),
        href: href.parse().unwrap(),
    };
    let types = EventTypes::all(SubscriptionLevel::Resource);
    world.client.subscribe(target, &types, world.now).unwrap();
    world.run();
    // The first device is offline: its resource is answered 504 again and again.
    world.cloud.offline = Some("/light/1");
    for index in 0..2 {
        world.cloud.subscriptions[index].sequence = 5;
        world.notify(index, "resource_contentchanged", Some("{}"));
    }
    world.pass(Duration::from_secs(600));
    let fetched = |path: &str| {
        let is = |request: &&http::Request<Bytes>| request.uri().path().ends_with(path);
        world.cloud.requests.iter().filter(is).count()
    };
    assert!(fetched("/light/1") > 2, "it is tried again");
    assert_eq!(fetched(href), 1, "and so is what comes after it");
}

#[test]
fn a_conflict_is_decided_again_and_the_peer_sees_one_answer() {
    let mut world = World::new();
    live_light(&mut world);
    world.hold_appends = true;
    let request = world.signed(0, "resource_contentchanged", Some(r#"{"state":true}"#));
    assert_eq!(world.deliver(&request), None);
    world.hold_appends = false;
    let append = world.held.remove(0);
    let conflict = uci_client::Appended::Conflict {
        stream: "link/1".into(),
    };
    world
        .client
        .handle_appended(append.id, &conflict, world.now);
    world.run();
    assert_eq!(notified(&world), [0, 1]);
    assert_eq!(
        world
            .responses
            .values()
            .filter(|response| response.status() == 200)
            .count(),
        2
    );
}

#[test]
fn a_fenced_client_stops_and_says_so() {
    let mut world = World::new();
    let id = live_light(&mut world);
    world.hold_appends = true;
    let request = world.signed(0, "resource_contentchanged", Some("{}"));
    assert_eq!(world.deliver(&request), None);
    let append = world.held.remove(0);
    world
        .client
        .handle_appended(append.id, &uci_client::Appended::Fenced, world.now);
    world.run();
    assert_eq!(ended(&world, id), [EndReason::Stopped]);
    assert_eq!(world.responses.values().last().unwrap().status(), 503);
    assert_eq!(world.deliver(&request), Some(503));
}

#[test]
fn only_https_is_configured() {
    let config = |base: &str, events: &str| {
        uci_client::Config::new(&base.parse().unwrap(), events.parse().unwrap()).is_ok()
    };
    assert!(config(
        "https://cloud.example/api/v1",
        "https://us.example/events"
    ));
    assert!(!config(
        "http://cloud.example/api/v1",
        "https://us.example/events"
    ));
    assert!(!config("/api/v1", "https://us.example/events"));
    assert!(!config(
        "https://cloud.example/api/v1",
        "http://us.example/events"
    ));
}
