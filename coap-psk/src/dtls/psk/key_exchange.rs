//! ServerKeyExchange and ClientKeyExchange of plain PSK. (RFC 4279, 2)

use alloc::vec::Vec;

use super::wire::{Reader, put_vector16};

/// The body of either: one vector, the identity hint or the identity.
pub(super) fn encode(bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    put_vector16(&mut body, bytes);
    body
}

pub(super) fn parse(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(body);
    let bytes = reader.vector16()?;
    reader.end()?;
    Some(bytes)
}
