//! Making decisions durable before anything of them is seen: append first, effects after.
//!
//! The ledger is ahead of the journal by the one append on its way; commands that come meanwhile wait and go into the next
//! one together. When the journal turns out to hold something else, it is loaded again and every command that was not yet
//! durable is decided again.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;

use super::{Client, Timer};
use crate::append::{Append, AppendId, Appended, Loaded, StreamAppend};
use crate::error::{Error, ErrorKind};
use crate::ledger::{Change, Command, Ledger, Outcome};
use crate::notifications::{Notification, Refusal};
use crate::output::{EndReason, Event, Output, RequestId, StopReason};

/// How many commands go into one append, none with more than three changes: journals refuse overlong appends.
const MAX_BATCH: usize = 1024;

/// A command whose effects wait for its changes to be durable.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) command: Command,
    pub(super) outcome: Outcome,
    /// The notification that the command takes, and the request to answer.
    pub(super) notification: Option<(RequestId, Box<Notification>)>,
    changes: Vec<Change>,
}

/// Where the ledger stands towards the journal.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) stage: Stage,
    pub(super) ledger: Ledger,
    /// The append on its way and the commands that it makes durable.
    in_flight: Option<(Append, Vec<Entry>)>,
    waiting: VecDeque<Entry>,
    failures: u32,
    snapshot_version: u64,
}

/// Whether there is a ledger.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    Loading,
    Ready,
    Stopped,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            stage: Stage::Loading,
            ledger: Ledger::default(),
            in_flight: None,
            waiting: VecDeque::new(),
            failures: 0,
            snapshot_version: 0,
        }
    }

    /// Whether commands wait that can be decided now.
    pub(super) fn has_work(&self) -> bool {
        self.stage == Stage::Ready && self.in_flight.is_none() && !self.waiting.is_empty()
    }

    /// Whether the ledger is what the journal holds.
    pub(super) fn is_durable(&self) -> bool {
        self.stage == Stage::Ready && self.in_flight.is_none()
    }

    /// Refuses a command that needs the ledger when there is none.
    pub(super) fn ready(&self) -> Result<(), Error> {
        match self.stage {
            Stage::Ready => Ok(()),
            Stage::Loading => Err(ErrorKind::Loading.into()),
            Stage::Stopped => Err(ErrorKind::Stopped.into()),
        }
    }
}

impl Client {
    /// Takes the answer to [`Output::Load`].
    ///
    /// A stream that cannot be read stops the keeping of subscriptions with [`Event::Stopped`].
    pub fn handle_loaded(&mut self, stream: &str, loaded: &Loaded, now: Instant) {
        let now = self.advance(now);
        if stream != self.stream || self.store.stage != Stage::Loading {
            return;
        }
        self.timers.cancel(Timer::Journal);
        self.store.failures = 0;
        let Ok(ledger) = Ledger::load(loaded) else {
            self.stop(StopReason::Unreadable);
            return self.settle(now);
        };
        self.store.snapshot_version = loaded
            .snapshot
            .as_ref()
            .map_or(0, |snapshot| snapshot.version);
        self.store.ledger = ledger;
        self.store.stage = Stage::Ready;
        let again: Vec<Entry> = self.store.waiting.drain(..).collect();
        self.resume(&again, now);
        for entry in again {
            self.submit(entry.command, entry.notification);
        }
        self.settle(now);
    }

    /// Takes the news that the journal could not be read; it is asked again later.
    pub fn handle_load_failed(&mut self, stream: &str, now: Instant) {
        let now = self.advance(now);
        if stream == self.stream && self.store.stage == Stage::Loading {
            self.retry_journal_later(now);
        }
    }

    /// Takes the answer to [`Output::Append`]. An answer to another append than the one on its way is ignored.
    pub fn handle_appended(&mut self, id: AppendId, appended: &Appended, now: Instant) {
        let now = self.advance(now);
        if self
            .store
            .in_flight
            .as_ref()
            .is_none_or(|(append, _)| append.id != id)
        {
            return;
        }
        match appended {
            Appended::Done { .. } => {
                let entries = self
                    .store
                    .in_flight
                    .take()
                    .map(|(_, entries)| entries)
                    .unwrap_or_default();
                self.timers.cancel(Timer::Journal);
                self.store.failures = 0;
                for entry in entries {
                    self.conclude(entry, now);
                }
                self.save_snapshot();
            }
            Appended::Conflict { .. } => {
                let entries = self
                    .store
                    .in_flight
                    .take()
                    .map(|(_, entries)| entries)
                    .unwrap_or_default();
                for entry in entries.into_iter().rev() {
                    self.store.waiting.push_front(entry);
                }
                self.store.stage = Stage::Loading;
                self.load(now);
            }
            Appended::Fenced => self.stop(StopReason::Fenced),
            Appended::Unknown => self.retry_journal_later(now),
        }
        self.settle(now);
    }

    /// Decides a command; its effects follow when its changes and all before them are durable.
    pub(super) fn submit(
        &mut self,
        command: Command,
        notification: Option<(RequestId, Box<Notification>)>,
    ) {
        if self.store.stage == Stage::Stopped {
            return;
        }
        let entry = Entry {
            command,
            outcome: Outcome::Stale,
            notification,
            changes: Vec::new(),
        };
        self.store.waiting.push_back(entry);
    }

    /// Decides what waits and appends it as one, unless an append is on its way.
    pub(super) fn flush(&mut self, now: Instant) {
        while self.store.has_work() {
            let expected_version = self.store.ledger.version();
            let count = self.store.waiting.len().min(MAX_BATCH);
            let mut entries: Vec<Entry> = self.store.waiting.drain(..count).collect();
            for entry in &mut entries {
                let decision = self.store.ledger.decide(&entry.command);
                for change in &decision.changes {
                    self.store.ledger.apply(change);
                }
                entry.outcome = decision.outcome;
                entry.changes = decision.changes;
            }
            let changes: Result<Vec<Bytes>, Error> = entries
                .iter()
                .flat_map(|entry| &entry.changes)
                .map(Change::encode)
                .collect();
            let Ok(changes) = changes else {
                return self.stop(StopReason::Unreadable);
            };
            if changes.is_empty() {
                for entry in entries {
                    self.conclude(entry, now);
                }
                continue;
            }
            let due = self.store.ledger.due();
            let part = StreamAppend {
                stream: self.stream.clone(),
                expected_version,
                changes,
                due,
            };
            let append = Append {
                id: AppendId::new(self.random.bytes()),
                streams: vec![part],
            };
            self.store.in_flight = Some((append, entries));
            self.send_append(now);
        }
    }

    /// Asks the journal again: for the append on its way or for the stream.
    pub(super) fn ask_journal(&mut self, now: Instant) {
        match self.store.stage {
            Stage::Loading => self.load(now),
            Stage::Ready => self.send_append(now),
            Stage::Stopped => {}
        }
    }

    pub(super) fn load(&mut self, now: Instant) {
        self.outputs.push_back(Output::Load {
            stream: self.stream.clone(),
        });
        self.timers
            .set(Timer::Journal, now, self.config.journal_timeout);
    }

    fn send_append(&mut self, now: Instant) {
        if let Some((append, _)) = &self.store.in_flight {
            self.outputs.push_back(Output::Append(append.clone()));
            self.timers
                .set(Timer::Journal, now, self.config.journal_timeout);
        }
    }

    fn retry_journal_later(&mut self, now: Instant) {
        self.store.failures = self.store.failures.saturating_add(1);
        let delay = self
            .config
            .backoff
            .delay(self.store.failures, None, &mut self.random);
        self.timers.set(Timer::Journal, now, delay);
    }

    fn save_snapshot(&mut self) {
        let grown = self
            .store
            .ledger
            .version()
            .saturating_sub(self.store.snapshot_version);
        // Between appends the ledger is exactly what the journal holds.
        if grown < self.config.snapshot_every.max(1) || self.store.in_flight.is_some() {
            return;
        }
        if let Ok(snapshot) = self.store.ledger.snapshot() {
            self.store.snapshot_version = snapshot.version;
            self.outputs.push_back(Output::SaveSnapshot {
                stream: self.stream.clone(),
                snapshot,
            });
        }
    }

    fn stop(&mut self, reason: StopReason) {
        self.store.stage = Stage::Stopped;
        self.timers.cancel(Timer::Journal);
        let in_flight = self
            .store
            .in_flight
            .take()
            .map(|(_, entries)| entries)
            .unwrap_or_default();
        let waiting: Vec<Entry> = self.store.waiting.drain(..).collect();
        self.outputs
            .push_back(Output::Event(Event::Stopped { reason }));
        for (request, _) in in_flight
            .into_iter()
            .chain(waiting)
            .filter_map(|entry| entry.notification)
        {
            self.refuse_waiting(request, Refusal::Unavailable);
        }
        let ids: Vec<_> = self.activities.keys().copied().collect();
        for id in ids {
            self.end(id, EndReason::Stopped);
        }
    }
}
