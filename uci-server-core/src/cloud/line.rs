//! The lines of tasks before the streams, and what tasks come to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use uci_model::{ContentFormat, DeviceId, SubscriptionId};

use super::stream::StreamName;
use super::{Asked, DeviceCloud};
use crate::account::{Command, EndCause, Export};
use crate::delivery::Consent;
use crate::device_port::{DeviceAnswer, DeviceReport, DeviceRequest};
use crate::error::{Error, ErrorKind};
use crate::ids::{
    AccountId, ErasureId, ExportId, GrantEndId, GrantId, OwnerChangeId, ReportId, RequestId,
};
use crate::output::Event;
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
    /// How often it was decided on a state that was not the latest.
    pub(super) conflicts: u32,
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
    /// The machine's own: a device answered.
    Answer {
        request: RequestId,
        asked: Asked,
        answer: DeviceAnswer,
    },
    ChangeOwner {
        change: OwnerChangeId,
        device: DeviceId,
        /// `None` takes it from its owner.
        to: Option<AccountId>,
    },
    Export {
        export: ExportId,
        account: AccountId,
    },
    Erase {
        erasure: ErasureId,
        account: AccountId,
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
        grant: GrantId,
        format: ContentFormat,
    },
    Reported(ReportId, Result<(), Error>),
    GrantEnded(GrantEndId, Result<Consent, Error>),
    OwnerChanged(OwnerChangeId, Result<u64, Error>),
    Exported(ExportId, Result<Box<Export>, Error>),
    /// The account is empty, or was before.
    Erased(ErasureId, Result<AccountId, Error>),
    /// More of the account's devices are to be released.
    EraseOn(ErasureId, AccountId),
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

impl DeviceCloud {
    /// Puts a new task behind all others.
    pub(super) fn enqueue(
        &mut self,
        needs: impl IntoIterator<Item = StreamName>,
        work: Work,
        now: Instant,
    ) {
        let task = Task {
            needs: needs.into_iter().collect(),
            work,
            conflicts: 0,
        };
        self.line_up(task, now, VecDeque::push_back);
    }

    /// Puts a task into all its lines at the same end, so that any two tasks stand in the same order everywhere.
    pub(super) fn line_up(
        &mut self,
        task: Task,
        now: Instant,
        place: fn(&mut VecDeque<TaskId>, TaskId),
    ) {
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
                return self.abort_attempts();
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
                        let mut task = task;
                        task.needs.extend(more);
                        self.line_up(task, now, VecDeque::push_front);
                    }
                }
                if joint || batch.tasks.len() >= MAX_BATCH {
                    break;
                }
            }
            self.flush(batch, now);
            self.rest(&name, now);
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

    /// Ends tasks without carrying them out.
    pub(super) fn fail(&mut self, tasks: Vec<Task>) {
        fn unavailable<T>() -> Result<T, Error> {
            Err(ErrorKind::Unavailable.into())
        }
        for task in tasks {
            if matches!(task.work, Work::Wake) {
                self.end_waking(&task);
            }
            match task.work {
                Work::Request { request, .. } | Work::Answer { request, .. } => {
                    self.respond_unavailable(request);
                }
                Work::Report { report, .. } => self.reported(report, unavailable()),
                Work::EndGrant { end, .. } => self.grant_ended(end, unavailable()),
                Work::Settle { subscription, .. } => self.deliveries.unconfirm(subscription),
                Work::ChangeOwner { change, .. } => self.close_command(Event::OwnerChanged {
                    change,
                    result: unavailable(),
                }),
                Work::Export { export, .. } => self.close_command(Event::AccountExported {
                    export,
                    result: unavailable(),
                }),
                Work::Erase { erasure, .. } => self.erased(erasure, unavailable()),
                Work::Wake => {}
            }
        }
    }

    /// Lets out what a batch caused, and then what its subscriptions have to deliver.
    pub(super) fn release_batch(&mut self, batch: Batch, now: Instant) {
        for effect in batch.effects {
            match effect {
                Effect::Respond(request, response) => self.respond(request, response),
                Effect::Ask {
                    request,
                    ask,
                    grant,
                    format,
                } => self.ask(request, ask, grant, format, now),
                Effect::Reported(report, result) => self.reported(report, result),
                Effect::GrantEnded(end, Ok(consent)) => self.acknowledge_end(end, &consent),
                Effect::GrantEnded(end, Err(error)) => self.grant_ended(end, Err(error)),
                Effect::OwnerChanged(change, result) => {
                    self.close_command(Event::OwnerChanged { change, result });
                }
                Effect::Exported(export, result) => {
                    self.close_command(Event::AccountExported { export, result });
                }
                Effect::Erased(erasure, result) => self.erased(erasure, result),
                Effect::EraseOn(erasure, account) => self.erase_on(erasure, account, now),
                Effect::SubscriptionEnded {
                    account,
                    subscription,
                    cause,
                } => {
                    self.note(Event::SubscriptionEnded {
                        account,
                        subscription,
                        cause,
                    });
                }
            }
        }
        for (account, subscription) in batch.touched {
            self.dispatch(&account, subscription, now);
        }
    }

    fn reported(&mut self, report: ReportId, result: Result<(), Error>) {
        self.close_command(Event::Reported { report, result });
    }

    pub(super) fn grant_ended(&mut self, end: GrantEndId, result: Result<(), Error>) {
        self.close_command(Event::GrantEnded { end, result });
    }
}
