//! Messages of a peer, put together and in order.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use super::message::{Fragment, Message, MessageType};

/// How many messages may be incomplete or early at one time: no flight has more.
const AHEAD: u16 = 4;

/// A message of which parts are missing.
struct Partial {
    kind: MessageType,
    body: Vec<u8>,
    arrived: Vec<bool>,
    /// How many bytes have not arrived.
    missing: usize,
}

impl Partial {
    fn new(fragment: &Fragment<'_>) -> Self {
        Self {
            kind: fragment.kind,
            body: vec![0; fragment.len],
            arrived: vec![false; fragment.len],
            missing: fragment.len,
        }
    }

    fn fits(&self, fragment: &Fragment<'_>) -> bool {
        self.kind == fragment.kind && self.body.len() == fragment.len
    }

    fn put(&mut self, fragment: &Fragment<'_>) {
        let places = self.body.iter_mut().zip(&mut self.arrived);
        for ((to, arrived), from) in places.skip(fragment.offset).zip(fragment.body) {
            *to = *from;
            if !mem::replace(arrived, true) {
                self.missing = self.missing.saturating_sub(1);
            }
        }
    }
}

pub(super) struct Reassembly {
    next: u16,
    /// The next message, when it came in one piece.
    whole: Option<Message>,
    partial: BTreeMap<u16, Partial>,
}

impl Reassembly {
    /// Waits for the message of this number.
    pub(super) const fn new(next: u16) -> Self {
        Self {
            next,
            whole: None,
            partial: BTreeMap::new(),
        }
    }

    /// The number of the message that [`pop`](Self::pop) gives next.
    pub(super) const fn next(&self) -> u16 {
        self.next
    }

    /// Takes a fragment, unless its message is over `max_message` bytes, was already given or is far ahead.
    pub(super) fn insert(&mut self, fragment: &Fragment<'_>, max_message: usize) {
        if fragment.len > max_message || fragment.number.wrapping_sub(self.next) >= AHEAD {
            return;
        }
        if fragment.number == self.next {
            if self.whole.is_some() {
                return;
            }
            // As nearly all of them come.
            if let Some(body) = fragment.whole().filter(|_| self.partial.is_empty()) {
                self.whole = Some(Message::new(fragment.kind, fragment.number, body));
                return;
            }
        }
        let partial = self
            .partial
            .entry(fragment.number)
            .or_insert_with(|| Partial::new(fragment));
        if !partial.fits(fragment) {
            // Which of the two is forged, nobody knows; the peer will repeat the right one.
            *partial = Partial::new(fragment);
        }
        partial.put(fragment);
    }

    /// The next message, when it is complete.
    pub(super) fn pop(&mut self) -> Option<Message> {
        if let Some(whole) = self.whole.take() {
            self.next = self.next.wrapping_add(1);
            return Some(whole);
        }
        let partial = self.partial.get(&self.next)?;
        if partial.missing > 0 {
            return None;
        }
        let message = Message::new(partial.kind, self.next, &partial.body);
        self.partial.remove(&self.next);
        self.next = self.next.wrapping_add(1);
        Some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::fragments;
    use super::*;
    use proptest::prelude::*;

    fn message(number: u16, len: usize) -> Message {
        let body: Vec<u8> = (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect();
        Message::new(MessageType::ServerKeyExchange, number, &body)
    }

    #[test]
    fn what_is_too_long_too_far_ahead_or_over_is_not_kept() {
        let mut reassembly = Reassembly::new(7);
        for (number, len) in [(7, 101), (11, 3), (6, 3)] {
            for bytes in message(number, len).fragments(200) {
                fragments(&bytes).for_each(|fragment| reassembly.insert(&fragment, 100));
            }
        }
        assert!(reassembly.partial.is_empty());
    }

    #[test]
    fn a_fragment_that_contradicts_begins_the_message_anew() {
        let mut reassembly = Reassembly::new(0);
        let wrong = message(0, 30).fragments(20).next().unwrap();
        let right = message(0, 20);
        for bytes in [wrong, right.fragments(50).next().unwrap()] {
            fragments(&bytes).for_each(|fragment| reassembly.insert(&fragment, 100));
        }
        assert_eq!(reassembly.pop(), Some(right));
    }

    proptest! {
        #[test]
        fn messages_come_out_whole_and_in_order_however_they_are_cut_and_shuffled(
            rooms in proptest::collection::vec(13..60_usize, 3),
            lens in proptest::collection::vec(1..80_usize, 3),
            picks in proptest::collection::vec(any::<prop::sample::Index>(), 600),
        ) {
            let messages: Vec<_> = lens.iter().zip(0..).map(|(len, at)| message(at, *len)).collect();
            let mut wire: Vec<_> = messages.iter().zip(&rooms).flat_map(|(m, room)| m.fragments(*room)).collect();
            let mut reassembly = Reassembly::new(0);
            let mut given = Vec::new();
            for pick in picks {
                if wire.is_empty() {
                    break;
                }
                // Every second one is left where it is, so that it comes twice.
                let at = pick.index(wire.len());
                let bytes = if pick.index(2) == 0 { wire[at].clone() } else { wire.swap_remove(at) };
                fragments(&bytes).for_each(|fragment| reassembly.insert(&fragment, 100));
                given.extend(core::iter::from_fn(|| reassembly.pop()));
            }
            for bytes in &wire {
                fragments(bytes).for_each(|fragment| reassembly.insert(&fragment, 100));
                given.extend(core::iter::from_fn(|| reassembly.pop()));
            }
            prop_assert_eq!(given, messages);
        }
    }
}
