//! Devices that were assigned to this cloud by provisioning, or to another one after they were here.
//!
//! Many come at once: whoever gets to the ledgers first carries out what all who wait there want, in one append for each product.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use coap_psk::secret::DeviceSecret;
use provisioning_proto::registry::{Change, Command, Registry};
use provisioning_proto::{AccountId, ProductKey, Secret};
use tokio::sync::oneshot;

use super::registries::{Registries, decide};
use super::{Name, Products, account, unusable};
use crate::error::Error;

/// What is wanted of a device.
#[derive(Debug)]
enum Wish {
    /// That it is known with this secret, and a new one with this owner.
    Provide(DeviceSecret, Option<AccountId>),
    /// That it is kept out.
    ShutOut,
}

/// Who was there before: nobody, or a device with or without an owner.
type Before = Option<Option<AccountId>>;

#[derive(Debug)]
struct Waiting {
    name: Name,
    wish: Wish,
    tell: oneshot::Sender<Result<Before, String>>,
}

/// Those who wait for the ledgers; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue(Arc<Mutex<Vec<Waiting>>>);

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
        let secret = DeviceSecret::new(text).map_err(unusable)?;
        let owner = owner.map(account).transpose()?;
        self.wait_for(name, Wish::Provide(secret, owner)).await
    }

    /// Keeps a device out from now on; returns whether there is one.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub(crate) async fn shut_out(&self, name: &Name) -> Result<bool, Error> {
        let before = self.wait_for(name, Wish::ShutOut).await?;
        Ok(before.is_some())
    }

    async fn wait_for(&self, name: &Name, wish: Wish) -> Result<Before, Error> {
        let (tell, mut told) = oneshot::channel();
        let name = name.clone();
        self.queue.lock().push(Waiting { name, wish, tell });
        // On a busy machine the ledgers go from hand to hand slowly; who is served by another does not wait for them.
        let done = tokio::select! {
            biased;
            done = &mut told => done,
            mut kept = self.kept.lock() => {
                self.carry_out_waiting(&mut kept).await;
                drop(kept);
                told.await
            }
        };
        let done = done.unwrap_or_else(|_| Err("the ledgers of the products broke off".to_owned()));
        done.map_err(Error::plain)
    }

    /// Carries out what everyone wants who waits, each product's in one append.
    async fn carry_out_waiting(&self, kept: &mut Registries) {
        let waiting = std::mem::take(&mut *self.queue.lock());
        let mut rounds: Vec<BTreeMap<ProductKey, Vec<Waiting>>> = Vec::new();
        let mut rounds_of: BTreeMap<Name, usize> = BTreeMap::new();
        for one in waiting {
            // What is wanted of one device twice is decided one after the other.
            let round = rounds_of.entry(one.name.clone()).or_default();
            while rounds.len() <= *round {
                rounds.push(BTreeMap::new());
            }
            if let Some(products) = rounds.get_mut(*round) {
                let of_product = products.entry(one.name.product.clone()).or_default();
                of_product.push(one);
            }
            *round = round.saturating_add(1);
        }
        for (product, batch) in rounds.into_iter().flatten() {
            self.carry_out_batch(kept, &product, batch).await;
        }
    }

    async fn carry_out_batch(
        &self,
        kept: &mut Registries,
        product: &ProductKey,
        batch: Vec<Waiting>,
    ) {
        let (mut changes, mut judged, mut new) = (Vec::new(), Vec::new(), BTreeSet::new());
        for one in batch {
            match self.judge(kept, &one) {
                Ok((decided, before)) => {
                    if before.is_none() && !decided.is_empty() {
                        new.insert(one.name);
                    }
                    changes.extend(decided);
                    judged.push((one.tell, before));
                }
                // Who asked may be gone.
                Err(error) => drop(one.tell.send(Err(error.chain()))),
            }
        }
        let recorded = kept.record(&self.store, product, &changes, new).await;
        let failure = recorded.err().map(|error| error.chain());
        for (tell, before) in judged {
            let result = failure.clone().map_or(Ok(before), Err);
            drop(tell.send(result));
        }
    }

    /// The changes that give one device what is wanted.
    fn judge(&self, kept: &Registries, one: &Waiting) -> Result<(Vec<Change>, Before), Error> {
        let name = &one.name;
        let stream = Registry::stream(&name.product);
        let field = Registry::device_secret_field(&name.device);
        let device = name.device.clone();
        let known = kept.device(name);
        let commands = match (&one.wish, known) {
            (Wish::ShutOut, None) => Vec::new(),
            (Wish::ShutOut, Some(_)) => vec![Command::SetEnabled {
                device,
                enabled: false,
            }],
            (Wish::Provide(secret, owner), None) => vec![Command::AddDevice {
                device,
                secret: self.seal(&stream, &field, secret.expose())?,
                owner: owner.clone(),
            }],
            (Wish::Provide(secret, _), Some(known)) => {
                let mut commands = Vec::new();
                let present = self.open(&stream, &field, &known.secret)?;
                // Compared in constant time.
                if Secret::new(present.as_bytes()).ok() != Secret::new(secret.expose()).ok() {
                    commands.push(Command::ReplaceSecret {
                        device: device.clone(),
                        secret: self.seal(&stream, &field, secret.expose())?,
                    });
                }
                if !known.enabled {
                    commands.push(Command::SetEnabled {
                        device,
                        enabled: true,
                    });
                }
                commands
            }
        };
        let before = known.map(|known| known.owner.clone());
        let registry = kept.registry(&name.product)?;
        let mut changes = Vec::new();
        for command in commands {
            // One says nothing of the other: its secret, and whether it is let in.
            changes.extend(decide(registry, command)?.changes);
        }
        Ok((changes, before))
    }
}

impl Queue {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
