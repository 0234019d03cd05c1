//! Fetching what notifications leave open.

use super::*;

#[test]
fn a_gap_is_answered_by_a_fetch() {
    let mut world = World::new();
    live_light(&mut world);
    world.cloud.subscriptions[0].sequence = 5;
    world
        .cloud
        .script
        .push_back(Some(json(200, r#"{"state":true,"power":7}"#)));
    let before = world.cloud.requests.len();
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":false}"#)),
        Some(200)
    );
    let fetch = &world.cloud.requests[before];
    assert_eq!(
        fetch.uri().path(),
        format!("/api/v1/devices/{LAMP}/light/1")
    );
    assert_eq!(state(&world), Some(true), "what was fetched is newer");
    assert_eq!(notified(&world), [0, 5]);
}

#[test]
fn a_fetch_that_is_refused_is_not_repeated() {
    for (code, fetches) in [(403, 1), (404, 1), (500, 2)] {
        let mut world = World::new();
        live_light(&mut world);
        world.cloud.subscriptions[0].sequence = 5;
        world.cloud.script.push_back(Some(status(code)));
        let before = world.cloud.requests.len();
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#));
        world.pass(SECOND);
        assert_eq!(world.cloud.requests.len() - before, fetches, "{code}");
        assert_eq!(state(&world), Some(true), "what is known stays");
    }
}

#[test]
fn a_resource_that_cannot_be_fetched_holds_no_other_up() {
    let mut world = World::new();
    live_light(&mut world);
    let (device, href) = ("99999999-5e3e-4291-802f-3436238232d2", "/light/2");
    let target = Target::Resource {
        device: device.parse().unwrap(),
        href: href.parse().unwrap(),
    };
    let types = EventTypes::all(SubscriptionLevel::Resource);
    world.client.subscribe(target, &types, world.now).unwrap();
    world.run();
    // The first device is offline: its resource is answered 504 again and again.
    world.cloud.offline = Some("/light/1");
    for index in 0..2 {
        world.cloud.subscriptions[index].sequence = 5;
        world.notify(index, "resource_contentchanged", Some("{}"));
    }
    world.pass(Duration::from_secs(600));
    let fetched = |path: &str| {
        let is = |request: &&http::Request<Bytes>| request.uri().path().ends_with(path);
        world.cloud.requests.iter().filter(is).count()
    };
    assert!(fetched("/light/1") > 2, "it is tried again");
    assert_eq!(fetched(href), 1, "and so is what comes after it");
}

#[test]
fn what_is_mirrored_says_which_cloud_it_came_from() {
    let mut world = World::new();
    live_light(&mut world);
    assert!(world.client.mirror().device(lamp()).is_some());
    assert_eq!(world.client.mirror().origin(), world::BASE);
}

#[test]
fn a_list_of_devices_may_be_longer_than_a_notification() {
    let mut config = config();
    config.limits.max_length = 20;
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    world.cloud.base = format!(
        r#"[{{"device":{{"di":"{LAMP}","n":"Lamp","rt":["oic.wk.d"],"dmn":[]}},"status":"online","links":[]}}]"#
    );
    world.client.resync(world.now);
    world.run();
    assert!(world.client.mirror().device(lamp()).is_some());
}
