//! Secrets and the keys derived from them.
//!
//! # The bytes of the digest
//!
//! The EnOS documentation takes "byte 9 to byte 24 (16 bytes in total)" of SHA-256(secret) as the pre-shared key. Counted
//! from one that is `digest[8..24]`, the middle half of the digest, and that is what [`KeyBytes::FromOne`], the default,
//! does. Counted from zero and with the end left out it would be `digest[9..25]`: [`KeyBytes::FromZero`], for a cloud
//! that turns out to read it so.
//!
//! # Strength
//!
//! One hash of the secret is no protection against guessing, so the secret itself must be random: secrets shorter than
//! [`MIN_SECRET_LEN`] are refused. All devices of a product share the product secret, and plain PSK has no forward secrecy:
//! whoever extracts it can read recorded activations of other devices. Switch dynamic activation off for a product when its
//! devices are activated.

use alloc::string::String;
use core::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, ErrorKind};

/// The fewest characters a secret may have: 16 random letters and digits are 95 bits.
pub const MIN_SECRET_LEN: usize = 16;

/// The most characters a secret may have.
pub const MAX_SECRET_LEN: usize = 128;

/// Which sixteen bytes of SHA-256(secret) are the key; see the [module](self).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyBytes {
    /// Bytes counted from one: `digest[8..24]`.
    #[default]
    FromOne,
    /// Bytes counted from zero: `digest[9..25]`.
    FromZero,
}

impl KeyBytes {
    const fn start(self) -> usize {
        match self {
            Self::FromOne => 8,
            Self::FromZero => 9,
        }
    }
}

/// A pre-shared key of DTLS, 16 bytes.
///
/// It does not print, compares in constant time and is wiped when dropped.
#[derive(Clone)]
pub struct PskKey([u8; 16]);

impl PskKey {
    /// Takes a key as it is.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Derives the key of a secret.
    #[must_use]
    pub fn derive(secret: &[u8], bytes: KeyBytes) -> Self {
        let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(secret)));
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(digest.iter().skip(bytes.start())) {
            *to = *from;
        }
        Self(key)
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for PskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PskKey(..)")
    }
}

impl PartialEq for PskKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for PskKey {}

impl Drop for PskKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

macro_rules! text_secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// It does not print, compares in constant time and is wiped when dropped.
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes a secret of visible ASCII characters.
            ///
            /// # Errors
            /// [`ErrorKind::Secret`] when it has fewer than [`MIN_SECRET_LEN`] or more than [`MAX_SECRET_LEN`]
            /// characters, or other ones.
            pub fn new(secret: impl Into<String>) -> Result<Self, Error> {
                let secret = Zeroizing::new(secret.into());
                if (MIN_SECRET_LEN..=MAX_SECRET_LEN).contains(&secret.len())
                    && secret.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    Ok(Self(secret))
                } else {
                    Err(ErrorKind::Secret.into())
                }
            }

            /// The pre-shared key of this secret.
            #[must_use]
            pub fn key(&self, bytes: KeyBytes) -> PskKey {
                PskKey::derive(self.0.as_bytes(), bytes)
            }

            /// The characters of the secret.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
            }
        }

        impl Eq for $name {}
    };
}

text_secret! {
    /// The secret of one device.
    DeviceSecret
}

text_secret! {
    /// The secret that all devices of a product share; it serves dynamic activation only.
    ProductSecret
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn secrets_do_not_print() {
        let secret = DeviceSecret::new("M3yy874uGY8INjEGddTR").unwrap();
        let key = secret.key(KeyBytes::default());
        assert_eq!(format!("{secret:?} {key:?}"), "DeviceSecret(..) PskKey(..)");
    }

    #[test]
    fn short_long_and_unprintable_secrets_are_refused() {
        for bad in [
            "",
            "fifteen-letters",
            "sixteen letters.",
            "sixteen-lettérs-",
        ] {
            assert_eq!(
                ProductSecret::new(bad).unwrap_err().kind(),
                ErrorKind::Secret,
                "{bad:?}"
            );
        }
        assert!(ProductSecret::new("a".repeat(MAX_SECRET_LEN)).is_ok());
        assert!(ProductSecret::new("a".repeat(MAX_SECRET_LEN + 1)).is_err());
    }

    #[test]
    fn equal_secrets_have_equal_keys() {
        let one = DeviceSecret::new("M3yy874uGY8INjEGddTR").unwrap();
        let two = DeviceSecret::new("M3yy874uGY8INjEGddTS").unwrap();
        assert_eq!(one, one.clone());
        assert_ne!(one, two);
        assert_eq!(one.key(KeyBytes::FromOne), one.key(KeyBytes::FromOne));
        assert_ne!(one.key(KeyBytes::FromOne), one.key(KeyBytes::FromZero));
        assert_ne!(one.key(KeyBytes::FromOne), two.key(KeyBytes::FromOne));
    }
}
