//! Decisions on their way into the journal: on each stream one append at a time, each decided on what is durable.

mod coming;
mod judging;
mod outcome;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::{ErrorKind, RegistrationId, TenantId, roster, tenant};

use super::timers::Timer;
use super::{
    Append, AppendId, CommandId, OperationId, Output, Registrations, Reply, Stored, StreamId,
};
use coming::Arrival;
pub(super) use coming::Coming;

/// Something that is to be decided and made durable.
#[derive(Clone, Debug)]
pub(super) enum Intent {
    Settings(CommandId, tenant::Command),
    Command(CommandId, RegistrationId, roster::Command),
    /// What nobody waits for.
    Note(RegistrationId, roster::Command),
    Propose(OperationId, RegistrationId),
    Commit(OperationId, RegistrationId, u64),
    Return(OperationId, RegistrationId, u64),
}

impl Intent {
    fn device(&self) -> Option<&RegistrationId> {
        match self {
            Self::Settings(..) => None,
            Self::Command(_, id, _)
            | Self::Note(id, _)
            | Self::Propose(_, id)
            | Self::Commit(_, id, _)
            | Self::Return(_, id, _) => Some(id),
        }
    }
}

/// One stream of the journal.
#[derive(Debug, Default)]
pub(super) struct Stream {
    version: u64,
    queue: VecDeque<Intent>,
    in_flight: Option<InFlight>,
    /// It is being loaded again.
    reloading: bool,
}

#[derive(Debug)]
struct InFlight {
    append: Append,
    items: Vec<Item>,
}

#[derive(Debug)]
struct Item {
    intent: Intent,
    changes: Changes,
    reply: Reply,
    /// The generation that was proposed.
    generation: Option<u64>,
    coming: Arrival,
}

#[derive(Debug)]
enum Changes {
    Settings(Vec<tenant::Change>),
    Roster(Vec<roster::Change>),
}

impl Registrations {
    /// The journal has answered an append.
    pub fn handle_stored(
        &mut self,
        append: AppendId,
        stored: Stored,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        let Some(stream) = self.appends.get(&append).cloned() else {
            return;
        };
        if stored == Stored::Unknown {
            let retry = self.config.append_retry;
            self.timers.set(Timer::Append(stream), now, retry);
            return;
        }
        self.appends.remove(&append);
        self.timers.cancel(&Timer::Append(stream.clone()));
        if matches!(stream, StreamId::Settings(_)) {
            self.settings_busy = false;
        }
        let Some(state) = self.streams.get_mut(&stream) else {
            return;
        };
        let Some(in_flight) = state.in_flight.take() else {
            return;
        };
        match stored {
            Stored::Done { version } => state.version = version,
            _ => {
                // Decided on what was not there any more: loaded again, and decided again.
                state.reloading = true;
                for item in in_flight.items.into_iter().rev() {
                    self.coming.remove(&item.coming);
                    state.queue.push_front(item.intent);
                }
                self.outputs.push_back(Output::Reload(stream));
                self.flush_settings(wall, now);
                return;
            }
        }
        for item in &in_flight.items {
            self.coming.remove(&item.coming);
            self.take_in(&stream, &item.changes);
        }
        for item in in_flight.items {
            self.completed(&stream, item, wall, now);
        }
        self.flush(&stream, wall, now);
        self.flush_settings(wall, now);
    }

    pub(super) fn loaded(
        &mut self,
        stream: StreamId,
        version: u64,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        let state = self.streams.entry(stream.clone()).or_default();
        state.version = version;
        state.reloading = false;
        self.flush(&stream, wall, now);
    }

    /// Whether an append is under way, so that what is stored is not what is known.
    pub(super) fn is_writing(&self, stream: &StreamId) -> bool {
        let state = self.streams.get(stream);
        state.is_some_and(|state| state.in_flight.is_some())
    }

    pub(super) fn repeat_append(&mut self, stream: &StreamId) {
        let state = self.streams.get(stream);
        if let Some(in_flight) = state.and_then(|state| state.in_flight.as_ref()) {
            self.outputs
                .push_back(Output::Append(in_flight.append.clone()));
        }
    }

    pub(super) fn write_roster(
        &mut self,
        tenant: &TenantId,
        shard: u8,
        intent: Intent,
        wall: SystemTime,
        now: Instant,
    ) {
        self.write(StreamId::Roster(tenant.clone(), shard), intent, wall, now);
    }

    pub(super) fn write(
        &mut self,
        stream: StreamId,
        intent: Intent,
        wall: SystemTime,
        now: Instant,
    ) {
        let state = self.streams.entry(stream.clone()).or_default();
        state.queue.push_back(intent);
        self.flush(&stream, wall, now);
    }

    /// Streams of settings wait for one another.
    fn flush_settings(&mut self, wall: SystemTime, now: Instant) {
        if self.settings_busy {
            return;
        }
        let waiting = self.streams.iter().find(|(id, state)| {
            matches!(id, StreamId::Settings(_)) && !state.queue.is_empty() && !state.reloading
        });
        if let Some(stream) = waiting.map(|(id, _)| id.clone()) {
            self.flush(&stream, wall, now);
        }
    }

    /// Decides what waits on a stream, as far as it fits into one append, and gives that out.
    fn flush(&mut self, stream: &StreamId, wall: SystemTime, now: Instant) {
        loop {
            let settings = matches!(stream, StreamId::Settings(_));
            let Some(state) = self.streams.get_mut(stream) else {
                return;
            };
            if state.in_flight.is_some() || state.reloading || (settings && self.settings_busy) {
                return;
            }
            let most = if settings { 1 } else { self.config.max_batch };
            let mut batch = Vec::new();
            let mut devices = BTreeSet::new();
            while batch.len() < most {
                let next = state.queue.front();
                // Two decisions on one device are made one after the other.
                let fits = next.is_some_and(|intent| {
                    intent
                        .device()
                        .is_none_or(|device| devices.insert(device.clone()))
                });
                if !fits {
                    break;
                }
                batch.extend(state.queue.pop_front());
            }
            if batch.is_empty() {
                return;
            }
            let expected_version = state.version;
            let (mut items, mut idle, mut refused) = (Vec::new(), Vec::new(), Vec::new());
            let mut changes = Vec::new();
            for intent in batch {
                let judged = self.judge(stream, &intent, wall);
                let judged = judged.and_then(|item| Ok((item.changes.encode()?, item)));
                match judged {
                    Ok((encoded, item)) if encoded.is_empty() => idle.push(item),
                    Ok((encoded, item)) => {
                        self.coming.add(&item.coming);
                        changes.extend(encoded);
                        items.push(item);
                    }
                    Err(why) => refused.push((intent, why)),
                }
            }
            if !items.is_empty() {
                let id = self.numbers.append_id();
                let append = Append {
                    id,
                    stream: stream.clone(),
                    expected_version,
                    changes,
                };
                self.appends.insert(id, stream.clone());
                self.settings_busy |= settings;
                self.outputs.push_back(Output::Append(append.clone()));
                if let Some(state) = self.streams.get_mut(stream) {
                    state.in_flight = Some(InFlight { append, items });
                }
            }
            for item in idle {
                self.completed(stream, item, wall, now);
            }
            for (intent, why) in refused {
                self.refused(stream, intent, &why, wall, now);
            }
        }
    }
}

impl Changes {
    fn encode(&self) -> Result<Vec<Bytes>, ErrorKind> {
        let encoded: Result<Vec<_>, _> = match self {
            Self::Settings(changes) => changes.iter().map(tenant::Change::encode).collect(),
            Self::Roster(changes) => changes.iter().map(roster::Change::encode).collect(),
        };
        let encoded = encoded.map_err(|error| error.kind())?;
        Ok(encoded.into_iter().map(Bytes::from).collect())
    }
}
