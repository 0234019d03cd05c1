//! One test for each rule, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    missing_docs
)]

#[path = "../support/world.rs"]
mod world;

mod calls;
mod journal;
mod mirror;
mod polling;
mod receiver;
mod restarts;
mod silence;
mod subscribing;
mod unsubscribing;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use uci_client::{EndReason, Event, FailureKind, Refusal, Reply, RetryReason, SubscribeId, Target};
use uci_model::api::{BatchFormat, retrieve_devices};
use uci_model::{DeviceId, DeviceStatus, EventTypes, SubscriptionLevel, Value};
use world::{LAMP, World, config, json, status};

const SECOND: Duration = Duration::from_secs(1);

fn lamp() -> DeviceId {
    LAMP.parse().unwrap()
}

fn all_devices(world: &mut World) -> SubscribeId {
    let types = EventTypes::all(SubscriptionLevel::Devices);
    let id = world
        .client
        .subscribe(Target::Devices, &types, world.now)
        .unwrap();
    world.run();
    id
}

fn light(world: &mut World) -> SubscribeId {
    let target = Target::Resource {
        device: lamp(),
        href: "/light/1".parse().unwrap(),
    };
    let types = EventTypes::all(SubscriptionLevel::Resource);
    let id = world.client.subscribe(target, &types, world.now).unwrap();
    world.run();
    id
}

fn live_light(world: &mut World) -> SubscribeId {
    let id = light(world);
    assert_eq!(
        world.notify(0, "resource_contentchanged", Some(r#"{"state":false}"#)),
        Some(200)
    );
    id
}

fn ended(world: &World, id: SubscribeId) -> Vec<EndReason> {
    let reason = |event: &Event| match event {
        Event::Ended { id: over, reason } if *over == id => Some(*reason),
        _ => None,
    };
    world.events.iter().filter_map(reason).collect()
}

fn retries(world: &World) -> Vec<RetryReason> {
    let reason = |event: &Event| match event {
        Event::Retrying { reason, .. } => Some(reason.clone()),
        _ => None,
    };
    world.events.iter().filter_map(reason).collect()
}

fn confirmed(world: &World) -> usize {
    world
        .events
        .iter()
        .filter(|event| matches!(event, Event::Confirmed { .. }))
        .count()
}

fn notified(world: &World) -> Vec<u64> {
    let sequence = |event: &Event| match event {
        Event::Notified(notification) => Some(notification.sequence),
        _ => None,
    };
    world.events.iter().filter_map(sequence).collect()
}

fn state(world: &World) -> Option<bool> {
    let device = world.client.mirror().device(lamp())?;
    device
        .representation(&"/light/1".parse().unwrap())?
        .get("state")
        .and_then(Value::as_bool)
}
