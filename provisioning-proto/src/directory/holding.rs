use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::allocation::{AccessPoint, AccessPoints, Owner, Policies};
use crate::directory::Directory;
use crate::model::{Attestation, PskIdentity};
use crate::roster::{self, Registration, Roster};
use crate::tenant::{self, Tenant};
use crate::{AccessPointId, GroupId, RegistrationId, TenantId};

const HOUR_MILLIS: u64 = 3_600_000;
/// How many times of first coming are remembered of a group; a limit an hour above that is not kept exactly.
const MAX_REMEMBERED: usize = 65_536;

/// One tenant: its ledgers, and what follows from them.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    pub(crate) settings: Tenant,
    pub(crate) rosters: BTreeMap<u8, Roster>,
    pub(crate) policies: Policies,
    pub(crate) access_points: AccessPoints,
    members: BTreeMap<GroupId, Members>,
}

/// The devices of a group.
#[derive(Debug, Default)]
struct Members {
    count: u64,
    /// When the newest came, in Unix milliseconds, oldest first.
    came: VecDeque<u64>,
}

impl Members {
    fn enter(&mut self, at: u64) {
        self.count = self.count.saturating_add(1);
        self.came.push_back(at);
        if self.came.len() > MAX_REMEMBERED {
            self.came.pop_front();
        }
    }
}

impl Holding {
    /// Whether a group takes one more device, when `coming` others are about to become its.
    pub(crate) fn has_room(&self, group: &GroupId, coming: u64, now: u64) -> bool {
        let Some(entry) = self.settings.groups().get(group) else {
            return false;
        };
        let rule = &entry.value.ids;
        let members = self.members.get(group);
        let count = members.map_or(0, |members| members.count);
        let count = count.saturating_add(coming);
        let recent = || {
            let since = now.saturating_sub(HOUR_MILLIS);
            let recent = members.map_or(0, |members| {
                let before = members.came.partition_point(|at| *at <= since);
                members.came.len().saturating_sub(before)
            });
            let recent = u64::try_from(recent).unwrap_or(u64::MAX);
            recent.saturating_add(coming)
        };
        rule.max_devices.is_none_or(|most| count < u64::from(most))
            && rule
                .max_new_per_hour
                .is_none_or(|most| recent() < u64::from(most))
    }
}

/// The group that a device counts for: from the moment when an assignment is decided.
pub(super) fn membership(registration: &Registration) -> Option<&GroupId> {
    let pending = registration.pending.as_ref();
    let pending = pending.and_then(|pending| pending.assignment.group.as_ref());
    let current = registration.current.as_ref();
    pending.or_else(|| current.and_then(|current| current.group.as_ref()))
}

/// What is found by what else than its id: its PSK identity, whether it has a secret of its own, its group, its targets.
#[derive(Clone, Default, Eq, PartialEq)]
struct Marks {
    identity: Option<PskIdentity>,
    known: bool,
    group: Option<GroupId>,
    targets: BTreeSet<AccessPointId>,
}

impl Marks {
    fn of(registration: Option<&Registration>) -> Self {
        let Some(registration) = registration else {
            return Self::default();
        };
        let attestation = registration.enrollment.as_ref().map(|one| &one.attestation);
        let pending = registration.pending.as_ref().map(|one| &one.assignment);
        let assignments = registration.current.iter().chain(pending);
        Self {
            identity: match attestation {
                Some(Attestation::DtlsPsk { identity, .. }) => Some(identity.clone()),
                _ => None,
            },
            known: attestation.is_some() || registration.own_secret.is_some(),
            group: membership(registration).cloned(),
            targets: assignments
                .map(|assignment| assignment.target.access_point.clone())
                .collect(),
        }
    }
}

impl Directory {
    /// Takes a tenant's settings in, in the place of what was there.
    pub fn insert_tenant(&mut self, tenant: TenantId, settings: Tenant) {
        self.forget_settings(&tenant);
        self.tenants.entry(tenant.clone()).or_default().settings = settings;
        self.settle(&tenant);
    }

    /// Takes the devices of one shard in, in the place of what was there.
    pub fn insert_roster(&mut self, tenant: &TenantId, shard: u8, roster: Roster) {
        let holding = self.tenants.entry(tenant.clone()).or_default();
        let old = holding.rosters.insert(shard, roster).unwrap_or_default();
        let old_ids: Vec<_> = old
            .registrations()
            .iter()
            .map(|(id, registration)| (id.clone(), Marks::of(Some(registration))))
            .collect();
        for (id, marks) in old_ids {
            self.remark(tenant, &id, marks, Marks::default(), 0);
        }
        let present = self.roster(tenant, shard).map(|roster| {
            let all = roster.registrations().iter();
            all.map(|(id, registration)| {
                let at = registration
                    .first_assigned_at
                    .unwrap_or(registration.created_at);
                (at, id.clone(), Marks::of(Some(registration)))
            })
            .collect::<Vec<_>>()
        });
        let mut present = present.unwrap_or_default();
        present.sort_unstable_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        for (at, id, marks) in present {
            self.remark(tenant, &id, Marks::default(), marks, at);
        }
        // Shards come in one after another, and their times with them.
        if let Some(holding) = self.tenants.get_mut(tenant) {
            for members in holding.members.values_mut() {
                members.came.make_contiguous().sort_unstable();
            }
        }
    }

    /// Takes in a change of a tenant's settings.
    pub fn apply_settings(&mut self, tenant: &TenantId, change: &tenant::Change) {
        self.forget_settings(tenant);
        let holding = self.tenants.entry(tenant.clone()).or_default();
        holding.settings.apply(change);
        self.settle(tenant);
    }

    /// Takes in a change of a device.
    pub fn apply_registration(&mut self, tenant: &TenantId, change: &roster::Change) {
        let before = Marks::of(self.registration(tenant, &change.id));
        let holding = self.tenants.entry(tenant.clone()).or_default();
        let shard = Roster::shard_of(&change.id);
        holding.rosters.entry(shard).or_default().apply(change);
        let after = Marks::of(self.registration(tenant, &change.id));
        if before != after {
            self.remark(tenant, &change.id, before, after, change.at);
        }
    }

    fn remark(
        &mut self,
        tenant: &TenantId,
        id: &RegistrationId,
        before: Marks,
        after: Marks,
        at: u64,
    ) {
        if before.identity != after.identity {
            let ours = |(of, whose): &(TenantId, RegistrationId)| of == tenant && whose == id;
            if let Some(identity) = before.identity
                && self.identities.get(&identity).is_some_and(ours)
            {
                self.identities.remove(&identity);
            }
            if let Some(identity) = after.identity {
                let entry = self.identities.entry(identity);
                entry.or_insert_with(|| (tenant.clone(), id.clone()));
            }
        }
        if before.known && !after.known {
            if let Some(tenants) = self.known.get_mut(id) {
                tenants.remove(tenant);
                if tenants.is_empty() {
                    self.known.remove(id);
                }
            }
        } else if after.known && !before.known {
            let tenants = self.known.entry(id.clone()).or_default();
            tenants.insert(tenant.clone());
        }
        let Some(holding) = self.tenants.get_mut(tenant) else {
            return;
        };
        if before.group != after.group {
            if let Some(members) = before
                .group
                .and_then(|group| holding.members.get_mut(&group))
            {
                members.count = members.count.saturating_sub(1);
            }
            if let Some(group) = after.group {
                holding.members.entry(group).or_default().enter(at);
            }
        }
        self.count_targets(&before.targets, &after.targets);
    }

    fn count_targets(&mut self, before: &BTreeSet<AccessPointId>, after: &BTreeSet<AccessPointId>) {
        for point in before.difference(after) {
            if let Some(used) = self.used.get_mut(point) {
                *used = used.saturating_sub(1);
            }
        }
        for point in after.difference(before) {
            let used = self.used.entry(point.clone()).or_default();
            *used = used.saturating_add(1);
        }
    }

    fn forget_settings(&mut self, tenant: &TenantId) {
        self.scopes.retain(|_, owner| owner != tenant);
        self.access_points.retain(|_, owner| owner != tenant);
    }

    /// Works out what follows from a tenant's settings, for itself and for those whom it grants access points.
    fn settle(&mut self, tenant: &TenantId) {
        let Some(holding) = self.tenants.get_mut(tenant) else {
            return;
        };
        for scope in holding.settings.scopes() {
            self.scopes.insert(scope.clone(), tenant.clone());
        }
        for point in holding.settings.access_points().keys() {
            self.access_points.insert(point.clone(), tenant.clone());
        }
        let policies = holding.settings.policies().values();
        let policies: Vec<_> = policies.map(|policy| policy.value.clone()).collect();
        holding.policies = policies.into();
        self.share_access_points();
    }

    /// Gives each tenant its view: its own access points, and those of others that are granted to it.
    fn share_access_points(&mut self) {
        let mut views: BTreeMap<TenantId, Vec<AccessPoint>> = BTreeMap::new();
        for (owner, holding) in &self.tenants {
            for own in holding.settings.access_points().values() {
                let mut point = own.value.point.clone();
                point.owner = Owner::Own;
                views.entry(owner.clone()).or_default().push(point.clone());
                for to in &own.value.grants {
                    let mut shared = point.clone();
                    shared.owner = Owner::Other {
                        tenant: owner.clone(),
                        granted: true,
                    };
                    views.entry(to.clone()).or_default().push(shared);
                }
            }
        }
        for (tenant, holding) in &mut self.tenants {
            holding.access_points = views.remove(tenant).unwrap_or_default().into();
        }
    }
}
