//! The driver of the client role, under a paused clock.
#![cfg(feature = "tokio")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::cast_possible_truncation
)]

#[path = "client_links/world.rs"]
mod world;

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use account_linking::client::driver::{CommandError, Handle, World, drive};
use account_linking::client::{Config, Event, Failure, Links, Start, TransportFailure};
use account_linking::{Append, Appended, ErrorKind, Loaded, SecretBytes, Snapshot};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::world::{Disk, ISSUER, REDIRECT, TestSealer, browser, cloud, cloud_id, tokens, user};

/// A world in which everything takes a while, and the store may stop answering.
#[derive(Clone, Default)]
struct Slow {
    disk: Arc<Mutex<Disk>>,
    asked: Arc<Mutex<u32>>,
    stuck: bool,
}

impl World for Slow {
    async fn send(
        &self,
        _: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportFailure> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        Ok(tokens("u-1", *asked))
    }

    async fn load(&self, stream: &str) -> Option<Loaded> {
        Some(self.disk.lock().unwrap().load(stream))
    }

    async fn append(&self, append: Append) -> Appended {
        if self.stuck {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.disk.lock().unwrap().append(&append)
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        self.disk
            .lock()
            .unwrap()
            .streams
            .get_mut(&stream)
            .unwrap()
            .snapshot = Some(snapshot);
    }
}

fn begin(world: Slow) -> (Handle, mpsc::Receiver<Event>) {
    let (events, received) = mpsc::channel(64);
    let now = tokio::time::Instant::now().into_std();
    let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let seed = SecretBytes::new([1; 32]);
    let links = Links::new(
        Config::new("home"),
        [cloud()],
        Arc::new(TestSealer),
        seed,
        wall,
        now,
    )
    .unwrap();
    let (handle, driven) = drive(links, world, events, 16);
    tokio::spawn(driven);
    (handle, received)
}

async fn start(handle: &Handle) -> Result<Event, CommandError> {
    let start = Start::new(user("ann"), cloud_id(), browser(1), "home");
    handle
        .command(move |links, now| links.start(start, [1; 32], [2; 32], now))
        .await
}

#[tokio::test(start_paused = true)]
async fn commands_end_in_their_events() {
    let world = Slow::default();
    let (handle, mut events) = begin(world.clone());
    let Event::Redirect { location, .. } = start(&handle).await.unwrap() else {
        panic!()
    };
    let state = location
        .url()
        .query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned();
    let query = format!("code=c&state={state}&iss={ISSUER}");
    let linked = handle.command(move |links, now| {
        links.callback(&user("ann"), &browser(1), REDIRECT, &query, now)
    });
    assert!(matches!(linked.await.unwrap(), Event::Linked { .. }));
    // Both went into the channel too, for whoever watches.
    assert!(matches!(events.recv().await, Some(Event::Redirect { .. })));
    assert!(matches!(events.recv().await, Some(Event::Linked { .. })));

    // The machine is woken by its own deadlines: an hour later the token has been refreshed.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(*world.asked.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_ends_in_a_failure() {
    let (handle, _events) = begin(Slow {
        stuck: true,
        ..Slow::default()
    });
    assert!(matches!(
        start(&handle).await.unwrap(),
        Event::Failed {
            failure: Failure::TimedOut,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_is_refused_says_so() {
    let (handle, _events) = begin(Slow::default());
    let nowhere = Start::new(user("ann"), "nowhere".parse().unwrap(), browser(1), "home");
    let refused = handle
        .command(move |links, now| links.start(nowhere, [1; 32], [2; 32], now))
        .await;
    assert!(
        matches!(refused, Err(CommandError::Refused(error)) if error.kind() == ErrorKind::NotFound)
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_reader_of_events_the_task_ends() {
    let (handle, events) = begin(Slow::default());
    drop(events);
    // The first event is what shows it.
    assert!(start(&handle).await.is_ok());
    assert!(matches!(start(&handle).await, Err(CommandError::Gone)));
}
