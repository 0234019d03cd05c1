//! Decisions: each on what is durable, and on what those on their way have taken.

use std::time::SystemTime;

use super::coming::Arrival;
use super::{Changes, Intent, Item};
use crate::model::{Attestation, Cause, PskIdentity};
use crate::registration::operation::Stage;
use crate::registration::{OperationId, Registrations, StreamId};
use crate::roster::{self, Roster};
use crate::tenant;
use crate::time::unix_millis;
use crate::{ErrorKind, RegistrationId, TenantId};

/// Why an intent came to nothing.
pub(super) enum Refused {
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
    /// Decides one intent on what is durable now.
    pub(super) fn judge(
        &self,
        stream: &StreamId,
        intent: &Intent,
        wall: SystemTime,
    ) -> Result<Item, Refused> {
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
        let enrollment = match command {
            roster::Command::Enroll { enrollment, .. } => enrollment,
            roster::Command::Import {
                assignment,
                enrollment,
                ..
            } => {
                let key = (tenant.clone(), device.clone());
                if self.is_retiring(&key, &assignment.target) {
                    return Err(ErrorKind::InUse);
                }
                let known = self.directory.registration(tenant, device);
                let has = known.is_some_and(|known| known.current.is_some());
                let checked = self
                    .directory
                    .check_target(tenant, &assignment.target, has, 0);
                checked.map_err(|_| ErrorKind::NotGranted)?;
                match enrollment {
                    Some(enrollment) => enrollment,
                    None => return Ok(None),
                }
            }
            roster::Command::Direct { to: Some(to) }
                if self.directory.access_point(tenant, to).is_none() =>
            {
                return Err(ErrorKind::NotGranted);
            }
            _ => return Ok(None),
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
}
