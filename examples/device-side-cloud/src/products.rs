//! Products and devices: the registry ledgers, their secrets, and who owns what.

mod failure;
mod generations;
mod given_id;
mod provisioned;
mod registries;
mod templates;

use std::fmt;
use std::ops::Bound;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use coap_psk::identity::{PskIdentity, SecureMode};
use coap_psk::measurepoint::Template;
use coap_psk::secret::{DeviceSecret, KeyBytes, ProductSecret, PskKey};
use provisioning_proto::registry::{Activation, Command, Proof, Registry, Reply};
use provisioning_proto::{AccountId, DeviceId, DeviceKey, ProductKey, SealedSecret};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::clock;
use crate::error::Error;
use crate::provisioning::{Provisioning, WeakProvisioning};
use crate::store::{Kept, Store};
pub(crate) use failure::Failure;
use given_id::given_id;
use registries::{Registries, carry_out_together};
use templates::Templates;

/// The characters of keys and secrets that this program makes.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The length of secrets that this program makes: 62^32 is above 2^190.
const SECRET_LEN: usize = 32;

/// A device as the registry names it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Name {
    pub(crate) product: ProductKey,
    pub(crate) device: DeviceKey,
}

impl Name {
    pub(crate) fn new(product: &str, device: &str) -> Result<Self, Error> {
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
    templates: Templates,
    /// What provisioning wants of devices.
    queue: provisioned::Queue,
    /// Who is told of every session that begins with a device's own secret.
    provisioning: Arc<OnceLock<WeakProvisioning>>,
}

/// In whose hands a device is.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) owner: AccountId,
    /// The device id that it is bound to.
    pub(crate) id: Option<DeviceId>,
    /// Whether it ever had a session with its own secret.
    pub(crate) activated: bool,
    /// The number of this ownership, which the device's reports carry.
    pub(crate) generation: u64,
}

impl Products {
    /// Loads all products.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub(crate) async fn load(store: &Store) -> Result<Self, Error> {
        let registries = Registries::load(store).await?;
        let templates = Templates::of(registries.products.values().map(Kept::ledger))?;
        Ok(Self {
            store: store.clone(),
            kept: Arc::new(Mutex::new(registries)),
            templates,
            queue: provisioned::Queue::default(),
            provisioning: Arc::default(),
        })
    }

    /// Tells provisioning of the devices that come from now on.
    pub(crate) fn tell(&self, provisioning: &Provisioning) {
        // Set once, before any device comes.
        drop(self.provisioning.set(provisioning.downgrade()));
    }

    /// Makes a product.
    ///
    /// # Errors
    /// The name is not usable, the template is too long, or the journal cannot be written.
    pub(crate) async fn add_product(
        &self,
        name: &str,
        dynamic_activation: bool,
        template: Option<Template>,
    ) -> Result<Credentials, Error> {
        let key = random_text(8)?;
        let product: ProductKey = key
            .parse()
            .map_err(|cause| Error::new("the product key is not usable", cause))?;
        let secret = random_text(SECRET_LEN)?;
        let stream = Registry::stream(&product);
        let mut commands = vec![Command::CreateProduct {
            product: product.clone(),
            name: name.to_owned(),
            secret: self.seal(&stream, Registry::product_secret_field(), &secret)?,
            activation: if dynamic_activation {
                Activation::UntilFirstSession
            } else {
                Activation::Off
            },
        }];
        if let Some(template) = &template {
            commands.push(Command::SetTemplate(templates::stored(template)?));
        }
        let mut kept = Kept::load(&self.store, stream).await?;
        carry_out_together(&mut kept, &self.store, commands).await?;
        if let Some(template) = template {
            self.templates.set(product.clone(), template);
        }
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

    /// The key with which a device may come in; `None` for everything that is not known or not allowed. Why is for the
    /// operator's log alone.
    pub(crate) async fn key_for(&self, identity: &PskIdentity) -> Option<PskKey> {
        let (device, mode) = (identity.device(), identity.mode().number());
        match self.key(identity).await {
            Ok(key) => Some(key),
            Err(Failure::Refused(error)) => {
                info!(%device, mode, error = error.chain(), "a device was not let in");
                None
            }
            Err(Failure::Unavailable(error)) => {
                warn!(%device, mode, error = error.chain(), "a device could not be let in");
                None
            }
        }
    }

    async fn key(&self, identity: &PskIdentity) -> Result<PskKey, Failure> {
        let unknown = || Failure::refused("it is not known");
        let name = Name::of(identity).ok_or_else(unknown)?;
        let proof = match identity.mode() {
            SecureMode::DeviceSecret => Proof::OwnSecret,
            SecureMode::ProductSecret => Proof::ProductSecret,
            // A mode of a later release proves nothing here.
            _ => return Err(unknown()),
        };
        let kept = self.kept.lock().await;
        let registry = kept.products.get(&name.product).ok_or_else(unknown)?;
        let sealed = registry
            .ledger()
            .credential(&name.device, proof)
            .map_err(|cause| Failure::Refused(Error::new("the registry refused", cause)))?;
        Ok(match proof {
            Proof::OwnSecret => self.device_secret(&name, sealed)?.key(KeyBytes::default()),
            Proof::ProductSecret => {
                let stream = Registry::stream(&name.product);
                let secret = self.open(&stream, Registry::product_secret_field(), sealed)?;
                ProductSecret::new(secret.as_str())
                    .map_err(unusable)?
                    .key(KeyBytes::default())
            }
        })
    }

    fn device_secret(&self, name: &Name, sealed: &SealedSecret) -> Result<DeviceSecret, Failure> {
        let stream = Registry::stream(&name.product);
        let field = Registry::device_secret_field(&name.device);
        let secret = self.open(&stream, &field, sealed)?;
        DeviceSecret::new(secret.as_str()).map_err(unusable)
    }

    /// The device's own secret, for a device that came in with its product's; what follows from asking is durable first.
    ///
    /// # Errors
    /// It may not ask, or the journal cannot be written.
    pub(crate) async fn activate(&self, name: &Name) -> Result<DeviceSecret, Failure> {
        let device = name.device.clone();
        let command = Command::Activate { device };
        let Reply::Secret(sealed) = self.command(&name.product, command).await? else {
            return Err(Failure::refused("the registry gave no secret"));
        };
        self.device_secret(name, &sealed)
    }

    /// Notes that a device proved that it has its own secret, which from then on it is not told again, and for how many
    /// seconds it may be silent.
    ///
    /// # Errors
    /// The journal cannot be written, or the device was shut out meanwhile.
    pub(crate) async fn begin_session(&self, name: &Name, lifetime: u32) -> Result<(), Failure> {
        let device = name.device.clone();
        self.command(&name.product, Command::BeginSession { device })
            .await?;
        let provisioning = self.provisioning.get();
        if let Some(provisioning) = provisioning.and_then(WeakProvisioning::upgrade) {
            provisioning.seen_here(name.product.as_str(), name.device.as_str());
        }
        let (device, seconds) = (name.device.clone(), lifetime);
        self.command(&name.product, Command::SetLifetime { device, seconds })
            .await
            .map(drop)
    }

    /// For how many seconds the device that is bound to this id may be silent.
    pub(crate) async fn lifetime(&self, id: uci_model::DeviceId) -> Option<u32> {
        let id = registry_id(id).ok()?;
        let kept = self.kept.lock().await;
        let mut registries = kept.products.values().map(Kept::ledger);
        registries.find_map(|registry| registry.device_by_id(&id)?.1.lifetime)
    }

    /// Binds a device to the device id that it publishes. One that the cloud gave an id keeps that.
    ///
    /// # Errors
    /// It is bound to another, another device has it, or the journal cannot be written.
    pub(crate) async fn bind(&self, name: &Name, id: uci_model::DeviceId) -> Result<(), Failure> {
        let id = registry_id(id)?;
        let mut kept = self.kept.lock().await;
        match kept.id_of(name) {
            Some(bound) if *bound == registry_id(given_id(name))? => Ok(()),
            _ => kept.bind(&self.store, name, id).await,
        }
    }

    /// Gives a device that published no device id the one that follows from its name. One that has an id keeps it.
    ///
    /// # Errors
    /// Another device has it, or the journal cannot be written.
    pub(crate) async fn give_id(&self, name: &Name) -> Result<(), Failure> {
        let mut kept = self.kept.lock().await;
        if kept.id_of(name).is_some() {
            return Ok(());
        }
        let id = given_id(name);
        kept.bind(&self.store, name, registry_id(id)?).await?;
        info!(device = %name, %id, "a device that published no device id was given one");
        Ok(())
    }

    /// In whose hands a device is; `None` when it belongs to nobody.
    pub(crate) async fn holding(&self, name: &Name) -> Option<Holding> {
        let kept = self.kept.lock().await;
        let device = kept.device(name)?;
        Some(Holding {
            owner: device.owner.clone()?,
            id: device.id.clone(),
            activated: device.first_session_at.is_some(),
            generation: kept.generations.ledger().of(name),
        })
    }

    /// The device id that a device is bound to.
    pub(crate) async fn device_id(&self, name: &Name) -> Option<DeviceId> {
        self.kept.lock().await.id_of(name).cloned()
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
        Ok(names
            .range::<Name, _>((from, Bound::Unbounded))
            .take(limit)
            .map(|name| (name.clone(), kept.id_of(name).cloned()))
            .collect())
    }

    /// Gives a device to another account, or to none, in a new generation.
    ///
    /// # Errors
    /// There is no such device, or the journal cannot be written.
    pub(crate) async fn set_owner(&self, name: &Name, owner: Option<&str>) -> Result<(), Error> {
        let command = Command::SetOwner {
            device: name.device.clone(),
            owner: owner.map(account).transpose()?,
        };
        let mut kept = self.kept.lock().await;
        let raised = kept.generations.ledger().raise(name);
        kept.generations.record(&self.store, &[raised]).await?;
        kept.carry_out(&self.store, &name.product, command).await?;
        Ok(())
    }

    async fn command(&self, product: &ProductKey, command: Command) -> Result<Reply, Failure> {
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
    ) -> Result<zeroize::Zeroizing<String>, Failure> {
        let secret = self
            .store
            .keyring()
            .open(stream, field, sealed.as_bytes())
            .map_err(|cause| {
                Failure::Unavailable(Error::new("the secret cannot be opened", cause))
            })?;
        let text = std::str::from_utf8(secret.expose())
            .map_err(|_| Failure::Unavailable(Error::plain("the secret is not text")))?;
        Ok(text.to_owned().into())
    }
}

fn unusable(cause: coap_psk::Error) -> Failure {
    Failure::Unavailable(Error::new("the secret is not usable", cause))
}

fn account(id: &str) -> Result<AccountId, Error> {
    id.parse()
        .map_err(|cause| Error::new("the owner's id is not usable", cause))
}

/// A device id as the registry keeps it.
fn registry_id(id: uci_model::DeviceId) -> Result<DeviceId, Failure> {
    id.to_string()
        .parse()
        .map_err(|cause| Failure::Refused(Error::new("the device id cannot be kept", cause)))
}

/// Random letters and digits.
pub(crate) fn random_text(length: usize) -> Result<String, Error> {
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
