//! Where the device belongs, and what it comes in with.

use std::net::SocketAddr;

use coap_psk::{DeviceName, DeviceSecret, KeyBytes, Lifetime, ProductSecret, PskKey, SecureMode};

use crate::args::Args;
use crate::error::Error;
use crate::fresh;
use crate::state::{self, State};

/// A cloud, and the device there.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where the cloud listens for DTLS.
    pub(crate) cloud: SocketAddr,
    /// The two keys that name the device.
    pub(crate) device: DeviceName,
    /// How long the device may be silent.
    pub(crate) lifetime: Lifetime,
    /// The device's own secret.
    pub(crate) secret: Option<DeviceSecret>,
    /// The key that would follow from it, for a device that was given only that.
    pub(crate) key: Option<PskKey>,
    /// The secret of its product, good for asking for its own.
    pub(crate) product_secret: Option<ProductSecret>,
}

impl Place {
    /// What the command line says, or what the device was told; a factory-fresh one asks, and keeps the answer.
    ///
    /// # Errors
    /// The device has no secret, is refused, or its state cannot be read or written.
    pub(crate) async fn find(args: &Args, state: &State) -> Result<Self, Error> {
        let (Some(cloud), Some(product_key)) = (args.cloud, &args.product_key) else {
            return fresh::place(args, state).await;
        };
        let device = DeviceName::new(product_key.clone(), args.device_key.clone());
        let secret = state.load(&device)?;
        let path = args.product_secret_file.as_deref();
        let product_secret = path.map(state::product_secret).transpose()?;
        if secret.is_none() && product_secret.is_none() {
            return Err(Error::plain(
                "the device has no secret yet; give it its product's with --product-secret-file",
            ));
        }
        Ok(Self {
            cloud,
            device,
            lifetime: args.lifetime,
            secret,
            key: None,
            product_secret,
        })
    }

    /// What the device comes in with: something of its own if it has that, otherwise the secret of its product.
    ///
    /// # Errors
    /// It has nothing.
    pub(crate) fn credential(&self) -> Result<(SecureMode, PskKey), Error> {
        let derivation = KeyBytes::default();
        match (&self.secret, &self.key, &self.product_secret) {
            (Some(secret), _, _) => Ok((SecureMode::DeviceSecret, secret.key(derivation))),
            (None, Some(key), _) => Ok((SecureMode::DeviceSecret, key.clone())),
            (None, None, Some(secret)) => Ok((SecureMode::ProductSecret, secret.key(derivation))),
            (None, None, None) => Err(Error::plain("the device has no secret")),
        }
    }
}
