use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::Certificate;
use crate::ParseIdError;

/// The digest of a whole certificate by which it is known: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
#[derive(Clone, Copy, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(try_from = "String", into = "String")]
pub enum Fingerprint {
    /// SHA-1: taken because operators' lists have it; a second certificate with the same one cannot be made on purpose.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
}

impl Fingerprint {
    /// The SHA-256 fingerprint of a certificate.
    #[must_use]
    pub fn sha256(certificate: &Certificate) -> Self {
        Self::Sha256(Sha256::digest(certificate.der()).into())
    }

    /// The SHA-1 fingerprint of a certificate.
    #[must_use]
    pub fn sha1(certificate: &Certificate) -> Self {
        Self::Sha1(Sha1::digest(certificate.der()).into())
    }

    /// Whether it is the certificate's.
    #[must_use]
    pub fn matches(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Sha1(_) => *self == Self::sha1(certificate),
            Self::Sha256(_) => *self == Self::sha256(certificate),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = ParseIdError::new("fingerprint (40 or 64 hexadecimal digits)");
        match text.len() {
            40 => unhex(text).map(Self::Sha1).ok_or(refused),
            64 => unhex(text).map(Self::Sha256).ok_or(refused),
            _ => Err(refused),
        }
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Exactly `N` bytes from twice as many hexadecimal digits of either case.
pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut digits = text.bytes();
    let mut digit = || char::from(digits.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
    for byte in &mut bytes {
        *byte = digit()? << 4 | digit()?;
    }
    digits.next().is_none().then_some(bytes)
}
