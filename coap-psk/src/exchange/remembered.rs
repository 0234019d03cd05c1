//! Messages of the peer that were handled already. (RFC 7252, 4.2, 4.3 and 4.5)

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::time::Instant;

/// The message ids that a peer used lately, with what they were answered.
#[derive(Default)]
pub(crate) struct Remembered {
    entries: VecDeque<Entry>,
}

struct Entry {
    message_id: u16,
    expires: Instant,
    /// The acknowledgement or reset; empty while there is none.
    reply: Vec<u8>,
    /// Whether a request behind it still waits for its response.
    open: bool,
}

impl Remembered {
    /// The reply to a message that was handled before, empty when it had none; `None` for a new message.
    pub(crate) fn reply_to(&self, message_id: u16, now: Instant) -> Option<&[u8]> {
        self.entries
            .iter()
            .rev()
            .find(|entry| entry.message_id == message_id && entry.expires > now)
            .map(|entry| entry.reply.as_slice())
    }

    /// Notes a new message. Over the cap the oldest goes whose request is answered.
    pub(crate) fn insert(&mut self, message_id: u16, expires: Instant, open: bool, cap: usize) {
        if self.entries.len() >= cap {
            let index = self
                .entries
                .iter()
                .position(|entry| !entry.open)
                .unwrap_or(0);
            self.entries.remove(index);
        }
        self.entries.push_back(Entry {
            message_id,
            expires,
            reply: Vec::new(),
            open,
        });
    }

    /// Notes the bytes that a duplicate is to be answered with from now on.
    pub(crate) fn set_reply(&mut self, message_id: u16, reply: &[u8]) {
        if let Some(entry) = self.entry(message_id) {
            entry.reply = reply.to_vec();
        }
    }

    /// Notes that the request is answered.
    pub(crate) fn close(&mut self, message_id: u16) {
        if let Some(entry) = self.entry(message_id) {
            entry.open = false;
        }
    }

    fn entry(&mut self, message_id: u16) -> Option<&mut Entry> {
        self.entries
            .iter_mut()
            .rev()
            .find(|entry| entry.message_id == message_id)
    }

    /// Forgets what can have no duplicate any more.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.entries.retain(|entry| entry.expires > now);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.entries.iter().map(|entry| entry.expires).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Instant {
        Instant::ZERO.saturating_add(core::time::Duration::from_secs(secs))
    }

    #[test]
    fn a_duplicate_gets_the_reply_until_it_expires() {
        let mut remembered = Remembered::default();
        assert_eq!(remembered.reply_to(7, at(0)), None);
        remembered.insert(7, at(247), true, 4);
        assert_eq!(remembered.reply_to(7, at(0)), Some(&[][..]));
        remembered.set_reply(7, b"ack");
        assert_eq!(remembered.reply_to(7, at(246)), Some(&b"ack"[..]));
        assert_eq!(remembered.reply_to(7, at(247)), None);
        remembered.expire(at(247));
        assert_eq!(remembered.next_deadline(), None);
    }

    #[test]
    fn over_the_cap_the_oldest_answered_one_is_forgotten() {
        let mut remembered = Remembered::default();
        remembered.insert(1, at(9), true, 2);
        remembered.insert(2, at(9), true, 2);
        remembered.close(2);
        remembered.insert(3, at(9), true, 2);
        assert!(remembered.reply_to(1, at(0)).is_some());
        assert!(remembered.reply_to(2, at(0)).is_none());
    }
}
