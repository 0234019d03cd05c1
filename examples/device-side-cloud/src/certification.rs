//! The certificates of tenants: authorities that they trust, and certificates that this cloud issues to their devices.

mod evidence;
mod expiry;
mod issuing;
mod ledgers;
mod lists;
mod managing;
mod naming;
mod order;
mod signatures;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use provisioning_proto::certificates::authorities::{self, CertificateAuthorities};
use provisioning_proto::certificates::issuance::{self, Fact, IssuedCertificates};
use provisioning_proto::certificates::{Certificate, MAX_CHAIN, Path};
use provisioning_proto::{CaId, TenantId};
use tokio::sync::{Mutex, MutexGuard};

use crate::clock;
use crate::error::Error;
use crate::provisioning::WeakProvisioning;
use crate::store::{Kept, Store};
use lists::Lists;
pub(crate) use lists::PREFIX as LISTS;
use naming::Namings;
pub(crate) use order::{AuthorityDeed, CertificateDeed};
pub(crate) use signatures::Ring;

/// The most tenants that have certificates here.
const MAX_TENANTS: usize = 1000;

/// All certificates of this cloud's tenants; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Certification {
    store: Store,
    tenants: Arc<Mutex<BTreeMap<TenantId, Tenant>>>,
    lists: Lists,
    /// Where this cloud is reached over HTTPS.
    base: Arc<str>,
    /// Told when something was issued, which ends some time.
    issued: Arc<tokio::sync::Notify>,
    namings: Namings,
    provisioning: Arc<OnceLock<WeakProvisioning>>,
}

#[derive(Debug)]
struct Tenant {
    authorities: Kept<CertificateAuthorities>,
    issued: Kept<IssuedCertificates>,
    /// Grows with everything that belongs into a list of revocations.
    revision: u64,
}

impl Tenant {
    async fn load(store: &Store, tenant: &TenantId) -> Result<Self, Error> {
        Ok(Self {
            authorities: Kept::load(store, CertificateAuthorities::stream(tenant)).await?,
            issued: Kept::load(store, IssuedCertificates::stream(tenant)).await?,
            revision: 0,
        })
    }
}

impl Certification {
    /// Loads what all tenants have.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn load(store: &Store, base: &str) -> Result<Self, Error> {
        let mut tenants = BTreeMap::new();
        for prefix in ["authorities/", "certificates/"] {
            let streams = store
                .list(prefix)
                .await
                .map_err(|cause| Error::new("cannot list the certificates", cause))?;
            for stream in streams {
                let Some(Ok(tenant)) = stream.strip_prefix(prefix).map(str::parse) else {
                    continue;
                };
                if let Entry::Vacant(place) = tenants.entry(tenant) {
                    let loaded = Tenant::load(store, place.key()).await?;
                    place.insert(loaded);
                }
            }
        }
        Ok(Self {
            store: store.clone(),
            tenants: Arc::new(Mutex::new(tenants)),
            lists: Lists::default(),
            base: base.trim_end_matches('/').into(),
            issued: Arc::default(),
            namings: Namings::default(),
            provisioning: Arc::default(),
        })
    }

    /// Follows the chain that a device shows, its own certificate first, to an authority of the tenant.
    ///
    /// # Errors
    /// It reaches none that may be used; why is for the operator alone.
    pub(crate) async fn verify_chain(
        &self,
        tenant: &TenantId,
        shown: &[Certificate],
        accept_expired: bool,
        at: SystemTime,
    ) -> Result<Path, Error> {
        let tenants = self.tenants.lock().await;
        let known = known(&tenants, tenant)?;
        known
            .authorities
            .ledger()
            .verify_chain(shown, accept_expired, &Ring, at)
            .map_err(|cause| Error::new("the chain is refused", cause))
    }

    async fn check_chain(&self, tenant: &TenantId, pem: &str) -> Result<(String, Path), Error> {
        let shown = Certificate::chain_from_pem(pem, MAX_CHAIN)
            .map_err(|cause| Error::new("the chain cannot be read", cause))?;
        let path = self
            .verify_chain(tenant, &shown, false, clock::wall())
            .await?;
        let leaf = path.certificates.first();
        let name = leaf.and_then(Certificate::common_name).unwrap_or_default();
        Ok((name.to_owned(), path))
    }

    /// Carries a command out on a tenant's authorities. The first one makes the tenant's ledgers.
    async fn on_authority(
        &self,
        tenant: &TenantId,
        ca: &CaId,
        command: authorities::Command,
    ) -> Result<authorities::Reply, Error> {
        let mut tenants = self.tenants.lock().await;
        let found = self.found(&mut tenants, tenant).await?;
        let changed = self.change(found, tenant, ca, command).await;
        changed.map_err(|cause| Error::new("the authority was not changed", cause))
    }

    /// Carries a command out on a tenant's issued certificates.
    async fn on_issued(
        &self,
        tenant: &TenantId,
        command: issuance::Command,
    ) -> Result<issuance::Reply, Error> {
        let mut tenants = self.tenants.lock().await;
        let found = self.found(&mut tenants, tenant).await?;
        if let issuance::Command::AddIssuer { issuer, .. } = &command
            && found.authorities.ledger().authority(issuer).is_some()
        {
            return Err(taken(issuer));
        }
        found.carry_out(&self.store, command).await
    }

    async fn found<'t>(
        &self,
        tenants: &'t mut MutexGuard<'_, BTreeMap<TenantId, Tenant>>,
        tenant: &TenantId,
    ) -> Result<&'t mut Tenant, Error> {
        if !tenants.contains_key(tenant) {
            if tenants.len() >= MAX_TENANTS {
                return Err(Error::plain("there are as many tenants as there may be"));
            }
            let loaded = Tenant::load(&self.store, tenant).await?;
            tenants.insert(tenant.clone(), loaded);
        }
        tenants.get_mut(tenant).ok_or_else(|| unknown(tenant))
    }
}

impl Tenant {
    async fn carry_out(
        &mut self,
        store: &Store,
        command: issuance::Command,
    ) -> Result<issuance::Reply, Error> {
        let config = issuance::Config::default();
        let decision = self
            .issued
            .ledger()
            .decide(command, &config, &Ring, clock::wall())
            .map_err(|cause| Error::new("the certificates were not changed", cause))?;
        self.issued.record(store, &decision.changes).await?;
        let listed = |change: &issuance::Change| {
            matches!(
                change.fact,
                Fact::CertificateRevoked { .. }
                    | Fact::CertificateSuperseded { .. }
                    | Fact::CertificateExpired { .. }
            )
        };
        if decision.changes.iter().any(listed) {
            self.revision = self.revision.saturating_add(1);
        }
        Ok(decision.reply)
    }
}

fn known<'t>(
    tenants: &'t BTreeMap<TenantId, Tenant>,
    tenant: &TenantId,
) -> Result<&'t Tenant, Error> {
    tenants.get(tenant).ok_or_else(|| unknown(tenant))
}

/// A group names an authority or an issuer by its id, which is therefore one of the two.
fn taken(ca: &CaId) -> Error {
    Error::plain(format!("{ca} is the id of another"))
}

fn unknown(tenant: &TenantId) -> Error {
    Error::plain(format!("{tenant} has no certificates here"))
}
