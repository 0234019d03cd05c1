use std::time::SystemTime;

use crate::allocation::{AccessPoint, AllocationPolicy, Policies};
use crate::limits::Limits;
use crate::model::{EnrollmentGroup, Expected, Versioned};
use crate::tenant::{Change, Fact, Tenant};
use crate::time::unix_millis;
use crate::{AccessPointId, ErrorKind, GroupId, PolicyId, ScopeId, TenantId};

/// The longest name of a tenant, in bytes.
const MAX_NAME: usize = 256;
/// How many scopes a tenant may have.
const MAX_SCOPES: usize = 100;
/// How many access points a tenant may have.
const MAX_ACCESS_POINTS: usize = 10_000;
/// How many groups a tenant may have.
const MAX_GROUPS: usize = 200;
/// How many tenants an access point may be granted to.
const MAX_GRANTS: usize = 1000;

/// What an operator wants of a tenant's settings.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Creates the tenant.
    Create {
        /// A name for people, 1 to 256 bytes.
        name: String,
    },
    /// Gives it a scope. That no other tenant has it is for the caller to see to.
    AddScope(ScopeId),
    /// Takes a scope away.
    RemoveScope(ScopeId),
    /// Gives it an access point, or changes one. That no other tenant has one of the id is for the caller to see to.
    SetAccessPoint {
        /// The access point from now on.
        point: AccessPoint,
        /// What is believed to be there.
        expected: Expected,
    },
    /// Takes an access point away.
    RemoveAccessPoint {
        /// Its id.
        access_point: AccessPointId,
        /// What is believed to be there.
        expected: Expected,
    },
    /// Lets another tenant use an access point.
    Grant {
        /// The access point.
        access_point: AccessPointId,
        /// The other tenant.
        to: TenantId,
    },
    /// Lets another tenant use an access point no longer; what is assigned stays.
    EndGrant {
        /// The access point.
        access_point: AccessPointId,
        /// The other tenant.
        to: TenantId,
    },
    /// Gives it a policy, or changes one. That it may use the access points is judged when a device comes.
    SetPolicy {
        /// The policy from now on; when it was made is filled in.
        policy: AllocationPolicy,
        /// What is believed to be there.
        expected: Expected,
    },
    /// Takes a policy away; what it assigned stays.
    RemovePolicy {
        /// Its id.
        policy: PolicyId,
        /// What is believed to be there.
        expected: Expected,
    },
    /// Gives it a group, or changes all of one but its attestation.
    SetGroup {
        /// Its id.
        group: GroupId,
        /// The group from now on.
        value: EnrollmentGroup,
        /// What is believed to be there.
        expected: Expected,
    },
    /// Takes a group away; what was assigned through it stays.
    RemoveGroup {
        /// Its id.
        group: GroupId,
        /// What is believed to be there.
        expected: Expected,
    },
}

/// What follows from a command: changes to append, and what to answer once they are durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The changes, in order; none when everything is as wanted already.
    pub changes: Vec<Change>,
    /// The answer to whoever gave the command.
    pub reply: Reply,
}

/// The answer to a [`Command`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The version that the entry has.
    Version(u64),
}

impl Tenant {
    /// Decides what a command changes at the time `wall`, and changes nothing itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownTenant`] before it was created and [`ErrorKind::Exists`] for creating it again;
    /// [`ErrorKind::UnknownEntry`]; [`ErrorKind::Conflict`] when the entry has another version than expected;
    /// [`ErrorKind::InUse`] for what a group or policy refers to; [`ErrorKind::Immutable`] for another attestation of a group;
    /// [`ErrorKind::CaTaken`]; [`ErrorKind::Full`] over a limit; [`ErrorKind::InvalidValue`].
    pub fn decide(&self, command: Command, wall: SystemTime) -> Result<Decision, ErrorKind> {
        let at = self.latest.max(unix_millis(wall));
        let (fact, reply) = self.fact(command, at)?;
        Ok(Decision {
            changes: fact.map(|fact| Change { at, fact }).into_iter().collect(),
            reply,
        })
    }

    fn fact(&self, command: Command, at: u64) -> Result<(Option<Fact>, Reply), ErrorKind> {
        if let Command::Create { name } = command {
            if self.name.is_some() {
                return Err(ErrorKind::Exists);
            }
            if name.is_empty() || name.len() > MAX_NAME {
                return Err(ErrorKind::InvalidValue);
            }
            return Ok((Some(Fact::Created { name }), Reply::Done));
        }
        if self.name.is_none() {
            return Err(ErrorKind::UnknownTenant);
        }
        match command {
            Command::Create { .. } => Err(ErrorKind::Exists),
            Command::AddScope(scope) => {
                let known = self.scopes.contains(&scope);
                if !known && self.scopes.len() >= MAX_SCOPES {
                    return Err(ErrorKind::Full);
                }
                Ok(((!known).then_some(Fact::ScopeAdded { scope }), Reply::Done))
            }
            Command::RemoveScope(scope) => {
                if !self.scopes.contains(&scope) {
                    return Err(ErrorKind::UnknownEntry);
                }
                if self.groups.values().any(|group| group.value.scope == scope) {
                    return Err(ErrorKind::InUse);
                }
                Ok((Some(Fact::ScopeRemoved { scope }), Reply::Done))
            }
            Command::SetAccessPoint { point, expected } => {
                point.check()?;
                let present = self.access_points.get(&point.id);
                let same =
                    |present: &Versioned<super::OwnAccessPoint>| present.value.point == point;
                let full = self.access_points.len() >= MAX_ACCESS_POINTS;
                let reply = self.put(present, same, expected, full)?;
                Ok((reply.0.then_some(Fact::AccessPointSet { point }), reply.1))
            }
            Command::RemoveAccessPoint {
                access_point,
                expected,
            } => {
                take(self.access_points.get(&access_point), expected)?;
                if self.uses_access_point(&access_point) {
                    return Err(ErrorKind::InUse);
                }
                Ok((Some(Fact::AccessPointRemoved { access_point }), Reply::Done))
            }
            Command::Grant { access_point, to } => {
                let own = self.own(&access_point)?;
                let known = own.grants.contains(&to);
                if !known && own.grants.len() >= MAX_GRANTS {
                    return Err(ErrorKind::Full);
                }
                Ok((
                    (!known).then_some(Fact::Granted { access_point, to }),
                    Reply::Done,
                ))
            }
            Command::EndGrant { access_point, to } => {
                let known = self.own(&access_point)?.grants.contains(&to);
                Ok((
                    known.then_some(Fact::GrantEnded { access_point, to }),
                    Reply::Done,
                ))
            }
            Command::SetPolicy {
                mut policy,
                expected,
            } => {
                let present = self.policies.get(&policy.id);
                policy.created_at = present.map_or(at, |present| present.value.created_at);
                self.check_policy(&policy)?;
                let same = |present: &Versioned<AllocationPolicy>| present.value == policy;
                let reply = self.put(present, same, expected, false)?;
                Ok((reply.0.then_some(Fact::PolicySet { policy }), reply.1))
            }
            Command::RemovePolicy { policy, expected } => {
                take(self.policies.get(&policy), expected)?;
                let mut groups = self.groups.values();
                let chains = self.policies.values().map(|chain| chain.value.clone());
                let chains = Policies::from(chains.collect::<Vec<_>>());
                if groups.any(|group| group.value.entry.policies.contains(&policy))
                    || chains.is_linked(&policy)
                {
                    return Err(ErrorKind::InUse);
                }
                Ok((Some(Fact::PolicyRemoved { policy }), Reply::Done))
            }
            Command::SetGroup {
                group,
                value,
                expected,
            } => {
                self.check_group(&group, &value)?;
                let same = |present: &Versioned<EnrollmentGroup>| present.value == value;
                let full = self.groups.len() >= MAX_GROUPS;
                let reply = self.put(self.groups.get(&group), same, expected, full)?;
                Ok((reply.0.then_some(Fact::GroupSet { group, value }), reply.1))
            }
            Command::RemoveGroup { group, expected } => {
                take(self.groups.get(&group), expected)?;
                Ok((Some(Fact::GroupRemoved { group }), Reply::Done))
            }
        }
    }

    /// Whether an entry is to be written, and the version that it then has.
    fn put<T>(
        &self,
        present: Option<&Versioned<T>>,
        same: impl FnOnce(&Versioned<T>) -> bool,
        expected: Expected,
        full: bool,
    ) -> Result<(bool, Reply), ErrorKind> {
        if !expected.is_met(present.map(|present| present.version)) {
            return Err(ErrorKind::Conflict);
        }
        match present {
            Some(present) if same(present) => Ok((false, Reply::Version(present.version))),
            None if full => Err(ErrorKind::Full),
            _ => Ok((true, Reply::Version(self.versions.saturating_add(1)))),
        }
    }

    fn own(&self, id: &AccessPointId) -> Result<&super::OwnAccessPoint, ErrorKind> {
        let own = self.access_points.get(id);
        own.map(|own| &own.value).ok_or(ErrorKind::UnknownEntry)
    }

    fn uses_access_point(&self, id: &AccessPointId) -> bool {
        let by_groups = |group: &Versioned<EnrollmentGroup>| {
            group.value.entry.access_point.as_ref() == Some(id)
        };
        self.groups.values().any(by_groups)
            || self.policies.values().any(|policy| policy.value.names(id))
    }

    /// Counts the policies of each kind without the one that is to be replaced.
    fn check_policy(&self, policy: &AllocationPolicy) -> Result<(), ErrorKind> {
        let others = self.policies.iter().filter(|(id, _)| **id != policy.id);
        let others: Vec<_> = others.map(|(_, other)| other.value.clone()).collect();
        Policies::from(others).check_new(policy, &Limits::default())
    }

    fn check_group(&self, id: &GroupId, value: &EnrollmentGroup) -> Result<(), ErrorKind> {
        value.check()?;
        if !self.scopes.contains(&value.scope) {
            return Err(ErrorKind::UnknownEntry);
        }
        if let Some(present) = self.groups.get(id)
            && present.value.attestation != value.attestation
        {
            return Err(ErrorKind::Immutable);
        }
        let known = |policy| self.policies.contains_key(policy);
        if !value.entry.policies.iter().all(known) {
            return Err(ErrorKind::UnknownEntry);
        }
        let mut others = self.groups.iter().filter(|(other, _)| *other != id);
        let ca = value.attestation.ca();
        if ca.is_some() && others.any(|(_, other)| other.value.attestation.ca() == ca) {
            return Err(ErrorKind::CaTaken);
        }
        Ok(())
    }
}

fn take<T>(present: Option<&Versioned<T>>, expected: Expected) -> Result<(), ErrorKind> {
    let present = present.ok_or(ErrorKind::UnknownEntry)?;
    if expected.is_met(Some(present.version)) {
        Ok(())
    } else {
        Err(ErrorKind::Conflict)
    }
}
