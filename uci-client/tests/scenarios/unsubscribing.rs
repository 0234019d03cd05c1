//! Subscriptions: ended.

use super::*;

#[test]
fn unsubscribing_waits_for_the_last_notification() {
    let mut world = World::new();
    let id = live_light(&mut world);
    let last = world.cloud.subscriptions[0].clone();
    world.client.unsubscribe(id, world.now).unwrap();
    world.run();
    assert!(ended(&world, id).is_empty());
    world.cloud.subscriptions.push(last);
    assert_eq!(world.notify(0, "subscription_cancelled", None), Some(200));
    assert_eq!(ended(&world, id), [EndReason::Unsubscribed]);
    assert_eq!(world.notify(0, "subscription_cancelled", None), Some(410));
}

#[test]
fn unsubscribing_takes_every_answer_that_means_done() {
    for code in [200, 202, 204, 404] {
        let mut world = World::new();
        let ids = [live_light(&mut world), all_devices(&mut world)];
        let before = world.cloud.requests.len();
        world
            .cloud
            .script
            .extend([Some(status(code)), Some(status(code))]);
        world.client.unsubscribe_all(world.now).unwrap();
        world.run();
        let unsubscribed: Vec<_> = world.cloud.requests[before..]
            .iter()
            .map(|request| (request.method(), request.uri().path()))
            .collect();
        for kept in &world.cloud.subscriptions {
            let path = format!("{}/{}", kept.path, kept.id);
            assert!(unsubscribed.contains(&(&Method::DELETE, path.as_str())));
        }
        world.pass(31 * SECOND);
        for id in ids {
            assert_eq!(ended(&world, id), [EndReason::Unsubscribed], "{code}");
        }
        assert_eq!(world.streams["link/1"].due, None);
    }
}

#[test]
fn unsubscribing_is_repeated_and_at_last_given_up() {
    let mut world = World::new();
    let id = live_light(&mut world);
    world.cloud.script.extend((0..8).map(|_| Some(status(500))));
    world.client.unsubscribe(id, world.now).unwrap();
    world.run();
    world.pass(Duration::from_secs(3600));
    assert_eq!(ended(&world, id), [EndReason::Abandoned]);
    let deletes = world
        .cloud
        .requests
        .iter()
        .filter(|request| request.method() == Method::DELETE);
    assert_eq!(deletes.count(), 8);
}

#[test]
fn thousands_of_subscriptions_end_in_appends_that_a_journal_takes() {
    let mut world = World::new();
    world.refuse_tokens = true;
    let types = EventTypes::all(SubscriptionLevel::Devices);
    for _ in 0..3_000 {
        world
            .client
            .subscribe(Target::Devices, &types, world.now)
            .unwrap();
    }
    world.client.unsubscribe_all(world.now).unwrap();
    world.run();
    assert!(world.streams["link/1"].due.is_none());
    let ended = |event: &&Event| matches!(event, Event::Ended { .. });
    assert_eq!(world.events.iter().filter(ended).count(), 3_000);
    assert!(world.largest_append <= 4_096, "{}", world.largest_append);
}
