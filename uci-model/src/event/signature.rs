//! The event signature.
//!
//! HMAC-SHA256 under the subscription's secret over the header values as they are on the wire and the body:
//!
//! ```text
//! Content-Type ":" Event-Type ":" Subscription-ID ":" Sequence-Number ":" Event-Timestamp ":" body
//! ```
//!
//! An absent `Content-Type` signs as empty text. All five colons are always there.

use core::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::{
    error::{Error, ErrorKind},
    hex,
    subscription::SigningSecret,
};

/// The key of one subscription, prepared once and used for each of its notifications.
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// The key that this secret is: its UTF-8 bytes, not decoded from anything.
    #[must_use]
    pub fn new(secret: &SigningSecret) -> Self {
        Self::from_bytes(secret.expose().as_bytes())
    }

    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of every length (RFC 2104, 2)"
    )]
    fn from_bytes(key: &[u8]) -> Self {
        Self(Hmac::new_from_slice(key).expect("HMAC takes keys of every length"))
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &SignedMessage<'_>) -> Signature {
        let mut mac = self.0.clone();
        for part in [
            message.content_type,
            message.event_type,
            message.subscription_id,
            message.sequence_number,
            message.event_timestamp,
        ] {
            mac.update(part);
            mac.update(b":");
        }
        mac.update(message.body);
        Signature(mac.finalize().into_bytes().into())
    }

    /// Checks a signature, in constant time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SignatureMismatch`].
    pub fn verify(&self, message: &SignedMessage<'_>, signature: &Signature) -> Result<(), Error> {
        if self.sign(message) == *signature {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::SignatureMismatch))
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What is signed: header values exactly as they are on the wire, and the body.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a part more would be another signature"
)]
pub struct SignedMessage<'a> {
    /// `Content-Type`; empty when the header is absent.
    pub content_type: &'a [u8],
    /// `Event-Type`.
    pub event_type: &'a [u8],
    /// `Subscription-ID`.
    pub subscription_id: &'a [u8],
    /// `Sequence-Number`.
    pub sequence_number: &'a [u8],
    /// `Event-Timestamp`.
    pub event_timestamp: &'a [u8],
    /// The body as it is transmitted.
    pub body: &'a [u8],
}

/// The value of `Event-Signature`: 64 hexadecimal digits, written in lower case, read in either.
///
/// Comparison takes the same time whatever the bytes are.
#[derive(Clone, Copy, Debug)]
pub struct Signature([u8; 32]);

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Signature {}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        hex::decode(text.as_bytes())
            .map(Self)
            .ok_or_else(|| Error::new(ErrorKind::InvalidHeader))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    /// V7, from the unit test of plgd's connector: a secret of one character, which peers may not choose.
    #[test]
    fn the_construction_is_that_of_the_field() {
        let message = SignedMessage {
            content_type: b"b",
            event_type: b"devices_online",
            subscription_id: b"c",
            sequence_number: b"0",
            event_timestamp: b"0",
            body: b"",
        };
        assert_eq!(
            SigningKey::from_bytes(b"a").sign(&message).to_string(),
            "72150f5f9795e728fa594ece9fa6aa2f0e8877e8d36be89246782cfed00216c3"
        );
    }

    #[test]
    fn keys_do_not_print() {
        assert_eq!(
            alloc::format!("{:?}", SigningKey::from_bytes(b"a")),
            "SigningKey(..)"
        );
    }
}
