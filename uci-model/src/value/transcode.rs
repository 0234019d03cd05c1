//! From one format to the other without a tree in between.
//!
//! Members keep the order in which they came. Everything else is as if the message had been read as a
//! [`Value`](super::Value) and written again, limits and errors included.

mod from_cbor;
mod from_json;

use alloc::vec::Vec;
use core::marker::PhantomData;

use serde::de::IgnoredAny;

use super::{Value, cbor, check_length};
use crate::{content::ContentFormat, error::Error, limits::Limits};

pub(crate) use from_json::Receiver;

/// CBOR as JSON.
pub(crate) fn cbor_to_json(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    check_length(bytes, limits)?;
    let length = bytes.len();
    cbor::read(bytes, limits, from_cbor::ToJson { length })
}

/// JSON as CBOR.
pub(crate) fn json_to_cbor(
    bytes: &[u8],
    receiver: Receiver,
    limits: &Limits,
) -> Result<Vec<u8>, Error> {
    check_length(bytes, limits)?;
    from_json::convert(bytes, receiver, limits)
}

/// What a device reads of CBOR, when that is not the same bytes.
pub(crate) fn cbor_for_device(bytes: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Error> {
    check(ContentFormat::OcfCbor, bytes, limits)?;
    if cbor::is_for_devices(bytes) {
        return Ok(None);
    }
    Value::from_cbor(bytes, limits).map(|value| Some(value.to_device_cbor()))
}

/// Reads a message and makes nothing of it.
pub(crate) fn check(format: ContentFormat, bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    check_length(bytes, limits)?;
    match format {
        // What JSON does not say by itself, that no name comes twice, is found on the way to CBOR.
        ContentFormat::Json => from_json::convert(bytes, Receiver::Peer, limits).map(drop),
        ContentFormat::OcfCbor => {
            cbor::read(bytes, limits, PhantomData::<IgnoredAny>).map(|IgnoredAny| ())
        }
    }
}
