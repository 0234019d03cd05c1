//! Passwords: a MAC whose key is the hour and whose message is the secret.

use std::fmt;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit};
use sha2::Sha256;
use sm3::Sm3;
use subtle::{Choice, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::{SignatureType, Timestamp, Window};
use crate::Secret;

/// A password as the device presents it: a MAC of 32 bytes, in 64 lower-case hexadecimal digits.
///
/// One of [`SignatureType::Sha256`] opens the door for ever, so it is treated as a secret: not printed, compared in constant time, wiped.
#[derive(Clone)]
pub struct Mac(Zeroizing<[u8; 32]>);

/// A password that is not 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a password (64 lower-case hexadecimal digits)")]
#[non_exhaustive]
pub struct ParseMacError;

impl Mac {
    /// What a device with this secret must present: `HMAC(key = timestamp, message = secret)`.
    #[must_use]
    pub fn sign(signature: SignatureType, timestamp: &Timestamp, secret: &Secret) -> Self {
        let (key, message) = (timestamp.as_bytes(), secret.expose());
        Self(match signature {
            SignatureType::Sha256 | SignatureType::Sha256Timed => hmac_sha256(key, message),
            SignatureType::Sm3Timed => mac::<Hmac<Sm3>>(key, message),
        })
    }

    /// Reads a password.
    ///
    /// # Errors
    ///
    /// [`ParseMacError`] for anything but 64 digits, upper-case letters included.
    pub fn parse(text: &[u8]) -> Result<Self, ParseMacError> {
        let mut bytes = Zeroizing::new([0; 32]);
        if text.len() != 64 || base16ct::lower::decode(text, bytes.as_mut_slice()).is_err() {
            return Err(ParseMacError);
        }
        Ok(Self(bytes))
    }

    /// The 64 digits.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        hex(self.0.as_slice())
    }

    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&*other.0)
    }
}

impl PartialEq for Mac {
    fn eq(&self, other: &Self) -> bool {
        self.ct_eq(other).into()
    }
}

impl Eq for Mac {}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

/// A password with what its client id says of it: the evidence of a device with a secret.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct TimedMac {
    /// How it was made.
    pub signature: SignatureType,
    /// Its key.
    pub timestamp: Timestamp,
    /// The password.
    pub mac: Mac,
}

/// What came of checking a [`TimedMac`]; for the operator, while a device sees one refusal for all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// The device has the secret.
    Accepted,
    /// The password is right, but its hour is not near now.
    Stale,
    /// The password is of another secret, id or hour.
    Wrong,
}

impl TimedMac {
    /// A password and how it was made.
    #[must_use]
    pub fn new(signature: SignatureType, timestamp: Timestamp, mac: Mac) -> Self {
        Self {
            signature,
            timestamp,
            mac,
        }
    }

    /// Judges the password against the secret that the device should have. The same work is done whatever comes of it.
    #[must_use]
    pub fn check(&self, secret: &Secret, window: Window, wall: SystemTime) -> Verdict {
        let expected = Mac::sign(self.signature, &self.timestamp, secret);
        let near = window.contains(&self.timestamp, wall);
        match (bool::from(expected.ct_eq(&self.mac)), near) {
            (true, true) => Verdict::Accepted,
            (true, false) if !self.signature.is_timed() => Verdict::Accepted,
            (true, false) => Verdict::Stale,
            (false, _) => Verdict::Wrong,
        }
    }
}

/// HMAC-SHA256 (RFC 2104).
pub(super) fn hmac_sha256(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    mac::<Hmac<Sha256>>(key, message)
}

fn mac<M: KeyInit + hmac::Mac>(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length (RFC 2104, 2)"
    )]
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(message);
    let mut bytes = Zeroizing::new([0; 32]);
    bytes
        .iter_mut()
        .zip(mac.finalize().into_bytes())
        .for_each(|(to, from)| *to = from);
    bytes
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(base16ct::lower::encode_string(bytes))
}
