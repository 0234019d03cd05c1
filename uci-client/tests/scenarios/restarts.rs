//! Another process takes up what the journal has.

use super::*;

#[test]
fn subscriptions_survive_a_restart_with_their_numbers() {
    let mut world = World::new();
    let id = live_light(&mut world);
    let first = world.signed(0, "resource_contentchanged", Some(r#"{"state":true}"#));
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    let posts = world.cloud.requests.len();
    let mut world = world.restart();
    let resumed = world.events.iter().any(|event| {
        matches!(event, Event::Loaded { subscriptions } if subscriptions.as_slice() == [id])
    });
    assert!(resumed);
    assert_eq!(world.deliver(&first), Some(200));
    assert!(notified(&world).is_empty(), "it was taken by the last run");
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(notified(&world), [2]);
    world.pass(Duration::from_secs(600));
    let made = world.cloud.requests[posts..]
        .iter()
        .filter(|request| request.method() == Method::POST);
    assert_eq!(made.count(), 0, "nothing is subscribed anew");
}

#[test]
fn a_subscription_whose_answer_was_lost_with_the_last_run_is_made_anew() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    let id = light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    let mut world = world.restart();
    assert_eq!(retries(&world), [RetryReason::Interrupted]);
    world.pass(2 * SECOND);
    assert_eq!(world.cloud.subscriptions.len(), 2);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(410),
        "the orphan learns it is one"
    );
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some("{}")),
        Some(200)
    );
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_snapshot_carries_what_the_changes_did() {
    let mut config = config();
    config.snapshot_every = 4;
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    live_light(&mut world);
    for _ in 0..5 {
        assert_eq!(
            world.notify(0, "resource_contentchanged", Some("{}")),
            Some(200)
        );
    }
    let stream = world.streams.get_mut("link/1").unwrap();
    let version = stream.snapshot.as_ref().unwrap().version as usize;
    assert!(version >= 4);
    // What a journal does below a durable snapshot: nothing may need these again.
    for change in &mut stream.changes[..version] {
        *change = Bytes::new();
    }
    let mut world = world.restart();
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(200)
    );
    assert_eq!(notified(&world), [6]);
}

#[test]
fn a_stream_that_was_erased_begins_anew() {
    let mut world = World::new();
    live_light(&mut world);
    let stream = world.streams.get_mut("link/1").unwrap();
    stream.erased = stream.changes.len() as u64 + 1;
    stream.changes.clear();
    let mut world = world.restart();
    live_light_again(&mut world);
    let mut world = world.restart();
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(notified(&world), [1]);
}

fn live_light_again(world: &mut World) {
    light(world);
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some("{}")),
        Some(200)
    );
}

#[test]
fn a_subscription_whose_answer_was_lost_is_taken_up_by_its_first_notification() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    let mut world = world.restart();
    // The peer notifies before the next try begins: the secret of the last one was durable before it was sent.
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(confirmed(&world), 1);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.cloud.subscriptions.len(), 1, "no second one is made");
    let standing = world.client.subscriptions().next().unwrap();
    assert_eq!(standing.subscription, Some(world.cloud.subscriptions[0].id));
}

#[test]
fn what_is_kept_is_known_after_a_restart() {
    let mut world = World::new();
    let id = live_light(&mut world);
    let world = world.restart();
    let standing: Vec<_> = world.client.subscriptions().collect();
    assert_eq!(standing.len(), 1);
    assert_eq!(standing[0].id, id);
    assert!(matches!(standing[0].target, Target::Resource { device, .. } if *device == lamp()));
    let given = world.cloud.subscriptions[0].id;
    assert_eq!(standing[0].subscription, Some(given));
    assert!(standing[0].confirmed && standing[0].polled.is_empty());
}

#[test]
fn the_mirror_is_fetched_anew_after_a_restart() {
    let mut world = World::new();
    all_devices(&mut world);
    assert_eq!(world.notify(0, "devices_registered", Some("[]")), Some(200));
    // A device that came while nobody was there to be told.
    let device = format!(
        r#""device":{{"di":"{LAMP}","n":"Lamp","rt":["oic.wk.d"],"dmn":[]}},"status":"online""#
    );
    world.cloud.base =
        format!(r#"[{{{device},"links":[{{"href":"/{LAMP}/light/1","rt":["a"],"if":["b"]}}]}}]"#);
    world.cloud.all =
        format!(r#"[{{{device},"links":[{{"href":"/{LAMP}/light/1","rep":{{"state":true}}}}]}}]"#);
    let world = world.restart();
    assert_eq!(state(&world), Some(true));
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::InStep))
    );
}

#[test]
fn a_cancellation_is_not_answered_410_before_it_is_durable() {
    let mut world = World::new();
    live_light(&mut world);
    world.hold_appends = true;
    let cancelled = world.signed(0, "subscription_cancelled", None);
    assert_eq!(world.deliver(&cancelled), None);
    // The peer gives up waiting and says it again. A 410 would make it forget a subscription that this side counts on again
    // if it dies now.
    assert_eq!(world.deliver(&cancelled), Some(503));
    let mut world = world.restart();
    assert_eq!(world.deliver(&cancelled), Some(200));
    assert_eq!(world.deliver(&cancelled), Some(410));
    world.pass(5 * SECOND);
    assert_eq!(world.cloud.subscriptions.len(), 2, "it is made anew");
}
