//! Runs a [`DeviceCloud`] on tokio: a handle and a tower service in front, everything outside behind one trait.
//!
//! The task that [`run`] is decides nothing. It carries out outputs, each as a task of its own, and brings answers back. When
//! the channel of commands is full, whoever sends waits; the caller chooses its capacity. When all handles are gone, `run`
//! returns; what was not durable by then did not happen.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::{
    AccountId, Append, AppendId, Appended, AskId, Authentication, DeliveryId, DeliveryOutcome,
    DeviceAnswer, DeviceCloud, DeviceReport, DeviceRequest, Error, ErrorKind, Event, GrantEndId,
    GrantId, Loaded, Output, ReportId, RequestId, Snapshot, TransportFailure,
};

/// Everything outside of the cloud. Every future should end by itself; the cloud has time limits of its own besides.
pub trait Outside: Send + Sync + 'static {
    /// The wall clock.
    fn wall(&self) -> SystemTime;
    /// Reads a stream; `None` when that fails.
    fn load(&self, stream: String) -> impl Future<Output = Option<Loaded>> + Send;
    /// Makes changes durable.
    fn append(&self, append: Append) -> impl Future<Output = Appended> + Send;
    /// Keeps a snapshot, or not.
    fn save_snapshot(&self, stream: String, snapshot: Snapshot) -> impl Future<Output = ()> + Send;
    /// Asks a device.
    fn ask(&self, request: DeviceRequest) -> impl Future<Output = DeviceAnswer> + Send;
    /// Sends a notification: to an address that [`EventsUrlPolicy::judge_address`](crate::EventsUrlPolicy::judge_address)
    /// allows, following no redirect, reading little of the body.
    fn deliver(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportFailure>> + Send;
    /// Takes note of an event that answers no command. Must not block.
    fn note(&self, event: Event);
}

/// Speaks to a running cloud; cheap to clone. Inbound HTTP goes through its [`tower_service::Service`], which looks for the
/// [`Authentication`] in the request's extensions and takes none for [`Authentication::Missing`].
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

#[derive(Debug)]
enum Command {
    Request(Box<Request<Bytes>>, oneshot::Sender<Response<Bytes>>),
    Report(Box<DeviceReport>, oneshot::Sender<Result<(), Error>>),
    EndGrant(AccountId, GrantId, oneshot::Sender<Result<(), Error>>),
    Wake(AccountId),
}

enum Done {
    Answered(AskId, DeviceAnswer),
    Appended(AppendId, Appended),
    Delivered(DeliveryId, Result<DeliveryOutcome, TransportFailure>),
    Loaded(String, Option<Loaded>),
    Saved,
}

/// A handle, and the commands that [`run`] takes from it.
#[must_use]
pub fn handle(capacity: usize) -> (Handle, Commands) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    (Handle { commands: sender }, Commands(receiver))
}

/// The other end of a [`Handle`].
#[derive(Debug)]
pub struct Commands(mpsc::Receiver<Command>);

impl Handle {
    /// Tells what a device did; returns when that is durable.
    ///
    /// # Errors
    /// The kinds of [`DeviceCloud::handle_report`]; [`ErrorKind::Unavailable`] when the cloud has stopped.
    pub async fn report(&self, report: DeviceReport) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Report(Box::new(report), sender)).await?;
        receiver.await.map_err(|_| ErrorKind::Unavailable)?
    }

    /// Ends a grant; returns when that is durable.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`], [`ErrorKind::Full`].
    pub async fn end_grant(&self, account: AccountId, grant: GrantId) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::EndGrant(account, grant, sender)).await?;
        receiver.await.map_err(|_| ErrorKind::Unavailable)?
    }

    /// Has an account's deliveries go on.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] when the cloud has stopped.
    pub async fn wake(&self, account: AccountId) -> Result<(), Error> {
        self.send(Command::Wake(account)).await
    }

    /// Answers an HTTP request; 503 when the cloud has stopped.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (sender, receiver) = oneshot::channel();
        let sent = self.send(Command::Request(Box::new(request), sender)).await;
        let stopped = || {
            let mut response = Response::new(Bytes::from_static(b"the service has stopped"));
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            response
        };
        match sent {
            Ok(()) => receiver.await.unwrap_or_else(|_| stopped()),
            Err(_) => stopped(),
        }
    }

    async fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).await.map_err(|_| ErrorKind::Unavailable.into())
    }
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

/// Runs `cloud` until all handles are gone.
pub async fn run<O: Outside>(cloud: DeviceCloud, commands: Commands, outside: std::sync::Arc<O>) {
    let Commands(mut commands) = commands;
    let mut running = Running { cloud, outside, work: JoinSet::new(), waiting: Waiting::default() };
    loop {
        while let Some(output) = running.cloud.poll_output() {
            running.carry_out(output);
        }
        let deadline = running.cloud.next_deadline().map(Instant::from_std);
        let timer = async {
            match deadline {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            command = commands.recv() => match command {
                Some(command) => running.take(command),
                None => return,
            },
            // A task that panicked has no answer; the cloud's own time limit ends what it was for.
            Some(Ok(done)) = running.work.join_next() => running.finish(done),
            () = timer => {
                let now = Instant::now().into_std();
                running.cloud.handle_timeout(running.outside.wall(), now);
            }
        }
    }
}

struct Running<O> {
    cloud: DeviceCloud,
    outside: std::sync::Arc<O>,
    work: JoinSet<Done>,
    waiting: Waiting,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    requests: BTreeMap<RequestId, oneshot::Sender<Response<Bytes>>>,
    reports: BTreeMap<ReportId, oneshot::Sender<Result<(), Error>>>,
    grants: BTreeMap<GrantEndId, oneshot::Sender<Result<(), Error>>>,
}

impl<O: Outside> Running<O> {
    fn take(&mut self, command: Command) {
        let (wall, now) = (self.outside.wall(), Instant::now().into_std());
        match command {
            Command::Request(mut request, sender) => {
                let authentication = request.extensions_mut().remove::<Authentication>();
                let authentication = authentication.unwrap_or(Authentication::Missing);
                let id = self.cloud.handle_request(&request, authentication, wall, now);
                tracing::debug!(request = %id, method = %request.method(), "request");
                self.waiting.requests.insert(id, sender);
            }
            Command::Report(report, sender) => {
                let device = report.device;
                let id = self.cloud.handle_report(*report, wall, now);
                tracing::debug!(report = %id, %device, "report");
                self.waiting.reports.insert(id, sender);
            }
            Command::EndGrant(account, grant, sender) => {
                let id = self.cloud.end_grant(account, grant, wall, now);
                self.waiting.grants.insert(id, sender);
            }
            Command::Wake(account) => self.cloud.wake(account, wall, now),
        }
    }

    fn carry_out(&mut self, output: Output) {
        let outside = self.outside.clone();
        match output {
            // A receiver that is gone does not want its answer any more.
            Output::Respond { request, response } => {
                tracing::debug!(%request, status = response.status().as_u16(), "response");
                let sender = self.waiting.requests.remove(&request);
                drop(sender.map(|sender| sender.send(response)));
            }
            Output::Ask { ask, request } => {
                tracing::debug!(%ask, device = %request.device, "ask");
                let work = async move { Done::Answered(ask, outside.ask(request).await) };
                self.work.spawn(work);
            }
            Output::Deliver { delivery, request } => {
                self.work.spawn(async move {
                    let result = outside.deliver(request).await;
                    let result = result.map(|response| DeliveryOutcome::from_response(&response));
                    tracing::debug!(%delivery, ?result, "delivery");
                    Done::Delivered(delivery, result)
                });
            }
            Output::Load { stream } => {
                self.work.spawn(async move {
                    let loaded = outside.load(stream.clone()).await;
                    Done::Loaded(stream, loaded)
                });
            }
            Output::Append(append) => {
                let work = async move { Done::Appended(append.id, outside.append(append).await) };
                self.work.spawn(work);
            }
            Output::SaveSnapshot { stream, snapshot } => {
                self.work.spawn(async move {
                    outside.save_snapshot(stream, snapshot).await;
                    Done::Saved
                });
            }
            Output::Event(Event::Reported { report, result }) => {
                let sender = self.waiting.reports.remove(&report);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(Event::GrantEnded { end, result }) => {
                let sender = self.waiting.grants.remove(&end);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(event) => outside.note(event),
        }
    }

    fn finish(&mut self, done: Done) {
        let (wall, now) = (self.outside.wall(), Instant::now().into_std());
        match done {
            Done::Answered(ask, answer) => self.cloud.handle_answer(ask, answer, now),
            Done::Appended(id, appended) => self.cloud.handle_appended(id, appended, wall, now),
            Done::Delivered(id, result) => self.cloud.handle_delivery(id, result, wall, now),
            Done::Loaded(name, Some(loaded)) => self.cloud.handle_loaded(&name, &loaded, wall, now),
            Done::Loaded(name, None) => self.cloud.handle_load_failed(&name, now),
            Done::Saved => {}
        }
    }
}
