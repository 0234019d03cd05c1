//! The second half of an operation: the target is told, what was decided becomes the device's, and then the device is told.

use std::time::{Instant, SystemTime};

use crate::model::{Assignment, Attestation, Cause, Migration};
use crate::roster::{self, Registration};
use crate::{AccountId, ErrorKind, RegistrationId, TenantId};

use super::operation::{Operation, Stage, Waiting};
use super::output::DeviceSecret;
use super::timers::Timer;
use super::writing::Intent;
use super::{
    Answer, CommandId, Exchange, ExchangeId, Key, OperationId, Output, Registrations, Roster,
};

impl Registrations {
    /// What makes the device known at the target of the assignment with this generation.
    pub(super) fn upsert(
        &self,
        (tenant, id): &Key,
        generation: u64,
        exchange: ExchangeId,
    ) -> Result<Output, Cause> {
        let registration = self.directory.registration(tenant, id);
        let registration = registration.ok_or(Cause::Conflict)?;
        let pending = registration.pending.as_ref();
        let pending = pending.filter(|one| one.assignment.generation == generation);
        let current = registration.current.as_ref();
        let assignment = pending.map(|one| &one.assignment);
        let assignment = assignment
            .or_else(|| current.filter(|one| one.generation == generation))
            .ok_or(Cause::Conflict)?;
        let point = &assignment.target.access_point;
        let point = self.directory.access_point(tenant, point);
        let point = point.ok_or(Cause::TargetRefused)?;
        let given = pending.and_then(|one| one.own_secret.clone());
        let carry_from = match assignment.migration {
            Migration::Carry => current.map(|one| one.target.clone()),
            Migration::Reset => None,
        };
        Ok(Output::UpsertDevice {
            exchange,
            tenant: tenant.clone(),
            id: id.clone(),
            assignment: Box::new(assignment.clone()),
            access_point: Box::new(point.clone()),
            owner: self.owner(tenant, registration, assignment),
            secret: match given {
                Some(sealed) => Some(DeviceSecret::own(tenant, id, sealed)),
                None => secret_at_target(tenant, id, registration),
            },
            carry_from: carry_from.filter(|from| *from != assignment.target),
        })
    }

    fn owner(
        &self,
        tenant: &TenantId,
        registration: &Registration,
        assignment: &Assignment,
    ) -> Option<AccountId> {
        let settings = self.directory.tenant(tenant)?;
        let group = assignment.group.as_ref();
        let group = group.and_then(|id| settings.groups().get(id));
        let enrollment = registration.enrollment.as_ref();
        let entry = enrollment.map(|one| &one.entry);
        let entry = entry.or_else(|| group.map(|group| &group.value.entry));
        entry?.owner.clone()
    }

    /// A target that heard of what came to nothing is told again what is so.
    pub(super) fn restore_target(&mut self, key: &Key) {
        let registration = self.directory.registration(&key.0, &key.1);
        let Some(generation) = registration.and_then(Registration::current_generation) else {
            return;
        };
        // Nobody waits for the answer; the device's next registration says it once more.
        let exchange = ExchangeId(self.numbers.next());
        if let Ok(output) = self.upsert(key, generation, exchange) {
            self.outputs.push_back(output);
        }
    }

    /// The target of a registration that came from another instance is told; only then is its import done.
    pub(super) fn tell_of_import(&mut self, command: CommandId, key: &Key) {
        let registration = self.directory.registration(&key.0, &key.1);
        let generation = registration.and_then(Registration::current_generation);
        let exchange = ExchangeId(self.numbers.next());
        let output = generation.and_then(|generation| self.upsert(key, generation, exchange).ok());
        match output {
            Some(output) => {
                self.imports.insert(command, exchange);
                self.exchanges.insert(exchange, Exchange::Import(command));
                self.outputs.push_back(output);
            }
            None => self.done(command, Err(ErrorKind::Conflict)),
        }
    }

    /// One of those who are waited for has done its part.
    pub(super) fn prepared(
        &mut self,
        id: OperationId,
        part: impl FnOnce(&mut Waiting),
        wall: SystemTime,
        now: Instant,
    ) {
        let Some(open) = self.operations.get_mut(&id) else {
            return;
        };
        let Stage::Preparing {
            generation,
            returning,
            waiting,
        } = &mut open.stage
        else {
            return;
        };
        part(waiting);
        if waiting.target || waiting.issuer {
            return;
        }
        let (generation, returning) = (*generation, *returning);
        open.stage = Stage::Storing {
            generation,
            returning,
        };
        let (tenant, device) = (open.principal.tenant().clone(), open.principal.id().clone());
        let shard = Roster::shard_of(&device);
        let intent = if returning {
            Intent::Return(id, device, generation)
        } else {
            Intent::Commit(id, device, generation)
        };
        self.write_roster(&tenant, shard, intent, wall, now);
    }

    /// Everything is durable: whoever waits is told.
    pub(super) fn finish(
        &mut self,
        id: OperationId,
        generation: u64,
        wall: SystemTime,
        now: Instant,
    ) {
        let Some(open) = self.operations.get(&id) else {
            return;
        };
        let principal = &open.principal;
        let (tenant, device) = (principal.tenant(), principal.id());
        let registration = self.directory.registration(tenant, device);
        let current = registration.and_then(|known| known.current.as_ref());
        let current = current.filter(|current| current.generation == generation);
        let point = current.and_then(|one| {
            self.directory
                .access_point(tenant, &one.target.access_point)
        });
        let (Some(registration), Some(current), Some(point)) = (registration, current, point)
        else {
            return self.fail(id, Cause::Conflict, wall, now);
        };
        let own = registration.own_secret.clone();
        let answer = Box::new(Answer {
            tenant: tenant.clone(),
            id: device.clone(),
            assignment: current.clone(),
            access_point: point.clone(),
            device_secret: own.map(|sealed| DeviceSecret::own(tenant, device, sealed)),
            certificate: open.certificate.clone(),
        });
        let Some(open) = self.close(id) else {
            return;
        };
        for waiter in open.waiters {
            if waiter.subscribed {
                self.answer(waiter.id, Ok(answer.clone()));
            } else {
                self.timers
                    .set(Timer::Held(waiter.id), now, self.config.hold);
                self.held.insert(waiter.id, answer.clone());
            }
        }
    }

    /// The operation ends without an assignment; what was proposed is given up.
    pub(super) fn fail(&mut self, id: OperationId, cause: Cause, wall: SystemTime, now: Instant) {
        let Some(open) = self.close(id) else {
            return;
        };
        for waiter in &open.waiters {
            self.answer(waiter.id, Err(cause));
        }
        let principal = &open.principal;
        let key: Key = (principal.tenant().clone(), principal.id().clone());
        let group = principal.group().cloned();
        let command = match open.proposed() {
            Some(generation) => roster::Command::Abandon { generation, cause },
            None => roster::Command::Refuse { cause, group },
        };
        self.note(&key, command, wall, now);
    }

    /// Forgets an operation and everything that belongs to it.
    fn close(&mut self, id: OperationId) -> Option<Operation> {
        let open = self.operations.remove(&id)?;
        self.timers.cancel(&Timer::Operation(id));
        for exchange in &open.exchanges {
            self.exchanges.remove(exchange);
        }
        for waiter in &open.waiters {
            self.joined.remove(&waiter.id);
        }
        let principal = &open.principal;
        let tenant = principal.tenant();
        self.open.remove(&(tenant.clone(), principal.id().clone()));
        if let Some(count) = self.open_of_tenant.get_mut(tenant) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.open_of_tenant.remove(tenant);
            }
        }
        Some(open)
    }
}

/// The secret that a device uses at its target: the one it was given, otherwise the one it was enrolled with.
fn secret_at_target(
    tenant: &TenantId,
    id: &RegistrationId,
    registration: &Registration,
) -> Option<DeviceSecret> {
    if let Some(sealed) = &registration.own_secret {
        return Some(DeviceSecret::own(tenant, id, sealed.clone()));
    }
    let enrolled = match &registration.enrollment.as_ref()?.attestation {
        Attestation::SymmetricKey { primary, .. } => primary,
        Attestation::DtlsPsk { key, .. } => key,
        Attestation::X509Leaf { .. } | Attestation::X509Ca { .. } => return None,
    };
    Some(DeviceSecret::enrolled(tenant, id, enrolled.clone()))
}
