//! A journal that is slow, disagrees or belongs to another node.

use super::*;

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
