//! Secrets as types: they do not print, compare in constant time and are wiped on drop.

use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};

/// Longest secret text accepted, in bytes; a signed access token fits well.
pub const MAX_SECRET_LENGTH: usize = 8192;

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes a secret as it came from a peer or a store.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidSecret`] when it is empty, longer than
            /// [`MAX_SECRET_LENGTH`] or holds a character that RFC 6749 appendix A forbids.
            pub fn new(text: impl Into<String>) -> Result<Self, Error> {
                let text = Zeroizing::new(text.into());
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.len() > MAX_SECRET_LENGTH || !text.chars().all(allowed) {
                    return Err(ErrorKind::InvalidSecret.into());
                }
                Ok(Self(text))
            }

            /// The secret itself; the caller keeps it out of logs and URLs.
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

/// VSCHAR of RFC 6749 appendix A: what codes, tokens and client secrets are made of.
fn is_vschar(c: char) -> bool {
    matches!(c, '\x20'..='\x7e')
}

secret_text! {
    /// An access token (RFC 6749 1.4).
    AccessToken, is_vschar
}
secret_text! {
    /// A refresh token (RFC 6749 1.5).
    RefreshToken, is_vschar
}
secret_text! {
    /// An authorization code (RFC 6749 1.3.1).
    AuthorizationCode, is_vschar
}
secret_text! {
    /// The password of a confidential client (RFC 6749 2.3.1).
    ClientSecret, is_vschar
}
secret_text! {
    /// The password of an end user; any text without control characters.
    Password, |c| !c.is_control()
}

impl ClientSecret {
    /// Makes a secret of 256 bits that survives every way clients encode HTTP Basic.
    #[must_use]
    pub fn generate(entropy: [u8; 32]) -> Self {
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(entropy)))
    }
}

/// 32 secret bytes: a key, or entropy from which values of one request are derived.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<[u8; 32]>);

impl SecretBytes {
    /// Takes 32 bytes of the operating system's entropy.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// HMAC-SHA256 of the concatenated `parts` under these bytes as key.
    pub(crate) fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        // RFC 2104, 2: a key shorter than the block of the hash is padded with zeros.
        let mut block = Zeroizing::new([0; 64]);
        block
            .iter_mut()
            .zip(*self.0)
            .for_each(|(to, from)| *to = from);
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// A value of its own for `label`, so that one draw of entropy serves several purposes.
    pub(crate) fn derive(&self, label: &str) -> [u8; 32] {
        self.mac(&[label.as_bytes()])
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&*other.0).into()
    }
}

impl Eq for SecretBytes {}

/// SHA-256: how a secret is stored when it only has to be recognized.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether two byte strings are equal, in time that depends on their lengths only.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The URL-safe base64 without padding that JOSE and PKCE use.
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The bytes of canonical URL-safe base64 without padding.
pub(crate) fn from_base64url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print_and_compare_by_value() {
        let token = RefreshToken::new("very secret").unwrap();
        assert_eq!(format!("{token:?}"), "RefreshToken(..)");
        assert_eq!(token, RefreshToken::new("very secret").unwrap());
        assert_ne!(token, RefreshToken::new("very secret!").unwrap());
        assert_eq!(
            format!("{:?}", SecretBytes::new([7; 32])),
            "SecretBytes(..)"
        );
    }

    #[test]
    fn characters_and_lengths_outside_the_grammar_are_refused() {
        for text in ["", "a\nb", "ä", "a\0"] {
            assert_eq!(
                AccessToken::new(text).unwrap_err().kind(),
                ErrorKind::InvalidSecret
            );
        }
        assert!(AccessToken::new("x".repeat(MAX_SECRET_LENGTH + 1)).is_err());
        assert!(Password::new("größer").is_ok());
    }

    #[test]
    fn generated_client_secrets_use_characters_that_basic_never_escapes() {
        let secret = ClientSecret::generate([0xfb; 32]);
        assert!(
            secret
                .expose()
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        );
    }
}
