//! The machine of registrations: from a device that proved who it is to one that was seen at its target.
//!
//! ```text
//!            ┌─▶ Denied, NoMatch            ┌─▶ TargetFailed, IssuerFailed
//! request ─▶ Deciding ─▶ Proposed ─▶ Preparing ─▶ Committed ─▶ answered ─▶ Confirmed ─▶ the old target is told
//!             (hook)      (stored)   (target ∥ issuer) (stored)             (seen)
//! ```
//!
//! A device is told of a target only when the target knows the device and that is durable; its former target forgets it only when
//! it was seen at the new one, or after [`Config::grace`]. What was proposed and came to nothing leaves the former assignment
//! untouched, and the target that was told in vain is told again. Of one device one operation is open at a time: who asks again
//! meanwhile gets the same answer. Every operation ends within [`Config::patience`].
//!
//! The machine holds all ledgers in its [`Directory`]. What it decides leaves it as [`Output::Append`] and takes effect with
//! [`Registrations::handle_stored`]; decisions on one stream are made one batch after another, each on what is durable. Drain
//! [`Registrations::poll_output`] whenever you like.

mod answering;
mod choosing;
mod config;
mod operation;
mod output;
mod request;
mod retiring;
mod timers;
mod writing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::allocation::{GeoTable, Target};
use crate::directory::Directory;
use crate::model::Cause;
use crate::numbers::Numbers;
use crate::roster::{self, Roster};
use crate::tenant::Tenant;
use crate::{ErrorKind, RegistrationId, TenantId};

pub use config::Config;
pub use output::{
    Answer, Append, AppendId, CommandId, DeviceSecret, ExchangeId, OperationId, Output, Reply,
    Stored, StreamId,
};
pub use request::{Command, RegistrationRequest};

use crate::timers::Timers;
use operation::Operation;
use timers::Timer;
use writing::{Coming, Intent, Stream};

/// Whose registration it is.
type Key = (TenantId, RegistrationId);

/// All open registrations of the tenants of one cloud.
#[derive(Debug)]
pub struct Registrations {
    config: Config,
    directory: Directory,
    streams: BTreeMap<StreamId, Stream>,
    operations: BTreeMap<OperationId, Operation>,
    /// Which operation is open for a device.
    open: BTreeMap<Key, OperationId>,
    open_of_tenant: BTreeMap<TenantId, usize>,
    /// The operation that each request became part of.
    joined: BTreeMap<OperationId, OperationId>,
    /// Answers that wait until the device has subscribed to them.
    held: BTreeMap<OperationId, Box<Answer>>,
    /// What was asked of the outside, and for whom.
    exchanges: BTreeMap<ExchangeId, Exchange>,
    /// Commands that import a registration and wait until its target knows the device.
    imports: BTreeMap<CommandId, ExchangeId>,
    /// Former targets that are being told, until it is noted that they were.
    retiring: BTreeMap<Key, (ExchangeId, Target)>,
    appends: BTreeMap<AppendId, StreamId>,
    /// Devices that are about to become a group's, and an access point's.
    coming: Coming,
    /// Settings are changed one after another, because scopes and access points are everybody's.
    settings_busy: bool,
    commands: BTreeSet<CommandId>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    geography: Option<GeoTable>,
    numbers: Numbers,
    now: Option<Instant>,
}

/// What an answer from outside is for.
#[derive(Clone, Debug)]
enum Exchange {
    Hook(OperationId),
    Target(OperationId),
    Issuer(OperationId),
    Retirement(Key, Target),
    Import(CommandId),
}

impl Registrations {
    /// A machine without tenants; `seed` makes the ids of its appends different from those of every other run.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            directory: Directory::default(),
            streams: BTreeMap::new(),
            operations: BTreeMap::new(),
            open: BTreeMap::new(),
            open_of_tenant: BTreeMap::new(),
            joined: BTreeMap::new(),
            held: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            imports: BTreeMap::new(),
            retiring: BTreeMap::new(),
            appends: BTreeMap::new(),
            coming: Coming::default(),
            settings_busy: false,
            commands: BTreeSet::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            geography: None,
            numbers: Numbers::new(seed),
            now: None,
        }
    }

    /// Takes in where networks are, for policies that choose the nearest access point.
    pub fn set_geography(&mut self, geography: GeoTable) {
        self.geography = Some(geography);
    }

    /// What is known and durable.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Takes in a tenant's settings as they were stored, at the version of their stream: at the start, or when
    /// [`Output::Reload`] asks for them.
    pub fn handle_loaded_tenant(
        &mut self,
        tenant: TenantId,
        settings: Tenant,
        version: u64,
        wall: SystemTime,
        now: Instant,
    ) {
        if self.is_writing(&StreamId::Settings(tenant.clone())) {
            return;
        }
        self.directory.insert_tenant(tenant.clone(), settings);
        self.loaded(StreamId::Settings(tenant), version, wall, now);
    }

    /// Takes in the devices of a shard as they were stored, at the version of their stream: at the start, or when
    /// [`Output::Reload`] asks for them. What was interrupted is given up, and former targets are told.
    pub fn handle_loaded_roster(
        &mut self,
        tenant: &TenantId,
        shard: u8,
        roster: Roster,
        version: u64,
        wall: SystemTime,
        now: Instant,
    ) {
        if self.is_writing(&StreamId::Roster(tenant.clone(), shard)) {
            return;
        }
        let mut interrupted = Vec::new();
        let mut owing = Vec::new();
        for (id, registration) in roster.registrations() {
            if let Some(pending) = &registration.pending
                && !self.open.contains_key(&(tenant.clone(), id.clone()))
            {
                interrupted.push((id.clone(), pending.assignment.generation));
            }
            if !registration.previous.is_empty() {
                owing.push(id.clone());
            }
        }
        self.directory.insert_roster(tenant, shard, roster);
        self.loaded(StreamId::Roster(tenant.clone(), shard), version, wall, now);
        for (id, generation) in interrupted {
            let cause = Cause::Interrupted;
            let command = roster::Command::Abandon { generation, cause };
            let intent = Intent::Note(id, command);
            self.write_roster(tenant, shard, intent, wall, now);
        }
        for id in owing {
            self.plan_retirement(&(tenant.clone(), id), wall, now);
        }
    }

    /// A device that proved who it is wants to know where it belongs; ends with one [`Output::Answer`].
    pub fn handle_request(
        &mut self,
        request: RegistrationRequest,
        wall: SystemTime,
        now: Instant,
    ) -> OperationId {
        let now = self.advance(now);
        let id = OperationId(self.numbers.next());
        self.begin(id, request, wall, now);
        id
    }

    /// The device of a held answer has subscribed to it.
    pub fn handle_subscribed(&mut self, operation: OperationId) {
        if let Some(answer) = self.held.remove(&operation) {
            self.timers.cancel(&Timer::Held(operation));
            self.answer(operation, Ok(answer));
        } else if let Some(waiter) = self
            .joined
            .get(&operation)
            .and_then(|first| self.operations.get_mut(first))
            .and_then(|open| {
                open.waiters
                    .iter_mut()
                    .find(|waiter| waiter.id == operation)
            })
        {
            waiter.subscribed = true;
        }
    }

    /// Whoever waited for the answer has gone. An operation that nobody waits for is given up.
    pub fn handle_cancel(&mut self, operation: OperationId, wall: SystemTime, now: Instant) {
        let now = self.advance(now);
        if self.held.remove(&operation).is_some() {
            self.timers.cancel(&Timer::Held(operation));
            self.answer(operation, Err(Cause::Cancelled));
            return;
        }
        let Some(first) = self.joined.remove(&operation) else {
            return;
        };
        self.answer(operation, Err(Cause::Cancelled));
        let Some(open) = self.operations.get_mut(&first) else {
            return;
        };
        open.waiters.retain(|waiter| waiter.id != operation);
        if open.waiters.is_empty() {
            self.fail(first, Cause::Cancelled, wall, now);
        }
    }

    /// The target of [`Output::UpsertDevice`] or [`Output::RetireDevice`] has answered, or could not be asked.
    pub fn handle_target_reply(
        &mut self,
        exchange: ExchangeId,
        done: bool,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        match self.exchanges.remove(&exchange) {
            Some(Exchange::Target(operation)) if done => {
                self.prepared(operation, |waiting| waiting.target = false, wall, now);
            }
            Some(Exchange::Target(operation)) => {
                self.fail(operation, Cause::TargetFailed, wall, now);
            }
            Some(Exchange::Retirement(key, target)) => {
                self.retired(&key, target, done, wall, now);
            }
            Some(Exchange::Import(command)) if done => self.done(command, Ok(Reply::Done)),
            Some(Exchange::Import(command)) => self.done(command, Err(ErrorKind::Unavailable)),
            Some(other) => {
                self.exchanges.insert(exchange, other);
            }
            None => {}
        }
    }

    /// The issuer of [`Output::SignCsr`] has answered with a certificate, or `None`.
    pub fn handle_issuer_reply(
        &mut self,
        exchange: ExchangeId,
        certificate: Option<Bytes>,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        let Some(Exchange::Issuer(operation)) = self.exchanges.get(&exchange).cloned() else {
            return;
        };
        self.exchanges.remove(&exchange);
        let Some(certificate) = certificate else {
            self.fail(operation, Cause::IssuerFailed, wall, now);
            return;
        };
        if let Some(open) = self.operations.get_mut(&operation) {
            open.certificate = Some(certificate);
        }
        self.prepared(operation, |waiting| waiting.issuer = false, wall, now);
    }

    /// A device was seen at the target of the assignment with this generation; one of the past changes nothing.
    pub fn handle_target_seen(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        generation: u64,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        let current = self.directory.registration(tenant, id);
        let current = current.and_then(|registration| registration.current.as_ref());
        if current.is_none_or(|current| {
            current.generation != generation
                || current.state != crate::model::AssignmentState::Committed
        }) {
            return;
        }
        let command = roster::Command::Confirm { generation };
        let intent = Intent::Note(id.clone(), command);
        self.write_roster(tenant, Roster::shard_of(id), intent, wall, now);
    }

    /// An operator wants something; ends with one [`Output::Done`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Full`] when too many commands wait, [`ErrorKind::InvalidValue`] for a command of the machine's own.
    pub fn command(
        &mut self,
        command: Command,
        wall: SystemTime,
        now: Instant,
    ) -> Result<CommandId, ErrorKind> {
        let now = self.advance(now);
        if self.commands.len() >= self.config.max_commands {
            return Err(ErrorKind::Full);
        }
        let id = CommandId(self.numbers.next());
        let (tenant, shard, intent) = match command {
            Command::Settings { tenant, command } => (tenant, None, Intent::Settings(id, command)),
            Command::Registration {
                tenant,
                id: device,
                command,
            } => {
                if !is_operators(&command) {
                    return Err(ErrorKind::InvalidValue);
                }
                let shard = Roster::shard_of(&device);
                (tenant, Some(shard), Intent::Command(id, device, command))
            }
        };
        self.commands.insert(id);
        let patience = self.config.command_patience;
        self.timers.set(Timer::Command(id), now, patience);
        match shard {
            Some(shard) => self.write_roster(&tenant, shard, intent, wall, now),
            None => self.write(StreamId::Settings(tenant), intent, wall, now),
        }
        Ok(id)
    }

    /// Ends what has taken too long, and begins what is due.
    pub fn handle_timeout(&mut self, wall: SystemTime, now: Instant) {
        let now = self.advance(now);
        while let Some(timer) = self.timers.pop_due(now) {
            self.expire(timer, wall, now);
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// How many operations are open.
    #[must_use]
    pub fn open_operations(&self) -> usize {
        self.operations.len()
    }

    fn expire(&mut self, timer: Timer, wall: SystemTime, now: Instant) {
        match timer {
            Timer::Operation(operation) => self.fail(operation, Cause::TimedOut, wall, now),
            Timer::Held(operation) => {
                if self.held.remove(&operation).is_some() {
                    self.answer(operation, Err(Cause::TimedOut));
                }
            }
            Timer::Retirement(key) => self.retire(&key, wall, now),
            Timer::RetirementEnds(exchange) => {
                if let Some(Exchange::Retirement(key, target)) = self.exchanges.remove(&exchange) {
                    self.retired(&key, target, false, wall, now);
                }
            }
            Timer::Append(stream) => self.repeat_append(&stream),
            Timer::Command(command) => self.done(command, Err(ErrorKind::Unavailable)),
        }
    }

    /// Time never goes back here.
    fn advance(&mut self, now: Instant) -> Instant {
        let now = self.now.map_or(now, |before| before.max(now));
        self.now = Some(now);
        now
    }

    fn done(&mut self, command: CommandId, result: Result<Reply, ErrorKind>) {
        if let Some(exchange) = self.imports.remove(&command) {
            self.exchanges.remove(&exchange);
        }
        if self.commands.remove(&command) {
            self.timers.cancel(&Timer::Command(command));
            self.outputs.push_back(Output::Done { command, result });
        }
    }

    fn answer(&mut self, operation: OperationId, result: Result<Box<Answer>, Cause>) {
        self.outputs.push_back(Output::Answer { operation, result });
    }
}

/// Whether an operator may give this command; the others are the machine's own.
fn is_operators(command: &roster::Command) -> bool {
    matches!(
        command,
        roster::Command::Enroll { .. }
            | roster::Command::Unenroll { .. }
            | roster::Command::Trigger
            | roster::Command::ApproveRebind
            | roster::Command::Retire
            | roster::Command::Reset
            | roster::Command::Import { .. }
            | roster::Command::Withdraw { .. }
            | roster::Command::Direct { .. }
    )
}
