//! What the receiver takes, refuses and answers.

use uci_model::event::{SignedMessage, SigningKey};

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

/// Signs whatever headers and body a notification now has.
fn sign_again(world: &World, index: usize, request: &mut http::Request<Bytes>) {
    let headers = request.headers();
    let part = |name: &str| headers.get(name).map_or(&[][..], |value| value.as_bytes());
    let message = SignedMessage {
        content_type: part("content-type"),
        event_type: part("event-type"),
        subscription_id: part("subscription-id"),
        sequence_number: part("sequence-number"),
        event_timestamp: part("event-timestamp"),
        body: request.body(),
    };
    let signature = SigningKey::new(&world.cloud.subscriptions[index].secret).sign(&message);
    let signature = signature.to_string().parse().unwrap();
    request.headers_mut().insert("event-signature", signature);
}

#[test]
fn a_signature_that_is_wrong_in_one_bit_anywhere_is_refused() {
    let mut world = World::new();
    light(&mut world);
    let good = world.signed(0, "resource_contentchanged", Some("{}"));
    let digits = good.headers()["event-signature"].as_bytes().to_vec();
    for at in 0..digits.len() {
        for bit in 0..4 {
            let digit = char::from(digits[at]).to_digit(16).unwrap() ^ (1 << bit);
            let mut near = digits.clone();
            near[at] = u8::try_from(char::from_digit(digit, 16).unwrap()).unwrap();
            let mut forged = good.clone();
            let value = http::HeaderValue::from_bytes(&near).unwrap();
            forged.headers_mut().insert("event-signature", value);
            assert_eq!(world.deliver(&forged), Some(400), "digit {at}, bit {bit}");
        }
    }
    assert!(notified(&world).is_empty());
    assert_eq!(world.deliver(&good), Some(200));
}

#[test]
fn the_signature_is_over_the_header_text_as_it_came() {
    let mut world = World::new();
    light(&mut world);
    for (name, text) in [
        ("content-type", "Application/JSON".to_owned()),
        (
            "subscription-id",
            world.cloud.subscriptions[0].id.to_string().to_uppercase(),
        ),
    ] {
        let mut request = world.signed(0, "resource_contentchanged", Some("{}"));
        world.cloud.subscriptions[0].sequence += 1;
        request.headers_mut().insert(name, text.parse().unwrap());
        // It means the same as what was signed, and is still another text.
        assert_eq!(world.deliver(&request), Some(400), "{text}");
        sign_again(&world, 0, &mut request);
        assert_eq!(world.deliver(&request), Some(200), "{text}");
    }
}

#[test]
fn how_the_body_is_transferred_does_not_matter() {
    let mut world = World::new();
    light(&mut world);
    let mut request = world.signed(0, "resource_contentchanged", Some("{}"));
    for (name, text) in [
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("accept-encoding", "gzip, deflate"),
        ("user-agent", "Go-http-client/1.1"),
        ("correlation-id", ""),
    ] {
        request.headers_mut().insert(name, text.parse().unwrap());
    }
    assert_eq!(world.deliver(&request), Some(200));
    assert_eq!(notified(&world), [0]);
}

#[test]
fn a_body_beyond_the_limit_is_not_looked_at() {
    let mut config = config();
    config.limits.max_length = 20;
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    light(&mut world);
    let long = world.signed(
        0,
        "resource_contentchanged",
        Some(r#"{"state":   false  }"#),
    );
    assert_eq!(long.body().len(), 20);
    assert_eq!(world.deliver(&long), Some(200));
    world.cloud.subscriptions[0].sequence = 1;
    let longer = world.signed(
        0,
        "resource_contentchanged",
        Some(r#"{"state":    false  }"#),
    );
    assert_eq!(world.deliver(&longer), Some(413));
    assert_eq!(notified(&world), [0]);
}

#[test]
fn both_forms_of_an_event_list_mean_the_same() {
    for (event_type, device_level) in [("devices_registered", false), ("resources_published", true)]
    {
        for form in [
            |list: &str| list.to_owned(),
            |list: &str| format!(r#"{{"content":{list}}}"#),
        ] {
            let mut world = World::new();
            let (target, level) = if device_level {
                (Target::Device { device: lamp() }, SubscriptionLevel::Device)
            } else {
                (Target::Devices, SubscriptionLevel::Devices)
            };
            world
                .client
                .subscribe(target, &EventTypes::all(level), world.now)
                .unwrap();
            world.run();
            world.cloud.script.extend([None, None]);
            let item = if device_level {
                format!(r#"[{{"href":"/{LAMP}/x","rt":["x.y"],"if":["oic.if.r"]}}]"#)
            } else {
                format!(r#"[{{"di":"{LAMP}"}}]"#)
            };
            assert_eq!(world.notify(0, event_type, Some(&form("[]"))), Some(200));
            assert!(world.client.mirror().device(lamp()).is_none());
            assert_eq!(world.notify(0, event_type, Some(&form(&item))), Some(200));
            let device = world.client.mirror().device(lamp()).unwrap();
            assert_eq!(device.links().count(), usize::from(device_level));
        }
    }
}
