//! Account linking: the machine of `account_linking` over this program's store and sender.

use std::sync::Arc;
use std::time::Duration;

use account_linking::client::driver::{self, CommandError, Handle, World};
use account_linking::client::{Cloud, CloudId};
use account_linking::client::{
    Config, Event, Failure as LinkFailure, LinkSummary, Links, Start, TransportFailure,
};
use account_linking::{AccessToken, Append, Appended, Loaded, SecretBytes, Snapshot, UserId};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::sender::{SendError, Sender};
use crate::store::{Keys, Store, linking as convert};
use crate::{Failure, clock};

/// The name of the page after linking; there is one.
const HOME: &str = "home";
/// How often the store is asked what is due.
const LOOK: Duration = Duration::from_secs(20);

/// Commands to the linking machine.
#[derive(Clone, Debug)]
pub(crate) struct Linking(Handle);

struct Outside {
    store: Arc<Store>,
    sender: Sender,
}

impl World for Outside {
    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, TransportFailure> {
        self.sender
            .send(request)
            .await
            .map_err(|error| match error {
                SendError::NotSent => TransportFailure::NotSent,
                SendError::Interrupted => TransportFailure::Unknown,
            })
    }

    async fn load(&self, stream: &str) -> Option<Loaded> {
        self.store.load(stream).await.map(convert::loaded)
    }

    async fn append(&self, append: Append) -> Appended {
        convert::appended(self.store.append(convert::append(append)).await)
    }

    async fn save_snapshot(&self, stream: String, snapshot: Snapshot) {
        self.store
            .save_snapshot(stream, convert::snapshot(snapshot))
            .await;
    }
}

/// Starts the machine; its events come out of the receiver.
pub(crate) fn start(
    clouds: Vec<Cloud>,
    store: &Arc<Store>,
    keys: Keys,
    sender: Sender,
) -> Result<(Linking, mpsc::Receiver<Event>), Failure> {
    let seed = clock::entropy().map_err(|error| Failure::of("the system has no entropy", error))?;
    let (config, seed) = (Config::new(HOME), SecretBytes::new(seed));
    let links = Links::new(
        config,
        clouds,
        Arc::new(keys),
        seed,
        clock::wall(),
        clock::now(),
    )
    .map_err(|error| Failure::of("the device-side cloud is not described well", error))?;
    let (events, received) = mpsc::channel(256);
    let outside = Outside {
        store: Arc::clone(store),
        sender,
    };
    let (handle, driven) = driver::drive(links, outside, events, 256);
    tokio::spawn(driven);
    tokio::spawn(keep_awake(handle.clone(), Arc::clone(store)));
    Ok((Linking(handle), received))
}

/// Loads what is due, and keeps the machine's wall clock right.
async fn keep_awake(handle: Handle, store: Arc<Store>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let due = store.due().await;
        let visited = handle.visit(move |links, now| {
            links.handle_clock(clock::wall(), now);
            for stream in due {
                if let Err(error) = links.wake(&stream, now) {
                    tracing::warn!(stream, %error, "a stream that is due waits");
                }
            }
        });
        if visited.await.is_err() {
            return;
        }
    }
}

/// What became of a callback.
pub(crate) enum Returned {
    /// The accounts are linked.
    Linked,
    /// They are not, for this reason.
    NotLinked(String),
}

impl Linking {
    /// Begins linking; gives the address to send the browser to.
    pub(crate) async fn begin(
        &self,
        user: UserId,
        cloud: CloudId,
        browser: SecretBytes,
        replace: bool,
    ) -> Result<String, Failure> {
        let entropy = |error| Failure::of("the system has no entropy", error);
        let (state, verifier) = (
            clock::entropy().map_err(entropy)?,
            clock::entropy().map_err(entropy)?,
        );
        let mut start = Start::new(user, cloud, browser, HOME);
        start.replace = replace;
        match self
            .0
            .command(move |links, now| links.start(start, state, verifier, now))
            .await
            .map_err(refused)?
        {
            Event::Redirect { location, .. } => Ok(location.into()),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes a browser in that comes back from the device-side cloud.
    pub(crate) async fn come_back(
        &self,
        user: UserId,
        browser: SecretBytes,
        received_at: String,
        query: String,
    ) -> Result<Returned, Failure> {
        let command = move |links: &mut Links, now| {
            links.callback(&user, &browser, &received_at, &query, now)
        };
        match self.0.command(command).await.map_err(refused)? {
            Event::Linked { .. } => Ok(Returned::Linked),
            Event::NotLinked { refusal, .. } => Ok(Returned::NotLinked(format!("{refusal:?}"))),
            other => Err(unexpected(&other)),
        }
    }

    /// The link of a user, if there is one, and what it gives access to.
    pub(crate) async fn link(
        &self,
        user: UserId,
    ) -> Result<Option<(CloudId, LinkSummary)>, Failure> {
        match self
            .0
            .command(move |links, now| links.list(&user, now))
            .await
            .map_err(refused)?
        {
            Event::Links { links, .. } => Ok(links.into_iter().next()),
            other => Err(unexpected(&other)),
        }
    }

    /// A token to call the device-side cloud with, another one than `rejected`.
    pub(crate) async fn token(
        &self,
        user: UserId,
        cloud: CloudId,
        rejected: Option<AccessToken>,
    ) -> Result<(AccessToken, Option<std::time::SystemTime>), Failure> {
        let command = move |links: &mut Links, now| links.token(&user, &cloud, rejected, now);
        match self.0.command(command).await.map_err(refused)? {
            Event::Token { token, expires, .. } => Ok((token, expires)),
            other => Err(unexpected(&other)),
        }
    }

    /// Ends a link; false when there is none.
    pub(crate) async fn unlink(&self, user: UserId, cloud: CloudId) -> Result<bool, Failure> {
        match self
            .0
            .command(move |links, now| links.unlink(&user, &cloud, now))
            .await
            .map_err(refused)?
        {
            Event::Unlinked { .. } => Ok(true),
            Event::Failed {
                failure: LinkFailure::NotLinked,
                ..
            } => Ok(false),
            other => Err(unexpected(&other)),
        }
    }
}

fn refused(error: CommandError) -> Failure {
    Failure::of("the linking machine refused", error)
}

/// What a person is told of an event that is not what was asked for.
fn unexpected(event: &Event) -> Failure {
    match event {
        Event::Failed { failure, .. } => Failure::new(format!("not done: {failure:?}")),
        _ => Failure::new("the linking machine gave another answer than was asked for"),
    }
}
