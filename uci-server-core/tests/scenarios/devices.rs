//! Devices that are read, updated and reported.

use super::*;

#[test]
fn a_read_asks_the_device_and_converts_its_answer() {
    let mut world = World::new();
    world.light();
    let query = format!("{}?if=oic.if.baseline", path(1, LIGHT));
    let id = world.start(&request(Method::GET, &query), granted("alice", "g1"));
    let asked = world.answer_ask(69, Some(cbor(r#"{"state":true,"power":21.0}"#)));
    assert_eq!(asked.href.as_str(), LIGHT);
    assert_eq!(asked.interface.unwrap().as_str(), "oic.if.baseline");
    let response = &world.responses[&id];
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["vary"], "Accept");
    assert_eq!(response.body().as_ref(), br#"{"state":true,"power":21.0}"#);
    let mut native = request(Method::GET, &path(1, LIGHT));
    native
        .headers_mut()
        .insert("accept", "application/vnd.ocf+cbor".parse().unwrap());
    let id = world.start(&native, granted("alice", "g1"));
    // Bytes that were not re-encoded: an indefinite length map.
    let content = uci_model::Content::new(
        uci_model::ContentFormat::OcfCbor,
        bytes::Bytes::from_static(&[0xbf, 0xff]),
    );
    world.answer_ask(69, Some(content));
    assert_eq!(world.responses[&id].body().as_ref(), [0xbf, 0xff]);
}

#[test]
fn an_update_reaches_a_cbor_device_as_cbor() {
    let mut world = World::new();
    world.light();
    let update = post(
        &format!("{}?if=oic.if.rw", path(1, LIGHT)),
        "application/json; charset=utf-8",
        r#"{"t":21.0,"n":[1,2.5]}"#,
    );
    let id = world.start(&update, granted("alice", "g1"));
    let asked = world.answer_ask(68, None);
    assert_eq!(asked.href.as_str(), LIGHT);
    assert_eq!(asked.interface.unwrap().as_str(), "oic.if.rw");
    let uci_server_core::Operation::Update(content) = asked.operation else {
        panic!("an update")
    };
    // Integers in an array with floats become floats, and floats have 64 bits.
    let expected =
        b"\xa2at\xfb\x40\x35\0\0\0\0\0\0an\x82\xfb\x3f\xf0\0\0\0\0\0\0\xfb\x40\x04\0\0\0\0\0\0";
    assert_eq!(content.format(), uci_model::ContentFormat::OcfCbor);
    assert_eq!(content.body().as_ref(), expected);
    let response = &world.responses[&id];
    assert_eq!(
        (response.status(), response.body().len()),
        (StatusCode::OK, 0)
    );
}

/// What reaches Alice's light of an update with this body.
fn updated(world: &mut World, content_type: &str, body: &'static [u8]) -> uci_model::Content {
    let mut update = post(&path(1, LIGHT), content_type, "");
    *update.body_mut() = bytes::Bytes::from_static(body);
    let id = world.start(&update, granted("alice", "g1"));
    let asked = world.answer_ask(68, None);
    assert_eq!(world.responses[&id].status(), StatusCode::OK);
    let uci_server_core::Operation::Update(content) = asked.operation else {
        panic!("an update")
    };
    content
}

#[test]
fn an_update_in_the_devices_own_format_goes_to_it_untouched() {
    let mut world = World::new();
    world.light();
    let bodies: [&'static [u8]; 5] = [
        // A map and a byte string of indefinite length.
        b"\xbf\x61a\x5f\x41\x01\x41\x02\xff\xff",
        // A point in time, and bytes that JSON would show as base64url.
        b"\xa2\x61t\xc1\x1a\x51\x4b\x67\xb0\x61b\xd5\x42\x01\x02",
        // Integers as keys, not in order.
        b"\xa2\x02\xf5\x01\xfb\x40\x35\0\0\0\0\0\0",
        // An integer longer than it must be.
        b"\xa1\x61a\x18\x01",
        b"\xa1\x61n\x82\xfb\x3f\xf0\0\0\0\0\0\0\xfb\x40\x04\0\0\0\0\0\0",
    ];
    for body in bodies {
        let content = updated(&mut world, "application/vnd.ocf+cbor", body);
        assert_eq!(content.format(), uci_model::ContentFormat::OcfCbor);
        assert_eq!(content.body().as_ref(), body);
    }
    // A device that speaks JSON.
    world.change(device(1), LIGHT, json("{}"));
    let body = br#"{ "b":[1, 2.50], "a":1e0 }"#;
    let content = updated(&mut world, "application/json", body);
    assert_eq!(content.format(), uci_model::ContentFormat::Json);
    assert_eq!(content.body().as_ref(), body);
}

#[test]
fn floats_reach_a_device_with_64_bits_and_in_arrays_of_their_own() {
    let mut world = World::new();
    world.light();
    for (body, expected) in [
        (
            b"\xbf\x61t\xf9\x3c\0\xff".as_slice(),
            b"\xa1\x61t\xfb\x3f\xf0\0\0\0\0\0\0".as_slice(),
        ),
        (
            b"\xa1\x61t\xfa\x3f\xc0\0\0",
            b"\xa1\x61t\xfb\x3f\xf8\0\0\0\0\0\0",
        ),
        (
            b"\xa1\x61n\x82\x01\xfb\x40\x04\0\0\0\0\0\0",
            b"\xa1\x61n\x82\xfb\x3f\xf0\0\0\0\0\0\0\xfb\x40\x04\0\0\0\0\0\0",
        ),
    ] {
        let content = updated(&mut world, "application/vnd.ocf+cbor", body);
        assert_eq!(content.body().as_ref(), expected);
    }
}

#[test]
fn an_update_is_answered_in_the_negotiated_format() {
    let mut world = World::new();
    world.light();
    for (accept, body) in [
        ("application/json", json(r#"{"state":false}"#)),
        ("application/vnd.ocf+cbor", cbor(r#"{"state":false}"#)),
    ] {
        let mut update = post(&path(1, LIGHT), "application/json", r#"{"state":false}"#);
        update
            .headers_mut()
            .insert("accept", accept.parse().unwrap());
        let id = world.start(&update, granted("alice", "g1"));
        world.answer_ask(68, Some(cbor(r#"{"state":false}"#)));
        let response = &world.responses[&id];
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], accept);
        assert_eq!(response.headers()["vary"], "Accept");
        assert_eq!(response.body(), body.body());
    }
}

#[test]
fn a_malformed_update_never_reaches_the_device() {
    let mut world = World::new();
    world.light();
    for body in ["", "{", "{}x", r#"{"a":1,"a":2}"#, "{}{}"] {
        let update = post(&path(1, LIGHT), "application/json", body);
        let response = world.call(&update, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    for content_type in ["text/plain", "application/cbor", "application/octet-stream"] {
        let update = post(&path(1, LIGHT), content_type, "{}");
        let response = world.call(&update, granted("alice", "g1"));
        assert_eq!(
            response.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content_type}"
        );
    }
    let mut bare = post(&path(1, LIGHT), "text/plain", "{}");
    bare.headers_mut().remove("content-type");
    let response = world.call(&bare, granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let mut html = post(&path(1, LIGHT), "application/json", "{}");
    html.headers_mut()
        .insert("accept", "text/html".parse().unwrap());
    let response = world.call(&html, granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
    assert!(world.asks.is_empty());
}

#[test]
fn an_offline_device_is_answered_for_at_once() {
    let mut world = World::new();
    world.light();
    world.report(device(1), Occurrence::Offline);
    let update = post(&path(1, LIGHT), "application/json", "{}");
    for request in [request(Method::GET, &path(1, LIGHT)), update] {
        let response = world.call(&request, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert_eq!(response.headers()["retry-after"], "60");
        assert!(!response.body().is_empty());
    }
    assert!(world.asks.is_empty());
}

#[test]
fn the_last_known_representation_can_be_served_instead() {
    let mut config = Config::default();
    config.serve_offline_from_cache = true;
    let mut world = World::with(config);
    world.light();
    world.report(device(1), Occurrence::Offline);
    assert_eq!(world.get_json(&path(1, LIGHT)), value!({"state": true}));
}

#[test]
fn what_does_not_exist_is_not_found() {
    let mut world = World::new();
    world.light();
    for path in [
        path(9, ""),
        path(9, LIGHT),
        path(1, "/nothing"),
        path(1, "/x/subscriptions"),
    ] {
        assert_eq!(world.get(&path).status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn a_resource_may_be_called_subscriptions() {
    let mut world = World::new();
    world.light();
    let href = "/x/subscriptions";
    assert_eq!(world.get(&path(1, href)).status(), StatusCode::NOT_FOUND);
    world.report(device(1), Occurrence::LinksPublished(vec![link(href)]));
    let id = world.start(
        &request(Method::GET, &path(1, href)),
        granted("alice", "g1"),
    );
    let asked = world.answer_ask(69, Some(cbor(r#"{"a":1}"#)));
    assert_eq!(asked.href.as_str(), href);
    assert_eq!(world.responses[&id].body().as_ref(), br#"{"a":1}"#);
}

#[test]
fn a_silent_device_is_a_gateway_timeout() {
    let mut world = World::new();
    world.light();
    let id = world.start(
        &request(Method::GET, &path(1, LIGHT)),
        granted("alice", "g1"),
    );
    world.pass(Duration::from_secs(9));
    assert!(world.responses.is_empty());
    world.pass(Duration::from_secs(1));
    let response = &world.responses[&id];
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert!(response.headers().contains_key("retry-after"));
    // A late answer is nobody's any more.
    world.answer_ask(69, None);
    assert_eq!(world.responses.len(), 1);
}

#[test]
fn device_codes_become_http_statuses() {
    let mut world = World::new();
    world.light();
    let second = Some(Duration::from_millis(7500));
    for (code, max_age, status, retry) in [
        (132, None, 404, None),
        (131, None, 403, None),
        (128, None, 400, None),
        (129, None, 403, None),
        (143, None, 415, None),
        (134, None, 406, None),
        (160, None, 502, None),
        (163, second, 503, Some("8")),
        (163, None, 503, Some("60")),
        (164, None, 504, Some("60")),
    ] {
        let id = world.start(
            &request(Method::GET, &path(1, LIGHT)),
            granted("alice", "g1"),
        );
        while !world.asks.is_empty() {
            world.answer_ask_with(code, None, max_age);
        }
        let response = &world.responses[&id];
        assert_eq!(response.status(), status, "{code}");
        let seen = response
            .headers()
            .get("retry-after")
            .map(|value| value.to_str().unwrap());
        assert_eq!(seen, retry, "{code}");
        assert!(!response.body().is_empty());
    }
}

/// A light of Alice's of which nothing is known yet.
const NEW: &str = "/light/2";

#[test]
fn device_answers_have_the_bodies_that_their_codes_call_for() {
    let (payload, known) = (cbor(r#"{"a":1}"#), br#"{"state":true}"#.as_slice());
    let told = br#"{"a":1}"#.as_slice();
    let nothing = b"".as_slice();
    let read = |path: &str| request(Method::GET, path);
    let light = path(1, LIGHT);
    let update = post(&light, "application/json", "{}");
    for (request, code, content, status, body) in [
        (read(&light), 65, Some(&payload), 200, Some(told)),
        (read(&light), 66, Some(&payload), 200, Some(told)),
        (read(&light), 69, Some(&payload), 200, Some(told)),
        (read(&light), 69, None, 200, Some(nothing)),
        // Valid: what is known is what would have been sent, of the same view.
        (read(&light), 67, None, 200, Some(known)),
        (read(&format!("{light}?if=oic.if.a")), 67, None, 502, None),
        (read(&path(1, NEW)), 67, None, 502, None),
        (update.clone(), 65, None, 200, Some(nothing)),
        (update.clone(), 67, None, 200, Some(nothing)),
        (update.clone(), 68, Some(&payload), 200, Some(told)),
        // What is no success says so in words of the cloud, whatever the device sends along.
        (read(&light), 95, Some(&payload), 502, None),
        (read(&light), 132, Some(&payload), 404, None),
        (read(&light), 160, Some(&payload), 502, None),
        (update.clone(), 163, Some(&payload), 503, None),
        // A success that cannot be read.
        (read(&light), 69, Some(&cbor_of(b"\xff")), 502, None),
    ] {
        let mut world = World::new();
        world.light();
        world.report(device(1), Occurrence::LinksPublished(vec![link(NEW)]));
        let id = world.start(&request, granted("alice", "g1"));
        world.answer_ask(code, content.cloned());
        let response = &world.responses[&id];
        let name = format!("{} {} {code}", request.method(), request.uri());
        assert_eq!(response.status(), status, "{name}");
        match body {
            Some(body) => assert_eq!(response.body().as_ref(), body, "{name}"),
            None => {
                assert_eq!(response.headers()["content-type"], "text/plain");
                assert!(!response.body().is_empty() && !response.body().contains(&b'{'));
            }
        }
    }
}

fn cbor_of(bytes: &'static [u8]) -> uci_model::Content {
    let bytes = bytes::Bytes::from_static(bytes);
    uci_model::Content::new(uci_model::ContentFormat::OcfCbor, bytes)
}

#[test]
fn a_device_that_has_not_the_format_is_asked_once_more_for_whatever_it_has() {
    let mut world = World::new();
    world.light();
    world.report(device(1), Occurrence::LinksPublished(vec![link(NEW)]));
    let read = request(Method::GET, &path(1, LIGHT));
    let spoken = Some(uci_model::ContentFormat::OcfCbor);
    for (code, content, status) in [(69, Some(json("{}")), 200), (134, None, 406)] {
        let id = world.start(&read, granted("alice", "g1"));
        let first = world.answer_ask(134, None);
        assert!(!world.responses.contains_key(&id));
        let second = world.answer_ask(code, content);
        assert_eq!((first.accept, second.accept), (spoken, None));
        assert_eq!(
            (first.href, first.interface),
            (second.href, second.interface)
        );
        assert_eq!(world.responses[&id].status(), status);
        assert!(world.asks.is_empty());
    }
    // Not when nothing was asked for, and not with an update: it may have had its effect.
    for request in [
        request(Method::GET, &path(1, NEW)),
        post(&path(1, LIGHT), "application/json", "{}"),
    ] {
        let id = world.start(&request, granted("alice", "g1"));
        world.answer_ask(134, None);
        assert_eq!(world.responses[&id].status(), StatusCode::NOT_ACCEPTABLE);
        assert!(world.asks.is_empty());
    }
}

#[test]
fn content_in_a_format_that_is_not_read_is_a_bad_gateway() {
    let mut world = World::new();
    world.light();
    let update = post(&path(1, LIGHT), "application/json", "{}");
    for request in [request(Method::GET, &path(1, LIGHT)), update] {
        let id = world.start(&request, granted("alice", "g1"));
        let (ask, _) = world.asks.pop_front().unwrap();
        world
            .cloud
            .handle_answer(ask, uci_server_core::DeviceAnswer::Unreadable, world.now);
        world.settle();
        assert_eq!(world.responses[&id].status(), StatusCode::BAD_GATEWAY);
        assert!(!world.responses[&id].body().is_empty());
    }
}

#[test]
fn a_collection_is_an_array() {
    let mut world = World::new();
    world.light();
    let id = world.start(
        &request(Method::GET, &path(1, LIGHT)),
        granted("alice", "g1"),
    );
    world.answer_ask(69, Some(cbor(r#"[{"href":"/a","rep":{}}]"#)));
    assert_eq!(
        world.responses[&id].body().as_ref(),
        br#"[{"href":"/a","rep":{}}]"#
    );
}

#[test]
fn reports_of_a_former_ownership_are_refused() {
    let mut world = World::new();
    world.light();
    world
        .report_as("alice", device(1), 2, Occurrence::Registered)
        .unwrap();
    let old = world.report_as("alice", device(1), 1, Occurrence::Offline);
    assert_eq!(old, Err(ErrorKind::Superseded));
    assert_eq!(world.get_json("")[0]["status"], "online");
    let unknown = world.report_as("alice", device(7), 1, Occurrence::Online);
    assert_eq!(unknown, Err(ErrorKind::NotFound));
}

#[test]
fn a_device_moves_between_accounts_in_one_append() {
    let mut world = World::new();
    world.light();
    let stolen = world.report_as("bob", device(1), 1, Occurrence::Registered);
    assert_eq!(stolen, Err(ErrorKind::Superseded));
    let before = world.journal.appends;
    world
        .report_as("bob", device(1), 2, Occurrence::Registered)
        .unwrap();
    assert_eq!(world.journal.appends, before + 1);
    assert_eq!(world.get_json(""), value!([]));
    let response = world.call(&request(Method::GET, ""), granted("bob", "b1"));
    assert!(!response.body().starts_with(b"[]"));
    let late = world.report_as("alice", device(1), 1, Occurrence::Offline);
    assert_eq!(late, Err(ErrorKind::NotFound));
    assert_eq!(
        world.report_as("alice", device(1), 1, Occurrence::Unregistered),
        Err(ErrorKind::NotFound)
    );
    world
        .report_as("bob", device(1), 2, Occurrence::Unregistered)
        .unwrap();
    let response = world.call(&request(Method::GET, ""), granted("bob", "b1"));
    assert_eq!(response.body().as_ref(), b"[]");
}

#[test]
fn what_follows_a_hand_over_stays_after_it() {
    let mut world = World::new();
    world.light();
    // Bob's carrier tells both at once; whose the device was is known only when its own stream is loaded.
    let report = |what| uci_server_core::DeviceReport::new(account("bob"), device(1), 2, what);
    let ids = [Occurrence::Registered, Occurrence::Online].map(|what| {
        world
            .cloud
            .handle_report(report(what), world.wall, world.now)
    });
    world.settle();
    for id in ids {
        assert_eq!(world.reported.remove(&id), Some(Ok(())));
    }
    let response = world.call(&request(Method::GET, ""), granted("bob", "b1"));
    let list: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(list[0]["status"], "online");
}

#[test]
fn representations_are_held_to_the_configured_limits() {
    let mut config = Config::default();
    config.content.max_length = 100;
    let mut world = World::with(config);
    world.light();
    let what = Occurrence::RepresentationChanged {
        href: LIGHT.parse().unwrap(),
        content: json(&format!(r#"{{"text":"{}"}}"#, "a".repeat(100))),
    };
    let refused = world.report_as("alice", device(1), 1, what);
    assert_eq!(refused, Err(ErrorKind::Malformed));
}

#[test]
fn a_device_cannot_call_itself_another() {
    let mut world = World::new();
    world.light();
    let mut properties = uci_model::DeviceProperties::new(device(7));
    properties.name = "Lamp".to_owned();
    properties.resource_types.clear();
    properties.manufacturer_name.clear();
    let described = Occurrence::Described(Box::new(properties));
    world.report(device(1), described.clone());
    let listed = world.get_json(&path(1, ""))["device"].clone();
    assert_eq!(
        listed,
        value!({
            "di": device(1).to_string(), "n": "Lamp", "rt": ["oic.wk.d"],
            "dmn": [{"language": "en", "value": ""}],
        })
    );
    let before = world.journal.appends;
    world.report(device(1), described);
    assert_eq!(world.journal.appends, before);
}

#[test]
fn what_could_not_be_read_again_is_never_written() {
    let mut world = World::new();
    world.light();
    let deep = (0..100).fold(uci_model::Value::Null, |inside, _| vec![inside].into());
    let mut bad = link("/deep");
    bad.extra.insert("x".to_owned(), deep.clone());
    let mut properties = uci_model::DeviceProperties::new(device(1));
    properties.extra.insert("x".to_owned(), deep);
    // Long enough only for the link of another device's cloud.
    let long = link(&format!("/{}/{}", device(7), "a".repeat(250)));
    for what in [
        Occurrence::LinksPublished(vec![bad]),
        Occurrence::LinksPublished(vec![long]),
        Occurrence::Described(Box::new(properties)),
    ] {
        let refused = world.report_as("alice", device(1), 1, what);
        assert_eq!(refused, Err(ErrorKind::Malformed));
    }
    world.restart();
    assert_eq!(world.get("").status(), StatusCode::OK);
}

#[test]
fn unreadable_content_is_refused() {
    let mut world = World::new();
    world.light();
    let href: uci_model::Href = LIGHT.parse().unwrap();
    for content in [json("{"), json("{}{}"), json(r#"{"a":1,"a":1}"#)] {
        let what = Occurrence::RepresentationChanged {
            href: href.clone(),
            content,
        };
        let refused = world.report_as("alice", device(1), 1, what);
        assert_eq!(refused, Err(ErrorKind::Malformed));
    }
}
