//! The machine on tokio: a task that owns the [`Links`], and handles to it.
//!
//! The task moves bytes between the machine and a [`World`] and decides nothing. A command's final event answers the
//! handle that gave it; every other event goes into the channel that the caller gives, and while that is full the
//! machine stands still. The capacity of both channels is therefore the caller's choice.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::links::{Event, ExchangeId, Links, OperationId, Output, TransportFailure};
use crate::error::Error;
use crate::stream::{Append, AppendId, Appended, Loaded, Snapshot};

/// What the machine needs from outside. A future that is dropped must not have half an effect.
pub trait World: Send + Sync + 'static {
    /// Sends a request; redirects are not to be followed, and the length of the answer is to be bounded.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<Bytes>, TransportFailure>> + Send;
    /// Reads a stream; `None` when that failed.
    fn load(&self, stream: &str) -> impl Future<Output = Option<Loaded>> + Send;
    /// Appends to streams.
    fn append(&self, append: Append) -> impl Future<Output = Appended> + Send;
    /// Saves a snapshot; one that is lost does no harm.
    fn save_snapshot(&self, stream: String, snapshot: Snapshot) -> impl Future<Output = ()> + Send;
}

/// Why a command has no final event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The machine refused it; nothing has changed.
    #[error("the command was refused")]
    Refused(#[from] Error),
    /// The task has ended.
    #[error("the task of the links has ended")]
    Gone,
}

type Command = Box<dyn FnOnce(&mut Links, Instant) -> Result<OperationId, Error> + Send>;
type Visit = Box<dyn FnOnce(&mut Links, Instant) + Send>;

enum Input {
    Command(Command, oneshot::Sender<Result<Event, Error>>),
    Visit(Visit),
}

/// What came back from the world.
enum Done {
    Sent(ExchangeId, Result<http::Response<Bytes>, TransportFailure>),
    Loaded(String, Option<Loaded>),
    Appended(AppendId, Appended),
    Saved,
}

/// A way to the task.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::Sender<Input>);

impl Handle {
    /// Gives a command and waits for its final event.
    ///
    /// # Errors
    ///
    /// [`CommandError::Refused`] when the machine refuses it, [`CommandError::Gone`] when the task has ended.
    pub async fn command(
        &self,
        command: impl FnOnce(&mut Links, Instant) -> Result<OperationId, Error> + Send + 'static,
    ) -> Result<Event, CommandError> {
        let (answer, event) = oneshot::channel();
        let input = Input::Command(Box::new(command), answer);
        self.0.send(input).await.map_err(|_| CommandError::Gone)?;
        Ok(event.await.map_err(|_| CommandError::Gone)??)
    }

    /// Lets `visit` at the machine, for what has no final event: [`Links::wake`], [`Links::handle_clock`].
    ///
    /// # Errors
    ///
    /// [`CommandError::Gone`] when the task has ended.
    pub async fn visit(
        &self,
        visit: impl FnOnce(&mut Links, Instant) + Send + 'static,
    ) -> Result<(), CommandError> {
        self.0
            .send(Input::Visit(Box::new(visit)))
            .await
            .map_err(|_| CommandError::Gone)
    }
}

/// Makes a handle and the future that drives `links` until every handle or the receiver of `events` is dropped.
///
/// `capacity` is how many inputs may wait for the machine.
pub fn drive<W: World>(
    links: Links,
    world: W,
    events: mpsc::Sender<Event>,
    capacity: usize,
) -> (Handle, impl Future<Output = Links> + Send) {
    let (sender, inputs) = mpsc::channel(capacity.max(1));
    (Handle(sender), run(links, Arc::new(world), inputs, events))
}

async fn run<W: World>(
    mut links: Links,
    world: Arc<W>,
    mut inputs: mpsc::Receiver<Input>,
    events: mpsc::Sender<Event>,
) -> Links {
    let mut tasks = JoinSet::new();
    let mut waiting: BTreeMap<OperationId, oneshot::Sender<Result<Event, Error>>> = BTreeMap::new();
    loop {
        while let Some(output) = links.poll_output() {
            match output {
                Output::Event(event) => {
                    if let Some(answer) = event
                        .operation()
                        .and_then(|operation| waiting.remove(&operation))
                    {
                        // Who asked may have gone away meanwhile.
                        let _ = answer.send(Ok(event.clone()));
                    }
                    if events.send(event).await.is_err() {
                        return links;
                    }
                }
                other => carry_out(other, &world, &mut tasks),
            }
        }
        let deadline = links.next_deadline();
        tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Command(command, answer)) => match command(&mut links, now()) {
                    Ok(operation) => {
                        waiting.insert(operation, answer);
                    }
                    Err(error) => drop(answer.send(Err(error))),
                },
                Some(Input::Visit(visit)) => visit(&mut links, now()),
                None => return links,
            },
            Some(Ok(done)) = tasks.join_next() => match done {
                Done::Sent(exchange, Ok(response)) => links.handle_response(exchange, &response, now()),
                Done::Sent(exchange, Err(failure)) => links.handle_failure(exchange, failure, now()),
                Done::Loaded(stream, Some(loaded)) => links.handle_loaded(&stream, &loaded, now()),
                Done::Loaded(stream, None) => links.handle_load_failed(&stream, now()),
                Done::Appended(id, appended) => links.handle_appended(id, &appended, now()),
                Done::Saved => {}
            },
            () = async { sleep_until(deadline.unwrap_or_else(now).into()).await }, if deadline.is_some() => {
                links.handle_timeout(now());
            }
        }
    }
}

fn carry_out<W: World>(output: Output, world: &Arc<W>, tasks: &mut JoinSet<Done>) {
    let world = Arc::clone(world);
    match output {
        Output::Send { exchange, request } => {
            tasks.spawn(async move { Done::Sent(exchange, world.send(request).await) });
        }
        Output::Append(append) => {
            tasks.spawn(async move { Done::Appended(append.id, world.append(append).await) });
        }
        Output::Load { stream } => {
            tasks.spawn(async move {
                let loaded = world.load(&stream).await;
                Done::Loaded(stream, loaded)
            });
        }
        Output::Snapshot { stream, snapshot } => {
            tasks.spawn(async move {
                world.save_snapshot(stream, snapshot).await;
                Done::Saved
            });
        }
        // The caller of this function sends events on.
        Output::Event(_) => {}
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
