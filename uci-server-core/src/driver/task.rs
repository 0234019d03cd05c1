//! The task that carries out what the machine wants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::shared::{Ended, Shared};
use super::{Command, Commands, Outside};
use crate::account::Export;
use crate::{
    AccountId, AppendId, Appended, AskId, DeliveryId, DeliveryOutcome, DeviceAnswer, DeviceCloud,
    ErasureId, Error, Event, ExportId, GrantEndId, Loaded, Output, OwnerChangeId, ReportId,
    TransportFailure,
};

/// After how long an account that could not be loaded is woken again.
const STALLED: Duration = Duration::from_secs(5);
/// Most commands, or answers, that are taken before outputs are carried out.
const BURST: usize = 64;

/// Runs `cloud` until all handles are gone.
pub async fn run<O: Outside>(cloud: DeviceCloud, mut commands: Commands, outside: Arc<O>) {
    let shared = Arc::clone(&commands.shared);
    let clock = Arc::clone(&outside);
    shared.start(cloud, move || clock.wall());
    let mut running = Running {
        shared: Arc::clone(&shared),
        outside,
        work: JoinSet::new(),
        waiting: Waiting::default(),
        sending: BTreeMap::new(),
        stalled: BTreeSet::new(),
    };
    let mut outputs = VecDeque::new();
    let mut timer = pin!(sleep_until(Instant::now()));
    let mut armed = false;
    loop {
        match shared.collect(&mut outputs) {
            Ok(Some(deadline)) => {
                timer.as_mut().reset(deadline);
                armed = true;
            }
            Ok(None) => {}
            Err(Ended) => return,
        }
        for output in outputs.drain(..) {
            running.carry_out(output);
        }
        tokio::select! {
            command = commands.commands.recv() => {
                let Some(command) = command else { return };
                running.take(command);
                for _ in 1..BURST {
                    let Ok(command) = commands.commands.try_recv() else { break };
                    running.take(command);
                }
            }
            () = shared.work() => {}
            Some(done) = running.work.join_next() => {
                running.finish(done);
                for _ in 1..BURST {
                    let Some(done) = running.work.try_join_next() else { break };
                    running.finish(done);
                }
            }
            () = &mut timer, if armed => {
                armed = false;
                shared.time_out();
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
    Saved(String, u64, bool),
    Stalled(AccountId),
}

struct Running<O> {
    shared: Arc<Shared>,
    outside: Arc<O>,
    work: JoinSet<Done>,
    waiting: Waiting,
    /// Attempts to deliver, each with what stops it.
    sending: BTreeMap<DeliveryId, oneshot::Sender<Infallible>>,
    /// Accounts that are to be woken in a while, each once, however often they are asked for meanwhile.
    stalled: BTreeSet<AccountId>,
}

/// Who waits for what.
#[derive(Default)]
struct Waiting {
    reports: BTreeMap<ReportId, oneshot::Sender<Result<(), Error>>>,
    grants: BTreeMap<GrantEndId, oneshot::Sender<Result<(), Error>>>,
    owners: BTreeMap<OwnerChangeId, oneshot::Sender<Result<u64, Error>>>,
    exports: BTreeMap<ExportId, oneshot::Sender<Result<Box<Export>, Error>>>,
    erasures: BTreeMap<ErasureId, oneshot::Sender<Result<(), Error>>>,
}

impl<O: Outside> Running<O> {
    fn take(&mut self, command: Command) {
        // Without a machine the task ends, and who waits learns it from that.
        let Self {
            shared, waiting, ..
        } = self;
        shared.with(|cloud, wall, now| match command {
            Command::Report(report, sender) => {
                let device = report.device;
                let id = cloud.handle_report(*report, wall, now);
                tracing::debug!(report = %id, %device, "report");
                waiting.reports.insert(id, sender);
            }
            Command::EndGrant(account, grant, sender) => {
                let id = cloud.end_grant(account, grant, wall, now);
                waiting.grants.insert(id, sender);
            }
            Command::ChangeOwner(device, to, sender) => {
                let id = match to {
                    Some(to) => cloud.transfer_device(device, to, wall, now),
                    None => cloud.remove_device(device, wall, now),
                };
                waiting.owners.insert(id, sender);
            }
            Command::Export(account, sender) => {
                let id = cloud.export_account(account, wall, now);
                waiting.exports.insert(id, sender);
            }
            Command::Erase(account, sender) => {
                let id = cloud.erase_account(account, wall, now);
                waiting.erasures.insert(id, sender);
            }
            Command::Wake(account) => cloud.wake(account, wall, now),
        });
    }

    fn carry_out(&mut self, output: Output) {
        let outside = self.outside.clone();
        match output {
            // Handed out by whoever sorted the outputs.
            Output::Respond { .. } => {}
            Output::Ask { ask, request } => {
                tracing::debug!(%ask, device = %request.device, "ask");
                let work = async move { Done::Answered(ask, outside.ask(request).await) };
                self.work.spawn(work);
            }
            Output::Deliver { delivery, request } => {
                let (stop, stopped) = oneshot::channel();
                self.sending.insert(delivery, stop);
                self.work.spawn(async move {
                    // Whichever is over first drops the other: what was stopped sends nothing when this ends.
                    let result = tokio::select! {
                        biased;
                        _ = stopped => Err(TransportFailure::Connection),
                        result = outside.deliver(request) => result,
                    };
                    let result = result.map(|response| DeliveryOutcome::from_response(&response));
                    tracing::debug!(%delivery, ?result, "delivery");
                    Done::Delivered(delivery, result)
                });
            }
            Output::Abort { delivery } => drop(self.sending.remove(&delivery)),
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
                    let version = snapshot.version;
                    let saved = outside.save_snapshot(stream.clone(), snapshot).await;
                    Done::Saved(stream, version, saved)
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
        let Self {
            shared,
            sending,
            stalled,
            ..
        } = self;
        shared.with(|cloud, wall, now| match done {
            Done::Answered(ask, answer) => cloud.handle_answer(ask, answer, now),
            Done::Appended(id, appended) => cloud.handle_appended(id, appended, wall, now),
            Done::Delivered(id, result) => {
                sending.remove(&id);
                cloud.handle_delivery(id, result, wall, now);
            }
            Done::Loaded(name, Some(loaded)) => cloud.handle_loaded(&name, &loaded, wall, now),
            Done::Loaded(name, None) => cloud.handle_load_failed(&name, now),
            Done::Stalled(account) => {
                stalled.remove(&account);
                cloud.wake(account, wall, now);
            }
            Done::Erased(name, erased) => cloud.handle_erased(&name, erased, wall, now),
            Done::Saved(name, version, saved) => {
                cloud.handle_saved(&name, version, saved, wall, now);
            }
        });
    }
}
