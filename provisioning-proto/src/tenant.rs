//! The ledger of one tenant's settings: scopes, access points with the tenants that may use them, policies and groups.
//!
//! It holds what an operator edits and what is small; a tenant's devices are in [rosters](crate::roster).

mod apply;
mod change;
mod decide;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::allocation::{AccessPoint, AllocationPolicy, Rule};
use crate::model::{EnrollmentGroup, Versioned};
use crate::{AccessPointId, CaId, GroupId, PolicyId, ScopeId, TenantId};

pub use change::{Change, Fact};
pub use decide::{Command, Decision, Reply};

/// The form in which [`Tenant::snapshot`] writes. A form with another number is refused.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// The settings of a tenant; empty until it is created.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Tenant {
    name: Option<String>,
    scopes: BTreeSet<ScopeId>,
    access_points: BTreeMap<AccessPointId, Versioned<OwnAccessPoint>>,
    policies: BTreeMap<PolicyId, Versioned<AllocationPolicy>>,
    groups: BTreeMap<GroupId, Versioned<EnrollmentGroup>>,
    /// Counts every change of an entry up; no entry ever has the version of a removed one of its name.
    versions: u64,
    /// The latest time seen, in Unix milliseconds; later decisions are never dated before it.
    latest: u64,
}

/// An access point of a tenant, and who else may use it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct OwnAccessPoint {
    /// The access point.
    pub point: AccessPoint,
    /// The other tenants whose devices it takes.
    pub grants: BTreeSet<TenantId>,
}

impl Tenant {
    /// The name of the stream that keeps a tenant's settings.
    #[must_use]
    pub fn stream(tenant: &TenantId) -> String {
        format!("provisioning/{tenant}/settings")
    }

    /// The name of the field under which a group's secret is sealed in its tenant's stream.
    #[must_use]
    pub fn group_secret_field(group: &GroupId) -> String {
        format!("group secret {group}")
    }

    /// The name for people, once the tenant was created.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The public aliases that its devices present.
    #[must_use]
    pub fn scopes(&self) -> &BTreeSet<ScopeId> {
        &self.scopes
    }

    /// The access points that it owns.
    #[must_use]
    pub fn access_points(&self) -> &BTreeMap<AccessPointId, Versioned<OwnAccessPoint>> {
        &self.access_points
    }

    /// Its policies.
    #[must_use]
    pub fn policies(&self) -> &BTreeMap<PolicyId, Versioned<AllocationPolicy>> {
        &self.policies
    }

    /// Its groups.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<GroupId, Versioned<EnrollmentGroup>> {
        &self.groups
    }

    /// Whether a group or a policy refers to a certificate authority, which must then not be deleted.
    #[must_use]
    pub fn refers_to(&self, ca: &CaId) -> bool {
        let of_groups = self.groups.values();
        let mut of_policies = self.policies.values();
        of_groups
            .filter_map(|group| group.value.attestation.ca())
            .any(|one| one == ca)
            || of_policies
                .any(|policy| matches!(&policy.value.rule, Rule::Certificate { authority, .. } if authority == ca))
    }
}
