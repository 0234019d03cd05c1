//! The file that the other instance is to read next.

use std::time::Duration;

use provisioning_proto::migration::{FileContent, FileHead, Migration, Purpose, Way};
use provisioning_proto::{RegistrationId, TenantId};
use serde_json::json;
use tracing::info;

use super::super::super::Provisioning;
use super::super::super::management::parsed;
use super::super::instances::Instance;
use super::next::{Next, next};
use super::{Carried, carried};
use crate::error::Error;

/// How long an export waits until a transfer that was planned has begun.
const PATIENCE: Duration = Duration::from_secs(10);

impl Provisioning {
    /// What the instance is to know now of the device's transfer. It is durable that it may be offered before the file is written.
    pub(super) async fn export(
        &self,
        tenant: &str,
        device: &str,
        name: &str,
        hours: u32,
    ) -> Result<Carried, Error> {
        let (tenant, id): (TenantId, RegistrationId) = (parsed(tenant)?, parsed(device)?);
        let Some(instance) = self.0.migrating.instances.find(&tenant, name) else {
            return Err(Error::plain(format!(
                "provisioning.instances names no {name:?} for {tenant}"
            )));
        };
        let begun = self.begun(&tenant, &id, name, hours);
        let late = |_| Error::plain("the transfer has not begun yet; export again");
        let (purpose, migration) = tokio::time::timeout(PATIENCE, begun)
            .await
            .map_err(late)??;
        let Way::Transfer { transfer, .. } = &migration.way else {
            return Err(Error::plain("the device is not transferred"));
        };
        let content = match purpose {
            Purpose::Registration => {
                let bundle = self.bundle(instance, &id, transfer)?;
                let bundle = bundle.ok_or_else(|| {
                    Error::plain("the device has no assignment that could be transferred")
                })?;
                FileContent::Registration(Box::new(bundle))
            }
            _ => FileContent::Withdrawal,
        };
        let head = head(instance, purpose, &migration, transfer.clone(), id);
        let file = carried(instance, head, &content)?;
        info!(%tenant, device = %file.device_id, instance = name, ?purpose, "a file was exported");
        Ok(file)
    }

    /// The migration once there is something to write of it.
    async fn begun(
        &self,
        tenant: &TenantId,
        id: &RegistrationId,
        name: &str,
        hours: u32,
    ) -> Result<(Purpose, Migration), Error> {
        let mut moved = self.0.migrating.moved.subscribe();
        let mut planned = false;
        loop {
            moved.mark_unchanged();
            let present = self.plans(tenant, |plans| plans.migration(id).cloned());
            match (next(present.as_ref(), name)?, present) {
                (Next::Write(purpose), Some(migration)) => return Ok((purpose, migration)),
                (Next::Plan, _) if planned => {
                    return Err(Error::plain("the transfer ended before it began"));
                }
                (Next::Plan, _) => {
                    planned = true;
                    let body = json!({"device_id": id, "instance": name, "hours": hours});
                    self.asked(tenant, "POST", "migrations", &body).await?;
                }
                _ => {
                    let ended = |cause| Error::new("the cloud is ending", cause);
                    moved.changed().await.map_err(ended)?;
                }
            }
        }
    }
}

fn head(
    instance: &Instance,
    purpose: Purpose,
    migration: &Migration,
    transfer: provisioning_proto::TransferId,
    device: RegistrationId,
) -> FileHead {
    FileHead {
        purpose,
        sender: instance.own,
        receiver: instance.shown,
        tenant: instance.tenant.clone(),
        transfer,
        device,
        ends_at: migration.ends_at,
    }
}
