use std::time::SystemTime;

use crate::registry::{Activation, Change, Fact, Registry};
use crate::time::unix_millis;
use crate::{AccountId, DeviceId, DeviceKey, Error, ErrorKind, ProductKey, SealedSecret, Template};

/// The longest name of a product, in bytes.
const MAX_NAME: usize = 256;

/// What an operator or a device wants of the registry.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Creates the product.
    CreateProduct {
        /// Its key.
        product: ProductKey,
        /// A name for people, 1 to 256 bytes.
        name: String,
        /// The secret that its devices share.
        secret: SealedSecret,
        /// Whether its devices may ask for their own secret.
        activation: Activation,
    },
    /// Changes whether the devices may ask for their own secret.
    SetActivation(Activation),
    /// Gives the product a template, in the place of the one it has.
    SetTemplate(Template),
    /// Adds a device.
    AddDevice {
        /// Its key.
        device: DeviceKey,
        /// Its own secret.
        secret: SealedSecret,
        /// The account that owns it.
        owner: Option<AccountId>,
    },
    /// Gives a device to another account, or to none.
    SetOwner {
        /// Its key.
        device: DeviceKey,
        /// The account that owns it from now on.
        owner: Option<AccountId>,
    },
    /// Lets a device in or shuts it out.
    SetEnabled {
        /// Its key.
        device: DeviceKey,
        /// Whether it is let in.
        enabled: bool,
    },
    /// Gives a device a new secret, for which it may ask again.
    ReplaceSecret {
        /// Its key.
        device: DeviceKey,
        /// The new secret.
        secret: SealedSecret,
    },
    /// A device, known by the product's secret, asks for its own; answered with [`Reply::Secret`].
    Activate {
        /// Its key.
        device: DeviceKey,
    },
    /// A device has proved that it has its own secret.
    BeginSession {
        /// Its key.
        device: DeviceKey,
    },
    /// A device says for how long it may be silent before it counts as offline.
    SetLifetime {
        /// Its key.
        device: DeviceKey,
        /// The seconds.
        seconds: u32,
    },
    /// A device publishes its device id, or is given one. The first one binds it; another is refused from then on.
    BindDeviceId {
        /// Its key.
        device: DeviceKey,
        /// The id.
        id: DeviceId,
    },
    /// Removes a device.
    RemoveDevice {
        /// Its key.
        device: DeviceKey,
    },
}

/// What follows from a command: changes to append, and what to answer once they are durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Decision {
    /// The changes, in order; none when everything is as wanted already.
    pub changes: Vec<Change>,
    /// The answer to whoever gave the command.
    pub reply: Reply,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The device's own secret, to be unsealed and told to this device alone.
    Secret(SealedSecret),
}

impl Registry {
    /// Decides what a command changes at the time `wall`, and changes nothing itself.
    ///
    /// # Errors
    ///
    /// Why it is refused: the kinds of [`ErrorKind`] up to [`ErrorKind::DeviceIdTaken`].
    pub fn decide(&self, command: Command, wall: SystemTime) -> Result<Decision, Error> {
        let reply = match &command {
            Command::Activate { device } => Reply::Secret(self.existing(device)?.secret.clone()),
            _ => Reply::Done,
        };
        let fact = self.fact(command)?;
        let at = self.latest.max(unix_millis(wall));
        Ok(Decision {
            changes: fact.map(|fact| Change { at, fact }).into_iter().collect(),
            reply,
        })
    }

    /// What a command makes true, or `None` when it is so already.
    fn fact(&self, command: Command) -> Result<Option<Fact>, ErrorKind> {
        Ok(match command {
            Command::CreateProduct {
                product,
                name,
                secret,
                activation,
            } => {
                if self.product.is_some() {
                    return Err(ErrorKind::Exists);
                }
                if name.is_empty() || name.len() > MAX_NAME {
                    return Err(ErrorKind::InvalidValue);
                }
                Some(Fact::ProductCreated {
                    product,
                    name,
                    secret,
                    activation,
                })
            }
            Command::SetActivation(activation) => {
                let changed = self.created()?.activation != activation;
                changed.then_some(Fact::ActivationSet { activation })
            }
            Command::SetTemplate(template) => {
                let changed = self.created()?.template.as_ref() != Some(&template);
                changed.then_some(Fact::TemplateSet { template })
            }
            Command::AddDevice {
                device,
                secret,
                owner,
            } => {
                self.created()?;
                if self.devices.contains_key(&device) {
                    return Err(ErrorKind::Exists);
                }
                Some(Fact::DeviceAdded {
                    device,
                    secret,
                    owner,
                })
            }
            Command::SetOwner { device, owner } => {
                let changed = self.existing(&device)?.owner != owner;
                changed.then_some(Fact::OwnerSet { device, owner })
            }
            Command::SetEnabled { device, enabled } => {
                let changed = self.existing(&device)?.enabled != enabled;
                changed.then_some(if enabled {
                    Fact::DeviceEnabled { device }
                } else {
                    Fact::DeviceDisabled { device }
                })
            }
            Command::ReplaceSecret { device, secret } => {
                self.existing(&device)?;
                Some(Fact::SecretReplaced { device, secret })
            }
            Command::Activate { device } => {
                let rule = self.created()?.activation;
                let asking = self.admitted(&device)?;
                asking.may_activate(rule)?;
                let first = asking.activated_at.is_none();
                first.then_some(Fact::DeviceActivated { device })
            }
            Command::BeginSession { device } => {
                let first = self.admitted(&device)?.first_session_at.is_none();
                first.then_some(Fact::FirstSessionBegun { device })
            }
            Command::SetLifetime { device, seconds } => {
                let changed = self.admitted(&device)?.lifetime != Some(seconds);
                changed.then_some(Fact::LifetimeSet { device, seconds })
            }
            Command::BindDeviceId { device, id } => self.binding(device, id)?,
            Command::RemoveDevice { device } => {
                self.existing(&device)?;
                Some(Fact::DeviceRemoved { device })
            }
        })
    }

    fn binding(&self, device: DeviceKey, id: DeviceId) -> Result<Option<Fact>, ErrorKind> {
        match &self.admitted(&device)?.id {
            Some(bound) if *bound == id => Ok(None),
            Some(_) => Err(ErrorKind::Bound),
            None if self.keys.contains_key(&id) => Err(ErrorKind::DeviceIdTaken),
            None => Ok(Some(Fact::DeviceIdBound { device, id })),
        }
    }
}
