//! Devices that were assigned to this cloud by provisioning.

use coap_psk::secret::DeviceSecret;
use provisioning_proto::registry::{Command, Registry};
use provisioning_proto::{AccountId, Secret};

use super::{Failure, Name, Products, account, unusable};
use crate::error::Error;

impl Products {
    /// Makes a device known with this secret, and new ones with this owner. Of a device that is there already, its owner is
    /// returned, whom this does not change.
    ///
    /// # Errors
    /// There is no such product, the secret is not one that a device may have, or the journal cannot be written.
    pub(crate) async fn provision(
        &self,
        name: &Name,
        secret: &Secret,
        owner: Option<&str>,
    ) -> Result<Option<Option<AccountId>>, Error> {
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| Error::plain("the secret is not text"))?;
        DeviceSecret::new(text).map_err(unusable)?;
        let stream = Registry::stream(&name.product);
        let field = Registry::device_secret_field(&name.device);
        let mut kept = self.kept.lock().await;
        let device = name.device.clone();
        let known = kept
            .device(name)
            .map(|known| (known.owner.clone(), known.enabled, known.secret.clone()));
        let Some((was, enabled, sealed)) = known else {
            let command = Command::AddDevice {
                device,
                secret: self.seal(&stream, &field, text)?,
                owner: owner.map(account).transpose()?,
            };
            kept.carry_out(&self.store, &name.product, command).await?;
            return Ok(None);
        };
        let present = self.open(&stream, &field, &sealed)?;
        // Compared in constant time.
        if Secret::new(present.as_bytes()).ok().as_ref() != Some(secret) {
            let command = Command::ReplaceSecret {
                device: device.clone(),
                secret: self.seal(&stream, &field, text)?,
            };
            kept.carry_out(&self.store, &name.product, command).await?;
        }
        if !enabled {
            let command = Command::SetEnabled {
                device,
                enabled: true,
            };
            kept.carry_out(&self.store, &name.product, command).await?;
        }
        Ok(Some(was))
    }

    /// Keeps a device out from now on; returns whether there is one.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn shut_out(&self, name: &Name) -> Result<bool, Failure> {
        let mut kept = self.kept.lock().await;
        if kept.device(name).is_none() {
            return Ok(false);
        }
        let command = Command::SetEnabled {
            device: name.device.clone(),
            enabled: false,
        };
        kept.carry_out(&self.store, &name.product, command).await?;
        Ok(true)
    }
}
