//! The task that owns the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::{CallId, Command, Commands, Outside};
use crate::account::Export;
use crate::{
    AccountId, AppendId, Appended, AskId, Authentication, DeliveryId, DeliveryOutcome,
    DeviceAnswer, DeviceCloud, ErasureId, Error, Event, ExportId, GrantEndId, Loaded, Output,
    OwnerChangeId, ReportId, RequestId, TransportFailure,
};

/// After how long an account that could not be loaded is woken again.
const STALLED: Duration = Duration::from_secs(5);
/// Most commands, or answers, that are taken before outputs are carried out.
const BURST: usize = 64;

/// Runs `cloud` until all handles are gone.
pub async fn run<O: Outside>(cloud: DeviceCloud, commands: Commands, outside: Arc<O>) {
    let Commands {
        mut commands,
        mut dropped,
    } = commands;
    let mut running = Running {
        cloud,
        outside,
        work: JoinSet::new(),
        waiting: Waiting::default(),
        stalled: BTreeSet::new(),
    };
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut armed: Option<Instant> = None;
    loop {
        while let Some(output) = running.cloud.poll_output() {
            running.carry_out(output);
        }
        // A timer that goes off too early costs less than one that is set anew for every request.
        if let Some(deadline) = running.cloud.next_deadline().map(Instant::from_std)
            && armed.is_none_or(|armed| deadline < armed)
        {
            timer.as_mut().reset(deadline);
            armed = Some(deadline);
        }
        tokio::select! {
            command = commands.recv() => {
                let Some(command) = command else { return };
                running.take(command, &mut dropped);
                for _ in 1..BURST {
                    let Ok(command) = commands.try_recv() else { break };
                    running.take(command, &mut dropped);
                }
            }
            Some(call) = dropped.recv() => running.cancel(call),
            Some(done) = running.work.join_next() => {
                running.finish(done);
                for _ in 1..BURST {
                    let Some(done) = running.work.try_join_next() else { break };
                    running.finish(done);
                }
            }
            () = &mut timer, if armed.is_some() => {
                armed = None;
                let now = Instant::now().into_std();
                running.cloud.handle_timeout(running.outside.wall(), now);
            }
        }
    }
}

enum Done {
    Answered(AskId, DeviceAnswer),
    Appended(AppendId, Appended),
    Erased(String, bool),
    Delivered(DeliveryId, Result<DeliveryOutcome, TransportFailure>),
    Loaded(String, Option<Loaded>),
    Saved,
    Stalled(AccountId),
}

struct Running<O> {
    cloud: DeviceCloud,
    outside: Arc<O>,
    work: JoinSet<Done>,
    waiting: Waiting,
    /// Accounts that are to be woken in a while, each once, however often they are asked for meanwhile.
    stalled: BTreeSet<AccountId>,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    requests: BTreeMap<RequestId, (CallId, oneshot::Sender<Response<Bytes>>)>,
    calls: BTreeMap<CallId, RequestId>,
    reports: BTreeMap<ReportId, oneshot::Sender<Result<(), Error>>>,
    grants: BTreeMap<GrantEndId, oneshot::Sender<Result<(), Error>>>,
    owners: BTreeMap<OwnerChangeId, oneshot::Sender<Result<u64, Error>>>,
    exports: BTreeMap<ExportId, oneshot::Sender<Result<Box<Export>, Error>>>,
    erasures: BTreeMap<ErasureId, oneshot::Sender<Result<(), Error>>>,
}

impl<O: Outside> Running<O> {
    fn take(&mut self, command: Command, dropped: &mut mpsc::UnboundedReceiver<CallId>) {
        // Whoever gave up made room for what comes now.
        while let Ok(call) = dropped.try_recv() {
            self.cancel(call);
        }
        let (wall, now) = (self.outside.wall(), Instant::now().into_std());
        match command {
            // Its caller was gone before it was even looked at.
            Command::Request(_, _, sender) if sender.is_closed() => {}
            Command::Request(mut request, call, sender) => {
                let authentication = request.extensions_mut().remove::<Authentication>();
                let authentication = authentication.unwrap_or(Authentication::Missing);
                let id = self
                    .cloud
                    .handle_request(&request, authentication, wall, now);
                tracing::debug!(request = %id, method = %request.method(), "request");
                self.waiting.requests.insert(id, (call, sender));
                self.waiting.calls.insert(call, id);
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
            Command::ChangeOwner(device, to, sender) => {
                let id = match to {
                    Some(to) => self.cloud.transfer_device(device, to, wall, now),
                    None => self.cloud.remove_device(device, wall, now),
                };
                self.waiting.owners.insert(id, sender);
            }
            Command::Export(account, sender) => {
                let id = self.cloud.export_account(account, wall, now);
                self.waiting.exports.insert(id, sender);
            }
            Command::Erase(account, sender) => {
                let id = self.cloud.erase_account(account, wall, now);
                self.waiting.erasures.insert(id, sender);
            }
            Command::Wake(account) => self.cloud.wake(account, wall, now),
        }
    }

    fn cancel(&mut self, call: CallId) {
        if let Some(request) = self.waiting.calls.remove(&call) {
            tracing::debug!(%request, "request cancelled");
            self.waiting.requests.remove(&request);
            self.cloud.cancel_request(request);
        }
    }

    fn carry_out(&mut self, output: Output) {
        let outside = self.outside.clone();
        match output {
            // A receiver that is gone does not want its answer any more.
            Output::Respond { request, response } => {
                tracing::debug!(%request, status = response.status().as_u16(), "response");
                if let Some((call, sender)) = self.waiting.requests.remove(&request) {
                    self.waiting.calls.remove(&call);
                    drop(sender.send(response));
                }
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
            Output::Erase { stream } => {
                self.work.spawn(async move {
                    let erased = outside.erase(stream.clone()).await;
                    Done::Erased(stream, erased)
                });
            }
            Output::Event(Event::OwnerChanged { change, result }) => {
                let sender = self.waiting.owners.remove(&change);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(Event::AccountExported { export, result }) => {
                let sender = self.waiting.exports.remove(&export);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(Event::AccountErased { erasure, result }) => {
                let sender = self.waiting.erasures.remove(&erasure);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(Event::Reported { report, result }) => {
                let sender = self.waiting.reports.remove(&report);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(Event::GrantEnded { end, result }) => {
                let sender = self.waiting.grants.remove(&end);
                drop(sender.map(|sender| sender.send(result)));
            }
            Output::Event(Event::Stalled { account }) => {
                if self.stalled.insert(account.clone()) {
                    self.work.spawn(async move {
                        sleep(STALLED).await;
                        Done::Stalled(account)
                    });
                }
            }
            Output::Event(event) => outside.note(event),
        }
    }

    fn finish(&mut self, done: Result<Done, JoinError>) {
        // A task that panicked has no answer; the cloud's own time limit ends what it was for.
        let Ok(done) = done else { return };
        let (wall, now) = (self.outside.wall(), Instant::now().into_std());
        match done {
            Done::Answered(ask, answer) => self.cloud.handle_answer(ask, answer, now),
            Done::Appended(id, appended) => self.cloud.handle_appended(id, appended, wall, now),
            Done::Delivered(id, result) => self.cloud.handle_delivery(id, result, wall, now),
            Done::Loaded(name, Some(loaded)) => self.cloud.handle_loaded(&name, &loaded, wall, now),
            Done::Loaded(name, None) => self.cloud.handle_load_failed(&name, now),
            Done::Stalled(account) => {
                self.stalled.remove(&account);
                self.cloud.wake(account, wall, now);
            }
            Done::Erased(name, erased) => self.cloud.handle_erased(&name, erased, wall, now),
            Done::Saved => {}
        }
    }
}
