//! Devices that change hands.

use serde_json::{Value, json};
use uci_model::DeviceId;
use uci_server_core::{AccountId, DeviceReport, ErrorKind, Occurrence};

use super::Operator;
use crate::error::Error;
use crate::gateway::Command;
use crate::products::Name;

impl Operator {
    /// Gives a device to a user.
    pub(super) async fn transfer(&self, device: &str, to: &str) -> Result<Value, Error> {
        let name: Name = device.parse()?;
        let owner = self.id_of(to).await?;
        self.change_owner(&name, Some(&owner)).await?;
        Ok(json!({"device": device, "owner": to}))
    }

    /// Takes a device from its owner.
    pub(super) async fn remove(&self, device: &str) -> Result<Value, Error> {
        self.change_owner(&device.parse()?, None).await?;
        Ok(json!({"removed": device}))
    }

    /// The registry first, then the core, then the session, which the device begins anew under its new owner. Repeating it
    /// finishes what was interrupted.
    pub(crate) async fn change_owner(&self, name: &Name, to: Option<&str>) -> Result<(), Error> {
        self.products.set_owner(name, to).await?;
        match to {
            Some(owner) => self.hand_over(name, account(owner)?).await?,
            None => self.take_away(name).await?,
        }
        // The gateway may have ended.
        drop(self.gateway.send(Command::Part(name.clone())).await);
        Ok(())
    }

    async fn hand_over(&self, name: &Name, owner: AccountId) -> Result<(), Error> {
        let Some(holding) = self.products.holding(name).await else {
            return Ok(());
        };
        if !holding.activated {
            // It is registered when it comes in.
            return Ok(());
        }
        // It has been there and published no id.
        self.products.give_id(name).await?;
        let Some(id) = self.id_in_core(name).await? else {
            return Ok(());
        };
        let changed = match self.cloud.transfer_device(id, owner.clone()).await {
            // Nobody had it.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                let registered = Occurrence::Registered;
                let report = DeviceReport::new(owner, id, holding.generation, registered);
                self.cloud.report(report).await
            }
            other => other.map(drop),
        };
        changed.map_err(unchanged)
    }

    async fn take_away(&self, name: &Name) -> Result<(), Error> {
        let Some(id) = self.id_in_core(name).await? else {
            // It never was bound to a device id, and so the core never heard of it.
            return Ok(());
        };
        match self.cloud.remove_device(id).await {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(unchanged(cause)),
            _ => Ok(()),
        }
    }

    async fn id_in_core(&self, name: &Name) -> Result<Option<DeviceId>, Error> {
        let id = self.products.device_id(name).await;
        id.map(|id| id.as_str().parse())
            .transpose()
            .map_err(|cause| Error::new("the registry has an id that the cloud cannot use", cause))
    }
}

fn unchanged(cause: uci_server_core::Error) -> Error {
    Error::new("the owner was not changed; try again", cause)
}

/// A user's id as the core has it.
pub(super) fn account(user: &str) -> Result<AccountId, Error> {
    user.parse()
        .map_err(|cause| Error::new("the user's id is not usable", cause))
}
