//! The records of one connection: numbering and protection of those that leave, replays and forgeries among those that come.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use super::connection_id::ConnectionId;
use super::protection::Protection;
use super::record::{
    ContentType, DTLS_1_2, HEADER_LEN, Header, LAST_SEQUENCE, MAX_PLAINTEXT, Record, put_plain,
};
use super::replay::Window;
use super::wire::{Reader, put_vector8};
use crate::random::Random;
use crate::suite::CipherSuite;

/// What leaves: records in clear (epoch 0), and once there are keys, protected ones (epoch 1).
///
/// There is no third epoch, because there is no renegotiation.
pub(super) struct Outbound {
    next_plain: u64,
    protected: Option<Protected>,
}

struct Protected {
    keys: Protection,
    next: u64,
    /// The first number that must not be used.
    end: u64,
    /// The id that the peer chose, or none.
    connection_id: Box<[u8]>,
}

impl Outbound {
    /// Begins with this sequence number.
    pub(super) const fn new(first: u64) -> Self {
        Self {
            next_plain: first,
            protected: None,
        }
    }

    /// Goes on under keys, with the id that the peer chose, which may be empty.
    pub(super) fn protect(&mut self, keys: Protection, connection_id: Box<[u8]>) {
        self.protected = Some(Protected {
            keys,
            next: 0,
            end: END,
            connection_id,
        });
    }

    /// What goes on elsewhere. Nothing can be written here any more, and no key stays behind.
    pub(super) fn take(&mut self) -> Self {
        let protected = self.protected.as_mut().map(|it| Protected {
            keys: it.keys.take(),
            next: it.next,
            end: it.end,
            connection_id: mem::take(&mut it.connection_id),
        });
        let next_plain = self.next_plain;
        *self = Self::new(END);
        Self {
            next_plain,
            protected,
        }
    }

    /// The bytes that a record has more than its text, at most, its header included.
    pub(super) fn overhead(&self, protected: bool) -> usize {
        match &self.protected {
            Some(it) if protected => it.keys.overhead().saturating_add(it.id_overhead()),
            _ => HEADER_LEN,
        }
    }

    /// Reserves so many numbers from the next one on; the first that is not reserved. At first everything was allowed, from now
    /// on only what is reserved.
    pub(super) fn reserve(&mut self, count: u64) -> u64 {
        let Some(it) = &mut self.protected else {
            return 0;
        };
        let end = it.next.saturating_add(count).min(END);
        it.end = it.end.min(end);
        end
    }

    /// Allows the numbers up to this one.
    pub(super) fn extend_reservation(&mut self, end: u64) {
        if let Some(it) = &mut self.protected {
            it.end = it.end.max(end);
        }
    }

    /// How many protected records may still be written.
    pub(super) fn records_left(&self) -> u64 {
        let it = self.protected.as_ref();
        it.map_or(0, |it| it.end.saturating_sub(it.next))
    }

    /// Writes what it takes to go on from this number.
    pub(super) fn save(&self, next: u64, out: &mut Vec<u8>) {
        if let Some(it) = &self.protected {
            put_vector8(out, &it.connection_id);
            out.extend(next.to_be_bytes());
            it.keys.save(out);
        }
    }

    /// May write nothing until more is allowed.
    pub(super) fn restore(suite: CipherSuite, reader: &mut Reader<'_>) -> Option<Self> {
        let connection_id = reader.vector8()?.into();
        let next = reader.u64().filter(|next| *next <= END)?;
        Some(Self {
            next_plain: END,
            protected: Some(Protected {
                keys: Protection::restore(suite, reader)?,
                next,
                end: next,
                connection_id,
            }),
        })
    }

    /// The bytes that a protected record has room for.
    pub(super) fn room(&self) -> usize {
        let type_len = self.protected.as_ref().map_or(0, Protected::type_len);
        MAX_PLAINTEXT.saturating_sub(type_len)
    }

    /// Writes a record in clear; `None` when the numbers are used up. (RFC 6347, 4.1)
    pub(super) fn put_plain(
        &mut self,
        content: ContentType,
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let header = Header {
            content,
            epoch: 0,
            sequence: use_number(&mut self.next_plain, END)?,
            connection_id: &[],
        };
        put_plain(header, DTLS_1_2, body, out);
        Some(())
    }

    /// Writes a protected record; `None` without keys, and when the numbers are used up or the text is too long.
    pub(super) fn put_protected(
        &mut self,
        content: ContentType,
        text: &[u8],
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let Protected {
            keys,
            next,
            end,
            connection_id,
        } = self.protected.as_mut()?;
        let real_type = [content.number()];
        let (content, tail): (_, &[u8]) = if connection_id.is_empty() {
            (content, &[])
        } else {
            // Without padding. (RFC 9146, 4)
            (ContentType::Tls12Cid, &real_type)
        };
        let header = Header {
            content,
            epoch: 1,
            sequence: use_number(next, *end)?,
            connection_id,
        };
        keys.seal(header, [text, tail], random, out)
    }
}

impl Protected {
    /// The bytes of the type that a text ends with under an id.
    fn type_len(&self) -> usize {
        usize::from(!self.connection_id.is_empty())
    }

    fn id_overhead(&self) -> usize {
        self.connection_id.len().saturating_add(self.type_len())
    }
}

/// One more than the last sequence number.
const END: u64 = LAST_SEQUENCE + 1;

/// The next sequence number, which never comes back.
fn use_number(next: &mut u64, end: u64) -> Option<u64> {
    let sequence = *next;
    if sequence >= end {
        return None;
    }
    *next = sequence.saturating_add(1);
    Some(sequence)
}

/// What comes under keys.
pub(super) struct Inbound {
    keys: Protection,
    window: Window,
    rejected: u32,
    /// The id that this side chose, which all of it must have.
    connection_id: ConnectionId,
}

/// An authentic record.
pub(super) struct Opened {
    /// What it is, under a connection id as well.
    pub(super) content: ContentType,
    pub(super) text: Vec<u8>,
    /// Whether none with a higher number came before.
    pub(super) newest: bool,
}

impl Inbound {
    /// Takes records with this id, or those without one when it is empty.
    pub(super) fn new(keys: Protection, connection_id: ConnectionId) -> Self {
        Self {
            keys,
            window: Window::default(),
            rejected: 0,
            connection_id,
        }
    }

    /// What goes on elsewhere; no key stays behind.
    pub(super) fn take(&mut self) -> Self {
        Self {
            keys: self.keys.take(),
            window: mem::take(&mut self.window),
            rejected: self.rejected,
            connection_id: self.connection_id,
        }
    }

    /// A record that is authentic and did not arrive before.
    pub(super) fn open(&mut self, record: &Record<'_>) -> Option<Opened> {
        let Header {
            content,
            sequence,
            connection_id,
            ..
        } = record.header;
        // Once there is an id, a record without it is nobody's. (RFC 9146, 3)
        if connection_id != self.connection_id.as_bytes() || !self.window.admits(sequence) {
            return None;
        }
        let Some(text) = self.keys.open(record) else {
            self.rejected = self.rejected.saturating_add(1);
            return None;
        };
        let newest = self.window.note(sequence);
        let (content, text) = match content {
            ContentType::Tls12Cid => unwrap(text)?,
            content => (content, text),
        };
        Some(Opened {
            content,
            text,
            newest,
        })
    }

    pub(super) const fn suite(&self) -> CipherSuite {
        self.keys.suite()
    }

    pub(super) fn save(&self, out: &mut Vec<u8>) {
        put_vector8(out, self.connection_id.as_bytes());
        out.extend(self.window.next.to_be_bytes());
        out.extend(self.window.arrived.to_be_bytes());
        out.extend(self.rejected.to_be_bytes());
        self.keys.save(out);
    }

    pub(super) fn restore(suite: CipherSuite, reader: &mut Reader<'_>) -> Option<Self> {
        let connection_id = ConnectionId::from_bytes(reader.vector8()?)?;
        let next = reader.u64().filter(|next| *next <= END)?;
        let arrived = reader.u64()?;
        Some(Self {
            window: Window { next, arrived },
            rejected: reader.u32()?,
            keys: Protection::restore(suite, reader)?,
            connection_id,
        })
    }

    /// How many records were not authentic.
    pub(super) const fn rejected(&self) -> u32 {
        self.rejected
    }

    pub(super) const fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }
}

/// Takes the type and the zeros behind it off a text; `None` when there is no type that it could have, or too much before it.
/// (RFC 9146, 4)
fn unwrap(mut text: Vec<u8>) -> Option<(ContentType, Vec<u8>)> {
    let at = text.iter().rposition(|byte| *byte != 0)?;
    let content = ContentType::from_number(*text.get(at)?)?;
    text.truncate(at);
    let allowed = content != ContentType::Tls12Cid && text.len() <= MAX_PLAINTEXT;
    allowed.then_some((content, text))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;
