//! The written form of changes and snapshots: CBOR (RFC 8949), nothing behind it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, ErrorKind};

pub(crate) fn to_cbor<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)
        .map_err(|error| Error::new(ErrorKind::Malformed, error))?;
    Ok(bytes)
}

pub(crate) fn from_cbor<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, Error> {
    let value = ciborium::from_reader(&mut bytes)
        .map_err(|error| Error::new(ErrorKind::Malformed, error))?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(ErrorKind::Malformed.into())
    }
}
