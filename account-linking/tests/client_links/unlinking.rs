//! The end of a link: here at once, at the other side as soon as it can be reached.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use account_linking::client::{Event, Failure};

use crate::world::{World, cloud_id, friendly, json, tokens, user};

fn unlink(world: &mut World, name: &str) -> Event {
    let operation = world
        .links
        .unlink(&user(name), &cloud_id(), world.now)
        .unwrap();
    world.run();
    world.end_of(operation)
}

#[test]
fn unlinking_revokes_the_refresh_token_and_then_the_access_token() {
    let mut world = World::new(friendly("u-1"));
    world.link("ann");
    assert!(matches!(unlink(&mut world, "ann"), Event::Unlinked { .. }));
    world.pass(Duration::from_secs(1));
    let hints: Vec<_> = world
        .asked
        .iter()
        .filter(|form| form.path == "/revoke")
        .map(|form| form.get("token_type_hint"))
        .collect();
    assert_eq!(hints, ["refresh_token", "access_token"]);
    assert!(world.asked.iter().all(|form| form.authorization.is_some()));
    assert!(matches!(
        world.token("ann"),
        Event::Failed {
            failure: Failure::NotLinked,
            ..
        }
    ));
    assert!(matches!(
        unlink(&mut world, "ann"),
        Event::Failed {
            failure: Failure::NotLinked,
            ..
        }
    ));
    // The remote user may be linked by someone else now.
    world.link("bob");
}

#[test]
fn the_other_side_is_told_again_until_it_answers_even_after_a_restart() {
    let up = Rc::new(Cell::new(false));
    let is_up = up.clone();
    let mut world = World::new(Box::new(move |form| match form.path.as_str() {
        "/token" => Some(tokens("u-1", 1)),
        _ if is_up.get() => Some(json(200, "{}")),
        _ => Some(json(503, "")),
    }));
    world.link("ann");
    unlink(&mut world, "ann");
    world.pass(Duration::from_secs(600));
    assert!(world.count("/revoke", "token", "refresh-1") > 2);
    world.restart();
    up.set(true);
    world.pass(Duration::from_secs(600));
    let told = world.count("/revoke", "token", "refresh-1");
    assert_eq!(world.count("/revoke", "token_type_hint", "access_token"), 1);
    world.pass(Duration::from_secs(24 * 3600));
    assert_eq!(world.count("/revoke", "token", "refresh-1"), told);
    assert!(
        world
            .disk
            .streams
            .values()
            .all(|stream| stream.due.is_none())
    );
}

#[test]
fn telling_the_other_side_is_given_up_after_a_week() {
    let mut world = World::new(Box::new(|form| {
        (form.path == "/token").then(|| tokens("u-1", 1))
    }));
    world.link("ann");
    unlink(&mut world, "ann");
    world.pass(Duration::from_secs(9 * 24 * 3600));
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::RevocationAbandoned { .. }))
    );
    assert_eq!(world.links.next_deadline(), None);
}

#[test]
fn tokens_of_a_refresh_that_comes_after_the_unlinking_are_revoked() {
    let mut number = 0;
    let mut world = World::new(Box::new(move |form| {
        number += 1;
        match (form.path.as_str(), form.get("grant_type")) {
            ("/token", "refresh_token") => None,
            ("/token", _) => Some(tokens("u-1", number)),
            _ => Some(json(200, "{}")),
        }
    }));
    world.link("ann");
    world.pass(Duration::from_secs(3541));
    unlink(&mut world, "ann");
    let late = tokens("u-1", 77);
    for exchange in std::mem::take(&mut world.held) {
        world.links.handle_response(exchange, &late, world.now);
    }
    world.run();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.count("/revoke", "token", "refresh-77"), 1);
}
