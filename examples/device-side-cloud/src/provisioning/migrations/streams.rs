//! The machine's streams in the journal, one for each tenant.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use journal::{Snapshot, StreamAppend};
use provisioning_proto::TenantId;
use provisioning_proto::migration::{Append, Plans, SNAPSHOT_FORMAT};
use provisioning_proto::registration::Stored;
use tracing::warn;

use super::super::Provisioning;
use super::State;
use crate::clock;
use crate::error::Error;

/// After how many changes a stream is kept as a snapshot.
const CONDENSE_AFTER: u64 = 4096;

impl Provisioning {
    pub(in super::super) async fn load_all_migrations(&self) -> Result<(), Error> {
        let failed = |cause| Error::new("cannot list the migrations", cause);
        let streams = self.0.store.list("provisioning/").await.map_err(failed)?;
        for tenant in streams.iter().filter_map(|name| tenant_of(name)) {
            self.load_migrations(&tenant).await?;
        }
        Ok(())
    }

    pub(super) async fn load_migrations(&self, tenant: &TenantId) -> Result<(), Error> {
        let name = Plans::stream(tenant);
        let failed = |cause: journal::Error| Error::new(format!("cannot load {name}"), cause);
        let loaded = self.0.store.load(&name).await.map_err(failed)?;
        let unreadable =
            |cause: provisioning_proto::Error| Error::new(format!("cannot read {name}"), cause);
        let snapshot = loaded.snapshot.as_ref();
        let restored = snapshot.map(|one| Plans::restore(one.format, &one.bytes));
        let restored = restored.transpose().map_err(unreadable)?;
        let mut plans = restored.unwrap_or_default();
        let changes = loaded.changes.iter().map(|change| &change[..]);
        plans.replay_after(changes).map_err(unreadable)?;
        if !plans.migrations().is_empty() {
            self.0.migrating.any.store(true, Ordering::Relaxed);
        }
        let covered = snapshot.map_or(0, |snapshot| snapshot.version);
        self.migrating(|state| {
            state.condensed.insert(tenant.clone(), covered);
            let (wall, now) = (clock::wall(), clock::now());
            let machine = &mut state.machine;
            machine.handle_loaded(tenant, plans, loaded.version, wall, now);
        });
        Ok(())
    }

    pub(super) async fn append_migrations(&self, append: Append) {
        let name = append.stream();
        let part = StreamAppend::new(&name, append.expected_version, append.changes);
        let stored = self.store_changes(append.id.to_bytes(), part).await;
        let snapshot = self.migrating(|state| {
            let (wall, now) = (clock::wall(), clock::now());
            state.machine.handle_stored(append.id, stored, wall, now);
            match stored {
                Stored::Done { version } => state.due_snapshot(&append.tenant, version),
                _ => None,
            }
        });
        if let Some(snapshot) = snapshot
            && let Err(cause) = self.0.store.save_snapshot(&name, snapshot).await
        {
            warn!(%cause, stream = name, "a stream of migrations was not condensed");
        }
    }
}

impl State {
    /// What is durable of a stream at this version, when it is time to keep that as a snapshot.
    fn due_snapshot(&mut self, tenant: &TenantId, version: u64) -> Option<Snapshot> {
        let before = self.condensed.get(tenant).copied().unwrap_or(0);
        if version.saturating_sub(before) < CONDENSE_AFTER {
            return None;
        }
        let bytes = self.machine.plans(tenant)?.snapshot().ok()?;
        self.condensed.insert(tenant.clone(), version);
        Some(Snapshot::new(version, SNAPSHOT_FORMAT, Bytes::from(bytes)))
    }
}

/// The tenant whose migrations a stream keeps; `None` for other streams.
fn tenant_of(name: &str) -> Option<TenantId> {
    let tenant = name.strip_prefix("provisioning/")?;
    tenant.strip_suffix("/migrations")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_migrations_are_found_by_their_names_and_others_are_passed_over() {
        let tenant: TenantId = "t-1".parse().expect("id");
        assert_eq!(tenant_of(&Plans::stream(&tenant)), Some(tenant));
        for name in [
            "provisioning/t/settings",
            "provisioning/t/63",
            "provisioning/migrations",
        ] {
            assert_eq!(tenant_of(name), None, "{name}");
        }
    }
}
