//! A peer that accepts a subscription may still tell nothing of it, or not of all that was asked for: that is polled too.

use super::polling::{HOUR, MINUTE, device_level, listed, polled, requests, subscribes};
use super::*;

#[test]
fn a_peer_that_accepts_and_tells_nothing_is_polled_until_it_does() {
    let mut world = World::new();
    let id = all_devices(&mut world);
    listed(&mut world, "online", "/light/1", true);
    world.pass(59 * SECOND);
    assert!(world.client.mirror().devices().next().is_none());
    assert!(polled(&world).is_empty());
    world.pass(SECOND);
    let names = SubscriptionLevel::Devices.event_types();
    let names: Vec<&str> = names.iter().map(|one| one.as_str()).collect();
    assert_eq!(retries(&world), [RetryReason::Unconfirmed]);
    assert_eq!(polled(&world), std::slice::from_ref(&names));
    assert_eq!(state(&world), Some(true), "it is fetched whole at once");

    // It goes on accepting, and what changes is seen all the same.
    listed(&mut world, "offline", "/light/1", true);
    world.pass(MINUTE);
    let status = |world: &World| world.client.mirror().device(lamp()).unwrap().status();
    assert_eq!(status(&world), Some(DeviceStatus::Offline));
    world.pass(HOUR);
    listed(&mut world, "online", "/light/1", true);
    world.pass(MINUTE);
    assert_eq!(status(&world), Some(DeviceStatus::Online));
    assert_eq!(confirmed(&world), 0);

    while world.cloud.subscriptions.is_empty() {
        world.pass(SECOND);
    }
    world.begin(0, &names);
    assert!(polled(&world).last().unwrap().is_empty());
    let before = world.cloud.requests.len();
    world.pass(3 * HOUR);
    assert!(requests(&world, before).is_empty(), "nothing is polled");
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_resource_of_which_the_peer_tells_nothing_is_polled() {
    let mut world = World::new();
    let id = light(&mut world);
    listed(&mut world, "online", "/light/1", false);
    world.pass(61 * SECOND);
    assert_eq!(state(&world), Some(false));
    listed(&mut world, "online", "/light/1", true);
    world.pass(MINUTE);
    assert_eq!(state(&world), Some(true));
    assert!(ended(&world, id).is_empty());
}

#[test]
fn event_types_that_the_peer_drops_are_polled_until_it_tells_of_them() {
    let told = ["devices_registered", "devices_unregistered"];
    let dropped = ["devices_online", "devices_offline"];
    let mut world = World::new();
    let id = all_devices(&mut world);
    world.begin(0, &told);
    listed(&mut world, "online", "/light/1", true);
    world.pass(59 * SECOND);
    assert!(polled(&world).is_empty(), "they may still come");
    world.pass(SECOND);
    assert_eq!(polled(&world), [dropped]);
    let status = |world: &World| world.client.mirror().device(lamp()).unwrap().status();
    assert_eq!(status(&world), Some(DeviceStatus::Online));
    listed(&mut world, "offline", "/light/1", true);
    world.pass(MINUTE);
    assert_eq!(status(&world), Some(DeviceStatus::Offline));

    // What was told before a restart is told: nothing else is polled after it.
    let mut world = world.restart();
    world.pass(2 * MINUTE);
    assert_eq!(polled(&world), [dropped]);
    assert_eq!(subscribes(&world), 1);
    listed(&mut world, "online", "/light/1", true);
    world.pass(MINUTE);
    assert_eq!(status(&world), Some(DeviceStatus::Online));

    world.begin(0, &["devices_offline"]);
    assert_eq!(polled(&world).last().unwrap(), &["devices_online"]);
    world.begin(0, &["devices_online"]);
    assert!(polled(&world).last().unwrap().is_empty());
    let before = world.cloud.requests.len();
    world.pass(3 * HOUR);
    assert!(requests(&world, before).is_empty(), "nothing is polled");
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_link_whose_withdrawal_the_peer_does_not_tell_goes_by_polling() {
    let mut world = World::new();
    listed(&mut world, "online", "/light/1", true);
    device_level(&mut world);
    world.begin(0, &["resources_published"]);
    world.pass(MINUTE);
    assert_eq!(polled(&world), [["resources_unpublished"]]);
    let links = |world: &World| {
        world
            .client
            .mirror()
            .device(lamp())
            .unwrap()
            .links()
            .count()
    };
    assert_eq!(links(&world), 1);
    world.cloud.base = world.cloud.base.replace("/light/1", "/light/2");
    world.pass(MINUTE);
    assert_eq!(links(&world), 1);
    assert_eq!(state(&world), None, "with its representation");
}

#[test]
fn a_peer_that_drops_event_types_is_asked_for_them_again() {
    let mut world = World::new();
    all_devices(&mut world);
    world.begin(0, &["devices_registered", "devices_online"]);
    world.pass(HOUR);
    assert_eq!(subscribes(&world), 1);
    world.pass(2 * MINUTE);
    assert_eq!(retries(&world), [RetryReason::Unsupported]);
    assert_eq!(subscribes(&world), 2);
    assert_eq!(world.cloud.subscriptions.len(), 1, "in its place");
}

#[test]
fn without_polling_a_silent_peer_is_fetched_from_at_each_try() {
    let mut config = config();
    config.poll_interval = None;
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    all_devices(&mut world);
    listed(&mut world, "online", "/light/1", true);
    world.pass(MINUTE);
    assert_eq!(state(&world), Some(true));
    listed(&mut world, "online", "/light/1", false);
    world.pass(10 * MINUTE);
    assert_eq!(state(&world), Some(false));
    assert!(polled(&world).is_empty());
}

#[test]
fn a_subscription_that_the_peer_accepts_of_what_is_not_there_ends() {
    let mut world = World::new();
    listed(&mut world, "online", "/light/1", true);
    let there = light(&mut world);
    for (device, href) in [
        (LAMP, "/light/9"),
        ("99999999-5e3e-4291-802f-3436238232d2", "/light/1"),
    ] {
        let target = Target::Resource {
            device: device.parse().unwrap(),
            href: href.parse().unwrap(),
        };
        let types = EventTypes::all(SubscriptionLevel::Resource);
        let id = world.client.subscribe(target, &types, world.now).unwrap();
        world.run();
        world.pass(59 * SECOND);
        assert!(ended(&world, id).is_empty(), "{href}");
        world.pass(SECOND);
        assert_eq!(ended(&world, id), [EndReason::Refused(404)], "{href}");
    }
    world.pass(HOUR);
    assert!(ended(&world, there).is_empty());
}
