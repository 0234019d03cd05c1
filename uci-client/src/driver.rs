//! The machine on tokio: a task that owns the [`Client`], and handles to it.
//!
//! The task moves bytes between the machine and a [`World`] and decides nothing. It sends events into the channel that the
//! caller gives and waits while that is full: the machine then stands still, notifications included, until the caller has
//! made room. The capacity of both channels is therefore the caller's choice.

mod handle;
mod work;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use uci_model::api::AccessToken;

use self::handle::Input;
pub use self::handle::{Gone, Handle};
use self::work::{carry_out, hand_in};
use crate::append::{Append, Appended, Loaded, Snapshot};
use crate::client::Client;
use crate::output::{Event, Output, TransportFailure};

/// What the machine needs from outside. A future that is dropped must not have half an effect.
pub trait World: Send + Sync + 'static {
    /// Sends a request; redirects are not to be followed, and the length of the answer is to be bounded.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, TransportFailure>> + Send;
    /// Gets an access token and when it expires, another one when the last was `refused`.
    fn token(
        &self,
        refused: bool,
    ) -> impl Future<Output = Option<(AccessToken, Option<Instant>)>> + Send;
    /// Reads a stream; `None` when that failed.
    fn load(&self, stream: &str) -> impl Future<Output = Option<Loaded>> + Send;
    /// Appends to a stream.
    fn append(&self, append: Append) -> impl Future<Output = Appended> + Send;
    /// Saves a snapshot; one that is lost does no harm.
    fn save_snapshot(&self, stream: String, snapshot: Snapshot) -> impl Future<Output = ()> + Send;
    /// The wall clock.
    fn wall(&self) -> SystemTime;
}

/// Makes a handle and the future that drives `client` until every handle or the receiver of `events` is dropped.
///
/// `capacity` is how many inputs may wait for the machine.
pub fn drive<W: World>(
    client: Client,
    world: W,
    events: mpsc::Sender<Event>,
    capacity: usize,
) -> (Handle, impl Future<Output = Client> + Send) {
    let (sender, inputs) = mpsc::channel(capacity.max(1));
    (
        Handle::new(sender),
        run(client, Arc::new(world), inputs, events),
    )
}

async fn run<W: World>(
    mut client: Client,
    world: Arc<W>,
    mut inputs: mpsc::Receiver<Input>,
    events: mpsc::Sender<Event>,
) -> Client {
    let mut tasks = JoinSet::new();
    let mut requests = BTreeMap::new();
    loop {
        while let Some(output) = client.poll_output() {
            if let Output::Event(event) = output {
                if events.send(event).await.is_err() {
                    return client;
                }
            } else {
                carry_out(output, &world, &mut tasks, &mut requests);
            }
        }
        let deadline = client.next_deadline();
        tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Visit(visit)) => visit(&mut client, now()),
                Some(Input::Request(request, answer)) => {
                    let id = client.handle_request(&request, world.wall(), now());
                    requests.insert(id, answer);
                }
                None => return client,
            },
            Some(Ok(done)) = tasks.join_next() => hand_in(&mut client, done),
            () = async { sleep_until(deadline.unwrap_or_else(now).into()).await }, if deadline.is_some() => {
                client.handle_timeout(now());
            }
        }
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
