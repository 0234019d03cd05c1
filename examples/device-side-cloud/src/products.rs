//! Products and devices: the registry ledgers, their secrets, and who owns what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use coap_psk::identity::{PskIdentity, SecureMode};
use coap_psk::secret::{DeviceSecret, KeyBytes, ProductSecret, PskKey};
use provisioning_proto::registry::{Activation, Change, Command, Proof, Registry, Reply};
use provisioning_proto::{AccountId, DeviceId, DeviceKey, ProductKey, SealedSecret};
use tokio::sync::Mutex;
use tracing::warn;

use crate::clock;
use crate::error::Error;
use crate::store::{Kept, Ledger, Store};

/// The characters of keys and secrets that this program makes.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The length of secrets that this program makes: 62^32 is above 2^190.
const SECRET_LEN: usize = 32;

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

/// A device as the registry names it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name {
    pub(crate) product: ProductKey,
    pub(crate) device: DeviceKey,
}

impl Name {
    fn new(product: &str, device: &str) -> Result<Self, Error> {
        Ok(Self {
            product: product
                .parse()
                .map_err(|cause| Error::new(format!("{product} is no product key"), cause))?,
            device: device
                .parse()
                .map_err(|cause| Error::new(format!("{device} is no device key"), cause))?,
        })
    }

    /// The name in an identity; `None` when it is not of a form that the registry gives out.
    pub(crate) fn of(identity: &PskIdentity) -> Option<Self> {
        Some(Self {
            product: identity.device().product_key().as_str().parse().ok()?,
            device: identity.device().device_key().as_str().parse().ok()?,
        })
    }
}

/// As it stands in a device's identity: `{ProductKey},{DeviceKey}`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.product, self.device)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (product, device) = text
            .split_once(',')
            .ok_or_else(|| Error::plain(format!("{text} is not PRODUCT_KEY,DEVICE_KEY")))?;
        Self::new(product, device)
    }
}

/// A new key and its secret, shown once.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) key: String,
    pub(crate) secret: String,
}

/// All products of this cloud; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Products {
    store: Store,
    kept: Arc<Mutex<Registries>>,
}

/// The ledgers of all products, and what each account owns in them.
#[derive(Debug, Default)]
struct Registries {
    products: BTreeMap<ProductKey, Kept<Registry>>,
    owned: BTreeMap<AccountId, BTreeSet<Name>>,
}

impl Registries {
    fn owner(&self, name: &Name) -> Option<&AccountId> {
        let device = self
            .products
            .get(&name.product)?
            .ledger()
            .device(&name.device)?;
        device.owner.as_ref()
    }

    /// Takes a product's ledger in, with the owners of its devices.
    fn insert(&mut self, product: ProductKey, kept: Kept<Registry>) {
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

    /// Carries a command out on one product, and keeps the index of owners in step.
    async fn carry_out(
        &mut self,
        store: &Store,
        product: &ProductKey,
        command: Command,
    ) -> Result<Reply, Error> {
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
            .ok_or_else(|| Error::plain(format!("there is no product {product}")))?;
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

impl Products {
    /// Loads all products.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let streams = store
            .list("product/")
            .await
            .map_err(|cause| Error::new("cannot list the products", cause))?;
        let mut registries = Registries::default();
        for stream in streams {
            let kept = Kept::<Registry>::load(store, stream).await?;
            if let Some(product) = kept.ledger().product() {
                registries.insert(product.key.clone(), kept);
            }
        }
        Ok(Self {
            store: store.clone(),
            kept: Arc::new(Mutex::new(registries)),
        })
    }

    /// Makes a product.
    ///
    /// # Errors
    /// The name is not usable, or the journal cannot be written.
    pub(crate) async fn add_product(
        &self,
        name: &str,
        dynamic_activation: bool,
    ) -> Result<Credentials, Error> {
        let key = random_text(8)?;
        let product: ProductKey = key
            .parse()
            .map_err(|cause| Error::new("the product key is not usable", cause))?;
        let secret = random_text(SECRET_LEN)?;
        let stream = Registry::stream(&product);
        let command = Command::CreateProduct {
            product: product.clone(),
            name: name.to_owned(),
            secret: self.seal(&stream, Registry::product_secret_field(), &secret)?,
            activation: if dynamic_activation {
                Activation::UntilFirstSession
            } else {
                Activation::Off
            },
        };
        let mut kept = Kept::load(&self.store, stream).await?;
        carry_out(&mut kept, &self.store, command).await?;
        self.kept.lock().await.insert(product, kept);
        Ok(Credentials { key, secret })
    }

    /// Makes a device of a product, owned by a user.
    ///
    /// # Errors
    /// There is no such product, the key is taken or not usable, or the journal cannot be written.
    pub(crate) async fn add_device(
        &self,
        product: &str,
        device_key: Option<String>,
        owner: &str,
    ) -> Result<Credentials, Error> {
        let key = match device_key {
            Some(key) => key,
            None => random_text(16)?,
        };
        let name = Name::new(product, &key)?;
        let owner = account(owner)?;
        let secret = random_text(SECRET_LEN)?;
        let stream = Registry::stream(&name.product);
        let field = Registry::device_secret_field(&name.device);
        let command = Command::AddDevice {
            device: name.device.clone(),
            secret: self.seal(&stream, &field, &secret)?,
            owner: Some(owner),
        };
        self.command(&name.product, command).await?;
        Ok(Credentials { key, secret })
    }

    /// The key with which a device may come in; `None` for everything that is not known or not allowed, without a word why.
    pub(crate) async fn key_for(&self, identity: &PskIdentity) -> Option<PskKey> {
        let name = Name::of(identity)?;
        let (proof, field) = match identity.mode() {
            SecureMode::DeviceSecret => (
                Proof::OwnSecret,
                Registry::device_secret_field(&name.device),
            ),
            SecureMode::ProductSecret => (
                Proof::ProductSecret,
                Registry::product_secret_field().to_owned(),
            ),
            // A mode of a later release proves nothing here.
            _ => return None,
        };
        let kept = self.kept.lock().await;
        let sealed = kept
            .products
            .get(&name.product)?
            .ledger()
            .credential(&name.device, proof)
            .ok()?;
        let secret = self
            .open(&Registry::stream(&name.product), &field, sealed)
            .inspect_err(|error| warn!(error = error.chain(), "a stored secret cannot be opened"))
            .ok()?;
        let key = match proof {
            Proof::OwnSecret => DeviceSecret::new(secret.as_str())
                .ok()?
                .key(KeyBytes::default()),
            Proof::ProductSecret => ProductSecret::new(secret.as_str())
                .ok()?
                .key(KeyBytes::default()),
        };
        Some(key)
    }

    /// The device's own secret, for a device that came in with its product's; what follows from asking is durable first.
    ///
    /// # Errors
    /// It may not ask, or the journal cannot be written.
    pub(crate) async fn activate(&self, name: &Name) -> Result<DeviceSecret, Error> {
        let device = name.device.clone();
        match self
            .command(&name.product, Command::Activate { device })
            .await?
        {
            Reply::Secret(sealed) => {
                let stream = Registry::stream(&name.product);
                let field = Registry::device_secret_field(&name.device);
                let secret = self.open(&stream, &field, &sealed)?;
                DeviceSecret::new(secret.as_str())
                    .map_err(|cause| Error::new("the device's secret is not usable", cause))
            }
            _ => Err(Error::plain("the registry gave no secret")),
        }
    }

    /// Notes that a device proved that it has its own secret: from then on it is not told again.
    ///
    /// # Errors
    /// The journal cannot be written, or the device was shut out meanwhile.
    pub(crate) async fn begin_session(&self, name: &Name) -> Result<(), Error> {
        let device = name.device.clone();
        self.command(&name.product, Command::BeginSession { device })
            .await
            .map(drop)
    }

    /// Binds a device to the device id that it publishes.
    ///
    /// # Errors
    /// It is bound to another, another device has it, or the journal cannot be written.
    pub(crate) async fn bind(&self, name: &Name, id: DeviceId) -> Result<(), Error> {
        let mut kept = self.kept.lock().await;
        // Each product is a ledger of its own, and an id belongs to one device of all of them.
        if kept.products.iter().any(|(product, kept)| {
            *product != name.product && kept.ledger().device_by_id(&id).is_some()
        }) {
            return Err(Error::plain("another device has this device id"));
        }
        let device = name.device.clone();
        let command = Command::BindDeviceId { device, id };
        kept.carry_out(&self.store, &name.product, command)
            .await
            .map(drop)
    }

    /// Who owns a device, and the device id it is bound to.
    pub(crate) async fn owner_and_id(&self, name: &Name) -> Option<(AccountId, Option<DeviceId>)> {
        let kept = self.kept.lock().await;
        let registry = kept.products.get(&name.product)?.ledger();
        let device = registry.device(&name.device)?;
        Some((device.owner.clone()?, device.id.clone()))
    }

    /// Some of an account's devices in order of their names, from behind `after` on, with the ids that they are bound to.
    ///
    /// # Errors
    /// The owner's id is not usable.
    pub(crate) async fn owned_by(
        &self,
        owner: &str,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<(Name, Option<DeviceId>)>, Error> {
        let owner = account(owner)?;
        let kept = self.kept.lock().await;
        let Some(names) = kept.owned.get(&owner) else {
            return Ok(Vec::new());
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let id = |name: &Name| {
            let registry = kept.products.get(&name.product)?.ledger();
            registry.device(&name.device)?.id.clone()
        };
        Ok(names
            .range::<Name, _>((from, Bound::Unbounded))
            .take(limit)
            .map(|name| (name.clone(), id(name)))
            .collect())
    }

    /// Gives a device to another account, or to none.
    ///
    /// # Errors
    /// There is no such device, or the journal cannot be written.
    pub(crate) async fn set_owner(&self, name: &Name, owner: Option<&str>) -> Result<(), Error> {
        let command = Command::SetOwner {
            device: name.device.clone(),
            owner: owner.map(account).transpose()?,
        };
        self.command(&name.product, command).await.map(drop)
    }

    async fn command(&self, product: &ProductKey, command: Command) -> Result<Reply, Error> {
        let mut kept = self.kept.lock().await;
        kept.carry_out(&self.store, product, command).await
    }

    fn seal(&self, stream: &str, field: &str, secret: &str) -> Result<SealedSecret, Error> {
        let sealed = self
            .store
            .keyring()
            .seal(stream, field, clock::entropy()?, secret.as_bytes())
            .map_err(|cause| Error::new("the secret cannot be sealed", cause))?;
        SealedSecret::new(sealed).map_err(|cause| Error::new("the secret is too long", cause))
    }

    fn open(
        &self,
        stream: &str,
        field: &str,
        sealed: &SealedSecret,
    ) -> Result<zeroize::Zeroizing<String>, Error> {
        let secret = self
            .store
            .keyring()
            .open(stream, field, sealed.as_bytes())
            .map_err(|cause| Error::new("the secret cannot be opened", cause))?;
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| Error::plain("the secret is not text"))?;
        Ok(text.to_owned().into())
    }
}

async fn carry_out(
    kept: &mut Kept<Registry>,
    store: &Store,
    command: Command,
) -> Result<Reply, Error> {
    let decision = kept
        .ledger()
        .decide(command, clock::wall())
        .map_err(|cause| Error::new("the registry refused", cause))?;
    kept.record(store, &decision.changes).await?;
    Ok(decision.reply)
}

fn account(id: &str) -> Result<AccountId, Error> {
    id.parse()
        .map_err(|cause| Error::new("the owner's id is not usable", cause))
}

/// Random letters and digits.
fn random_text(length: usize) -> Result<String, Error> {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in clock::entropy::<64>()? {
            // Of six bits, 62 and 63 name no letter and are passed over, so that all letters are equally likely.
            if text.len() < length
                && let Some(letter) = ALPHABET.get(usize::from(byte & 0x3f))
            {
                text.push(char::from(*letter));
            }
        }
    }
    Ok(text)
}
