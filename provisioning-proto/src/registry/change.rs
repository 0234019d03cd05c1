//! What is stored. The written form is forever: a variant is never removed or given another meaning, and a field is only
//! added with a default. `tests/journal_compat` holds what every release wrote.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ledger::ledger;
use crate::registry::{Activation, Device, Product, Registry, SNAPSHOT_FORMAT};
use crate::{AccountId, DeviceId, DeviceKey, ProductKey, SealedSecret, Template};

/// The longest change, in bytes; the longest possible one, that of a template, is well below.
const MAX_CHANGE: usize = 32 << 10;

ledger!(Registry, Change, longest: MAX_CHANGE, snapshot: SNAPSHOT_FORMAT);

/// Something that happened to a product or one of its devices, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Unix milliseconds, never less than in the change before.
    pub at: u64,
    /// What happened.
    pub fact: Fact,
}

/// The facts that a registry is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The product was created.
    ProductCreated {
        /// Its key.
        product: ProductKey,
        /// Its name for people.
        name: String,
        /// Its secret.
        secret: SealedSecret,
        /// Whether its devices may ask for their secret.
        activation: Activation,
    },
    /// The rule of activation was changed.
    ActivationSet {
        /// The rule from now on.
        activation: Activation,
    },
    /// The product got a template, its first or another.
    TemplateSet {
        /// The template from now on.
        template: Template,
    },
    /// A device was added.
    DeviceAdded {
        /// Its key.
        device: DeviceKey,
        /// Its secret.
        secret: SealedSecret,
        /// Its owner.
        owner: Option<AccountId>,
    },
    /// A device got another owner, or none.
    OwnerSet {
        /// Its key.
        device: DeviceKey,
        /// The owner from now on.
        owner: Option<AccountId>,
    },
    /// A device was let in again.
    DeviceEnabled {
        /// Its key.
        device: DeviceKey,
    },
    /// A device was shut out.
    DeviceDisabled {
        /// Its key.
        device: DeviceKey,
    },
    /// A device got a new secret, which it has not been told.
    SecretReplaced {
        /// Its key.
        device: DeviceKey,
        /// The secret from now on.
        secret: SealedSecret,
    },
    /// A device was told its secret.
    DeviceActivated {
        /// Its key.
        device: DeviceKey,
    },
    /// A device used its own secret for the first time.
    FirstSessionBegun {
        /// Its key.
        device: DeviceKey,
    },
    /// A device said for how long it may be silent before it counts as offline.
    LifetimeSet {
        /// Its key.
        device: DeviceKey,
        /// The seconds.
        seconds: u32,
    },
    /// A device published its device id for the first time, or was given one.
    DeviceIdBound {
        /// Its key.
        device: DeviceKey,
        /// The id to which it is bound.
        id: DeviceId,
    },
    /// A device was removed.
    DeviceRemoved {
        /// Its key.
        device: DeviceKey,
    },
}

/// A registry as it is written, without what follows from the rest.
#[derive(Deserialize)]
pub(super) struct Written {
    product: Option<Product>,
    devices: BTreeMap<DeviceKey, Device>,
    latest: u64,
}

impl From<Written> for Registry {
    fn from(written: Written) -> Self {
        let bound = |(key, device): (&DeviceKey, &Device)| Some((device.id.clone()?, key.clone()));
        Self {
            product: written.product,
            keys: written.devices.iter().filter_map(bound).collect(),
            devices: written.devices,
            latest: written.latest,
        }
    }
}
