//! Tokens: refreshed early, once at a time, and never lost to a passing fault.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use account_linking::AccessToken;
use account_linking::client::{Event, Failure, RelinkReason};

use crate::world::{Responder, World, cloud_id, friendly, json, jwt, tokens, user};

/// A server whose answer to a refresh is chosen by the test.
fn switchable(refresh: Rc<Cell<u16>>) -> Responder {
    let mut number = 0;
    Box::new(move |form| {
        if form.get("grant_type") == "refresh_token" {
            match refresh.get() {
                0 => return None,
                200 => {}
                400 => return Some(json(400, r#"{"error":"invalid_grant"}"#)),
                401 => return Some(json(401, r#"{"error":"invalid_client"}"#)),
                418 => return Some(json(400, "<html>not json</html>")),
                429 => {
                    let mut answer = json(429, "");
                    answer
                        .headers_mut()
                        .insert("retry-after", "1000".parse().unwrap());
                    return Some(answer);
                }
                status => return Some(json(status, r#"{"error":"invalid_grant"}"#)),
            }
        }
        number += 1;
        Some(if form.path == "/token" {
            tokens("u-1", number)
        } else {
            json(200, "{}")
        })
    })
}

fn linked(refresh: u16) -> (World, Rc<Cell<u16>>) {
    let status = Rc::new(Cell::new(refresh));
    let mut world = World::new(switchable(status.clone()));
    world.link("ann");
    (world, status)
}

fn relinks(world: &World) -> usize {
    world
        .events
        .iter()
        .filter(|event| matches!(event, Event::RelinkNeeded { .. }))
        .count()
}

fn token(event: &Event) -> &str {
    match event {
        Event::Token { token, .. } => token.expose(),
        other => panic!("no token: {other:?}"),
    }
}

#[test]
fn a_token_is_refreshed_a_minute_before_it_ends() {
    let (mut world, _) = linked(200);
    world.pass(Duration::from_secs(3539));
    assert_eq!(world.asked.len(), 1);
    world.pass(Duration::from_secs(2));
    assert_eq!(world.count("/token", "refresh_token", "refresh-1"), 1);
    assert_eq!(token(&world.token("ann")), jwt("u-1", 2));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.count("/token", "refresh_token", "refresh-2"), 1);
}

#[test]
fn one_refresh_is_in_flight_and_all_who_wait_get_its_token() {
    let (mut world, status) = linked(0);
    world.pass(Duration::from_secs(3541));
    // The exchange is given up after three seconds and tried again; meanwhile the old token is still good.
    assert_eq!(token(&world.token("ann")), jwt("u-1", 1));
    world.pass(Duration::from_secs(60));
    world.pass(Duration::from_secs(400));
    let asked = world.asked.len();
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            world
                .links
                .token(&user("ann"), &cloud_id(), None, world.now)
                .unwrap()
        })
        .collect();
    world.run();
    assert!(world.asked.len() <= asked + 1);
    status.set(200);
    world.lose();
    for operation in waiting {
        assert!(matches!(
            world.end_of(operation),
            Event::Failed {
                failure: Failure::Unavailable,
                ..
            }
        ));
    }
    world.pass(Duration::from_secs(310));
    let waiting: Vec<_> = (0..5)
        .map(|_| {
            world
                .links
                .token(&user("ann"), &cloud_id(), None, world.now)
                .unwrap()
        })
        .collect();
    world.run();
    for operation in waiting {
        assert_eq!(token(&world.end_of(operation)), jwt("u-1", 2));
    }
}

#[test]
fn a_new_token_is_used_only_when_it_is_durable() {
    let (mut world, _) = linked(200);
    world.appends_left = 0;
    let rejected = AccessToken::new(jwt("u-1", 1)).unwrap();
    let operation = world
        .links
        .token(&user("ann"), &cloud_id(), Some(rejected), world.now)
        .unwrap();
    world.run();
    assert_eq!(world.count("/token", "refresh_token", "refresh-1"), 1);
    assert!(
        !world
            .events
            .iter()
            .any(|event| matches!(event, Event::Token { .. }))
    );
    world.appends_left = usize::MAX;
    world.pass(Duration::from_secs(10));
    assert_eq!(token(&world.end_of(operation)), jwt("u-1", 2));
    world.restart();
    assert_eq!(token(&world.token("ann")), jwt("u-1", 2));
}

#[test]
fn a_refresh_without_a_refresh_token_keeps_the_old_one() {
    let access = jwt("u-1", 9);
    let answer =
        format!(r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600}}"#);
    let mut world = World::new(Box::new(move |form| {
        Some(if form.get("grant_type") == "refresh_token" {
            json(200, &answer)
        } else {
            tokens("u-1", 1)
        })
    }));
    world.link("ann");
    world.pass(Duration::from_secs(2 * 3600));
    assert_eq!(world.count("/token", "refresh_token", "refresh-1"), 2);
    let operation = world.links.list(&user("ann"), world.now).unwrap();
    world.run();
    let Event::Links { links, .. } = world.end_of(operation) else {
        panic!()
    };
    assert_eq!(
        links[0].1.scopes,
        "r:* w:*".parse().unwrap(),
        "an absent scope is the old one"
    );
}

#[test]
fn faults_of_the_other_side_never_end_a_link() {
    for fault in [0, 302, 401, 418, 429, 500, 503] {
        let (mut world, status) = linked(fault);
        world.pass(Duration::from_secs(3 * 3600));
        assert_eq!(relinks(&world), 0, "{fault}");
        assert!(world.asked.len() > 3, "{fault}: it is tried again");
        assert!(world.asked.len() < 100, "{fault}: but not all the time");
        status.set(200);
        world.pass(Duration::from_secs(1001));
        assert!(matches!(world.token("ann"), Event::Token { .. }), "{fault}");
    }
}

#[test]
fn retry_after_is_obeyed() {
    let (mut world, _) = linked(429);
    world.pass(Duration::from_secs(3541));
    let asked = world.asked.len();
    world.pass(Duration::from_secs(990));
    assert_eq!(world.asked.len(), asked);
    world.pass(Duration::from_secs(20));
    assert_eq!(world.asked.len(), asked + 1);
}

#[test]
fn an_ended_grant_needs_a_new_link_and_is_told_once() {
    let (mut world, _) = linked(400);
    world.pass(Duration::from_secs(48 * 3600));
    assert_eq!(relinks(&world), 1);
    assert!(matches!(
        world.token("ann"),
        Event::Failed {
            failure: Failure::NeedsRelink,
            ..
        }
    ));
    assert_eq!(
        world.count("/token", "grant_type", "refresh_token"),
        1,
        "the refresh stops"
    );
    world.restart();
    world.pass(Duration::from_secs(3600));
    assert_eq!(relinks(&world), 1);
    world.link("ann");
    assert!(matches!(world.token("ann"), Event::Token { .. }));
}

#[test]
fn invalid_grant_is_nothing_when_the_store_has_newer_tokens() {
    let (mut world, status) = linked(0);
    world.pass(Duration::from_secs(3541));
    // Another node has the same disk and is faster.
    let mut other = World::new(friendly("u-1"));
    other.disk = world.disk.clone();
    (other.now, other.wall) = (world.now, world.wall);
    other.restart();
    other.pass(Duration::from_secs(1));
    assert_eq!(other.count("/token", "refresh_token", "refresh-1"), 1);
    world.disk = other.disk.clone();

    status.set(400);
    for exchange in std::mem::take(&mut world.held) {
        let refused = json(400, r#"{"error":"invalid_grant"}"#);
        world.links.handle_response(exchange, &refused, world.now);
    }
    world.run();
    assert_eq!(relinks(&world), 0);
    assert_eq!(
        token(&world.token("ann")),
        jwt("u-1", 1),
        "numbered by the other node's server"
    );
}

#[test]
fn the_slower_of_two_nodes_overwrites_nothing() {
    let (mut world, _) = linked(0);
    world.pass(Duration::from_secs(3541));
    let mut other = World::new(friendly("faster"));
    other.disk = world.disk.clone();
    (other.now, other.wall) = (world.now, world.wall);
    other.restart();
    other.pass(Duration::from_secs(1));
    world.disk = other.disk.clone();
    for exchange in std::mem::take(&mut world.held) {
        world
            .links
            .handle_response(exchange, &tokens("slower", 2), world.now);
    }
    world.run();
    assert_eq!(token(&world.token("ann")), jwt("faster", 1));
    world.pass(Duration::from_secs(60));
    assert_eq!(
        world
            .asked
            .iter()
            .filter(|form| form.path == "/revoke")
            .count(),
        0,
        "its refresh token may be the same"
    );
}

#[test]
fn a_rejected_token_is_replaced_once() {
    let (mut world, _) = linked(200);
    let ask = |world: &mut World, token: String| {
        let rejected = AccessToken::new(token).unwrap();
        let operation = world
            .links
            .token(&user("ann"), &cloud_id(), Some(rejected), world.now)
            .unwrap();
        world.run();
        world.end_of(operation)
    };
    assert_eq!(token(&ask(&mut world, jwt("u-1", 1))), jwt("u-1", 2));
    // A second call that saw the old token rejected gets the new one and refreshes nothing.
    assert_eq!(token(&ask(&mut world, jwt("u-1", 1))), jwt("u-1", 2));
    assert_eq!(world.count("/token", "grant_type", "refresh_token"), 1);
    assert!(matches!(
        ask(&mut world, jwt("u-1", 2)),
        Event::Failed {
            failure: Failure::NeedsRelink,
            ..
        }
    ));
    assert!(world.events.iter().any(|event| matches!(
        event,
        Event::RelinkNeeded {
            reason: RelinkReason::TokenRejected,
            ..
        }
    )));
}

#[test]
fn no_secret_is_stored_or_printed_in_clear() {
    let (mut world, _) = linked(200);
    world.pass(Duration::from_secs(3 * 3600));
    let state = world.begin("ann");
    let mut seen = world.disk.dump();
    seen.push_str(&format!(
        "{:?}{}{:?}",
        world.events, world.shown, world.links
    ));
    assert!(seen.contains("Send {") && seen.contains("Location(..)"));
    let verifier = world.asked[0].get("code_verifier").to_owned();
    let secrets = [
        state,
        verifier,
        "refresh-1".to_owned(),
        "refresh-2".to_owned(),
        jwt("u-1", 1),
        "client-password".to_owned(),
    ];
    for secret in secrets {
        assert!(!seen.contains(&secret), "{secret}");
    }
}
