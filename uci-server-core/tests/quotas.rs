//! What one client may ask for, and that it takes nothing from the others.

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

use std::time::Duration;

use http::{Method, Response, StatusCode};
use rig::{LIGHT, World, device, granted, post, principal, request, subscribe_request};
use uci_server_core::{Authentication, ClientId, Config, Rate, Volume};

const DEVICES: &[&str] = &["devices_online"];

fn text(response: &Response<bytes::Bytes>) -> &str {
    std::str::from_utf8(response.body()).unwrap()
}

fn light() -> String {
    format!("/{}{LIGHT}", device(1))
}

/// A client of many users.
fn of_client(account: &str, client: &str) -> Authentication {
    let mut principal = principal(account, "g", "r:* w:*");
    principal.client = client.parse::<ClientId>().unwrap();
    Authentication::Granted(principal)
}

#[test]
fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let mut config = Config::default();
    config.client.rate = Some(Rate::new(2, Duration::from_secs(7)));
    let mut world = World::with(config);
    let list = request(Method::GET, "");
    // Whoever of its users it asks for, and whatever the answer is.
    assert_eq!(
        world.call(&list, of_client("alice", "c")).status(),
        StatusCode::OK
    );
    let unknown = request(Method::GET, "/nothing");
    assert_eq!(
        world.call(&unknown, of_client("bob", "c")).status(),
        StatusCode::NOT_FOUND
    );
    let refused = world.call(&list, of_client("carol", "c"));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    // A seventh of 7 seconds twice, rounded up.
    assert_eq!(refused.headers()["retry-after"], "4");
    assert_eq!(text(&refused), "this client asks too often");
    assert_eq!(
        world.call(&list, of_client("alice", "d")).status(),
        StatusCode::OK
    );
    // Who does not say who it is costs nobody's allowance.
    let nobody = world.call(&list, Authentication::Invalid);
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    world.pass(Duration::from_secs(3));
    let early = world.call(&list, of_client("alice", "c"));
    assert_eq!(early.headers()["retry-after"], "1");
    world.pass(Duration::from_secs(1));
    assert_eq!(
        world.call(&list, of_client("alice", "c")).status(),
        StatusCode::OK
    );
}

#[test]
fn a_client_that_sends_too_much_is_told_when_to_send_it_again() {
    let mut config = Config::default();
    config.client.bodies = Some(Volume::new(600, Duration::from_secs(60)));
    let mut world = World::with(config);
    let unknown = format!("/{}{LIGHT}", device(9));
    let text_of_400 = format!("{{\"text\":\"{}\"}}", "x".repeat(389));
    let long = post(&unknown, "application/json", &text_of_400);
    assert_eq!(long.body().len(), 400);
    let not_found = world.call(&long, of_client("alice", "c"));
    assert_eq!(not_found.status(), StatusCode::NOT_FOUND);
    let refused = world.call(&long, of_client("bob", "c"));
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "20");
    assert_eq!(text(&refused), "this client sends too much");
    // Reading costs nothing, and nothing is another client's concern.
    let list = request(Method::GET, "");
    assert_eq!(
        world.call(&list, of_client("alice", "c")).status(),
        StatusCode::OK
    );
    let other = world.call(&long, of_client("alice", "d"));
    assert_eq!(other.status(), StatusCode::NOT_FOUND);
    world.pass(Duration::from_secs(20));
    let again = world.call(&long, of_client("bob", "c"));
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
}

#[test]
fn a_client_that_waits_for_many_answers_leaves_room_for_others() {
    let mut config = Config::default();
    config.max_pending = 4;
    config.client.in_flight = 2;
    let mut world = World::with(config);
    world.light();
    let read = request(Method::GET, &light());
    let first = world.start(&read, of_client("alice", "c"));
    let second = world.start(&read, of_client("alice", "c"));
    let third = world.call(&read, of_client("alice", "c"));
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(third.headers()["retry-after"], "10");
    assert_eq!(
        text(&third),
        "too many requests of this client are without an answer"
    );
    assert_eq!(
        world
            .call(&request(Method::GET, ""), of_client("alice", "d"))
            .status(),
        StatusCode::OK
    );
    // An answer, a client that gave up and a device that does not answer each make room for one more.
    world.answer_ask(69, None);
    assert_eq!(world.responses[&first].status(), StatusCode::OK);
    let fourth = world.start(&read, of_client("alice", "c"));
    world.cloud.cancel_request(fourth);
    let fifth = world.start(&read, of_client("alice", "c"));
    assert_eq!(
        world.call(&read, of_client("alice", "c")).status(),
        StatusCode::TOO_MANY_REQUESTS
    );
    world.pass(Duration::from_secs(10));
    for id in [second, fifth] {
        assert_eq!(world.responses[&id].status(), StatusCode::GATEWAY_TIMEOUT);
    }
    world.start(&read, of_client("alice", "c"));
    world.start(&read, of_client("alice", "c"));
    assert_eq!(world.responses.len(), 3);
}

#[test]
fn a_client_has_only_so_many_subscriptions_of_an_account() {
    let mut config = Config::default();
    config.account.client_subscriptions = 2;
    config.account.subscriptions = 3;
    let mut world = World::with(config);
    let id = world.subscribe("", DEVICES);
    world.subscribe("", DEVICES);
    let third = world.call(&subscribe_request("", DEVICES), granted("alice", "g1"));
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(third.headers()["retry-after"], "60");
    assert!(
        text(&third).contains("as many subscriptions as it may have"),
        "{third:?}"
    );
    // Another account, and another client of this one, until the account has all that it may.
    for (who, status) in [
        (granted("bob", "g1"), StatusCode::CREATED),
        (granted("alice", "g2"), StatusCode::CREATED),
        (granted("alice", "g3"), StatusCode::TOO_MANY_REQUESTS),
    ] {
        assert_eq!(
            world.call(&subscribe_request("", DEVICES), who).status(),
            status
        );
    }
    // One that has ended counts until its receiver has been told.
    assert_eq!(world.unsubscribe("", &id), StatusCode::ACCEPTED);
    let again = world.call(&subscribe_request("", DEVICES), granted("alice", "g1"));
    assert_eq!(again.status(), StatusCode::TOO_MANY_REQUESTS);
    world.receive();
    world.subscribe("", DEVICES);
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_read() {
    let mut config = Config::default();
    config.client.body = 200;
    let mut world = World::with(config);
    world.light();
    let long = format!("{{\"text\":\"{}\"}}", "a".repeat(200));
    for path in [
        light(),
        "/subscriptions".to_owned(),
        format!("{}/subscriptions", light()),
    ] {
        let response = world.call(
            &post(&path, "application/json", &long),
            granted("alice", "g1"),
        );
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{path}");
        assert_eq!(text(&response), "the body is too long");
    }
    assert!(world.asks.is_empty());
    // Where a body means nothing it is not looked at.
    let mut list = request(Method::GET, "");
    *list.body_mut() = long.into();
    assert_eq!(
        world.call(&list, granted("alice", "g1")).status(),
        StatusCode::OK
    );
}
