//! The ledgers of the products, and an index over them: who owns what.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use provisioning_proto::registry::{Change, Command, Decision, Device, Registry, Reply};
use provisioning_proto::{AccountId, DeviceId, ProductKey};

use super::generations::{self, Generations};
use super::{Failure, Name};
use crate::clock;
use crate::error::Error;
use crate::store::{Kept, Ledger, Store};

/// The ledgers of all products, and what each account owns in them.
#[derive(Debug)]
pub(super) struct Registries {
    pub(super) products: BTreeMap<ProductKey, Kept<Registry>>,
    pub(super) owned: BTreeMap<AccountId, BTreeSet<Name>>,
    pub(super) generations: Kept<Generations>,
}

impl Registries {
    /// Loads all products.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(super) async fn load(store: &Store) -> Result<Self, Error> {
        let streams = store
            .list("product/")
            .await
            .map_err(|cause| Error::new("cannot list the products", cause))?;
        let mut registries = Self {
            products: BTreeMap::new(),
            owned: BTreeMap::new(),
            generations: Kept::load(store, generations::STREAM).await?,
        };
        for stream in streams {
            let kept = Kept::<Registry>::load(store, stream).await?;
            if let Some(product) = kept.ledger().product() {
                registries.insert(product.key.clone(), kept);
            }
        }
        Ok(registries)
    }

    pub(super) fn device(&self, name: &Name) -> Option<&Device> {
        let product = self.products.get(&name.product)?;
        product.ledger().device(&name.device)
    }

    /// The device id that a device is bound to.
    pub(super) fn id_of(&self, name: &Name) -> Option<&DeviceId> {
        self.device(name)?.id.as_ref()
    }

    fn owner(&self, name: &Name) -> Option<&AccountId> {
        self.device(name)?.owner.as_ref()
    }

    /// Takes a product's ledger in, with the owners of its devices.
    pub(super) fn insert(&mut self, product: ProductKey, kept: Kept<Registry>) {
        for (key, device) in kept.ledger().devices() {
            if let Some(owner) = &device.owner {
                let name = Name {
                    product: product.clone(),
                    device: key.clone(),
                };
                self.owned.entry(owner.clone()).or_default().insert(name);
            }
        }
        self.products.insert(product, kept);
    }

    /// Binds a device to a device id.
    pub(super) async fn bind(
        &mut self,
        store: &Store,
        name: &Name,
        id: DeviceId,
    ) -> Result<(), Failure> {
        // Each product is a ledger of its own, and an id belongs to one device of all of them.
        if self.products.iter().any(|(product, kept)| {
            *product != name.product && kept.ledger().device_by_id(&id).is_some()
        }) {
            return Err(Failure::refused("another device has this device id"));
        }
        let device = name.device.clone();
        let command = Command::BindDeviceId { device, id };
        self.carry_out(store, &name.product, command)
            .await
            .map(drop)
    }

    /// The ledger of a product.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn registry(&self, product: &ProductKey) -> Result<&Registry, Failure> {
        let kept = self.products.get(product);
        kept.map(Kept::ledger)
            .ok_or_else(|| Failure::refused(format!("there is no product {product}")))
    }

    /// Makes changes of one product durable that were decided one by one, and takes in who owns the devices that they make.
    ///
    /// # Errors
    /// There is no such product, or the journal cannot be written.
    pub(super) async fn record(
        &mut self,
        store: &Store,
        product: &ProductKey,
        changes: &[Change],
        new: BTreeSet<Name>,
    ) -> Result<(), Error> {
        if changes.is_empty() {
            return Ok(());
        }
        let kept = self.products.get_mut(product);
        let kept = kept.ok_or_else(|| Error::plain(format!("there is no product {product}")))?;
        kept.record(store, changes).await?;
        for name in new {
            if let Some(owner) = self.owner(&name).cloned() {
                self.owned.entry(owner).or_default().insert(name);
            }
        }
        Ok(())
    }

    /// Carries a command out on one product, and keeps the index of owners in step.
    pub(super) async fn carry_out(
        &mut self,
        store: &Store,
        product: &ProductKey,
        command: Command,
    ) -> Result<Reply, Failure> {
        let changes_owner = match &command {
            Command::AddDevice { device, .. } | Command::SetOwner { device, .. } => Some(Name {
                product: product.clone(),
                device: device.clone(),
            }),
            _ => None,
        };
        let before = changes_owner
            .as_ref()
            .and_then(|name| self.owner(name).cloned());
        let kept = self
            .products
            .get_mut(product)
            .ok_or_else(|| Failure::refused(format!("there is no product {product}")))?;
        let reply = carry_out(kept, store, command).await?;
        if let Some(name) = changes_owner {
            let after = self.owner(&name).cloned();
            if let Some(devices) = before.and_then(|owner| self.owned.get_mut(&owner)) {
                devices.remove(&name);
            }
            if let Some(owner) = after {
                self.owned.entry(owner).or_default().insert(name);
            }
        }
        Ok(reply)
    }
}

impl Ledger for Registry {
    type Change = Change;

    fn encode(change: &Change) -> Result<Bytes, Error> {
        change
            .encode()
            .map(Bytes::from)
            .map_err(|cause| Error::new("a change of a product cannot be written", cause))
    }

    fn decode(bytes: &[u8]) -> Result<Change, Error> {
        Change::decode(bytes)
            .map_err(|cause| Error::new("a change of a product cannot be read", cause))
    }

    fn apply(&mut self, change: &Change) {
        Self::apply(self, change);
    }
}

/// Carries several commands out on one ledger: all of them or none.
///
/// # Errors
/// The registry refuses, or the journal cannot be written.
pub(super) async fn carry_out_together(
    kept: &mut Kept<Registry>,
    store: &Store,
    commands: Vec<Command>,
) -> Result<(), Failure> {
    let mut draft = kept.ledger().clone();
    let mut changes = Vec::new();
    for command in commands {
        let decision = decide(&draft, command)?;
        for change in &decision.changes {
            draft.apply(change);
        }
        changes.extend(decision.changes);
    }
    kept.record(store, &changes)
        .await
        .map_err(Failure::Unavailable)
}

pub(super) fn decide(registry: &Registry, command: Command) -> Result<Decision, Failure> {
    registry
        .decide(command, clock::wall())
        .map_err(|cause| Failure::Refused(Error::new("the registry refused", cause)))
}

/// Carries a command out on one ledger.
///
/// # Errors
/// The registry refuses, or the journal cannot be written.
async fn carry_out(
    kept: &mut Kept<Registry>,
    store: &Store,
    command: Command,
) -> Result<Reply, Failure> {
    let decision = decide(kept.ledger(), command)?;
    kept.record(store, &decision.changes)
        .await
        .map_err(Failure::Unavailable)?;
    Ok(decision.reply)
}
