//! Devices that change hands.

use serde_json::{Value, json};
use uci_server_core::{AccountId, ErrorKind};

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
    pub(super) async fn change_owner(&self, name: &Name, to: Option<&str>) -> Result<(), Error> {
        self.products.set_owner(name, to).await?;
        let Some(id) = self.products.device_id(name).await else {
            // It never was bound to a device id, and so the core never heard of it.
            return Ok(());
        };
        let id = id.as_str().parse().map_err(|cause| {
            Error::new("the registry has an id that the cloud cannot use", cause)
        })?;
        let changed = match to {
            Some(owner) => self.cloud.transfer_device(id, account(owner)?).await,
            None => self.cloud.remove_device(id).await,
        };
        match changed {
            Ok(_) => {}
            // Nobody had it: it is registered when it publishes.
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::new("the owner was not changed; try again", cause)),
        }
        // The gateway may have ended.
        drop(self.gateway.send(Command::Part(id)).await);
        Ok(())
    }
}

/// A user's id as the core has it.
pub(super) fn account(user: &str) -> Result<AccountId, Error> {
    user.parse()
        .map_err(|cause| Error::new("the user's id is not usable", cause))
}
