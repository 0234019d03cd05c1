//! The driver, with a paused clock.
#![cfg(feature = "tokio")]
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

#[path = "support/world.rs"]
mod world;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::mpsc;
use tower_service::Service;
use uci_client::driver::{World, drive};
use uci_client::{Append, Appended, Client, Event, Loaded, Snapshot, Target, TransportFailure};
use uci_model::api::AccessToken;
use uci_model::{EventTypes, SubscriptionLevel};
use world::{Turned, config};

/// The scripted world behind a lock; sending takes a second.
#[derive(Clone)]
struct Shared(Arc<Mutex<world::World>>);

impl World for Shared {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportFailure> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0
            .lock()
            .unwrap()
            .cloud
            .answer(&request)
            .ok_or(TransportFailure::Interrupted)
    }

    async fn token(&self, _: bool) -> Option<(AccessToken, Option<Instant>)> {
        Some((AccessToken::try_from("token".to_owned()).unwrap(), None))
    }

    async fn load(&self, stream: &str) -> Option<Loaded> {
        Some(self.0.lock().unwrap().loaded(stream))
    }

    async fn append(&self, append: Append) -> Appended {
        self.0.lock().unwrap().append(&append)
    }

    async fn save_snapshot(&self, _: String, _: Snapshot) {}

    fn wall(&self) -> SystemTime {
        self.0.lock().unwrap().wall
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_lives_and_a_notification_is_answered_through_the_service() {
    let shared = Shared(Arc::new(Mutex::new(world::World::new())));
    let now = tokio::time::Instant::now().into_std();
    let client = Client::new(config(), "link/1", [3; 32], [4; 32], Arc::new(Turned), now);
    let (events, mut happened) = mpsc::channel(64);
    let (mut handle, task) = drive(client, shared.clone(), events, 8);
    let task = tokio::spawn(task);
    while !matches!(happened.recv().await.unwrap(), Event::Loaded { .. }) {}

    let types = EventTypes::all(SubscriptionLevel::Devices);
    let subscribed =
        handle.visit(move |client, now| client.subscribe(Target::Devices, &types, now));
    let id = subscribed.await.unwrap().unwrap();
    while !matches!(happened.recv().await.unwrap(), Event::Subscribed { id: of, .. } if of == id) {}

    let request = shared
        .0
        .lock()
        .unwrap()
        .signed(0, "devices_online", Some("[]"));
    assert_eq!(handle.call(request).await.unwrap().status(), 200);
    while !matches!(happened.recv().await.unwrap(), Event::Notified(_)) {}

    drop(handle);
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_and_an_ended_task_is_seen() {
    let shared = Shared(Arc::new(Mutex::new(world::World::new())));
    let now = tokio::time::Instant::now().into_std();
    let client = Client::new(config(), "link/1", [3; 32], [4; 32], Arc::new(Turned), now);
    let (events, mut happened) = mpsc::channel(64);
    let (handle, task) = drive(client, shared.clone(), events, 8);
    let task = tokio::spawn(task);
    while !matches!(happened.recv().await.unwrap(), Event::Loaded { .. }) {}
    let types = EventTypes::all(SubscriptionLevel::Devices);
    let subscribed =
        handle.visit(move |client, now| client.subscribe(Target::Devices, &types, now));
    subscribed.await.unwrap().unwrap();
    // No notification comes: the confirmation deadline does.
    while !matches!(happened.recv().await.unwrap(), Event::Retrying { .. }) {}

    drop(happened);
    // The next event finds nobody to take it.
    let _ = handle.visit(|client, now| client.resync(now)).await;
    task.await.unwrap();
    assert!(handle.visit(|_, _| ()).await.is_err());
}
