//! Who names an authority: one that a group, a policy or a device names is not deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Response, StatusCode};
use provisioning_proto::certificates::authorities::{
    CertificateAuthorities, Command, Config, Reply,
};
use provisioning_proto::management::Step;
use provisioning_proto::{CaId, Error as Refusal, ErrorKind, TenantId};
use tracing::warn;

use super::{Certification, Ring, Tenant};
use crate::clock;
use crate::error::Error;
use crate::https::refusal;
use crate::provisioning::{Provisioning, WeakProvisioning};

/// How many of those that name an authority it is told of: one is enough to keep it.
const MOST: usize = 64;

/// How many are about to name each authority.
type Coming = BTreeMap<(TenantId, CaId), usize>;

/// Those who are about to name an authority; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Namings(Arc<Mutex<Coming>>);

/// Keeps an authority while something comes to name it.
#[derive(Debug)]
pub(crate) struct Naming {
    namings: Namings,
    of: (TenantId, CaId),
}

impl Namings {
    fn begin(&self, of: (TenantId, CaId)) -> Naming {
        self.count(&of, |count| count.saturating_add(1));
        let namings = self.clone();
        Naming { namings, of }
    }

    fn is_coming(&self, of: &(TenantId, CaId)) -> bool {
        let coming = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        coming.contains_key(of)
    }

    fn count(&self, of: &(TenantId, CaId), change: impl FnOnce(usize) -> usize) {
        let mut coming = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match change(coming.get(of).copied().unwrap_or(0)) {
            0 => drop(coming.remove(of)),
            count => drop(coming.insert(of.clone(), count)),
        }
    }
}

impl Drop for Naming {
    fn drop(&mut self) {
        self.namings
            .count(&self.of, |count| count.saturating_sub(1));
    }
}

impl Certification {
    /// Tells whom to ask for those that name an authority.
    pub(crate) fn tell(&self, provisioning: &Provisioning) {
        // Set once, before any operator comes.
        drop(self.provisioning.set(provisioning.downgrade()));
    }

    /// Keeps an authority or issuer of a tenant until what is given is dropped; `None` if there is none.
    pub(crate) async fn name(&self, tenant: &TenantId, ca: &CaId) -> Option<Naming> {
        // Who deletes holds this as well.
        let tenants = self.tenants.lock().await;
        let known = tenants.get(tenant).is_some_and(|tenant| {
            tenant.authorities.ledger().authority(ca).is_some()
                || tenant.issued.ledger().issuers().contains_key(ca)
        });
        known.then(|| self.namings.begin((tenant.clone(), ca.clone())))
    }

    /// Answers an operator's request about the authorities of a tenant, which nobody else changes meanwhile.
    pub(crate) async fn manage(
        &self,
        tenant: &TenantId,
        read: impl FnOnce(&CertificateAuthorities) -> Step,
    ) -> Response<Bytes> {
        let mut tenants = self.tenants.lock().await;
        // Only a command makes ledgers of a tenant that has none.
        let none = CertificateAuthorities::default();
        let present = tenants.get(tenant).map(|one| one.authorities.ledger());
        let edit = match read(present.unwrap_or(&none)) {
            Step::Answer(response) => return response,
            Step::Authority(edit) => edit,
            Step::Edit(_) | Step::Migration(_) | Step::Issuance(_) => {
                return refusal(StatusCode::NOT_FOUND, "no such thing\n");
            }
        };
        let found = match self.found(&mut tenants, tenant).await {
            Ok(found) => found,
            Err(error) => return edit.answer(&none, Err(unavailable(&error)), clock::wall()),
        };
        let command = edit.command().clone();
        let result = self.change(found, tenant, edit.ca(), command).await;
        edit.answer(found.authorities.ledger(), result, clock::wall())
    }

    /// Carries a command out on a tenant's authorities.
    pub(super) async fn change(
        &self,
        found: &mut Tenant,
        tenant: &TenantId,
        ca: &CaId,
        command: Command,
    ) -> Result<Reply, Refusal> {
        match command {
            Command::Upload { .. } if found.issued.ledger().issuers().contains_key(ca) => {
                return Err(ErrorKind::Exists.into());
            }
            Command::Delete => self.note_references(found, tenant, ca).await?,
            _ => {}
        }
        self.carry_out(found, ca, command).await
    }

    /// Lets the ledger know who names an authority now, so that it refuses to delete it.
    async fn note_references(
        &self,
        found: &mut Tenant,
        tenant: &TenantId,
        ca: &CaId,
    ) -> Result<(), Refusal> {
        if self.namings.is_coming(&(tenant.clone(), ca.clone())) {
            return Err(ErrorKind::InUse.into());
        }
        let (Some(provisioning), Some(authority)) = (
            self.provisioning(),
            found.authorities.ledger().authority(ca),
        ) else {
            return Ok(());
        };
        let noted = authority.references.clone();
        let present: BTreeSet<_> = provisioning.directory(|directory| {
            let references = directory.references_to(tenant, ca);
            references.take(MOST).collect()
        });
        for gone in noted.difference(&present) {
            let command = Command::Unrefer(gone.clone());
            self.carry_out(found, ca, command).await?;
        }
        for new in present.difference(&noted) {
            let command = Command::Refer(new.clone());
            self.carry_out(found, ca, command).await?;
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        found: &mut Tenant,
        ca: &CaId,
        command: Command,
    ) -> Result<Reply, Refusal> {
        let (ledger, config) = (found.authorities.ledger(), Config::default());
        let decision = ledger.decide(ca, command, &config, &Ring, clock::wall())?;
        let recorded = found
            .authorities
            .record(&self.store, &decision.changes)
            .await;
        recorded.map_err(|error| unavailable(&error))?;
        Ok(decision.reply)
    }

    /// How many groups, policies and devices name an authority, where that is known.
    pub(super) fn references(&self, tenant: &TenantId, ca: &CaId) -> Option<usize> {
        let provisioning = self.provisioning()?;
        Some(provisioning.directory(|directory| directory.references_to(tenant, ca).count()))
    }

    fn provisioning(&self) -> Option<Provisioning> {
        let provisioning = self.provisioning.get();
        provisioning.and_then(WeakProvisioning::upgrade)
    }
}

fn unavailable(error: &Error) -> Refusal {
    warn!(error = error.chain(), "the authorities were not changed");
    ErrorKind::Unavailable.into()
}
