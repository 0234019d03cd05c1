//! Decisions on their way into the journal: of each tenant one append at a time, each decided on what is durable.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use super::{Append, Change, Command, Key, Migrations, Output, Plans, Timer};
use crate::registration::{AppendId, CommandId, Stored};
use crate::{ErrorKind, RegistrationId, TenantId};

/// Something that is to be decided and made durable.
#[derive(Clone, Debug)]
pub(super) struct Intent {
    /// The operator's command that wants it; none for what the machine notes itself.
    pub(super) asked_by: Option<CommandId>,
    pub(super) id: RegistrationId,
    pub(super) command: Command,
}

/// One tenant's migrations and what is to become of them.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) plans: Plans,
    version: u64,
    queue: VecDeque<Intent>,
    in_flight: Option<InFlight>,
    /// It is being loaded again.
    reloading: bool,
}

#[derive(Debug)]
struct InFlight {
    append: Append,
    items: Vec<(Intent, Vec<Change>)>,
}

impl Migrations {
    /// The journal has answered an append.
    pub fn handle_stored(
        &mut self,
        append: AppendId,
        stored: Stored,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        let Some(tenant) = self.appends.get(&append).cloned() else {
            return;
        };
        if stored == Stored::Unknown {
            let retry = self.config.append_retry;
            self.timers.set(Timer::Append(tenant), now, retry);
            return;
        }
        self.appends.remove(&append);
        self.timers.cancel(&Timer::Append(tenant.clone()));
        let Some(state) = self.streams.get_mut(&tenant) else {
            return;
        };
        let Some(in_flight) = state.in_flight.take() else {
            return;
        };
        let Stored::Done { version } = stored else {
            // Decided on what was not there any more: loaded again, and decided again.
            state.reloading = true;
            let intents = in_flight.items.into_iter().rev();
            intents.for_each(|(intent, _)| state.queue.push_front(intent));
            self.outputs.push_back(Output::Reload(tenant));
            return;
        };
        state.version = version;
        for (_, changes) in &in_flight.items {
            changes.iter().for_each(|change| state.plans.apply(change));
        }
        for (intent, changes) in in_flight.items {
            if let Some(command) = intent.asked_by {
                self.done(command, Ok(()));
            }
            for change in changes {
                self.moved(&(tenant.clone(), change.id), wall, now);
            }
        }
        self.flush(&tenant, wall);
    }

    pub(super) fn loaded(
        &mut self,
        tenant: &TenantId,
        plans: Plans,
        version: u64,
        wall: SystemTime,
    ) {
        let state = self.streams.entry(tenant.clone()).or_default();
        state.plans = plans;
        state.version = version;
        state.reloading = false;
        self.flush(tenant, wall);
    }

    /// Whether an append is under way, so that what is stored is not what is known.
    pub(super) fn is_writing(&self, tenant: &TenantId) -> bool {
        let state = self.streams.get(tenant);
        state.is_some_and(|state| state.in_flight.is_some())
    }

    pub(super) fn repeat_append(&mut self, tenant: &TenantId) {
        let state = self.streams.get(tenant);
        if let Some(in_flight) = state.and_then(|state| state.in_flight.as_ref()) {
            let append = in_flight.append.clone();
            self.outputs.push_back(Output::Append(append));
        }
    }

    /// What nobody waits for. Noted once: what waits already is not noted again.
    pub(super) fn note(&mut self, key: &Key, command: Command, wall: SystemTime) {
        let waits = self.streams.get(&key.0).is_some_and(|state| {
            let mut waiting = state.queue.iter();
            waiting.any(|intent| intent.id == key.1 && intent.command == command)
        });
        if waits {
            return;
        }
        let intent = Intent {
            asked_by: None,
            id: key.1.clone(),
            command,
        };
        self.write(&key.0, intent, wall);
    }

    pub(super) fn write(&mut self, tenant: &TenantId, intent: Intent, wall: SystemTime) {
        let state = self.streams.entry(tenant.clone()).or_default();
        state.queue.push_back(intent);
        self.flush(tenant, wall);
    }

    /// Decides what waits of a tenant, as far as it fits into one append, and gives that out.
    fn flush(&mut self, tenant: &TenantId, wall: SystemTime) {
        loop {
            let Some(state) = self.streams.get_mut(tenant) else {
                return;
            };
            if state.in_flight.is_some() || state.reloading || state.queue.is_empty() {
                return;
            }
            let batch = state.decide(self.config.max_batch, wall);
            let expected_version = state.version;
            if !batch.items.is_empty() {
                let id = self.numbers.append_id();
                let append = Append {
                    id,
                    tenant: tenant.clone(),
                    expected_version,
                    changes: batch.encoded,
                };
                self.appends.insert(id, tenant.clone());
                self.outputs.push_back(Output::Append(append.clone()));
                if let Some(state) = self.streams.get_mut(tenant) {
                    let items = batch.items;
                    state.in_flight = Some(InFlight { append, items });
                }
            }
            for (asked_by, result) in batch.ended {
                if let Some(command) = asked_by {
                    self.done(command, result);
                }
            }
        }
    }
}

/// What was decided at once.
#[derive(Debug, Default)]
struct Batch {
    items: Vec<(Intent, Vec<Change>)>,
    encoded: Vec<Bytes>,
    /// What needs no append: refused, or so already.
    ended: Vec<(Option<CommandId>, Result<(), ErrorKind>)>,
}

impl Stream {
    /// All on what is durable: of one device one decision, and of those that count how many there are, none that takes the last room
    /// beside others.
    fn decide(&mut self, most: usize, wall: SystemTime) -> Batch {
        let mut batch = Batch::default();
        let mut devices = BTreeSet::new();
        let mut planned: usize = 0;
        while batch.items.len() < most {
            let Some(intent) = self.queue.pop_front() else {
                break;
            };
            let first = devices.insert(intent.id.clone());
            let plans = matches!(intent.command, Command::Plan { .. });
            let command = match intent.command.clone() {
                Command::Plan { plan, most } => Command::Plan {
                    plan,
                    most: most.saturating_sub(planned),
                },
                other => other,
            };
            let decided = self.plans.decide(&intent.id, command, wall);
            let crowded = match &decided {
                Ok(decision) => decision.changes.len() > 1,
                Err(kind) => *kind == ErrorKind::Full,
            };
            if !first || (plans && planned > 0 && crowded) {
                self.queue.push_front(intent);
                break;
            }
            let encoded = decided.and_then(|decision| {
                let bytes = decision.changes.iter().map(Change::encode);
                let bytes: Result<Vec<_>, _> = bytes.collect();
                Ok((bytes.map_err(|error| error.kind())?, decision.changes))
            });
            match encoded {
                Err(kind) => batch.ended.push((intent.asked_by, Err(kind))),
                Ok((_, changes)) if changes.is_empty() => {
                    batch.ended.push((intent.asked_by, Ok(())));
                }
                Ok((bytes, changes)) => {
                    planned = planned.saturating_add(usize::from(plans));
                    batch.encoded.extend(bytes.into_iter().map(Bytes::from));
                    batch.items.push((intent, changes));
                }
            }
        }
        batch
    }
}
