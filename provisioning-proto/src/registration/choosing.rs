//! From a request to a proposal: who joins whom, whether the policies are asked, and what they say.

use std::time::{Instant, SystemTime};

use crate::Code;
use crate::allocation::{
    AllocationInput, Decision, HookAuthority, HookCall, HookDevice, HookProof, Selection,
};
use crate::model::{
    Assignment, AssignmentState, Cause, EvidenceClass, Migration, ReprovisioningPolicy,
};
use crate::roster::{self, Proposal, Registration};

use super::operation::{Operation, Stage, Waiter, Waiting};
use super::timers::Timer;
use super::writing::Intent;
use super::{
    Exchange, ExchangeId, Key, OperationId, Output, RegistrationRequest, Registrations, Roster,
};

/// How often an operation is decided anew because something had changed.
const MAX_ATTEMPTS: u8 = 3;

impl Registrations {
    /// The tenant's function has answered, or `None` if it could not be asked.
    pub fn handle_hook_reply(
        &mut self,
        exchange: ExchangeId,
        reply: Option<&[u8]>,
        wall: SystemTime,
        now: Instant,
    ) {
        let now = self.advance(now);
        let Some(Exchange::Hook(operation)) = self.exchanges.get(&exchange).cloned() else {
            return;
        };
        self.exchanges.remove(&exchange);
        let Some(Stage::Deciding {
            exchange: open,
            call,
        }) = self.operations.get(&operation).map(|open| &open.stage)
        else {
            return;
        };
        if *open != exchange {
            return;
        }
        let decision = reply.and_then(|reply| call.read(reply).ok());
        match decision {
            Some(decision) => self.decided(operation, decision, wall, now),
            None => self.fail(operation, Cause::HookFailed, wall, now),
        }
    }

    pub(super) fn begin(
        &mut self,
        id: OperationId,
        request: RegistrationRequest,
        wall: SystemTime,
        now: Instant,
    ) {
        let principal = &request.principal;
        let key: Key = (principal.tenant().clone(), principal.id().clone());
        if let Err(cause) = self.directory.admit(principal, wall) {
            let command = roster::Command::Refuse {
                cause,
                group: principal.group().cloned(),
            };
            self.answer(id, Err(cause));
            self.note(&key, command, wall, now);
            return;
        }
        let waiter = Waiter {
            id,
            subscribed: !request.hold,
        };
        if let Some(first) = self.open.get(&key).copied() {
            self.join(id, first, waiter, &request);
            return;
        }
        let of_tenant = self.open_of_tenant.entry(key.0.clone()).or_default();
        if self.operations.len().saturating_add(self.held.len()) >= self.config.max_operations
            || *of_tenant >= self.config.max_operations_of_tenant
        {
            self.answer(id, Err(Cause::Busy));
            return;
        }
        *of_tenant = of_tenant.saturating_add(1);
        self.timers
            .set(Timer::Operation(id), now, self.config.patience);
        self.joined.insert(id, id);
        self.open.insert(key.clone(), id);
        let of = key;
        let operation = Operation {
            principal: request.principal,
            peer: request.peer,
            keyword: request.keyword,
            fresh_secret: request.fresh_secret,
            csr: request.csr,
            certificate: None,
            waiters: vec![waiter],
            attempts: 0,
            exchanges: Vec::new(),
            stage: Stage::New,
        };
        let pin = operation.principal.pin().cloned();
        self.operations.insert(id, operation);
        if let Some(fingerprint) = pin {
            // Before anything else of it is stored; who comes second with another one is not let in.
            let command = roster::Command::PinCertificate { fingerprint };
            self.note(&of, command, wall, now);
        }
        self.decide(id, wall, now);
    }

    /// A repeated request gets the answer of the first. It must prove as much: a weaker proof gets nothing that a stronger earned.
    fn join(
        &mut self,
        id: OperationId,
        first: OperationId,
        waiter: Waiter,
        request: &RegistrationRequest,
    ) {
        let most = self.config.max_waiters;
        let open = self.operations.get_mut(&first).filter(|open| {
            open.principal == request.principal
                && open.csr == request.csr
                && open.waiters.len() < most
        });
        match open {
            Some(open) => {
                open.waiters.push(waiter);
                self.joined.insert(id, first);
            }
            None => self.answer(id, Err(Cause::Busy)),
        }
    }

    /// Decides where the device of an operation belongs, on what is durable now.
    pub(super) fn decide(&mut self, id: OperationId, wall: SystemTime, now: Instant) {
        let Some(open) = self.operations.get(&id) else {
            return;
        };
        let principal = open.principal.clone();
        let (tenant, device) = (principal.tenant(), principal.id());
        let entry = match self.directory.admit(&principal, wall) {
            Ok(entry) => entry,
            Err(cause) => return self.fail(id, cause, wall, now),
        };
        let registration = self.directory.registration(tenant, device);
        let current = registration.and_then(|known| known.current.as_ref());
        if let (Some(known), Some(current)) = (registration, current)
            && !asks_again(
                known,
                current,
                entry.settings.reprovisioning,
                principal.class(),
            )
        {
            let generation = current.generation;
            return self.prepare(id, generation, true, wall, now);
        }
        let (name, settings) = (entry.name, entry.settings.clone());
        let directed = registration.and_then(|known| known.directed.clone());
        let selection = match directed.as_ref().or(settings.access_point.as_ref()) {
            Some(point) => Selection::AccessPoint(point),
            None if settings.policies.is_empty() => Selection::All,
            None => Selection::Listed(&settings.policies),
        };
        let mut input = AllocationInput::new(device, &name);
        input.payload_keyword = open.keyword.as_deref();
        input.authorities = principal.authorities();
        input.peer = open.peer;
        let here = current.map(|current| current.target.access_point.clone());
        let geography = self.geography.as_ref();
        let decision = self
            .directory
            .choose(tenant, &input, &selection, here.as_ref(), geography);
        if let Decision::AskHook(call) = decision {
            let question = call.question(&hook_device(&name, open));
            return self.ask(id, call, question);
        }
        self.decided(id, decision, wall, now);
    }

    fn ask(&mut self, id: OperationId, call: HookCall, question: String) {
        let exchange = ExchangeId(self.numbers.next());
        let Some(open) = self.operations.get_mut(&id) else {
            return;
        };
        self.outputs.push_back(Output::InvokeHook {
            exchange,
            tenant: open.principal.tenant().clone(),
            function: call.function.clone(),
            question,
        });
        open.stage = Stage::Deciding { exchange, call };
        open.exchanges.push(exchange);
        self.exchanges.insert(exchange, Exchange::Hook(id));
    }

    fn decided(&mut self, id: OperationId, decision: Decision, wall: SystemTime, now: Instant) {
        let (target, policy, given) = match decision {
            Decision::Assign {
                target,
                policy,
                initial_config,
            } => (target, policy, initial_config),
            Decision::Deny { .. } => return self.fail(id, Cause::Denied, wall, now),
            Decision::NoMatch(Code::NO_NEAR_ACCESS_POINT) => {
                return self.fail(id, Cause::NoneNearby, wall, now);
            }
            Decision::NoMatch(_) => return self.fail(id, Cause::NoMatch, wall, now),
            // A function is asked once.
            Decision::AskHook(_) => return self.fail(id, Cause::HookFailed, wall, now),
        };
        let Some(open) = self.operations.get(&id) else {
            return;
        };
        let principal = &open.principal;
        let entry = match self.directory.admit(principal, wall) {
            Ok(entry) => entry,
            Err(cause) => return self.fail(id, cause, wall, now),
        };
        let key: Key = (principal.tenant().clone(), principal.id().clone());
        let registration = self.directory.registration(&key.0, &key.1);
        let current = registration.and_then(|known| known.current.as_ref());
        let initial = &entry.settings.initial_config;
        let carries = entry.settings.reprovisioning != ReprovisioningPolicy::Reset
            && registration.is_none_or(|known| !known.reset);
        let own_secret = match registration.and_then(|known| known.own_secret.as_ref()) {
            None => open.fresh_secret.clone(),
            Some(_) => None,
        };
        if let Some(current) = current
            && current.target == target
            && own_secret.is_none()
            && match &given {
                Some(_) => current.initial_config == given,
                None => carries || current.initial_config == *initial,
            }
            && registration.is_none_or(|known| !known.reset)
        {
            let generation = current.generation;
            return self.prepare(id, generation, true, wall, now);
        }
        if self.is_retiring(&key, &target) {
            return self.fail(id, Cause::Busy, wall, now);
        }
        let based_on = registration.map_or(0, |known| known.generation);
        let mut proposal = Proposal::new(based_on, target, entry.version, principal.class());
        proposal.policy = policy;
        proposal.group = principal.group().cloned();
        proposal.own_secret = own_secret;
        (proposal.migration, proposal.initial_config) = match current {
            Some(current) if carries => (Migration::Carry, current.initial_config.clone()),
            _ => (Migration::Reset, initial.clone()),
        };
        // What a function gives counts more than what the entry has, and than what the device had.
        proposal.initial_config = given.or(proposal.initial_config);
        if let Some(open) = self.operations.get_mut(&id) {
            open.stage = Stage::Proposing {
                proposal: Box::new(proposal),
            };
        }
        let shard = Roster::shard_of(&key.1);
        self.write_roster(&key.0, shard, Intent::Propose(id, key.1), wall, now);
    }

    /// The proposal was overtaken by something: it is made again, not for ever.
    pub(super) fn decide_again(&mut self, id: OperationId, wall: SystemTime, now: Instant) {
        let Some(open) = self.operations.get_mut(&id) else {
            return;
        };
        open.attempts = open.attempts.saturating_add(1);
        if open.attempts >= MAX_ATTEMPTS {
            self.fail(id, Cause::Conflict, wall, now);
        } else {
            self.decide(id, wall, now);
        }
    }

    /// Makes the device known at its target, and its certificate made, before anything is told.
    pub(super) fn prepare(
        &mut self,
        id: OperationId,
        generation: u64,
        returning: bool,
        wall: SystemTime,
        now: Instant,
    ) {
        let (target_exchange, issuer_exchange) = (
            ExchangeId(self.numbers.next()),
            ExchangeId(self.numbers.next()),
        );
        let Some(open) = self.operations.get_mut(&id) else {
            return;
        };
        let waiting = Waiting {
            target: true,
            issuer: open.csr.is_some() && open.certificate.is_none(),
        };
        open.stage = Stage::Preparing {
            generation,
            returning,
            waiting,
        };
        open.exchanges.extend([target_exchange, issuer_exchange]);
        let csr = open.csr.clone().filter(|_| waiting.issuer);
        let principal = open.principal.clone();
        let key: Key = (principal.tenant().clone(), principal.id().clone());
        match self.upsert(&key, generation, target_exchange) {
            Ok(output) => {
                self.exchanges.insert(target_exchange, Exchange::Target(id));
                self.outputs.push_back(output);
            }
            Err(cause) => return self.fail(id, cause, wall, now),
        }
        if let Some(csr) = csr {
            self.exchanges.insert(issuer_exchange, Exchange::Issuer(id));
            self.outputs.push_back(Output::SignCsr {
                exchange: issuer_exchange,
                tenant: principal.tenant().clone(),
                id: principal.id().clone(),
                csr,
            });
        }
    }

    /// Something that an operator should know of a device; nobody waits for it.
    pub(super) fn note(
        &mut self,
        key: &Key,
        command: roster::Command,
        wall: SystemTime,
        now: Instant,
    ) {
        let intent = Intent::Note(key.1.clone(), command);
        self.write_roster(&key.0, Roster::shard_of(&key.1), intent, wall, now);
    }
}

/// Whether the policies are asked although the device has an assignment.
fn asks_again(
    registration: &Registration,
    current: &Assignment,
    policy: ReprovisioningPolicy,
    class: EvidenceClass,
) -> bool {
    if registration.reset {
        return true;
    }
    // A weaker proof than that of the assignment moves nothing.
    if class < current.class || current.state == AssignmentState::Retired {
        return false;
    }
    let directed = registration.directed.as_ref();
    if directed.is_some_and(|to| *to != current.target.access_point) {
        return true;
    }
    match policy {
        ReprovisioningPolicy::Never => false,
        ReprovisioningPolicy::OnTrigger => registration.triggered,
        ReprovisioningPolicy::Reset | ReprovisioningPolicy::Migrate => true,
    }
}

fn hook_device<'a>(name: &'a str, open: &'a Operation) -> HookDevice<'a> {
    let principal = &open.principal;
    let proof = match principal.certificate() {
        Some(certified) => HookProof::Certificate {
            authority: certified.authority.as_ref().map(|names| HookAuthority {
                name: &names.name,
                subject: &names.subject,
                fingerprint: &names.fingerprint,
            }),
            subject: &certified.names.subject,
            issuer: &certified.names.issuer,
        },
        None => HookProof::Secret,
    };
    HookDevice {
        id: principal.id(),
        name,
        payload_keyword: open.keyword.as_deref(),
        peer: open.peer,
        proof,
    }
}
