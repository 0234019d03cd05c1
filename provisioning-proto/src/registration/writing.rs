//! Decisions on their way into the journal: on each stream one append at a time, each decided on what is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::model::{Attestation, Cause, PskIdentity};
use crate::roster::{self, Roster};
use crate::tenant;
use crate::time::unix_millis;
use crate::{AccessPointId, ErrorKind, GroupId, RegistrationId, TenantId};

use super::operation::Stage;
use super::timers::Timer;
use super::{
    Append, AppendId, CommandId, OperationId, Output, Registrations, Reply, Stored, StreamId,
};

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

/// What a decision that is not durable yet has taken.
#[derive(Debug, Default)]
struct Arrival {
    group: Option<(TenantId, GroupId)>,
    access_point: Option<AccessPointId>,
    identity: Option<PskIdentity>,
}

/// All that decisions under way have taken.
#[derive(Debug, Default)]
pub(super) struct Coming {
    groups: BTreeMap<(TenantId, GroupId), u64>,
    access_points: BTreeMap<AccessPointId, u64>,
    identities: BTreeSet<PskIdentity>,
}

impl Coming {
    fn add(&mut self, arrival: &Arrival) {
        if let Some(group) = &arrival.group {
            let count = self.groups.entry(group.clone()).or_default();
            *count = count.saturating_add(1);
        }
        if let Some(point) = &arrival.access_point {
            let count = self.access_points.entry(point.clone()).or_default();
            *count = count.saturating_add(1);
        }
        self.identities.extend(arrival.identity.clone());
    }

    fn remove(&mut self, arrival: &Arrival) {
        if let Some(group) = &arrival.group {
            take_one(&mut self.groups, group);
        }
        if let Some(point) = &arrival.access_point {
            take_one(&mut self.access_points, point);
        }
        if let Some(identity) = &arrival.identity {
            self.identities.remove(identity);
        }
    }
}

fn take_one<K: Ord>(counts: &mut BTreeMap<K, u64>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Why an intent came to nothing.
enum Refused {
    /// Nobody waits for it any more.
    Dropped,
    Kind(ErrorKind),
    Cause(Cause),
}

impl From<ErrorKind> for Refused {
    fn from(kind: ErrorKind) -> Self {
        Self::Kind(kind)
    }
}

impl From<Cause> for Refused {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
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
                let id = self.append_id();
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

    fn append_id(&mut self) -> AppendId {
        let number = self.next_id();
        let mut bytes = [0; 16];
        let parts = self.append_prefix.to_be_bytes().into_iter();
        let parts = parts.chain(number.to_be_bytes());
        bytes
            .iter_mut()
            .zip(parts)
            .for_each(|(to, from)| *to = from);
        AppendId(bytes)
    }

    /// Decides one intent on what is durable now.
    fn judge(&self, stream: &StreamId, intent: &Intent, wall: SystemTime) -> Result<Item, Refused> {
        let (tenant, shard) = match stream {
            StreamId::Settings(tenant) => (tenant, None),
            StreamId::Roster(tenant, shard) => (tenant, Some(*shard)),
        };
        let mut coming = Arrival::default();
        let (device, command) = match intent {
            Intent::Settings(_, command) => {
                let decision = self.judge_settings(tenant, command, wall)?;
                return Ok(Item {
                    intent: intent.clone(),
                    changes: Changes::Settings(decision.changes),
                    reply: decision.reply.into(),
                    generation: None,
                    coming,
                });
            }
            Intent::Command(_, device, command) => {
                coming.identity = self.judge_command(tenant, device, command)?;
                (device, command.clone())
            }
            Intent::Note(device, command) => (device, command.clone()),
            Intent::Propose(operation, device) => {
                let command = self.judge_proposal(*operation, wall, &mut coming)?;
                (device, command)
            }
            Intent::Commit(operation, device, generation) => {
                self.judge_end(*operation, wall, false)?;
                let generation = *generation;
                (device, roster::Command::Commit { generation })
            }
            Intent::Return(operation, device, generation) => {
                self.judge_end(*operation, wall, true)?;
                let generation = *generation;
                (device, roster::Command::Return { generation })
            }
        };
        let nothing = Roster::default();
        let roster = shard.and_then(|shard| self.directory.roster(tenant, shard));
        let decision = roster.unwrap_or(&nothing).decide(device, command, wall)?;
        Ok(Item {
            intent: intent.clone(),
            changes: Changes::Roster(decision.changes),
            reply: decision.reply.into(),
            generation: match decision.reply {
                roster::Reply::Generation(generation) => Some(generation),
                _ => None,
            },
            coming,
        })
    }

    fn judge_settings(
        &self,
        tenant: &TenantId,
        command: &tenant::Command,
        wall: SystemTime,
    ) -> Result<tenant::Decision, ErrorKind> {
        let others = |owner: Option<&TenantId>| owner.is_some_and(|owner| owner != tenant);
        match command {
            tenant::Command::AddScope(scope) if others(self.directory.tenant_of_scope(scope)) => {
                return Err(ErrorKind::Exists);
            }
            tenant::Command::SetAccessPoint { point, .. }
                if others(self.directory.owner_of(&point.id)) =>
            {
                return Err(ErrorKind::Exists);
            }
            _ => {}
        }
        let nothing = tenant::Tenant::default();
        let settings = self.directory.tenant(tenant).unwrap_or(&nothing);
        settings.decide(command.clone(), wall)
    }

    /// What an enrollment says of other things; the identity that it takes.
    fn judge_command(
        &self,
        tenant: &TenantId,
        device: &RegistrationId,
        command: &roster::Command,
    ) -> Result<Option<PskIdentity>, ErrorKind> {
        let settings = self.directory.tenant(tenant);
        let settings = settings.filter(|settings| settings.name().is_some());
        let settings = settings.ok_or(ErrorKind::UnknownTenant)?;
        let roster::Command::Enroll { enrollment, .. } = command else {
            return Ok(None);
        };
        let entry = &enrollment.entry;
        let known = |policy| settings.policies().contains_key(policy);
        if !entry.policies.iter().all(known) {
            return Err(ErrorKind::UnknownEntry);
        }
        if let Some(point) = &entry.access_point
            && self.directory.access_point(tenant, point).is_none()
        {
            return Err(ErrorKind::NotGranted);
        }
        let Attestation::DtlsPsk { identity, .. } = &enrollment.attestation else {
            return Ok(None);
        };
        match self.directory.device_of_identity(identity) {
            Some((of, whose)) if of == tenant && whose == device => Ok(None),
            Some(_) => Err(ErrorKind::Exists),
            None if self.coming.identities.contains(identity) => Err(ErrorKind::Exists),
            None => Ok(Some(identity.clone())),
        }
    }

    /// Compare and set: everything that was decided on is still so.
    fn judge_proposal(
        &self,
        operation: OperationId,
        wall: SystemTime,
        coming: &mut Arrival,
    ) -> Result<roster::Command, Refused> {
        let open = self.operations.get(&operation).ok_or(Refused::Dropped)?;
        let Stage::Proposing { proposal } = &open.stage else {
            return Err(Refused::Dropped);
        };
        let principal = &open.principal;
        let (tenant, id) = (principal.tenant(), principal.id());
        let entry = self.directory.admit(principal, wall)?;
        if entry.version != proposal.entry_version {
            return Err(ErrorKind::Conflict.into());
        }
        let registration = self.directory.registration(tenant, id);
        let current = registration.and_then(|known| known.current.as_ref());
        let point = &proposal.target.access_point;
        let has = current.is_some_and(|current| current.target.access_point == *point);
        let others = self.coming.access_points.get(point);
        let others = others.copied().unwrap_or(0);
        self.directory
            .check_target(tenant, &proposal.target, has, others)?;
        if !has {
            coming.access_point = Some(point.clone());
        }
        if let Some(group) = &proposal.group {
            let holding = self.directory.holding(tenant);
            let holding = holding.ok_or(Refused::Cause(Cause::Unauthenticated))?;
            if !holding.is_member(id, group) {
                let key = (tenant.clone(), group.clone());
                let others = self.coming.groups.get(&key).copied().unwrap_or(0);
                if !holding.has_room(group, others, unix_millis(wall)) {
                    return Err(Cause::GroupFull.into());
                }
                coming.group = Some(key);
            }
        }
        Ok(roster::Command::Propose((**proposal).clone()))
    }

    /// Compare and set once more, before the device is told.
    fn judge_end(
        &self,
        operation: OperationId,
        wall: SystemTime,
        returning: bool,
    ) -> Result<(), Refused> {
        let open = self.operations.get(&operation).ok_or(Refused::Dropped)?;
        let principal = &open.principal;
        let entry = self.directory.admit(principal, wall)?;
        let (tenant, id) = (principal.tenant(), principal.id());
        let registration = self.directory.registration(tenant, id);
        let registration = registration.ok_or(ErrorKind::Conflict)?;
        let assignment = match &registration.pending {
            Some(pending) if !returning => &pending.assignment,
            _ if returning => registration.current.as_ref().ok_or(ErrorKind::Conflict)?,
            _ => return Err(ErrorKind::Conflict.into()),
        };
        if !returning && entry.version != assignment.entry_version {
            return Err(ErrorKind::Conflict.into());
        }
        // Its place was taken when it was proposed; what matters is that the access point is still there for it.
        self.directory
            .check_target(tenant, &assignment.target, true, 0)?;
        let point = self
            .directory
            .access_point(tenant, &assignment.target.access_point);
        let current = registration.current.as_ref();
        let stays = current.is_some_and(|current| current.target == assignment.target);
        if !stays && point.is_some_and(|point| !point.accepts_new) {
            return Err(Cause::TargetRefused.into());
        }
        Ok(())
    }

    fn take_in(&mut self, stream: &StreamId, changes: &Changes) {
        match (stream, changes) {
            (StreamId::Settings(tenant), Changes::Settings(changes)) => {
                for change in changes {
                    self.directory.apply_settings(tenant, change);
                }
            }
            (StreamId::Roster(tenant, _), Changes::Roster(changes)) => {
                for change in changes {
                    self.directory.apply_registration(tenant, change);
                    let known = self.directory.registration(tenant, &change.id);
                    if let Some(record) = known.and_then(|known| known.records.back()) {
                        self.outputs.push_back(Output::Audit {
                            tenant: tenant.clone(),
                            id: change.id.clone(),
                            record: record.clone(),
                        });
                    }
                }
            }
            _ => {}
        }
    }

    /// What was decided is durable.
    fn completed(&mut self, stream: &StreamId, item: Item, wall: SystemTime, now: Instant) {
        let StreamId::Roster(tenant, _) = stream else {
            if let Intent::Settings(command, _) = item.intent {
                self.done(command, Ok(item.reply));
            }
            return;
        };
        match item.intent {
            Intent::Settings(..) => {}
            Intent::Command(command, id, _) => {
                self.done(command, Ok(item.reply));
                self.plan_retirement(&(tenant.clone(), id), wall, now);
            }
            Intent::Note(id, command) => {
                let key = (tenant.clone(), id);
                if matches!(command, roster::Command::RetireTarget { .. }) {
                    self.retiring.remove(&key);
                }
                self.plan_retirement(&key, wall, now);
            }
            Intent::Propose(operation, _) => {
                if let Some(generation) = item.generation {
                    self.prepare(operation, generation, false, wall, now);
                }
            }
            Intent::Commit(operation, id, generation) => {
                self.finish(operation, generation, wall, now);
                self.plan_retirement(&(tenant.clone(), id), wall, now);
            }
            Intent::Return(operation, _, generation) => {
                self.finish(operation, generation, wall, now);
            }
        }
    }

    fn refused(
        &mut self,
        stream: &StreamId,
        intent: Intent,
        why: &Refused,
        wall: SystemTime,
        now: Instant,
    ) {
        let kind = match why {
            Refused::Kind(kind) => *kind,
            Refused::Cause(_) | Refused::Dropped => ErrorKind::Conflict,
        };
        match intent {
            Intent::Settings(command, _) | Intent::Command(command, ..) => {
                self.done(command, Err(kind));
            }
            Intent::Note(id, roster::Command::RetireTarget { .. }) => {
                if let StreamId::Roster(tenant, _) = stream {
                    self.retiring.remove(&(tenant.clone(), id));
                }
            }
            Intent::Note(..) => {}
            Intent::Propose(operation, _) | Intent::Return(operation, ..)
                if matches!(why, Refused::Kind(ErrorKind::Conflict)) =>
            {
                self.decide_again(operation, wall, now);
            }
            Intent::Propose(operation, _)
            | Intent::Commit(operation, ..)
            | Intent::Return(operation, ..) => {
                let cause = match why {
                    Refused::Cause(cause) => *cause,
                    Refused::Kind(ErrorKind::Disabled) => Cause::Disabled,
                    Refused::Kind(ErrorKind::Full) => Cause::Busy,
                    Refused::Kind(_) | Refused::Dropped => Cause::Conflict,
                };
                self.fail(operation, cause, wall, now);
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
