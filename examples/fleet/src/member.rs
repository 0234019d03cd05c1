//! Who the devices are.

use std::fmt;

use coap_psk::{
    DeviceKey, DeviceName, DeviceSecret, KeyBytes, Lifetime, ProductKey, ProductSecret,
    PskIdentity, PskKey, SecureMode,
};
use example_support::Error;

/// The most devices that one fleet plays.
pub const MAX_DEVICES: usize = 100_000;

/// A device's name, and what it proves it with.
#[derive(Clone, Debug)]
pub struct Member {
    pub(crate) name: DeviceName,
    pub(crate) secret: Secret,
}

/// What a device proves its identity with.
#[derive(Clone)]
#[non_exhaustive]
pub enum Secret {
    /// The device's own: SecureMode 2.
    Device(DeviceSecret),
    /// Its product's: SecureMode 3. The device fetches its own with it, and comes back.
    Product(ProductSecret),
    /// A key as it is, with SecureMode 2: for a server that derives none.
    Key(PskKey),
}

impl Member {
    /// The device `name`.
    #[must_use]
    pub const fn new(name: DeviceName, secret: Secret) -> Self {
        Self { name, secret }
    }

    /// Reads devices from a text, one a line: `{ProductKey},{DeviceKey},{SecureMode},{Secret}`. Empty lines and lines that
    /// begin with `#` do not count.
    ///
    /// # Errors
    /// A line is not of that form, or there are more than [`MAX_DEVICES`].
    pub fn read(text: &str) -> Result<Vec<Self>, Error> {
        let lines = text.lines().enumerate().map(|(at, line)| (at, line.trim()));
        let members = lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(at, line)| {
                // Without the line itself, which holds a secret.
                Self::parse(line).ok_or_else(|| {
                    let number = at.saturating_add(1);
                    Error::plain(format!(
                        "line {number} is not PRODUCT_KEY,DEVICE_KEY,MODE,SECRET with mode 2 or 3"
                    ))
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if members.len() > MAX_DEVICES {
            return Err(too_many());
        }
        Ok(members)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, ',');
        let (product, device) = (fields.next()?, fields.next()?);
        let name = DeviceName::new(product.parse().ok()?, device.parse().ok()?);
        let mode: SecureMode = fields.next()?.parse().ok()?;
        let secret = fields.next()?;
        let secret = match mode {
            SecureMode::ProductSecret => Secret::Product(ProductSecret::new(secret).ok()?),
            _ => Secret::Device(DeviceSecret::new(secret).ok()?),
        };
        Some(Self::new(name, secret))
    }

    /// So many devices of one product, named `prefix` and a number from 000000 on, all with the product's secret.
    ///
    /// # Errors
    /// The names are no device keys, or there are more than [`MAX_DEVICES`].
    pub fn of_product(
        product: &ProductKey,
        secret: &ProductSecret,
        prefix: &str,
        count: usize,
    ) -> Result<Vec<Self>, Error> {
        if count > MAX_DEVICES {
            return Err(too_many());
        }
        (0..count)
            .map(|number| {
                let device: DeviceKey = format!("{prefix}{number:06}")
                    .parse()
                    .map_err(|cause| Error::new(format!("{prefix} begins no device key"), cause))?;
                let name = DeviceName::new(product.clone(), device);
                Ok(Self::new(name, Secret::Product(secret.clone())))
            })
            .collect()
    }

    pub(crate) fn identity(&self, lifetime: Lifetime) -> PskIdentity {
        let mode = match self.secret {
            Secret::Product(_) => SecureMode::ProductSecret,
            Secret::Device(_) | Secret::Key(_) => SecureMode::DeviceSecret,
        };
        PskIdentity::new(self.name.clone(), mode, lifetime)
    }

    pub(crate) fn key(&self) -> PskKey {
        match &self.secret {
            Secret::Device(secret) => secret.key(KeyBytes::default()),
            Secret::Product(secret) => secret.key(KeyBytes::default()),
            Secret::Key(key) => key.clone(),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn too_many() -> Error {
    Error::plain(format!("a fleet has at most {MAX_DEVICES} devices"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_devices_with_either_secret() {
        let text =
            "# a comment\n\npk,dev1,2,M3yy874uGY8INjEGddTR\r\n pk,dev2,3,the-product's,secret \n";
        let members = Member::read(text).unwrap();
        let identities: Vec<_> = members
            .iter()
            .map(|member| member.identity(Lifetime::MIN).to_string())
            .collect();
        assert_eq!(identities, ["pk,dev1,2,30", "pk,dev2,3,30"]);
        let product = ProductSecret::new("the-product's,secret").unwrap();
        assert_eq!(members[1].key(), product.key(KeyBytes::FromOne));
    }

    #[test]
    fn a_line_that_is_wrong_is_named_by_its_number_alone() {
        for wrong in [
            "pk,dev1,2",
            "pk,d,2,M3yy874uGY8INjEGddTR",
            "pk,dev1,4,M3yy874uGY8INjEGddTR",
            "pk,dev1,2,short",
        ] {
            let error = Member::read(&format!("\n{wrong}")).unwrap_err().chain();
            assert!(error.starts_with("line 2 "), "{error}");
            assert!(!error.contains("M3yy"), "{error}");
        }
    }

    #[test]
    fn a_product_has_as_many_devices_as_are_wanted_and_no_more_than_the_most() {
        let product = "pk".parse().unwrap();
        let secret = ProductSecret::new("the-product's-secret").unwrap();
        let members = Member::of_product(&product, &secret, "dev-", 3).unwrap();
        assert_eq!(members[2].name.to_string(), "pk,dev-000002");
        assert_eq!(format!("{:?}", members[2].secret), "Secret(..)");
        assert!(Member::of_product(&product, &secret, "no spaces", 1).is_err());
        assert!(Member::of_product(&product, &secret, "dev-", MAX_DEVICES + 1).is_err());
    }
}
