use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, ErrorKind};

/// A secret as it is stored: encrypted by the caller, opaque here.
///
/// Does not print its bytes, although they are of no use without the key that sealed them.
#[derive(Clone, Eq, PartialEq)]
pub struct SealedSecret(Vec<u8>);

impl SealedSecret {
    /// The longest sealed secret, in bytes.
    pub const MAX: usize = 1024;

    /// Takes 1 to [`MAX`](Self::MAX) sealed bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for none or more.
    pub fn new(sealed: Vec<u8>) -> Result<Self, Error> {
        if sealed.is_empty() || sealed.len() > Self::MAX {
            return Err(ErrorKind::InvalidValue.into());
        }
        Ok(Self(sealed))
    }

    /// The sealed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(..)")
    }
}

impl Serialize for SealedSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SealedSecret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(SealedVisitor)
    }
}

struct SealedVisitor;

impl Visitor<'_> for SealedVisitor {
    type Value = SealedSecret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 to {} bytes", SealedSecret::MAX)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<SealedSecret, E> {
        self.visit_byte_buf(bytes.to_vec())
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<SealedSecret, E> {
        let length = bytes.len();
        SealedSecret::new(bytes).map_err(|_| E::invalid_length(length, &self))
    }
}
