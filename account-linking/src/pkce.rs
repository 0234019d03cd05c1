//! Proof Key for Code Exchange with S256 (RFC 7636); `plain` does not exist here.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind};
use crate::secret::{base64url, from_base64url, same, sha256};

/// A code verifier: the secret of one authorization attempt (RFC 7636 4.1).
#[derive(Clone)]
pub struct PkceVerifier(Zeroizing<String>);

impl PkceVerifier {
    /// Makes a verifier of 256 bits.
    #[must_use]
    pub fn generate(entropy: [u8; 32]) -> Self {
        Self(Zeroizing::new(base64url(&entropy)))
    }

    /// Takes a verifier as a client sent it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPkce`] unless it has 43 to 128 unreserved characters.
    pub fn new(text: impl Into<String>) -> Result<Self, Error> {
        let text = Zeroizing::new(text.into());
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !(43..=128).contains(&text.len()) || !text.bytes().all(unreserved) {
            return Err(ErrorKind::InvalidPkce.into());
        }
        Ok(Self(text))
    }

    /// The verifier itself, for the token request.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The S256 challenge of this verifier (RFC 7636 4.2).
    #[must_use]
    pub fn challenge(&self) -> PkceChallenge {
        PkceChallenge(base64url(&sha256(self.expose().as_bytes())))
    }
}

impl fmt::Debug for PkceVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PkceVerifier(..)")
    }
}

/// An S256 code challenge: 43 characters, the base64url of a SHA-256 (RFC 7636 4.2).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct PkceChallenge(String);

impl PkceChallenge {
    /// The challenge as it goes on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `verifier` is the one this challenge was made from (RFC 7636 4.6).
    #[must_use]
    pub fn is_met_by(&self, verifier: &PkceVerifier) -> bool {
        same(self.0.as_bytes(), verifier.challenge().0.as_bytes())
    }
}

impl PartialEq for PkceChallenge {
    fn eq(&self, other: &Self) -> bool {
        same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for PkceChallenge {}

impl TryFrom<String> for PkceChallenge {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        match from_base64url(&text) {
            Some(hash) if hash.len() == 32 => Ok(Self(text)),
            _ => Err(ErrorKind::InvalidPkce.into()),
        }
    }
}

impl From<PkceChallenge> for String {
    fn from(challenge: PkceChallenge) -> Self {
        challenge.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_must_be_the_base64url_of_32_bytes() {
        for text in [
            "",
            "short",
            &"A".repeat(42),
            &"A".repeat(44),
            &"!".repeat(43),
        ] {
            assert!(PkceChallenge::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert!(PkceChallenge::try_from("A".repeat(43)).is_ok());
    }

    #[test]
    fn verifiers_must_have_43_to_128_unreserved_characters() {
        assert!(PkceVerifier::new("a".repeat(42)).is_err());
        assert!(PkceVerifier::new("a".repeat(43)).is_ok());
        assert!(PkceVerifier::new("~".repeat(128)).is_ok());
        assert!(PkceVerifier::new("a".repeat(129)).is_err());
        assert!(PkceVerifier::new("+".repeat(43)).is_err());
    }
}
