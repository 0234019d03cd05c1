//! Messages of the peer that were handled already. (RFC 7252, 4.2, 4.3 and 4.5)

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::time::Instant;

/// The message ids that a peer used lately, with what they were answered.
#[derive(Default)]
pub(crate) struct Remembered {
    entries: VecDeque<Entry>,
    /// Of all replies.
    reply_bytes: usize,
    /// No entry expires before this. Looking for the one that does first, with every message, would be work for each entry.
    next_deadline: Option<Instant>,
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

    /// Notes a new message. Over the cap the oldest goes whose request is answered; tells whether one went.
    pub(crate) fn insert(
        &mut self,
        message_id: u16,
        expires: Instant,
        open: bool,
        cap: usize,
    ) -> bool {
        let full = self.entries.len() >= cap;
        if full && !self.forget_oldest_answered() {
            self.remove(0);
        }
        let earlier = self.next_deadline.is_none_or(|next| expires < next);
        if earlier {
            self.next_deadline = Some(expires);
        }
        self.entries.push_back(Entry {
            message_id,
            expires,
            reply: Vec::new(),
            open,
        });
        full
    }

    /// When the oldest message expires whose request is answered.
    pub(crate) fn oldest_answered(&self) -> Option<Instant> {
        self.entries
            .iter()
            .find(|entry| !entry.open)
            .map(|entry| entry.expires)
    }

    /// Forgets the oldest message whose request is answered; `false` when there is none.
    pub(crate) fn forget_oldest_answered(&mut self) -> bool {
        let index = self.entries.iter().position(|entry| !entry.open);
        if let Some(index) = index {
            self.remove(index);
        }
        index.is_some()
    }

    /// The bytes that all this takes.
    pub(crate) fn bytes(&self) -> usize {
        self.entries
            .len()
            .saturating_mul(size_of::<Entry>())
            .saturating_add(self.reply_bytes)
    }

    fn remove(&mut self, index: usize) {
        if let Some(entry) = self.entries.remove(index) {
            self.reply_bytes = self.reply_bytes.saturating_sub(entry.reply.len());
        }
    }

    /// Notes the bytes that a duplicate is to be answered with from now on.
    pub(crate) fn set_reply(&mut self, message_id: u16, reply: &[u8]) {
        if let Some(entry) = self.entry(message_id) {
            let before = core::mem::replace(&mut entry.reply, reply.to_vec());
            self.reply_bytes = self
                .reply_bytes
                .saturating_sub(before.len())
                .saturating_add(reply.len());
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
        self.entries.retain(|entry| {
            let stays = entry.expires > now;
            if !stays {
                self.reply_bytes = self.reply_bytes.saturating_sub(entry.reply.len());
            }
            stays
        });
        self.next_deadline = self.entries.iter().map(|entry| entry.expires).min();
    }

    /// When [`expire`](Self::expire) is due next, or earlier.
    pub(crate) const fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
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
        assert!(!remembered.insert(7, at(247), true, 4));
        assert_eq!(remembered.reply_to(7, at(0)), Some(&[][..]));
        remembered.set_reply(7, b"ack");
        assert_eq!(remembered.reply_to(7, at(246)), Some(&b"ack"[..]));
        assert_eq!(remembered.reply_to(7, at(247)), None);
        remembered.expire(at(247));
        assert_eq!(remembered.next_deadline(), None);
        assert_eq!(remembered.bytes(), 0);
    }

    #[test]
    fn over_the_cap_the_oldest_answered_one_is_forgotten() {
        let mut remembered = Remembered::default();
        assert!(!remembered.insert(1, at(9), true, 2));
        assert!(!remembered.insert(2, at(9), true, 2));
        remembered.close(2);
        assert!(remembered.insert(3, at(9), true, 2));
        assert!(remembered.reply_to(1, at(0)).is_some());
        assert!(remembered.reply_to(2, at(0)).is_none());
    }

    #[test]
    fn what_is_remembered_is_counted_and_only_the_answered_is_forgotten() {
        let mut remembered = Remembered::default();
        let empty = |count| count * size_of::<Entry>();
        for (id, secs) in [(1, 9), (2, 8), (3, 9)] {
            assert!(!remembered.insert(id, at(secs), true, 9));
        }
        assert_eq!(
            (remembered.bytes(), remembered.oldest_answered()),
            (empty(3), None)
        );
        remembered.set_reply(2, b"empty ack");
        remembered.set_reply(2, b"ack");
        remembered.set_reply(3, b"ack");
        remembered.close(2);
        remembered.close(3);
        assert_eq!(remembered.bytes(), empty(3) + 6);
        assert_eq!(remembered.oldest_answered(), Some(at(8)));
        assert!(remembered.forget_oldest_answered());
        assert_eq!(remembered.reply_to(2, at(0)), None);
        assert!(remembered.forget_oldest_answered() && !remembered.forget_oldest_answered());
        assert_eq!(remembered.bytes(), empty(1));
        assert!(remembered.reply_to(1, at(0)).is_some());
    }
}
