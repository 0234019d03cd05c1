//! Handshake messages and their fragments. (RFC 6347, 4.2.2)

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter;

use super::wire::{Reader, u24};

pub(super) const HEADER_LEN: usize = 12;

/// The type of a handshake message. (RFC 5246, 7.4; RFC 6347, 4.3.2)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MessageType {
    ClientHello,
    ServerHello,
    HelloVerifyRequest,
    ServerKeyExchange,
    ServerHelloDone,
    ClientKeyExchange,
    Finished,
}

impl MessageType {
    const fn number(self) -> u8 {
        match self {
            Self::ClientHello => 1,
            Self::ServerHello => 2,
            Self::HelloVerifyRequest => 3,
            Self::ServerKeyExchange => 12,
            Self::ServerHelloDone => 14,
            Self::ClientKeyExchange => 16,
            Self::Finished => 20,
        }
    }

    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::ClientHello,
            2 => Self::ServerHello,
            3 => Self::HelloVerifyRequest,
            12 => Self::ServerKeyExchange,
            14 => Self::ServerHelloDone,
            16 => Self::ClientKeyExchange,
            20 => Self::Finished,
            _ => return None,
        })
    }
}

/// A part of a message as it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fragment<'a> {
    pub(super) kind: MessageType,
    /// The bytes of the message without header.
    pub(super) len: usize,
    pub(super) number: u16,
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The body of the message, if this is all of it.
    pub(super) fn whole(&self) -> Option<&'a [u8]> {
        (self.body.len() == self.len).then_some(self.body)
    }
}

/// The fragments in a record. One of a type that has no place here is passed over; at one that is cut short or reaches
/// beyond its message they end.
pub(super) fn fragments(record: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let mut reader = Reader::new(record);
    iter::from_fn(move || {
        loop {
            let kind = reader.u8()?;
            let len = reader.u24()?;
            let number = reader.u16()?;
            let offset = reader.u24()?;
            let body_len = reader.u24()?;
            let body = reader.take(body_len)?;
            if offset.checked_add(body_len)? > len {
                return None;
            }
            if let Some(kind) = MessageType::from_number(kind) {
                return Some(Fragment {
                    kind,
                    len,
                    number,
                    offset,
                    body,
                });
            }
        }
    })
}

/// A whole message with its header, as it enters the hash of the handshake. (RFC 6347, 4.2.6)
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Message {
    kind: MessageType,
    number: u16,
    /// As many as there are, because a session keeps its Finished.
    bytes: Box<[u8]>,
}

impl Message {
    pub(super) fn new(kind: MessageType, number: u16, body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_LEN.saturating_add(body.len()));
        bytes.extend(header(kind, body.len(), number, 0, body.len()));
        bytes.extend(body);
        Self {
            kind,
            number,
            bytes: bytes.into(),
        }
    }

    pub(super) const fn kind(&self) -> MessageType {
        self.kind
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    /// The message in fragments whose bytes, with their headers, are at most `room`.
    pub(super) fn fragments(&self, room: usize) -> impl Iterator<Item = Vec<u8>> {
        let body = self.body();
        let size = room.saturating_sub(HEADER_LEN).max(1);
        // A message without a body has one fragment as well.
        let count = body.len().div_ceil(size).max(1);
        (0..count).map(move |index| {
            let part = body.chunks(size).nth(index).unwrap_or_default();
            let offset = index.saturating_mul(size);
            let mut bytes = Vec::with_capacity(HEADER_LEN.saturating_add(part.len()));
            let header = header(self.kind, body.len(), self.number, offset, part.len());
            bytes.extend(header);
            bytes.extend(part);
            bytes
        })
    }
}

fn header(
    kind: MessageType,
    len: usize,
    number: u16,
    offset: usize,
    fragment_len: usize,
) -> [u8; HEADER_LEN] {
    let [a, b] = number.to_be_bytes();
    let [[c, d, e], [f, g, h], [i, j, k]] = [len, offset, fragment_len].map(u24);
    [kind.number(), c, d, e, a, b, f, g, h, i, j, k]
}
