//! The ledger of one product and its devices.

mod apply;
mod change;
mod decide;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{AccountId, DeviceId, DeviceKey, Error, ErrorKind, ProductKey, SealedSecret, Template};

pub use change::{Change, Fact};
pub use decide::{Command, Decision, Reply};

/// The form in which [`Registry::snapshot`] writes. A form with another number is refused.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// A product and its devices.
///
/// Empty until a product is created in it. Kept in one stream a product, see [`Registry::stream`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "change::Written")]
pub struct Registry {
    product: Option<Product>,
    devices: BTreeMap<DeviceKey, Device>,
    /// Which device each bound id belongs to; follows from `devices`.
    #[serde(skip)]
    keys: BTreeMap<DeviceId, DeviceKey>,
    /// The latest time seen, in Unix milliseconds; later decisions are never dated before it.
    latest: u64,
}

impl Registry {
    /// The name of the stream that keeps a product.
    #[must_use]
    pub fn stream(product: &ProductKey) -> String {
        format!("product/{product}")
    }

    /// The name of the field under which a product's secret is sealed in its stream.
    #[must_use]
    pub fn product_secret_field() -> &'static str {
        "product secret"
    }

    /// The name of the field under which a device's secret is sealed in its product's stream.
    #[must_use]
    pub fn device_secret_field(device: &DeviceKey) -> String {
        format!("device secret {device}")
    }

    /// The product, once it was created.
    #[must_use]
    pub fn product(&self) -> Option<&Product> {
        self.product.as_ref()
    }

    /// The devices, by their keys.
    #[must_use]
    pub fn devices(&self) -> &BTreeMap<DeviceKey, Device> {
        &self.devices
    }

    /// One device.
    #[must_use]
    pub fn device(&self, device: &DeviceKey) -> Option<&Device> {
        self.devices.get(device)
    }

    /// The device that published this device id, with its key.
    #[must_use]
    pub fn device_by_id(&self, id: &DeviceId) -> Option<(&DeviceKey, &Device)> {
        self.devices.get_key_value(self.keys.get(id)?)
    }

    /// The secret with which a device may prove itself now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownProduct`], [`ErrorKind::UnknownDevice`], [`ErrorKind::Disabled`]; for the product's secret also
    /// [`ErrorKind::ActivationOff`] and [`ErrorKind::Activated`]. To the device they must all look alike.
    pub fn credential(&self, device: &DeviceKey, proof: Proof) -> Result<&SealedSecret, Error> {
        let product = self.created()?;
        let device = self.admitted(device)?;
        match proof {
            Proof::OwnSecret => Ok(&device.secret),
            Proof::ProductSecret => {
                device.may_activate(product.activation)?;
                Ok(&product.secret)
            }
        }
    }

    fn created(&self) -> Result<&Product, ErrorKind> {
        self.product.as_ref().ok_or(ErrorKind::UnknownProduct)
    }

    fn existing(&self, device: &DeviceKey) -> Result<&Device, ErrorKind> {
        self.created()?;
        self.devices.get(device).ok_or(ErrorKind::UnknownDevice)
    }

    fn admitted(&self, device: &DeviceKey) -> Result<&Device, ErrorKind> {
        let device = self.existing(device)?;
        if device.enabled {
            Ok(device)
        } else {
            Err(ErrorKind::Disabled)
        }
    }
}

/// What a device proves itself with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a proof left out would let nobody in"
)]
pub enum Proof {
    /// The secret of the device itself.
    OwnSecret,
    /// The secret that all devices of the product share: good for asking for one's own, and nothing else.
    ProductSecret,
}

/// Whether, and how long, a product's devices may ask for their own secret (dynamic activation).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Never: secrets are put into devices when they are made.
    Off,
    /// One answer, ever. A device that does not get it needs a new secret from an operator.
    Once,
    /// Any number of answers, until the first session under the device's own secret. An answer that is lost can be asked
    /// for again.
    UntilFirstSession,
}

/// A kind of device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Product {
    /// The product's key.
    pub key: ProductKey,
    /// A name for people.
    pub name: String,
    /// The secret that its devices share.
    pub secret: SealedSecret,
    /// Whether its devices may ask for their own secret.
    pub activation: Activation,
    /// When it was created, in Unix milliseconds.
    pub created_at: u64,
    /// What its devices offer, where they do not say it themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// One device of the product.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Device {
    /// The device's own secret.
    pub secret: SealedSecret,
    /// The account that owns it.
    pub owner: Option<AccountId>,
    /// The device id that it published first, or was given, and to which it is bound.
    pub id: Option<DeviceId>,
    /// False keeps it out, whatever it proves.
    pub enabled: bool,
    /// When it was added, in Unix milliseconds.
    pub added_at: u64,
    /// When it was told its present secret first, in Unix milliseconds.
    pub activated_at: Option<u64>,
    /// When it first used its present secret, in Unix milliseconds.
    pub first_session_at: Option<u64>,
    /// For how many seconds it may be silent before it counts as offline, as it said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<u32>,
}

impl Device {
    /// Whether the device may be told its secret under this rule.
    fn may_activate(&self, rule: Activation) -> Result<(), ErrorKind> {
        match rule {
            Activation::Off => Err(ErrorKind::ActivationOff),
            _ if self.first_session_at.is_some() => Err(ErrorKind::Activated),
            Activation::Once if self.activated_at.is_some() => Err(ErrorKind::Activated),
            Activation::Once | Activation::UntilFirstSession => Ok(()),
        }
    }
}
