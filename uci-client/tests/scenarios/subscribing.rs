//! Subscriptions: made, confirmed, made anew.

use super::*;

#[test]
fn a_subscribe_request_is_what_the_reference_peer_reads() {
    let mut world = World::new();
    all_devices(&mut world);
    let request = world
        .cloud
        .requests
        .iter()
        .find(|request| request.method() == Method::POST)
        .unwrap();
    assert_eq!(
        request.uri(),
        "https://cloud.example/api/v1/devices/subscriptions"
    );
    assert_eq!(request.headers()["authorization"], "Bearer token-1");
    assert_eq!(request.headers()["content-type"], "application/json");
    assert_eq!(request.headers()["accept"], "application/json");
    let kept = &world.cloud.subscriptions[0];
    assert_eq!(kept.secret.expose().len(), 32);
    let correlation: DeviceId = kept.correlation.parse().expect("a UUID");
    assert_eq!(kept.correlation, correlation.to_string());
    assert_eq!(kept.event_types.len(), 4);
}

#[test]
fn the_signing_secret_follows_from_the_entropy_that_the_caller_gave() {
    let secret = |run| {
        let mut world = World::with(config(), std::collections::BTreeMap::new(), run);
        all_devices(&mut world);
        world.cloud.subscriptions[0].secret.expose().to_owned()
    };
    assert_eq!(secret(1), secret(1));
    let secrets: std::collections::BTreeSet<String> = (1..=20).map(secret).collect();
    assert_eq!(secrets.len(), 20);
    assert!(secrets.iter().all(|secret| secret.chars().count() == 32));
}

#[test]
fn a_subscription_is_confirmed_by_its_first_notification() {
    let mut world = World::new();
    live_light(&mut world);
    assert_eq!(confirmed(&world), 1);
    assert_eq!(state(&world), Some(false));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.cloud.subscriptions.len(), 1, "it is left alone");
}

#[test]
fn a_subscription_without_notification_is_made_anew_with_another_secret() {
    let mut world = World::new();
    light(&mut world);
    let first = world.cloud.subscriptions[0].clone();
    world.pass(65 * SECOND);
    assert_eq!(retries(&world), [RetryReason::Unconfirmed]);
    assert_eq!(
        world.cloud.subscriptions.len(),
        1,
        "the first was unsubscribed"
    );
    let second = &world.cloud.subscriptions[0];
    assert_ne!(first.id, second.id);
    assert_ne!(first.secret.expose(), second.secret.expose());
    assert_ne!(first.correlation, second.correlation);
}

#[test]
fn a_cancelled_subscription_is_made_anew() {
    let mut world = World::new();
    let id = live_light(&mut world);
    assert_eq!(world.notify(0, "subscription_cancelled", None), Some(200));
    let old = world.signed(0, "resource_contentchanged", Some("{}"));
    world.pass(5 * SECOND);
    assert_eq!(retries(&world), [RetryReason::Cancelled]);
    assert_eq!(world.cloud.subscriptions.len(), 2);
    assert_eq!(world.deliver(&old), Some(410), "the cancellation was final");
    assert_eq!(
        world.notify(1, "resource_contentchanged", Some(r#"{"state":true}"#)),
        Some(200)
    );
    assert_eq!(state(&world), Some(true));
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_refused_subscription_ends_and_a_failed_one_is_tried_again() {
    let mut world = World::new();
    world.cloud.script.push_back(Some(status(403)));
    let id = light(&mut world);
    assert_eq!(ended(&world, id), [EndReason::Refused(403)]);

    let mut busy = status(503);
    busy.headers_mut()
        .insert("retry-after", "20".parse().unwrap());
    world.cloud.script.push_back(Some(busy));
    let id = light(&mut world);
    world.pass(19 * SECOND);
    assert!(
        world.cloud.subscriptions.is_empty(),
        "the peer asked for 20 seconds"
    );
    world.pass(2 * SECOND);
    assert_eq!(world.cloud.subscriptions.len(), 1);
    assert!(ended(&world, id).is_empty());
}

#[test]
fn a_subscription_that_is_given_up_before_it_is_durable_is_never_requested() {
    let mut world = World::new();
    live_light(&mut world);
    world.hold_appends = true;
    let request = world.signed(0, "resource_contentchanged", Some("{}"));
    assert_eq!(world.deliver(&request), None);
    let id = all_devices(&mut world);
    world.client.unsubscribe(id, world.now).unwrap();
    world.release_appends();
    assert_eq!(ended(&world, id), [EndReason::Unsubscribed]);
    assert_eq!(world.cloud.subscriptions.len(), 1);
}

#[test]
fn a_subscription_whose_answer_is_late_lives_by_its_first_notification() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.pass(30 * SECOND);
    assert_eq!(retries(&world).len(), 1);
    world.cloud.keep(&request);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some("{}")),
        Some(200)
    );
    assert_eq!(confirmed(&world), 1);
    world.pass(Duration::from_secs(600));
    assert_eq!(world.cloud.subscriptions.len(), 1, "none is made beside it");
}

#[test]
fn a_subscription_that_a_notification_made_is_told_only_when_that_is_durable() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    light(&mut world);
    let request = world.cloud.requests.last().unwrap().clone();
    world.cloud.keep(&request);
    world.pass(29 * SECOND);
    world.hold_appends = true;
    let body = Some(r#"{"state":true}"#);
    assert_eq!(world.notify(0, "resource_contentchanged", body), None);
    world.pass(2 * SECOND);
    let told = |world: &World| {
        let is = |event: &&Event| matches!(event, Event::Subscribed { .. });
        world.events.iter().filter(is).count()
    };
    assert_eq!((told(&world), confirmed(&world)), (0, 0));
    world.release_appends();
    assert_eq!((told(&world), confirmed(&world)), (1, 1));
    assert!(retries(&world).is_empty());
}

#[test]
fn a_subscription_is_replaced_at_once_at_the_end_of_its_lifetime() {
    let mut config = config();
    config.lifetime = Some(60 * SECOND);
    let mut world = World::with(config, std::collections::BTreeMap::new(), 1);
    live_light(&mut world);
    for _ in 0..6 {
        world.pass(62 * SECOND);
        assert_eq!(
            world.cloud.subscriptions.len(),
            1,
            "the old one is unsubscribed"
        );
        let body = Some(r#"{"state":true}"#);
        assert_eq!(world.notify(0, "resource_contentchanged", body), Some(200));
    }
    assert_eq!(retries(&world), vec![RetryReason::Expired; 6]);
}
