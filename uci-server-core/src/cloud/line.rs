//! The lines of tasks before the streams, batches of them, and the appends under way.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use uci_model::SubscriptionId;

use super::stream::{Ledger, Stream, StreamName};
use super::{DeviceCloud, Timer, after};
use crate::account::{Command, EndCause};
use crate::append::{Append, AppendId, Appended, Loaded, StreamAppend};
use crate::device_port::{DeviceReport, DeviceRequest};
use crate::error::{Error, ErrorKind};
use crate::ids::{AccountId, GrantEndId, GrantId, ReportId, RequestId};
use crate::output::{Event, Output};
use crate::request::Incoming;

/// Most tasks in one batch.
const MAX_BATCH: usize = 64;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct TaskId(u64);

/// Something that is done once all streams it needs are idle and it is first in each of their lines.
///
/// A task stands in all its lines from the same moment on, so two tasks never wait for each other.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) needs: BTreeSet<StreamName>,
    pub(super) work: Work,
}

#[derive(Debug)]
pub(super) enum Work {
    Request {
        request: RequestId,
        incoming: Box<Incoming>,
    },
    Report {
        report: ReportId,
        told: Box<DeviceReport>,
    },
    EndGrant {
        end: GrantEndId,
        grant: GrantId,
    },
    /// The machine's own: a delivery came to something.
    Settle {
        account: AccountId,
        subscription: SubscriptionId,
        command: Command,
    },
    Wake,
}

/// What may be seen outside once the batch is durable.
#[derive(Debug)]
pub(super) enum Effect {
    Respond(RequestId, Response<Bytes>),
    Ask {
        request: RequestId,
        ask: Box<DeviceRequest>,
        format: uci_model::ContentFormat,
    },
    Reported(ReportId, Result<(), Error>),
    GrantEnded(GrantEndId, Result<(), Error>),
    SubscriptionEnded {
        account: AccountId,
        subscription: SubscriptionId,
        cause: EndCause,
    },
}

/// Tasks that were carried out together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) tasks: Vec<Task>,
    pub(super) changes: BTreeMap<StreamName, Vec<Bytes>>,
    pub(super) effects: Vec<Effect>,
    pub(super) touched: BTreeSet<(AccountId, SubscriptionId)>,
}

/// A batch on its way into the journal.
#[derive(Debug)]
pub(super) struct InFlight {
    append: Append,
    batch: Batch,
    deadline: Instant,
    attempts: u32,
}

impl DeviceCloud {
    /// Puts a new task behind all others.
    pub(super) fn enqueue(
        &mut self,
        needs: impl IntoIterator<Item = StreamName>,
        work: Work,
        now: Instant,
    ) {
        let needs = needs.into_iter().collect();
        self.line_up(Task { needs, work }, now, VecDeque::push_back);
    }

    /// Puts a task into all its lines at the same end, so that any two tasks stand in the same order everywhere.
    fn line_up(&mut self, task: Task, now: Instant, place: fn(&mut VecDeque<TaskId>, TaskId)) {
        let id = TaskId(self.number());
        for name in &task.needs {
            if !self.streams.contains_key(name) {
                self.load(name.clone(), now);
            }
            if let Some(stream) = self.streams.get_mut(name) {
                place(&mut stream.waiting, id);
            }
            self.movable.insert(name.clone());
        }
        self.tasks.insert(id, task);
    }

    /// Does all that can be done.
    pub(super) fn advance(&mut self, now: Instant) {
        loop {
            self.carry_out_batches(now);
            if let Some(account) = self.next_to_wake() {
                self.enqueue([StreamName::Account(account)], Work::Wake, now);
            } else if let Some((account, subscription)) = self.deliveries.next() {
                self.send(&account, subscription, now);
            } else {
                return;
            }
        }
    }

    /// The next account to wake, unless enough are on their way already.
    fn next_to_wake(&mut self) -> Option<AccountId> {
        if self.waking.len() >= self.config.max_waking.max(1) {
            return None;
        }
        let account = self.to_wake.pop_front()?;
        self.waking.insert(account.clone());
        Some(account)
    }

    /// Notes that an account is awake, or could not be woken.
    pub(super) fn end_waking(&mut self, task: &Task) {
        for name in &task.needs {
            if let StreamName::Account(account) = name {
                self.waking.remove(account);
            }
        }
    }

    fn carry_out_batches(&mut self, now: Instant) {
        while let Some(name) = self.movable.pop_first() {
            let mut batch = Batch::default();
            while let Some(task) = self.take_next(&name, &batch) {
                let joint = task.needs.len() > 1;
                match self.perform(&task, &mut batch) {
                    Ok(()) => batch.tasks.push(task),
                    // It turned out to need more streams; what came after it still comes after it.
                    Err(more) => {
                        let Task { mut needs, work } = task;
                        needs.extend(more);
                        self.line_up(Task { needs, work }, now, VecDeque::push_front);
                    }
                }
                if joint || batch.tasks.len() >= MAX_BATCH {
                    break;
                }
            }
            self.flush(batch, now);
        }
    }

    /// The first task in a line, if it can be carried out in this batch.
    fn take_next(&mut self, name: &StreamName, batch: &Batch) -> Option<Task> {
        let id = *self.streams.get(name)?.waiting.front()?;
        let task = self.tasks.get(&id)?;
        // A task on several streams is a batch of its own.
        if task.needs.len() > 1 && !batch.tasks.is_empty() {
            return None;
        }
        let ready = |name: &StreamName| {
            let stream = self.streams.get(name);
            stream.is_some_and(|s| s.is_idle() && s.waiting.front() == Some(&id))
        };
        if !task.needs.iter().all(ready) {
            return None;
        }
        let task = self.tasks.remove(&id)?;
        for name in &task.needs {
            if let Some(stream) = self.streams.get_mut(name) {
                stream.waiting.pop_front();
            }
        }
        Some(task)
    }

    /// Sends a batch to the journal; one without changes is over at once.
    fn flush(&mut self, mut batch: Batch, now: Instant) {
        if batch.changes.is_empty() {
            for task in &batch.tasks {
                self.movable.extend(task.needs.iter().cloned());
            }
            return self.release(batch, now);
        }
        let id = AppendId(self.entropy.draw_16());
        let mut streams = Vec::with_capacity(batch.changes.len());
        for (name, changes) in mem::take(&mut batch.changes) {
            let Some(stream) = self.streams.get_mut(&name) else {
                continue;
            };
            streams.push(StreamAppend {
                stream: name.to_string(),
                expected_version: stream.version,
                changes,
                due: stream.ledger.as_ref().and_then(Ledger::due),
            });
            stream.busy = Some(id);
        }
        // Streams that were read and not changed are free again.
        let needs = batch
            .tasks
            .iter()
            .flat_map(|task| task.needs.iter().cloned());
        self.movable.extend(needs);
        let append = Append { id, streams };
        let deadline = after(now, self.config.append_timeout);
        self.timers.insert((deadline, Timer::Append(id)));
        self.outputs.push_back(Output::Append(append.clone()));
        self.appends.insert(
            id,
            InFlight {
                append,
                batch,
                deadline,
                attempts: 1,
            },
        );
    }

    /// Remembers that a subscription is to be looked at again once the append is through.
    pub(super) fn touch(
        &mut self,
        id: AppendId,
        account: &AccountId,
        subscription: SubscriptionId,
    ) {
        if let Some(in_flight) = self.appends.get_mut(&id) {
            in_flight
                .batch
                .touched
                .insert((account.clone(), subscription));
        }
    }

    pub(super) fn finish_append(&mut self, id: AppendId, appended: Appended, now: Instant) {
        let Some(mut in_flight) = self.appends.remove(&id) else {
            return;
        };
        self.timers.remove(&(in_flight.deadline, Timer::Append(id)));
        let names: Vec<StreamName> = in_flight
            .append
            .streams
            .iter()
            .filter_map(|s| StreamName::parse(&s.stream))
            .collect();
        match appended {
            Appended::Done => {
                self.make_durable(&in_flight.append);
                self.release(in_flight.batch, now);
            }
            Appended::Conflict => {
                for name in names {
                    self.reload(&name, now);
                }
                // Back where they came from: before all that came after them.
                for task in in_flight.batch.tasks.into_iter().rev() {
                    self.line_up(task, now, VecDeque::push_front);
                }
            }
            Appended::Fenced => {
                self.fail(in_flight.batch.tasks);
                for name in names {
                    self.drop_stream(&name);
                    let stream = name.to_string();
                    self.outputs
                        .push_back(Output::Event(Event::Fenced { stream }));
                }
            }
            Appended::Unknown if in_flight.attempts < self.config.append_attempts => {
                in_flight.attempts = in_flight.attempts.saturating_add(1);
                in_flight.deadline = after(now, self.config.append_timeout);
                self.timers.insert((in_flight.deadline, Timer::Append(id)));
                self.outputs
                    .push_back(Output::Append(in_flight.append.clone()));
                self.appends.insert(id, in_flight);
            }
            // Whether it happened is seen when the streams are loaded; deciding again could do it twice.
            Appended::Unknown => {
                self.fail(in_flight.batch.tasks);
                for name in names {
                    self.reload(&name, now);
                }
            }
        }
    }

    fn make_durable(&mut self, append: &Append) {
        for part in &append.streams {
            let Some(name) = StreamName::parse(&part.stream) else {
                continue;
            };
            let Some(stream) = self.streams.get_mut(&name) else {
                continue;
            };
            let count = u64::try_from(part.changes.len()).unwrap_or(u64::MAX);
            stream.version = part.expected_version.saturating_add(count);
            stream.busy = None;
            if let Some(snapshot) = stream.snapshot(self.config.snapshot_every) {
                let stream = part.stream.clone();
                self.outputs
                    .push_back(Output::SaveSnapshot { stream, snapshot });
            }
            self.movable.insert(name);
        }
    }

    fn load(&mut self, name: StreamName, now: Instant) {
        let deadline = after(now, self.config.load_timeout);
        self.timers.insert((deadline, Timer::Load(name.clone())));
        self.outputs.push_back(Output::Load {
            stream: name.to_string(),
        });
        self.streams.insert(name, Stream::loading(deadline));
    }

    fn reload(&mut self, name: &StreamName, now: Instant) {
        let waiting = self
            .streams
            .remove(name)
            .map(|stream| stream.waiting)
            .unwrap_or_default();
        self.load(name.clone(), now);
        if let Some(stream) = self.streams.get_mut(name) {
            stream.waiting = waiting;
        }
    }

    pub(super) fn finish_loading(&mut self, name: &StreamName, loaded: &Loaded, now: Instant) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        if !stream.is_loading() {
            return;
        }
        let ledger = match Ledger::load(name, loaded) {
            Ok(ledger) => ledger,
            Err(error) => {
                let stream = name.to_string();
                self.outputs
                    .push_back(Output::Event(Event::Unreadable { stream, error }));
                return self.drop_stream(name);
            }
        };
        self.timers
            .remove(&(stream.load_deadline, Timer::Load(name.clone())));
        stream.version = loaded.version;
        stream.snapshot_version = loaded
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.version);
        let mut owing = Vec::new();
        if let (Ledger::Account(ledger), StreamName::Account(account)) = (&ledger, name) {
            owing = ledger.owing().collect();
            for (device, generation) in ledger.online_devices() {
                let account = account.clone();
                let event = Event::PresumedOnline {
                    account,
                    device,
                    generation,
                };
                self.outputs.push_back(Output::Event(event));
            }
        }
        stream.ledger = Some(ledger);
        if let StreamName::Account(account) = name {
            for subscription in owing {
                self.dispatch(account, subscription, now);
            }
        }
        self.movable.insert(name.clone());
    }

    pub(super) fn give_up_loading(&mut self, name: &StreamName) {
        self.drop_stream(name);
        if let StreamName::Account(account) = name {
            let account = account.clone();
            self.outputs
                .push_back(Output::Event(Event::Stalled { account }));
        }
    }

    /// Forgets a stream; what waits for it fails.
    pub(super) fn drop_stream(&mut self, name: &StreamName) {
        let Some(stream) = self.streams.remove(name) else {
            return;
        };
        self.timers
            .remove(&(stream.load_deadline, Timer::Load(name.clone())));
        let tasks: Vec<Task> = stream
            .waiting
            .iter()
            .filter_map(|id| self.tasks.remove(id))
            .collect();
        for other in tasks.iter().flat_map(|task| &task.needs) {
            if let Some(other) = self.streams.get_mut(other) {
                other.waiting.retain(|id| !stream.waiting.contains(id));
            }
            self.movable.insert(other.clone());
        }
        self.fail(tasks);
        if let StreamName::Account(account) = name {
            self.deliveries.forget_account(account);
        }
    }

    /// Ends tasks without carrying them out.
    fn fail(&mut self, tasks: Vec<Task>) {
        let unavailable = || Err(ErrorKind::Unavailable.into());
        for task in tasks {
            if matches!(task.work, Work::Wake) {
                self.end_waking(&task);
            }
            match task.work {
                Work::Request { request, .. } => self.respond_unavailable(request),
                Work::Report { report, .. } => self.reported(report, unavailable()),
                Work::EndGrant { end, .. } => self.grant_ended(end, unavailable()),
                Work::Settle { subscription, .. } => self.deliveries.unconfirm(subscription),
                Work::Wake => {}
            }
        }
    }

    /// Lets out what a batch caused, and then what its subscriptions have to deliver.
    fn release(&mut self, batch: Batch, now: Instant) {
        for effect in batch.effects {
            match effect {
                Effect::Respond(request, response) => self.respond(request, response),
                Effect::Ask {
                    request,
                    ask,
                    format,
                } => self.ask(request, *ask, format, now),
                Effect::Reported(report, result) => self.reported(report, result),
                Effect::GrantEnded(end, result) => self.grant_ended(end, result),
                Effect::SubscriptionEnded {
                    account,
                    subscription,
                    cause,
                } => {
                    let event = Event::SubscriptionEnded {
                        account,
                        subscription,
                        cause,
                    };
                    self.outputs.push_back(Output::Event(event));
                }
            }
        }
        for (account, subscription) in batch.touched {
            self.dispatch(&account, subscription, now);
        }
    }

    fn reported(&mut self, report: ReportId, result: Result<(), Error>) {
        self.open_commands = self.open_commands.saturating_sub(1);
        self.outputs
            .push_back(Output::Event(Event::Reported { report, result }));
    }

    fn grant_ended(&mut self, end: GrantEndId, result: Result<(), Error>) {
        self.open_commands = self.open_commands.saturating_sub(1);
        self.outputs
            .push_back(Output::Event(Event::GrantEnded { end, result }));
    }
}
