//! Who may connect with which key.
//!
//! A cloud keeps its devices where it likes and answers [`Output::KeyWanted`](crate::Output::KeyWanted) from there, now or
//! later. [`Credentials`] is the question; [`InMemory`] answers it for tests and small installations.

use alloc::collections::BTreeMap;

use crate::identity::{DeviceKey, DeviceName, ProductKey, PskIdentity, SecureMode};
use crate::secret::{DeviceSecret, KeyBytes, ProductSecret, PskKey};

/// A place where devices are looked up.
pub trait Credentials {
    /// The key that a peer with this identity must have; `None` when it may not connect.
    fn key_of(&self, identity: &PskIdentity) -> Option<PskKey>;

    /// The secret of a device that may be activated; `None` when it may not.
    fn secret_of(&self, device: &DeviceName) -> Option<&DeviceSecret>;
}

/// Products and devices in memory.
#[derive(Clone, Debug, Default)]
pub struct InMemory {
    products: BTreeMap<ProductKey, Product>,
    key_bytes: KeyBytes,
}

#[derive(Clone, Debug)]
struct Product {
    secret: ProductSecret,
    dynamic_activation: bool,
    devices: BTreeMap<DeviceKey, DeviceSecret>,
}

impl InMemory {
    /// No products yet; keys are derived with `key_bytes`.
    #[must_use]
    pub const fn new(key_bytes: KeyBytes) -> Self {
        Self {
            products: BTreeMap::new(),
            key_bytes,
        }
    }

    /// Adds a product, or gives it another secret; dynamic activation is off until it is switched on.
    pub fn add_product(&mut self, key: ProductKey, secret: ProductSecret) {
        let devices = self
            .products
            .remove(&key)
            .map_or_else(BTreeMap::new, |product| product.devices);
        self.products.insert(
            key,
            Product {
                secret,
                dynamic_activation: false,
                devices,
            },
        );
    }

    /// Switches the dynamic activation of a product on or off; tells whether there is such a product.
    pub fn set_dynamic_activation(&mut self, key: &ProductKey, on: bool) -> bool {
        self.products
            .get_mut(key)
            .map(|product| product.dynamic_activation = on)
            .is_some()
    }

    /// Adds a device, or gives it another secret; tells whether there is such a product.
    pub fn add_device(&mut self, device: DeviceName, secret: DeviceSecret) -> bool {
        let product = self.products.get_mut(device.product_key());
        product
            .map(|product| product.devices.insert(device.device_key().clone(), secret))
            .is_some()
    }
}

impl Credentials for InMemory {
    fn key_of(&self, identity: &PskIdentity) -> Option<PskKey> {
        let device = identity.device();
        match identity.mode() {
            SecureMode::DeviceSecret => {
                let product = self.products.get(device.product_key())?;
                product
                    .devices
                    .get(device.device_key())
                    .map(|secret| secret.key(self.key_bytes))
            }
            SecureMode::ProductSecret => {
                self.secret_of(device)?;
                self.products
                    .get(device.product_key())
                    .map(|product| product.secret.key(self.key_bytes))
            }
        }
    }

    fn secret_of(&self, device: &DeviceName) -> Option<&DeviceSecret> {
        let product = self
            .products
            .get(device.product_key())
            .filter(|product| product.dynamic_activation)?;
        product.devices.get(device.device_key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mode_chooses_the_secret_and_activation_must_be_on() {
        let device = DeviceName::new("product".parse().unwrap(), "device".parse().unwrap());
        let own = DeviceSecret::new("the-device's-own-secret").unwrap();
        let shared = ProductSecret::new("the-product's-secret").unwrap();
        let mut credentials = InMemory::new(KeyBytes::FromOne);
        assert!(
            !credentials.add_device(device.clone(), own.clone()),
            "there is no product yet"
        );
        credentials.add_product(device.product_key().clone(), shared.clone());
        assert!(credentials.add_device(device.clone(), own.clone()));

        let key_of =
            |credentials: &InMemory, text: &str| credentials.key_of(&text.parse().unwrap());
        assert_eq!(
            key_of(&credentials, "product,device,2,30"),
            Some(own.key(KeyBytes::FromOne))
        );
        assert_eq!(key_of(&credentials, "product,device,3,30"), None);
        assert_eq!(credentials.secret_of(&device), None);

        assert!(credentials.set_dynamic_activation(device.product_key(), true));
        assert_eq!(
            key_of(&credentials, "product,device,3,30"),
            Some(shared.key(KeyBytes::FromOne))
        );
        assert_eq!(credentials.secret_of(&device), Some(&own));
        for unknown in [
            "product,other-device,2,30",
            "product,other-device,3,30",
            "other,device,2,30",
        ] {
            assert_eq!(key_of(&credentials, unknown), None, "{unknown}");
        }
    }
}
