//! Event types that the peer does not support are polled.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use uci_client::{Config, MirrorChange};
use uci_model::EventType;

use super::*;

pub const MINUTE: Duration = Duration::from_secs(60);
pub const HOUR: Duration = Duration::from_secs(3600);

/// A world whose peer is known to support these event types.
fn supporting(types: &[EventType]) -> World {
    let mut config = config();
    config.supported_events = Some(types.iter().cloned().collect());
    World::with(config, BTreeMap::new(), 1)
}

fn refusing(types: &[&'static str], code: u16) -> World {
    let mut world = World::new();
    world
        .cloud
        .refused
        .extend(types.iter().map(|one| (*one, code)));
    world
}

pub fn device_level(world: &mut World) -> SubscribeId {
    let types = EventTypes::all(SubscriptionLevel::Device);
    let target = Target::Device { device: lamp() };
    let id = world.client.subscribe(target, &types, world.now).unwrap();
    world.run();
    id
}

/// What was told to be polled, in order.
pub fn polled(world: &World) -> Vec<Vec<&str>> {
    let mut polled = Vec::new();
    for event in &world.events {
        if let Event::Polling { event_types, .. } = event {
            polled.push(event_types.iter().map(EventType::as_str).collect());
        }
    }
    polled
}

/// The requests since the `from`th, as method, path below the root, and query.
pub fn requests(world: &World, from: usize) -> Vec<String> {
    let line = |request: &http::Request<Bytes>| {
        let target = request.uri().path_and_query().unwrap().as_str();
        format!("{} {}", request.method(), &target["/api/v1".len()..])
    };
    world.cloud.requests[from..].iter().map(line).collect()
}

pub fn subscribes(world: &World) -> usize {
    let posts = requests(world, 0);
    posts.iter().filter(|one| one.starts_with("POST")).count()
}

/// One device with one link and its representation, in both forms.
pub fn listed(world: &mut World, status: &str, href: &str, state: bool) {
    let device = format!(
        r#""device":{{"di":"{LAMP}","n":"Lamp","rt":["oic.wk.d"],"dmn":[]}},"status":"{status}""#
    );
    world.cloud.base =
        format!(r#"[{{{device},"links":[{{"href":"/{LAMP}{href}","rt":["a"],"if":["b"]}}]}}]"#);
    world.cloud.all =
        format!(r#"[{{{device},"links":[{{"href":"/{LAMP}{href}","rep":{{"state":{state}}}}}]}}]"#);
}

fn changes(world: &mut World) -> Vec<MirrorChange> {
    let change = |event: Event| match event {
        Event::Mirror(change) => Some(change),
        _ => None,
    };
    world.events.drain(..).filter_map(change).collect()
}

#[test]
fn polling_finds_new_and_vanished_devices() {
    let mut world = supporting(&[]);
    let devices = all_devices(&mut world);
    assert!(world.client.mirror().devices().next().is_none());
    let (device, href) = (lamp(), "/light/1");
    listed(&mut world, "online", href, true);
    world.pass(MINUTE);
    let light = light(&mut world);
    world.pass(MINUTE);
    assert_eq!(subscribes(&world), 0, "nothing is asked for");
    assert_eq!(state(&world), Some(true));
    let mirrored = world.client.mirror().device(lamp()).unwrap();
    assert_eq!(mirrored.links().count(), 1);
    assert_eq!(mirrored.status(), Some(DeviceStatus::Online));
    changes(&mut world);

    listed(&mut world, "offline", "/light/2", false);
    world.pass(MINUTE);
    let (old, new) = (href.parse().unwrap(), "/light/2".parse().unwrap());
    let expected = [
        MirrorChange::DeviceStatus {
            device,
            status: DeviceStatus::Offline,
        },
        MirrorChange::LinkPublished {
            device,
            href: "/light/2".parse().unwrap(),
        },
        MirrorChange::LinkWithdrawn { device, href: old },
        MirrorChange::RepresentationChanged { device, href: new },
    ];
    let seen = changes(&mut world);
    assert!(expected.iter().all(|one| seen.contains(one)), "{seen:?}");
    assert_eq!(seen.len(), expected.len(), "{seen:?}");

    (world.cloud.base, world.cloud.all) = ("[]".into(), "[]".into());
    world.pass(MINUTE);
    assert!(world.client.mirror().device(lamp()).is_none());
    assert_eq!(ended(&world, light), [EndReason::Refused(404)]);
    assert!(ended(&world, devices).is_empty(), "there may be others");
}

#[test]
fn a_peer_without_events_is_polled_until_it_has_them() {
    for code in [400, 404, 405, 501] {
        let types = SubscriptionLevel::Devices.event_types();
        let names: Vec<&str> = types.iter().map(EventType::as_str).collect();
        let mut world = refusing(&[], 0);
        world
            .cloud
            .refused
            .extend(types.iter().map(|one| (one.as_str(), code)));
        let id = all_devices(&mut world);
        assert_eq!(polled(&world), slice::from_ref(&names), "{code}");
        // A 400 may be meant for one of them: each is asked for alone.
        assert_eq!(subscribes(&world), if code == 400 { 5 } else { 1 });

        let before = world.cloud.requests.len();
        world.pass(10 * MINUTE);
        let polls = vec!["GET /devices?content=base"; 10];
        assert_eq!(requests(&world, before), polls, "{code}");
        let before = world.cloud.requests.len();
        world.cloud.refused.clear();
        world.pass(HOUR - 10 * MINUTE + 5 * SECOND);
        let since = requests(&world, before);
        assert!(since.contains(&"POST /devices/subscriptions".to_owned()));
        assert_eq!(world.cloud.subscriptions[0].event_types, names);
        world.begin(0, &names);
        // One after the other, as the peer tells of it.
        let rest: Vec<&[&str]> = (0..=4).map(|told| &names[told..]).collect();
        assert_eq!(polled(&world), rest, "{code}");
        let before = world.cloud.requests.len();
        world.pass(3 * HOUR);
        assert!(requests(&world, before).is_empty(), "nothing is polled");
        assert!(ended(&world, id).is_empty());
    }
}

#[test]
fn only_what_the_peer_does_not_support_is_polled() {
    let missing = ["devices_online", "devices_offline"];
    let mut world = refusing(&missing, 400);
    let id = all_devices(&mut world);
    let kept = &world.cloud.subscriptions;
    assert_eq!(kept.len(), 1, "what was made to find out is unsubscribed");
    let supported = ["devices_registered", "devices_unregistered"];
    assert_eq!(kept[0].event_types, supported);
    let answered = |event: &&Event| matches!(event, Event::Subscribed { .. });
    assert_eq!(world.events.iter().filter(answered).count(), 1);
    world.begin(0, &supported);
    assert_eq!(polled(&world), [missing]);
    let before = world.cloud.requests.len();
    world.pass(2 * MINUTE);
    let polls = vec!["GET /devices?content=base"; 2];
    assert_eq!(requests(&world, before), polls);

    // It survives a restart as it is.
    let before = world.cloud.requests.len();
    let mut world = world.restart();
    assert_eq!(
        world.notify(0, "devices_unregistered", Some("[]")),
        Some(200)
    );
    assert_eq!(polled(&world), [missing]);
    world.pass(2 * MINUTE);
    let since = requests(&world, before);
    assert!(since.iter().all(|one| one.starts_with("GET")), "{since:?}");

    // What the peer supports later is asked for later.
    world.cloud.refused.clear();
    world.pass(HOUR - 2 * MINUTE + 5 * SECOND);
    assert_eq!(retries(&world), [RetryReason::Unsupported]);
    assert_eq!(world.cloud.subscriptions.len(), 1);
    assert_eq!(world.cloud.subscriptions[0].event_types.len(), 4);
    world.begin(0, &supported);
    world.begin(0, &missing);
    assert_eq!(polled(&world).last().unwrap().len(), 0);
    assert!(ended(&world, id).is_empty());
}

#[test]
fn one_device_is_polled_by_itself_and_only_for_what_is_subscribed_to() {
    let base = format!("GET /devices/{LAMP}?content=base");
    let all = format!("GET /devices/{LAMP}?content=all");
    let mut world = supporting(&[]);
    device_level(&mut world);
    let before = world.cloud.requests.len();
    world.pass(MINUTE);
    assert_eq!(requests(&world, before), slice::from_ref(&base));
    light(&mut world);
    let before = world.cloud.requests.len();
    world.pass(MINUTE);
    assert_eq!(requests(&world, before), [base, all.clone()]);

    let mut world = supporting(&[]);
    light(&mut world);
    let before = world.cloud.requests.len();
    world.pass(MINUTE);
    assert_eq!(requests(&world, before), [all]);
}

#[test]
fn what_the_peer_is_known_to_support_is_all_that_it_is_asked_for() {
    let known = [EventType::DevicesRegistered, EventType::DevicesUnregistered];
    let mut world = supporting(&known);
    all_devices(&mut world);
    assert_eq!(subscribes(&world), 1);
    let asked: BTreeSet<&str> = world.cloud.subscriptions[0]
        .event_types
        .iter()
        .map(String::as_str)
        .collect();
    assert_eq!(asked, known.iter().map(EventType::as_str).collect());
    world.begin(0, &known.each_ref().map(EventType::as_str));
    assert_eq!(polled(&world), [["devices_online", "devices_offline"]]);
    world.pass(5 * HOUR);
    assert_eq!(subscribes(&world), 1, "it is not asked again");
}

#[test]
fn a_subscription_of_what_is_not_there_ends_and_of_what_is_there_is_polled() {
    let mut world = refusing(&["resource_contentchanged"], 404);
    let there = light(&mut world);
    assert!(ended(&world, there).is_empty());
    assert_eq!(polled(&world), [["resource_contentchanged"]]);
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
        assert_eq!(ended(&world, id), [EndReason::Refused(404)], "{href}");
    }
    assert!(ended(&world, there).is_empty());
}

#[test]
fn without_polling_a_peer_without_events_ends_the_subscription() {
    let without = |mut config: Config| {
        config.poll_interval = None;
        World::with(config, BTreeMap::new(), 1)
    };
    for code in [400, 404, 405, 501] {
        let mut world = without(config());
        world.cloud.script.push_back(Some(status(code)));
        let id = all_devices(&mut world);
        assert_eq!(ended(&world, id), [EndReason::Refused(code)]);
    }
    let mut config = config();
    config.supported_events = Some(BTreeSet::new());
    let mut world = without(config);
    let id = all_devices(&mut world);
    assert_eq!(ended(&world, id), [EndReason::Unsupported]);
    assert!(world.client.next_deadline().is_none());
}

#[test]
fn what_is_polled_is_not_polled_any_more_once_it_is_unsubscribed() {
    let mut world = supporting(&[]);
    let id = all_devices(&mut world);
    world.pass(MINUTE);
    world.client.unsubscribe(id, world.now).unwrap();
    world.run();
    assert_eq!(ended(&world, id), [EndReason::Unsubscribed]);
    assert_eq!(world.streams["link/1"].due, None);
    let before = world.cloud.requests.len();
    world.pass(HOUR);
    assert!(requests(&world, before).is_empty());
}
