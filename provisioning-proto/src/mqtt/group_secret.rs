use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::password::hmac_sha256;
use crate::{Error, ErrorKind, Secret};

/// The shared secret of a registration group: 32 to 128 bytes, written as base64 of 44 to 172 characters.
///
/// From it the secret of each device is derived ([`Derivation`](super::Derivation)), and no device should hold it.
#[derive(Clone, Eq, PartialEq)]
pub struct GroupSecret(Secret);

impl GroupSecret {
    /// The fewest bytes.
    pub const MIN: usize = 32;
    /// The most bytes.
    pub const MAX: usize = 128;

    /// Takes the bytes of a group's secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for fewer or more than allowed.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let secret = Secret::new(bytes)?;
        if !(Self::MIN..=Self::MAX).contains(&secret.expose().len()) {
            return Err(ErrorKind::InvalidValue.into());
        }
        Ok(Self(secret))
    }

    /// Reads what an operator entered: base64 with padding (RFC 4648, 4).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for other text, or fewer or more bytes than allowed.
    pub fn from_base64(text: &str) -> Result<Self, Error> {
        let bytes = STANDARD
            .decode(text)
            .map_err(|_| Error::from(ErrorKind::InvalidValue))?;
        Self::new(bytes)
    }

    /// Makes a secret of 48 bytes, none of which is zero: devices that keep it as a C string would lose what follows one.
    #[must_use]
    pub fn generate(entropy: [u8; 32]) -> Self {
        let entropy = Zeroizing::new(entropy);
        let blocks = (0..=u8::MAX).map(|counter| hmac_sha256(entropy.as_slice(), &[counter]));
        let mut bytes = Zeroizing::new(Vec::with_capacity(48));
        for block in blocks {
            bytes.extend(block.iter().filter(|byte| **byte != 0));
            if bytes.len() >= 48 {
                break;
            }
        }
        bytes.truncate(48);
        Self(Secret::of_bytes(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// The text an operator is shown once.
    #[must_use]
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.expose()))
    }

    /// Whether a device that keeps the secret as a C string would lose the end of it; worth a warning.
    #[must_use]
    pub fn has_zero_byte(&self) -> bool {
        self.expose().contains(&0)
    }
}

impl fmt::Debug for GroupSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupSecret(..)")
    }
}
