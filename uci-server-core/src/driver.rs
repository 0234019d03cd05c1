//! Runs a [`DeviceCloud`](crate::DeviceCloud) on tokio: a handle and a tower service in front, everything outside behind one trait.
//!
//! A request goes straight to the machine, in the task of its caller; the machine's own limits bound how many wait for an answer.
//! Reports and the other commands wait in a channel; when that is full, whoever sends waits; the caller chooses its capacity. The
//! task that [`run`] is decides nothing: it carries out outputs, each as a task of its own, and brings answers back. When all
//! handles are gone, `run` returns; what was not durable by then did not happen.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use uci_model::DeviceId;

use crate::account::Export;
use crate::{
    AccountId, Append, Appended, DeviceAnswer, DeviceReport, DeviceRequest, Error, ErrorKind,
    Event, GrantId, Loaded, Snapshot, TransportFailure,
};

mod shared;
mod task;

use shared::Shared;

pub use task::run;

/// Everything outside of the cloud. Every future should end by itself; the cloud has time limits of its own besides.
pub trait Outside: Send + Sync + 'static {
    /// The wall clock.
    fn wall(&self) -> SystemTime;
    /// Reads a stream; `None` when that fails.
    fn load(&self, stream: String) -> impl Future<Output = Option<Loaded>> + Send;
    /// Makes changes durable.
    fn append(&self, append: Append) -> impl Future<Output = Appended> + Send;
    /// Keeps a snapshot and removes what it covers; whether that is done for good.
    fn save_snapshot(
        &self,
        stream: String,
        snapshot: Snapshot,
    ) -> impl Future<Output = bool> + Send;
    /// Erases a stream, and the key under which its secrets are sealed; whether that is done for good.
    fn erase(&self, stream: String) -> impl Future<Output = bool> + Send;
    /// Asks a device.
    fn ask(&self, request: DeviceRequest) -> impl Future<Output = DeviceAnswer> + Send;
    /// Sends a notification.
    ///
    /// At each connect every address that the name resolves to is passed through
    /// [`EventsUrlPolicy::judge_address`](crate::EventsUrlPolicy::judge_address), also one that the URL holds as it is, and the
    /// connection goes to an address that was allowed. Connections are kept and used again. No redirect is followed, no proxy
    /// used, and little of the body read: it says nothing. When the future is dropped before it is ready, nothing more is
    /// sent: a connection on which the request is half written is closed.
    fn deliver(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportFailure>> + Send;
    /// Takes note of an event that answers no command. Must not block.
    fn note(&self, event: Event);
}

/// Speaks to a running cloud; cheap to clone. Inbound HTTP goes through its [`tower_service::Service`], which looks for the
/// [`Authentication`](crate::Authentication) in the request's extensions and takes none for [`Authentication::Missing`](crate::Authentication::Missing).
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Command {
    Report(Box<DeviceReport>, oneshot::Sender<Result<(), Error>>),
    EndGrant(AccountId, GrantId, oneshot::Sender<Result<(), Error>>),
    ChangeOwner(
        DeviceId,
        Option<AccountId>,
        oneshot::Sender<Result<u64, Error>>,
    ),
    Export(AccountId, oneshot::Sender<Result<Box<Export>, Error>>),
    Erase(AccountId, oneshot::Sender<Result<(), Error>>),
    Wake(AccountId),
}

/// A handle, and the commands that [`run`] takes from it, of which `capacity` may wait.
#[must_use]
pub fn handle(capacity: usize) -> (Handle, Commands) {
    let (commands, receiver) = mpsc::channel(capacity.max(1));
    let shared = Arc::new(Shared::default());
    let handle = Handle {
        commands,
        shared: Arc::clone(&shared),
    };
    let commands = Commands {
        commands: receiver,
        shared,
    };
    (handle, commands)
}

/// The other end of a [`Handle`].
#[derive(Debug)]
pub struct Commands {
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
}

impl Drop for Commands {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl Handle {
    /// Tells what a device did; returns when that is durable.
    ///
    /// # Errors
    /// The kinds of [`DeviceCloud::handle_report`](crate::DeviceCloud::handle_report); [`ErrorKind::Unavailable`] when the cloud has stopped.
    pub async fn report(&self, report: DeviceReport) -> Result<(), Error> {
        self.ask(|sender| Command::Report(Box::new(report), sender))
            .await
    }

    /// Ends a grant; returns when that is durable.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Full`].
    pub async fn end_grant(&self, account: AccountId, grant: GrantId) -> Result<(), Error> {
        self.ask(|sender| Command::EndGrant(account, grant, sender))
            .await
    }

    /// Gives a device to another account; returns its new generation when that is durable.
    ///
    /// # Errors
    /// The kinds of [`DeviceCloud::transfer_device`](crate::DeviceCloud::transfer_device); [`ErrorKind::Unavailable`] when
    /// the cloud has stopped.
    pub async fn transfer_device(&self, device: DeviceId, to: AccountId) -> Result<u64, Error> {
        self.ask(|sender| Command::ChangeOwner(device, Some(to), sender))
            .await
    }

    /// Takes a device from its account; returns the generation in which it was when that is durable.
    ///
    /// # Errors
    /// The kinds of [`DeviceCloud::remove_device`](crate::DeviceCloud::remove_device); [`ErrorKind::Unavailable`] when the
    /// cloud has stopped.
    pub async fn remove_device(&self, device: DeviceId) -> Result<u64, Error> {
        self.ask(|sender| Command::ChangeOwner(device, None, sender))
            .await
    }

    /// Says what an account holds.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Full`].
    pub async fn export_account(&self, account: AccountId) -> Result<Box<Export>, Error> {
        self.ask(|sender| Command::Export(account, sender)).await
    }

    /// Erases an account; returns when nothing of it is kept.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Full`].
    pub async fn erase_account(&self, account: AccountId) -> Result<(), Error> {
        self.ask(|sender| Command::Erase(account, sender)).await
    }

    /// Has an account's deliveries go on.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the cloud has stopped.
    pub async fn wake(&self, account: AccountId) -> Result<(), Error> {
        self.send(Command::Wake(account)).await
    }

    /// Answers an HTTP request; 503 when the cloud has stopped. When the future is dropped before it is ready, the request is
    /// cancelled ([`DeviceCloud::cancel_request`](crate::DeviceCloud::cancel_request)).
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.shared.answer(request).await.unwrap_or_else(stopped)
    }

    /// How many reports and other commands wait to be taken in.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let free = self.commands.capacity();
        self.commands.max_capacity().saturating_sub(free)
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        self.send(command(sender)).await?;
        receiver.await.map_err(|_| ErrorKind::Unavailable)?
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.commands
            .send(command)
            .await
            .map_err(|_| ErrorKind::Unavailable.into())
    }
}

fn stopped() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"the service has stopped"));
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

impl tower_service::Service<Request<Bytes>> for Handle {
    type Response = Response<Bytes>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let handle = self.clone();
        Box::pin(async move { Ok(handle.answer(request).await) })
    }
}
