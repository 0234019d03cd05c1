//! Subscriptions, from the first notification to the last.

use super::*;

#[test]
fn first_notifications_carry_the_present_state() {
    let mut world = World::new();
    world.light();
    world.report(device(2), Occurrence::Registered);
    let (one, two) = (device(1).to_string(), device(2).to_string());
    let id = world.subscribe("", DEVICES);
    let told = world.receive_all();
    assert!(told.iter().all(|told| told.subscription == id));
    let bodies: Vec<_> = told
        .iter()
        .map(|told| (told.sequence, told.event.as_str(), told.json()))
        .collect();
    assert_eq!(
        bodies,
        [
            (0, "devices_registered", value!([{"di": one}, {"di": two}])),
            (1, "devices_unregistered", value!([])),
            (2, "devices_online", value!([{"di": one}])),
            (3, "devices_offline", value!([{"di": two}])),
        ]
    );
    world.subscribe(&path(1, ""), PUBLISHED);
    let told = world.receive_all();
    let links = world.get_json(&path(1, ""))["links"].clone();
    assert_eq!((told[0].json(), told[1].json()), (links, value!([])));
    world.subscribe(&path(1, LIGHT), CHANGED);
    let told = world.receive_all();
    assert_eq!((told.len(), told[0].json()), (1, value!({"state": true})));
}

#[test]
fn the_answer_is_out_before_the_first_notification() {
    let mut world = World::new();
    world.light();
    world.journal_silent = true;
    let id = world.start(&subscribe_request("", DEVICES), granted("alice", "g1"));
    assert!(world.responses.is_empty() && world.deliveries.is_empty());
    let append = world.unanswered.remove(0);
    assert_eq!(
        world.journal.append(&append),
        uci_server_core::Appended::Done
    );
    let done = uci_server_core::Appended::Done;
    world
        .cloud
        .handle_appended(append.id, done, world.wall, world.now);
    let outputs: Vec<_> = std::iter::from_fn(|| world.cloud.poll_output()).collect();
    let uci_server_core::Output::Respond { request, response } = &outputs[0] else {
        panic!("{outputs:?}")
    };
    assert_eq!((*request, response.status()), (id, StatusCode::CREATED));
    assert!(matches!(
        outputs[1],
        uci_server_core::Output::Deliver { .. }
    ));
    assert_eq!(outputs.len(), 2);
}

#[test]
fn a_notification_is_complete_and_signed() {
    let mut world = World::new();
    world.light();
    let id = world.subscribe(&path(1, LIGHT), CHANGED);
    let (_, request) = world.deliveries[0].clone();
    assert_eq!(
        (request.method(), request.uri().to_string()),
        (&Method::POST, rig::EVENTS.into())
    );
    let headers = request.headers();
    assert_eq!(headers["event-type"], "resource_contentchanged");
    assert_eq!(headers["subscription-id"], id.as_str());
    assert_eq!(headers["sequence-number"], "0");
    assert_eq!(headers["event-timestamp"], "1800000000");
    assert_eq!(headers["correlation-id"], rig::CORRELATION);
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers.len(), 7);
    // The rig verifies the signature over what was sent.
    assert_eq!(
        rig::read_notification(&request).json(),
        value!({"state": true})
    );
}

#[test]
fn a_change_is_told_as_it_would_be_read() {
    let mut world = World::new();
    world.light();
    for accept in ["application/json", "application/vnd.ocf+cbor"] {
        let accept: http::HeaderValue = accept.parse().unwrap();
        let mut subscribe = subscribe_request(&path(1, LIGHT), CHANGED);
        subscribe.headers_mut().insert("accept", accept.clone());
        let response = world.call(&subscribe, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::CREATED);
        world.receive_all();
        let content = cbor(&format!(r#"{{"power":21.0,"for":"{}"}}"#, accept.len()));
        world.change(device(1), LIGHT, content.clone());
        let mut read = request(Method::GET, &path(1, LIGHT));
        read.headers_mut().insert("accept", accept.clone());
        let id = world.start(&read, granted("alice", "g1"));
        world.answer_ask(69, Some(content));
        let read = world.responses.remove(&id).unwrap();
        assert_eq!(read.headers()["content-type"], accept);
        let told = world.receive_all();
        let same = told
            .iter()
            .find(|told| told.content_type.as_deref() == accept.to_str().ok());
        assert_eq!(&same.unwrap().body, read.body());
    }
}

#[test]
fn a_change_is_encoded_once_for_all_who_are_told_of_it() {
    let mut world = World::new();
    world.light();
    for number in 0..100 {
        let accept = ["application/json", "application/vnd.ocf+cbor"][number % 2];
        let mut subscribe = subscribe_request(&path(1, LIGHT), CHANGED);
        let headers = subscribe.headers_mut();
        headers.insert("accept", accept.parse().unwrap());
        let response = world.call(&subscribe, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::CREATED);
    }
    world.receive_all();
    world.change(device(1), LIGHT, json(r#"{"power":21.0}"#));
    // All are kept, so that no place is used twice.
    let mut told = Vec::new();
    while let Some((id, request)) = world.deliveries.pop_front() {
        told.push(request);
        world.answer_delivery(id, 200);
    }
    assert_eq!(told.len(), 100);
    for format in ["application/json", "application/vnd.ocf+cbor"] {
        let places = told
            .iter()
            .filter(|request| request.headers()["content-type"] == format)
            .map(|request| request.body().as_ptr());
        let places: Vec<_> = places.collect();
        assert_eq!(places.len(), 50);
        assert!(places.iter().all(|place| *place == places[0]), "{format}");
    }
}

#[test]
fn accept_chooses_the_format_of_notifications_only() {
    let mut world = World::new();
    world.light();
    let mut subscribe = subscribe_request(&path(1, LIGHT), CHANGED);
    subscribe
        .headers_mut()
        .insert("accept", "application/vnd.ocf+cbor".parse().unwrap());
    let response = world.call(&subscribe, granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["content-type"], "application/json");
    let told = world.receive_all();
    assert_eq!(
        told[0].content_type.as_deref(),
        Some("application/vnd.ocf+cbor")
    );
    assert_eq!(&told[0].body, cbor(r#"{"state":true}"#).body());
}

#[test]
fn changes_are_told_in_order_and_only_to_whom_they_concern() {
    let mut world = World::new();
    world.light();
    world.report(device(2), Occurrence::Registered);
    world.subscribe("", &["devices_online", "devices_offline"]);
    world.subscribe(&path(2, ""), PUBLISHED);
    assert_eq!(world.receive().len(), 4);
    world.report(device(1), Occurrence::Offline);
    // Once a transition: the same again tells nobody anything.
    world.report(device(1), Occurrence::Offline);
    world.report(device(1), Occurrence::Online);
    world.report(device(1), Occurrence::Online);
    world.report(device(1), Occurrence::LinksPublished(vec![link("/other")]));
    assert_eq!(
        world.receive(),
        seen(&[(2, "devices_offline"), (3, "devices_online")])
    );
    world.report(
        device(2),
        Occurrence::LinksPublished(vec![link("/a"), link("/b")]),
    );
    world.report(device(2), Occurrence::LinksPublished(vec![link("/a")]));
    world.report(
        device(2),
        Occurrence::LinksWithdrawn(vec!["/b".parse().unwrap()]),
    );
    let told = world.receive_all();
    assert_eq!(told.len(), 2);
    assert_eq!(told[0].json().as_array().unwrap().len(), 2);
    let gone = told[1].json();
    assert_eq!(told[1].event, "resources_unpublished");
    assert_eq!(gone[0]["href"], format!("/{}/b", device(2)));
    assert_eq!(gone[0]["rt"], value!(["oic.r.switch.binary"]));
    assert!(gone[0]["if"].is_array());
}

#[test]
fn registering_and_unregistering_are_told() {
    let mut world = World::new();
    world.subscribe("", &["devices_registered", "devices_unregistered"]);
    assert_eq!(world.receive().len(), 2);
    world.report(device(1), Occurrence::Registered);
    world.report(device(1), Occurrence::Registered);
    world.report(device(1), Occurrence::Unregistered);
    let told = world.receive_all();
    let di = value!([{"di": device(1).to_string()}]);
    let seen: Vec<_> = told
        .iter()
        .map(|t| (t.sequence, t.event.as_str(), t.json()))
        .collect();
    let expected = [
        (2, "devices_registered", di.clone()),
        (3, "devices_unregistered", di),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn unsubscribing_sends_one_cancellation_and_nothing_after_it() {
    let mut world = World::new();
    world.light();
    let id = world.subscribe("", DEVICES);
    world.receive();
    assert_eq!(world.unsubscribe("", &id), StatusCode::ACCEPTED);
    world.report(device(1), Occurrence::Offline);
    let told = world.receive_all();
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].sequence, told[0].event.as_str()),
        (4, "subscription_cancelled")
    );
    assert_eq!((&told[0].content_type, told[0].body.len()), (&None, 0));
    assert_eq!(world.unsubscribe("", &id), StatusCode::NOT_FOUND);
    world.pass(Duration::from_secs(3600));
    assert!(world.deliveries.is_empty());
    assert_eq!(world.cloud.next_deadline(), None);
}

#[test]
fn unsubscribing_is_accepted_when_the_receiver_is_dead() {
    let mut world = World::new();
    world.light();
    let id = world.subscribe(&path(1, LIGHT), CHANGED);
    let (delivery, _) = world.next_delivery().unwrap();
    world.fail_delivery(delivery);
    assert_eq!(
        world.unsubscribe(&path(1, LIGHT), &id),
        StatusCode::ACCEPTED
    );
    assert_eq!(
        world.unsubscribe(&path(1, LIGHT), &id),
        StatusCode::NOT_FOUND
    );
    world.pass(Duration::from_secs(2));
    // What may have been received already keeps its number and goes first.
    let expected = seen(&[
        (0, "resource_contentchanged"),
        (1, "subscription_cancelled"),
    ]);
    assert_eq!(world.receive(), expected);
}

#[test]
fn only_the_same_path_and_the_same_grant_unsubscribe() {
    let mut world = World::new();
    world.light();
    let id = world.subscribe(&path(1, LIGHT), CHANGED);
    for path in [
        String::new(),
        path(1, ""),
        path(1, "/light"),
        path(2, LIGHT),
    ] {
        assert_eq!(
            world.unsubscribe(&path, &id),
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    let delete = request(
        Method::DELETE,
        &format!("{}/subscriptions/{id}", path(1, LIGHT)),
    );
    let other = world.call(&delete, granted("alice", "g2"));
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    let upper = id.to_uppercase();
    assert_eq!(
        world.unsubscribe(&path(1, LIGHT), &upper),
        StatusCode::ACCEPTED
    );
}

#[test]
fn a_delete_with_a_token_header_works() {
    let mut world = World::new();
    let id = world.subscribe("", DEVICES);
    let mut delete = request(Method::DELETE, &format!("/subscriptions/{id}"));
    delete
        .headers_mut()
        .insert("token", "linked-account".parse().unwrap());
    assert_eq!(
        world.call(&delete, granted("alice", "g1")).status(),
        StatusCode::ACCEPTED
    );
}

#[test]
fn equal_requests_make_independent_subscriptions() {
    let mut world = World::new();
    let first = world.subscribe("", DEVICES);
    let second = world.subscribe("", DEVICES);
    assert_ne!(first, second);
    assert!(first.parse::<uci_model::SubscriptionId>().is_ok());
    world.receive();
    assert_eq!(world.unsubscribe("", &first), StatusCode::ACCEPTED);
    world.receive();
    world.report(device(1), Occurrence::Registered);
    assert_eq!(world.receive(), seen(&[(4, "devices_registered")]));
    assert_eq!(world.unsubscribe("", &second), StatusCode::ACCEPTED);
}

#[test]
fn bad_subscribe_requests_make_nothing() {
    let mut world = World::new();
    world.light();
    let good =
        value!({"eventsUrl": rig::EVENTS, "eventTypes": DEVICES, "signingSecret": rig::SECRET});
    let with = |name: &str, to: serde_json::Value| {
        let mut body = good.clone();
        match to {
            serde_json::Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            to => body[name] = to,
        }
        body.to_string()
    };
    let null = serde_json::Value::Null;
    for body in [
        with("eventsUrl", null.clone()),
        with("eventTypes", null.clone()),
        with("signingSecret", null),
        with("eventTypes", value!([])),
        with("eventTypes", value!(["resources_published"])),
        with(
            "eventTypes",
            value!(["devices_online", "resource_contentchanged"]),
        ),
        with("signingSecret", value!("a".repeat(31))),
        with("signingSecret", value!("a".repeat(257))),
        with("eventsUrl", value!("http://events.example.com/")),
        with("eventsUrl", value!("https://user@events.example.com/")),
        with("eventsUrl", value!("https://10.0.0.1/")),
        with("eventsUrl", value!("https://[::1]/")),
        "{".to_owned(),
    ] {
        let request = post("/subscriptions", "application/json", &body);
        let response = world.call(&request, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
    }
    let cbor = post(
        "/subscriptions",
        "application/vnd.ocf+cbor",
        &good.to_string(),
    );
    let response = world.call(&cbor, granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    for (path, types) in [
        (path(9, ""), PUBLISHED),
        (path(9, LIGHT), CHANGED),
        (path(1, "/nothing"), CHANGED),
    ] {
        let response = world.call(&subscribe_request(&path, types), granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert!(world.deliveries.is_empty());
    for body in [
        with("more", value!(1)),
        with("signingSecret", value!("a".repeat(44))),
    ] {
        let request = post("/subscriptions", "application/json", &body);
        let response = world.call(&request, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::CREATED, "{body}");
    }
}

#[test]
fn reading_is_enough_to_subscribe_and_unsubscribe() {
    let mut world = World::new();
    world.light();
    let reader = || Authentication::Granted(principal("alice", "g1", "r:*"));
    for (path, types) in [
        (String::new(), DEVICES),
        (path(1, ""), PUBLISHED),
        (path(1, LIGHT), CHANGED),
    ] {
        let response = world.call(&subscribe_request(&path, types), reader());
        assert_eq!(response.status(), StatusCode::CREATED, "{path}");
        let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        let id = body["subscriptionId"].as_str().unwrap();
        let delete = request(Method::DELETE, &format!("{path}/subscriptions/{id}"));
        assert_eq!(
            world.call(&delete, reader()).status(),
            StatusCode::ACCEPTED,
            "{path}"
        );
    }
}

#[test]
fn an_unregistered_device_takes_its_subscriptions_with_it() {
    let mut world = World::new();
    world.light();
    world.subscribe(&path(1, ""), PUBLISHED);
    world.subscribe(&path(1, LIGHT), CHANGED);
    world.receive();
    world.report(device(1), Occurrence::Unregistered);
    let cancelled = seen(&[(2, "subscription_cancelled"), (1, "subscription_cancelled")]);
    let mut received = world.receive();
    received.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
    assert_eq!(received, cancelled);
}

#[test]
fn the_end_of_a_grant_ends_its_subscriptions_and_its_tokens() {
    let mut world = World::new();
    world.light();
    world.subscribe("", DEVICES);
    let (first, _) = world.next_delivery().unwrap();
    world.fail_delivery(first);
    let other = world.call(&subscribe_request("", DEVICES), granted("alice", "g2"));
    assert_eq!(other.status(), StatusCode::CREATED);
    world.end_grant("g1");
    // The other consent's notifications go on.
    assert_eq!(world.receive().len(), 4);
    world.pass(Duration::from_secs(5));
    assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
    assert_eq!(world.get("").status(), StatusCode::UNAUTHORIZED);
    let again = world.call(&subscribe_request("", DEVICES), granted("alice", "g1"));
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
    world.report(device(1), Occurrence::Offline);
    assert_eq!(world.receive(), seen(&[(4, "devices_offline")]));
    world.end_grant("g1");
    assert!(world.deliveries.is_empty());
}

#[test]
fn every_end_of_a_subscription_is_noted_once_with_its_cause() {
    let mut config = Config::default();
    config.queue.limit = 8;
    let mut world = World::with(config);
    world.light();
    let unsubscribed = world.subscribe("", DEVICES);
    assert_eq!(world.unsubscribe("", &unsubscribed), StatusCode::ACCEPTED);
    let overflowed = world.subscribe("", DEVICES);
    for _ in 0..4 {
        world.report(device(1), Occurrence::Offline);
        world.report(device(1), Occurrence::Online);
    }
    let withdrawn = world.subscribe("", DEVICES);
    world.end_grant("g1");
    let expected = [
        (unsubscribed, EndCause::Unsubscribed),
        (overflowed, EndCause::Overflow),
        (withdrawn, EndCause::GrantEnded),
    ];
    assert_eq!(world.ended, expected);
}

#[test]
fn a_cancellation_follows_the_attempt_that_was_under_way() {
    let mut world = World::new();
    world.light();
    world.subscribe(&path(1, LIGHT), CHANGED);
    let (under_way, told) = world.next_delivery().unwrap();
    assert_eq!(told.sequence, 0);
    world.aborts_wait = true;
    let (alice, grant) = (account("alice"), "g1".parse().unwrap());
    let end = world.cloud.end_grant(alice, grant, world.wall, world.now);
    world.settle();
    assert!(world.deliveries.is_empty() && world.grants_ended.is_empty());
    // It was too late to stop it.
    world.answer_delivery(under_way, 200);
    assert_eq!(world.grants_ended.remove(&end), Some(Ok(())));
    assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
    assert_eq!(world.cloud.next_deadline(), None);
}

#[test]
fn an_ended_grant_is_remembered_also_when_the_clock_steps_back() {
    let mut world = World::new();
    let (now, later) = (world.wall, Duration::from_secs(10 * 86_400));
    world.wall += later;
    world.light();
    world.wall = now;
    world.end_grant("g1");
    world.end_grant("g2");
    assert_eq!(world.get("").status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn a_bad_subscribe_request_is_told_what_is_wrong() {
    let mut world = World::new();
    let body = value!({"eventsUrl": rig::EVENTS, "eventTypes": DEVICES, "signingSecret": "short"});
    let request = post("/subscriptions", "application/json", &body.to_string());
    let response = world.call(&request, granted("alice", "g1"));
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let text = std::str::from_utf8(response.body()).unwrap();
    assert!(text.contains("signing secret is too short"), "{text}");
}

#[test]
fn an_account_has_only_so_many_subscriptions() {
    let mut config = Config::default();
    config.account.subscriptions = 2;
    let mut world = World::with(config);
    world.subscribe("", DEVICES);
    world.subscribe("", DEVICES);
    let third = world.call(&subscribe_request("", DEVICES), granted("alice", "g1"));
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
}
