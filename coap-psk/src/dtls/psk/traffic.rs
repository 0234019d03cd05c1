//! The records of one connection: numbering and protection of those that leave, replays and forgeries among those that come.

use alloc::vec::Vec;

use super::protection::Protection;
use super::record::{ContentType, DTLS_1_2, HEADER_LEN, Header, LAST_SEQUENCE, Record, put_plain};
use super::replay::Window;
use crate::random::Random;

/// What leaves: records in clear (epoch 0), and once there are keys, protected ones (epoch 1).
///
/// There is no third epoch, because there is no renegotiation.
pub(super) struct Outbound {
    next_plain: u64,
    protected: Option<(Protection, u64)>,
}

impl Outbound {
    /// Begins with this sequence number.
    pub(super) const fn new(first: u64) -> Self {
        Self {
            next_plain: first,
            protected: None,
        }
    }

    pub(super) fn protect(&mut self, keys: Protection) {
        self.protected = Some((keys, 0));
    }

    /// The bytes that a record has more than its text, its header included.
    pub(super) fn overhead(&self, protected: bool) -> usize {
        match &self.protected {
            Some((keys, _)) if protected => keys.overhead(),
            _ => HEADER_LEN,
        }
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
            sequence: use_number(&mut self.next_plain)?,
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
        let (keys, next) = self.protected.as_mut()?;
        let header = Header {
            content,
            epoch: 1,
            sequence: use_number(next)?,
        };
        keys.seal(header, text, random, out)
    }
}

/// The next sequence number, which never comes back.
fn use_number(next: &mut u64) -> Option<u64> {
    let sequence = *next;
    if sequence > LAST_SEQUENCE {
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
}

impl Inbound {
    pub(super) fn new(keys: Protection) -> Self {
        Self {
            keys,
            window: Window::default(),
            rejected: 0,
        }
    }

    /// The text of a record that is authentic and did not arrive before.
    pub(super) fn open(&mut self, record: &Record<'_>) -> Option<Vec<u8>> {
        if !self.window.admits(record.header.sequence) {
            return None;
        }
        let text = self.keys.open(record);
        if text.is_some() {
            self.window.note(record.header.sequence);
        } else {
            self.rejected = self.rejected.saturating_add(1);
        }
        text
    }

    /// How many records were not authentic.
    pub(super) const fn rejected(&self) -> u32 {
        self.rejected
    }
}
