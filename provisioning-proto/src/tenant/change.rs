//! What is stored. The written form is forever: a variant is never removed or given another meaning, and a field is only
//! added with a default. `tests/journal_compat` holds what every release wrote.

use serde::{Deserialize, Serialize};

use crate::allocation::{AccessPoint, AllocationPolicy};
use crate::ledger::ledger;
use crate::model::EnrollmentGroup;
use crate::tenant::{SNAPSHOT_FORMAT, Tenant};
use crate::{AccessPointId, GroupId, PolicyId, ScopeId, TenantId};

/// The longest change, in bytes: a group with its longest lists, or a table of places.
const MAX_CHANGE: usize = 2 << 20;

ledger!(Tenant, Change, longest: MAX_CHANGE, snapshot: SNAPSHOT_FORMAT);

/// Something that happened to a tenant's settings, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Unix milliseconds, never less than in the change before.
    pub at: u64,
    /// What happened.
    pub fact: Fact,
}

/// The facts that a tenant's settings are made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The tenant was created.
    Created {
        /// Its name for people.
        name: String,
    },
    /// It got a scope.
    ScopeAdded {
        /// The scope.
        scope: ScopeId,
    },
    /// It lost a scope.
    ScopeRemoved {
        /// The scope.
        scope: ScopeId,
    },
    /// It got an access point, or one changed.
    AccessPointSet {
        /// The access point from now on.
        point: AccessPoint,
    },
    /// It lost an access point.
    AccessPointRemoved {
        /// Its id.
        access_point: AccessPointId,
    },
    /// Another tenant may use an access point.
    Granted {
        /// The access point.
        access_point: AccessPointId,
        /// The other tenant.
        to: TenantId,
    },
    /// Another tenant may not use an access point any more.
    GrantEnded {
        /// The access point.
        access_point: AccessPointId,
        /// The other tenant.
        to: TenantId,
    },
    /// It got a policy, or one changed.
    PolicySet {
        /// The policy from now on.
        policy: AllocationPolicy,
    },
    /// It lost a policy.
    PolicyRemoved {
        /// Its id.
        policy: PolicyId,
    },
    /// It got a group, or one changed.
    GroupSet {
        /// Its id.
        group: GroupId,
        /// The group from now on.
        value: EnrollmentGroup,
    },
    /// It lost a group.
    GroupRemoved {
        /// Its id.
        group: GroupId,
    },
}
