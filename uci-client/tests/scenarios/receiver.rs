//! What the receiver takes, refuses and answers.

use super::*;

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
