//! What the two ledgers of the server have in common.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind};
use crate::stream::Loaded;

/// State that is the sum of its changes.
pub(crate) trait Ledger: Clone + core::fmt::Debug + Default {
    /// What can happen to it.
    type Change: core::fmt::Debug;

    fn encode(change: &Self::Change) -> Result<Bytes, Error>;
    fn decode(bytes: &[u8]) -> Result<Self::Change, Error>;
    fn apply(&mut self, change: &Self::Change);
    fn restore(format: u32, bytes: &[u8]) -> Result<Self, Error>;
    fn snapshot(&self) -> Result<(u32, Bytes), Error>;
    /// When the stream owes something, in Unix milliseconds.
    fn due(&self) -> Option<u64>;
}

/// Rebuilds a ledger from what a store has of it.
///
/// A snapshot of an unknown format is passed over when all changes are there, and refused when
/// they are not. Without a snapshot fewer changes than the version mean that the stream was erased:
/// what came before them is gone for good.
pub(crate) fn rebuild<L: Ledger>(loaded: &Loaded) -> Result<L, Error> {
    let restored = loaded.snapshot.as_ref().and_then(|snapshot| {
        Some((
            L::restore(snapshot.format, &snapshot.bytes).ok()?,
            snapshot.version,
        ))
    });
    let (mut ledger, from) = restored.unwrap_or_default();
    let missing = loaded
        .version
        .checked_sub(from)
        .and_then(|missing| usize::try_from(missing).ok())
        .ok_or(ErrorKind::Corrupt)?;
    let changes = match loaded.changes.len().checked_sub(missing) {
        Some(start) => loaded.changes.get(start..),
        None if loaded.snapshot.is_none() => Some(loaded.changes.as_slice()),
        None => None,
    };
    for change in changes.ok_or(ErrorKind::Corrupt)? {
        ledger.apply(&L::decode(change)?);
    }
    Ok(ledger)
}

/// CBOR, the one written form of changes and snapshots.
pub(crate) fn to_cbor<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|error| Error::new(ErrorKind::Corrupt, error))?;
    Ok(bytes.into())
}

/// Reads what [`to_cbor`] wrote.
pub(crate) fn from_cbor<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    ciborium::from_reader(bytes).map_err(|_| ErrorKind::Corrupt.into())
}

/// Arrays of bytes as CBOR byte strings, not as lists of numbers.
pub(crate) mod byte_string {
    use core::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(crate) fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        struct Bytes<const N: usize>;

        impl<const N: usize> Visitor<'_> for Bytes<N> {
            type Value = [u8; N];

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{N} bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<[u8; N], E> {
                bytes
                    .try_into()
                    .map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}
