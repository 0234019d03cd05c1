//! The extensions of hellos that matter here. (RFC 5246, 7.4.1.4)

use alloc::vec::Vec;

use super::wire::{Reader, put_vector8, put_vector16};

/// RFC 7366, 2
const ENCRYPT_THEN_MAC: u16 = 22;
/// RFC 7627, 5.1
const EXTENDED_MASTER_SECRET: u16 = 23;
/// RFC 9146, 3
const CONNECTION_ID: u16 = 54;
/// RFC 5746, 3.2
const RENEGOTIATION_INFO: u16 = 0xff01;
/// An empty `renegotiated_connection`. (RFC 5746, 3.4 and 3.6)
const FIRST_HANDSHAKE: &[u8] = &[0];

/// About as many bytes as the list has.
const LIST_LEN: usize = 32;

/// What the extensions of a hello say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Extensions<'a> {
    pub(super) encrypt_then_mac: bool,
    pub(super) extended_master_secret: bool,
    /// That this is a first handshake; it has to be, since there is no renegotiation.
    pub(super) renegotiation_info: bool,
    /// The id that the sender wants in records to it. An empty one: none, but it takes that of the other side.
    pub(super) connection_id: Option<&'a [u8]>,
    /// There are others, which are ignored.
    pub(super) others: bool,
}

impl<'a> Extensions<'a> {
    /// Reads what follows the last fixed field of a hello: nothing, or a list. `None` when the list is malformed, names one
    /// of these twice, or tells of a renegotiation.
    pub(super) fn read(mut reader: Reader<'a>) -> Option<Self> {
        let mut extensions = Self::default();
        if reader.end().is_some() {
            return Some(extensions);
        }
        let mut list = Reader::new(reader.vector16()?);
        reader.end()?;
        while list.end().is_none() {
            let (number, body) = (list.u16()?, list.vector16()?);
            let (seen, expected): (_, &[u8]) = match number {
                ENCRYPT_THEN_MAC => (&mut extensions.encrypt_then_mac, &[]),
                EXTENDED_MASTER_SECRET => (&mut extensions.extended_master_secret, &[]),
                RENEGOTIATION_INFO => (&mut extensions.renegotiation_info, FIRST_HANDSHAKE),
                CONNECTION_ID => {
                    let mut body = Reader::new(body);
                    let id = body.vector8()?;
                    body.end()?;
                    if extensions.connection_id.replace(id).is_some() {
                        return None;
                    }
                    continue;
                }
                _ => {
                    extensions.others = true;
                    continue;
                }
            };
            if *seen || body != expected {
                return None;
            }
            *seen = true;
        }
        Some(extensions)
    }

    /// Writes the list; no list when it would be empty.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let mut list = Vec::with_capacity(LIST_LEN);
        if self.renegotiation_info {
            list.extend(RENEGOTIATION_INFO.to_be_bytes());
            put_vector16(&mut list, FIRST_HANDSHAKE);
        }
        if let Some(id) = self.connection_id {
            let len = u16::try_from(id.len().saturating_add(1)).unwrap_or(u16::MAX);
            list.extend(CONNECTION_ID.to_be_bytes());
            list.extend(len.to_be_bytes());
            put_vector8(&mut list, id);
        }
        for (present, number) in [
            (self.encrypt_then_mac, ENCRYPT_THEN_MAC),
            (self.extended_master_secret, EXTENDED_MASTER_SECRET),
        ] {
            if present {
                list.extend(number.to_be_bytes());
                put_vector16(&mut list, &[]);
            }
        }
        if !list.is_empty() {
            put_vector16(out, &list);
        }
    }
}
