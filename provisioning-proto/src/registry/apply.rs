use crate::registry::{Change, Device, Fact, Product, Registry};
use crate::{DeviceId, DeviceKey, SealedSecret};

impl Registry {
    /// Takes in a change. Cannot fail: what does not fit, as after an erasure, has no effect.
    pub fn apply(&mut self, change: &Change) {
        let at = change.at;
        self.latest = self.latest.max(at);
        match &change.fact {
            Fact::ProductCreated {
                product,
                name,
                secret,
                activation,
            } => {
                self.product.get_or_insert_with(|| Product {
                    key: product.clone(),
                    name: name.clone(),
                    secret: secret.clone(),
                    activation: *activation,
                    created_at: at,
                    template: None,
                });
            }
            Fact::ActivationSet { activation } => {
                if let Some(product) = &mut self.product {
                    product.activation = *activation;
                }
            }
            Fact::TemplateSet { template } => {
                if let Some(product) = &mut self.product {
                    product.template = Some(template.clone());
                }
            }
            Fact::DeviceAdded {
                device,
                secret,
                owner,
            } => {
                let added = Device {
                    secret: secret.clone(),
                    owner: owner.clone(),
                    id: None,
                    enabled: true,
                    added_at: at,
                    activated_at: None,
                    first_session_at: None,
                    lifetime: None,
                };
                self.devices.entry(device.clone()).or_insert(added);
            }
            Fact::OwnerSet { device, owner } => {
                self.edit(device, |device| device.owner.clone_from(owner));
            }
            Fact::DeviceEnabled { device } => self.edit(device, |device| device.enabled = true),
            Fact::DeviceDisabled { device } => self.edit(device, |device| device.enabled = false),
            Fact::SecretReplaced { device, secret } => {
                self.edit(device, |device| device.replace_secret(secret));
            }
            Fact::DeviceActivated { device } => self.edit(device, |device| {
                device.activated_at.get_or_insert(at);
            }),
            Fact::FirstSessionBegun { device } => self.edit(device, |device| {
                device.first_session_at.get_or_insert(at);
            }),
            Fact::LifetimeSet { device, seconds } => {
                self.edit(device, |device| device.lifetime = Some(*seconds));
            }
            Fact::DeviceIdBound { device, id } => {
                self.bind(device, id);
            }
            Fact::DeviceRemoved { device } => {
                let removed = self.devices.remove(device);
                if let Some(id) = removed.and_then(|device| device.id) {
                    self.keys.remove(&id);
                }
            }
        }
    }

    fn bind(&mut self, device: &DeviceKey, id: &DeviceId) {
        let Some(bound) = self.devices.get_mut(device) else {
            return;
        };
        if bound.id.is_none() && !self.keys.contains_key(id) {
            bound.id = Some(id.clone());
            self.keys.insert(id.clone(), device.clone());
        }
    }

    fn edit(&mut self, device: &DeviceKey, edit: impl FnOnce(&mut Device)) {
        if let Some(device) = self.devices.get_mut(device) {
            edit(device);
        }
    }
}

impl Device {
    /// A new secret has been told to nobody and used by nobody.
    fn replace_secret(&mut self, secret: &SealedSecret) {
        self.secret = secret.clone();
        self.activated_at = None;
        self.first_session_at = None;
    }
}
