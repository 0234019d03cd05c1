//! The PSK identity of a device: `{ProductKey},{DeviceKey},{SecureMode},{Lifetime}`.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use crate::error::{Error, ErrorKind};

/// The most bytes an identity may have. (RFC 4279, 5.3)
pub const MAX_IDENTITY_LEN: usize = 128;

/// A device's PSK identity, taken apart.
///
/// ```
/// use coap_psk::{PskIdentity, SecureMode};
///
/// let identity: PskIdentity = "MuGsF6W4,15bBZlRknc,2,3600".parse()?;
/// assert_eq!(identity.device().device_key().as_str(), "15bBZlRknc");
/// assert_eq!(identity.mode(), SecureMode::DeviceSecret);
/// assert_eq!(identity.lifetime().as_secs(), 3600);
/// # Ok::<(), coap_psk::Error>(())
/// ```
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct PskIdentity {
    device: DeviceName,
    mode: SecureMode,
    lifetime: Lifetime,
}

impl PskIdentity {
    /// Puts an identity together.
    #[must_use]
    pub const fn new(device: DeviceName, mode: SecureMode, lifetime: Lifetime) -> Self {
        Self {
            device,
            mode,
            lifetime,
        }
    }

    /// Reads an identity as it came in a ClientKeyExchange.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] unless there are at most [`MAX_IDENTITY_LEN`] bytes of UTF-8 in exactly four fields, each
    /// within its alphabet and length, with numbers written without sign and leading zeros.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_IDENTITY_LEN {
            return Err(ErrorKind::Identity.into());
        }
        core::str::from_utf8(bytes)
            .map_err(|error| Error::with_source(ErrorKind::Identity, error))?
            .parse()
    }

    /// The device it names.
    #[must_use]
    pub const fn device(&self) -> &DeviceName {
        &self.device
    }

    /// Which secret its key is derived from.
    #[must_use]
    pub const fn mode(&self) -> SecureMode {
        self.mode
    }

    /// How long the device may be silent before it counts as offline.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }
}

impl FromStr for PskIdentity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut fields = text.split(',');
        let (Some(product), Some(device), Some(mode), Some(lifetime), None) = (
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
            fields.next(),
        ) else {
            return Err(ErrorKind::Identity.into());
        };
        let device = DeviceName::new(product.parse()?, device.parse()?);
        Ok(Self::new(device, mode.parse()?, lifetime.parse()?))
    }
}

impl fmt::Display for PskIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            device,
            mode,
            lifetime,
        } = self;
        write!(
            f,
            "{},{},{},{}",
            device.product_key,
            device.device_key,
            mode.number(),
            lifetime.as_secs()
        )
    }
}

/// The two keys that together name one device.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DeviceName {
    product_key: ProductKey,
    device_key: DeviceKey,
}

impl DeviceName {
    /// The device `device_key` of the product `product_key`.
    #[must_use]
    pub const fn new(product_key: ProductKey, device_key: DeviceKey) -> Self {
        Self {
            product_key,
            device_key,
        }
    }

    /// Its product.
    #[must_use]
    pub const fn product_key(&self) -> &ProductKey {
        &self.product_key
    }

    /// Its key within the product, usually the IMEI of its modem.
    #[must_use]
    pub const fn device_key(&self) -> &DeviceKey {
        &self.device_key
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.product_key, self.device_key)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub struct $name(String);

        impl $name {
            /// The characters.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::try_from(String::from(text))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                // A key stands in paths, where these two mean something else.
                let is_dots = matches!(text.as_str(), "." | "..");
                if $len.contains(&text.len()) && text.bytes().all(is_key_char) && !is_dots {
                    Ok(Self(text))
                } else {
                    Err(ErrorKind::Identity.into())
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// The key of a product: 1 to 40 characters of `A-Z a-z 0-9 - _ . :`, but not a lone `.` or `..`.
    ///
    /// EnOS does not document its alphabet; this is that of the device key, which can stand in an identity and in a path.
    ProductKey, (1..=40)
}

text_id! {
    /// The key of a device within its product: 4 to 64 characters of `A-Z a-z 0-9 - _ . :`.
    DeviceKey, (4..=64)
}

const fn is_key_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':')
}

/// Which secret the key of a session is derived from.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum SecureMode {
    /// 2: the device's own secret.
    DeviceSecret,
    /// 3: the product's secret; serves nothing but dynamic activation.
    ProductSecret,
}

impl SecureMode {
    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::DeviceSecret => 2,
            Self::ProductSecret => 3,
        }
    }
}

impl FromStr for SecureMode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "2" => Ok(Self::DeviceSecret),
            "3" => Ok(Self::ProductSecret),
            _ => Err(ErrorKind::Identity.into()),
        }
    }
}

/// How long a device may be silent before it counts as offline: 30 to 86,400 seconds.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Lifetime(u32);

impl Lifetime {
    /// The shortest.
    pub const MIN: Self = Self(30);
    /// The longest: a day.
    pub const MAX: Self = Self(86_400);

    /// A lifetime of `secs` seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Identity`] when it is out of range.
    pub fn from_secs(secs: u32) -> Result<Self, Error> {
        if (Self::MIN.0..=Self::MAX.0).contains(&secs) {
            Ok(Self(secs))
        } else {
            Err(ErrorKind::Identity.into())
        }
    }

    /// In seconds.
    #[must_use]
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// As a duration.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        Duration::from_secs(self.0 as u64)
    }
}

impl FromStr for Lifetime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // `u32::from_str` takes a plus sign and leading zeros; two spellings of one identity must not both be valid.
        if text.starts_with('0') || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ErrorKind::Identity.into());
        }
        Self::from_secs(
            text.parse()
                .map_err(|error| Error::with_source(ErrorKind::Identity, error))?,
        )
    }
}

#[cfg(test)]
mod tests;
