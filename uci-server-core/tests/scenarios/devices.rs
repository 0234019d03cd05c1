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
        &path(1, LIGHT),
        "application/json; charset=utf-8",
        r#"{"t":21.0,"n":[1,2.5]}"#,
    );
    let id = world.start(&update, granted("alice", "g1"));
    let asked = world.answer_ask(68, None);
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
        world.answer_ask_with(code, None, max_age);
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
            .handle_answer(ask, DeviceAnswer::Unreadable, world.now);
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
