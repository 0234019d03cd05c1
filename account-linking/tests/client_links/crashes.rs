//! The process dies at every point where something has just become durable, or has not.

use std::time::Duration;

use account_linking::client::{Event, Refusal};

use crate::world::{World, cloud_id, friendly, user};

#[test]
fn a_callback_that_was_not_written_down_has_not_happened() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    world.appends_left = 0;
    world.agree("ann", &state);
    assert!(
        world.asked.is_empty(),
        "the code is sent only when the attempt is spent, durably"
    );
    world.restart();
    world.agree("ann", &state);
    assert!(matches!(world.last(), Event::Linked { .. }));
}

#[test]
fn tokens_that_were_not_written_down_are_lost_with_the_attempt() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    world.appends_left = 1;
    world.agree("ann", &state);
    assert_eq!(world.asked.len(), 1);
    world.restart();
    world.pass(Duration::from_secs(60));
    assert!(matches!(
        world.last(),
        Event::NotLinked {
            refusal: Refusal::Lost,
            ..
        }
    ));
    assert_eq!(world.asked.len(), 1, "the code is not sent again");
    world.link("ann");
}

#[test]
fn a_link_that_was_written_down_is_there() {
    let mut world = World::new(friendly("u-1"));
    let state = world.begin("ann");
    world.appends_left = 2;
    world.agree("ann", &state);
    world.restart();
    assert!(matches!(world.token("ann"), Event::Token { .. }));
}

#[test]
fn an_unlinking_happens_whole_or_not_at_all() {
    for durable in [0, 1] {
        let mut world = World::new(friendly("u-1"));
        world.link("ann");
        world.appends_left = durable;
        world
            .links
            .unlink(&user("ann"), &cloud_id(), world.now)
            .unwrap();
        world.run();
        assert_eq!(
            world
                .events
                .iter()
                .any(|event| matches!(event, Event::Unlinked { .. })),
            durable == 1
        );
        world.restart();
        world.pass(Duration::from_secs(1));
        assert_eq!(
            matches!(world.token("ann"), Event::Token { .. }),
            durable == 0
        );
        assert_eq!(world.count("/revoke", "token", "refresh-1"), durable);
    }
}

#[test]
fn a_restart_from_snapshots_is_a_restart() {
    let mut world = World::new(friendly("u-1"));
    world.config.snapshot_every = 1;
    world.restart();
    world.link("ann");
    assert!(
        world
            .disk
            .streams
            .values()
            .all(|stream| stream.snapshot.is_some())
    );
    world.restart();
    assert!(matches!(world.token("ann"), Event::Token { .. }));
    world
        .links
        .unlink(&user("ann"), &cloud_id(), world.now)
        .unwrap();
    world.run();
    world.restart();
    world.link("bob");
}
