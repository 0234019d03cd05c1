//! All tenants in memory, and what is found in them: who may prove what, and which access points a tenant may use.
//!
//! A device names no tenant. Its tenant follows from its credential: from the scope that it presents, from the certificate
//! authority in its chain, from its PSK identity, or from its own secret; nothing in a payload changes it.

mod admission;
mod candidate;
mod choice;
mod evidence;
mod holding;
mod merged;

use std::collections::{BTreeMap, BTreeSet};

use crate::allocation::{AccessPoint, Rule};
use crate::certificates::authorities::Reference;
use crate::model::{Attestation, PskIdentity};
use crate::roster::{Registration, Roster};
use crate::tenant::Tenant;
use crate::{AccessPointId, CaId, RegistrationId, ScopeId, TenantId};

pub use admission::Entry;
pub use candidate::{Candidate, Principal};
pub use evidence::{CertificateNames, Evidence, Issuer, IssuerNames};
pub(crate) use holding::Holding;
use merged::Merged;

/// Every tenant with its devices.
#[derive(Debug, Default)]
pub struct Directory {
    tenants: BTreeMap<TenantId, Holding>,
    scopes: BTreeMap<ScopeId, TenantId>,
    /// Whose each access point is.
    access_points: BTreeMap<AccessPointId, TenantId>,
    /// The tenants in which an id has a credential of its own.
    known: BTreeMap<RegistrationId, BTreeSet<TenantId>>,
    identities: BTreeMap<PskIdentity, (TenantId, RegistrationId)>,
    /// How many devices each access point has.
    used: BTreeMap<AccessPointId, u64>,
}

impl Directory {
    /// The tenants that were created.
    pub fn tenants(&self) -> impl Iterator<Item = (&TenantId, &Tenant)> {
        let all = self
            .tenants
            .iter()
            .map(|(id, holding)| (id, &holding.settings));
        all.filter(|(_, tenant)| tenant.name().is_some())
    }

    /// A tenant's settings.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> Option<&Tenant> {
        self.tenants.get(tenant).map(|holding| &holding.settings)
    }

    /// A tenant's devices of one shard.
    #[must_use]
    pub fn roster(&self, tenant: &TenantId, shard: u8) -> Option<&Roster> {
        self.tenants.get(tenant)?.rosters.get(&shard)
    }

    /// One device's registration.
    #[must_use]
    pub fn registration(&self, tenant: &TenantId, id: &RegistrationId) -> Option<&Registration> {
        self.roster(tenant, Roster::shard_of(id))?.registration(id)
    }

    /// A tenant's registrations in the order of their ids, from behind `after` on.
    pub fn registrations<'d>(
        &'d self,
        tenant: &TenantId,
        after: Option<&RegistrationId>,
    ) -> impl Iterator<Item = (&'d RegistrationId, &'d Registration)> + use<'d> {
        let holding = self.tenants.get(tenant).into_iter();
        Merged::new(holding.flat_map(|holding| holding.rosters.values()), after)
    }

    /// A page of a tenant's registrations in the order of their ids, from behind `after` on.
    #[must_use]
    pub fn page(
        &self,
        tenant: &TenantId,
        after: Option<&RegistrationId>,
        limit: usize,
    ) -> Vec<(&RegistrationId, &Registration)> {
        self.registrations(tenant, after).take(limit).collect()
    }

    /// The tenant that has a scope.
    #[must_use]
    pub fn tenant_of_scope(&self, scope: &ScopeId) -> Option<&TenantId> {
        self.scopes.get(scope)
    }

    /// The tenant that owns an access point.
    #[must_use]
    pub fn owner_of(&self, access_point: &AccessPointId) -> Option<&TenantId> {
        self.access_points.get(access_point)
    }

    /// How many devices an access point has, of whichever tenant.
    #[must_use]
    pub fn devices_at(&self, access_point: &AccessPointId) -> u64 {
        self.used.get(access_point).copied().unwrap_or(0)
    }

    /// An access point as a tenant sees it: its own, or one that is granted to it.
    #[must_use]
    pub fn access_point(&self, tenant: &TenantId, id: &AccessPointId) -> Option<&AccessPoint> {
        self.tenants.get(tenant)?.access_points.access_point(id)
    }

    /// What of a tenant names a certificate authority: groups, policies, and then devices, of which all are looked at.
    pub fn references_to<'d>(
        &'d self,
        tenant: &TenantId,
        ca: &'d CaId,
    ) -> impl Iterator<Item = Reference> + use<'d> {
        let holding = self.tenants.get(tenant);
        let settings = holding.map(|holding| &holding.settings);
        let groups = settings.into_iter().flat_map(|one| one.groups());
        let groups = groups.filter(move |(_, group)| group.value.attestation.ca() == Some(ca));
        let policies = settings.into_iter().flat_map(|one| one.policies());
        let policies = policies.filter(
            move |(_, one)| matches!(&one.value.rule, Rule::Certificate { authority, .. } if authority == ca),
        );
        let rosters = holding.into_iter().flat_map(|one| one.rosters.values());
        let devices = rosters.flat_map(Roster::registrations);
        let devices = devices.filter(move |(_, registration)| {
            let enrollment = registration.enrollment.as_ref();
            let attestation = enrollment.map(|one| &one.attestation);
            matches!(attestation, Some(Attestation::X509Ca { ca: named, .. }) if named == ca)
        });
        let groups = groups.map(|(id, _)| Reference::Group(id.clone()));
        let policies = policies.map(|(id, _)| Reference::Policy(id.clone()));
        groups
            .chain(policies)
            .chain(devices.map(|(id, _)| Reference::Device(id.clone())))
    }

    /// The device that has a PSK identity.
    #[must_use]
    pub fn device_of_identity(
        &self,
        identity: &PskIdentity,
    ) -> Option<(&TenantId, &RegistrationId)> {
        self.identities
            .get(identity)
            .map(|(tenant, id)| (tenant, id))
    }

    pub(crate) fn holding(&self, tenant: &TenantId) -> Option<&Holding> {
        self.tenants.get(tenant)
    }
}
