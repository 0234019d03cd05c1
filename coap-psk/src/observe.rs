//! Observing resources. (RFC 7641)

use alloc::string::String;
use alloc::vec::Vec;
#[cfg(any(feature = "dtls", test))]
use core::time::Duration;

use crate::message::Token;
#[cfg(any(feature = "dtls", test))]
use crate::time::Instant;

/// The values of an Observe option in a request.
pub(crate) const REGISTER: u32 = 0;
/// See [`REGISTER`].
pub(crate) const DEREGISTER: u32 = 1;

/// Sequence numbers have 24 bits.
const SEQUENCE_MASK: u32 = (1 << 24) - 1;

#[cfg(any(feature = "dtls", test))]
/// After this long a notification is newer whatever its number. (RFC 7641, 3.4)
const ORDER_HORIZON: Duration = Duration::from_secs(128);

/// The observers that the peer of one session has registered.
#[derive(Debug, Default)]
pub(crate) struct Observers {
    entries: Vec<Observer>,
    sequence: u32,
}

/// An observer of a resource of ours.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    /// The exchange that registered it.
    pub(crate) number: u64,
    pub(crate) token: Token,
    pub(crate) target: String,
    /// The cache key of its request, under which it fetches the blocks of a long notification.
    pub(crate) key: Vec<u8>,
}

impl Observers {
    /// Registers an observer; `false` over the cap.
    pub(crate) fn register(&mut self, observer: Observer, cap: usize) -> bool {
        let fits = self.entries.len() < cap;
        if fits {
            self.entries.push(observer);
        }
        fits
    }

    /// The number of the next notification; it grows, modulo 24 bits.
    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1) & SEQUENCE_MASK;
        self.sequence
    }

    pub(crate) fn of(&self, target: &str) -> Vec<Observer> {
        self.entries
            .iter()
            .filter(|observer| observer.target == target)
            .cloned()
            .collect()
    }

    #[cfg(any(feature = "dtls", test))]
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let before = self.entries.len();
        self.entries.retain(|observer| observer.number != number);
        self.entries.len() < before
    }

    pub(crate) fn remove_token(&mut self, token: Token) -> Option<u64> {
        let index = self
            .entries
            .iter()
            .position(|observer| observer.token == token)?;
        Some(self.entries.remove(index).number)
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().map(|observer| observer.number)
    }
}

/// The newest notification of an observation of ours.
#[cfg(any(feature = "dtls", test))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newest {
    sequence: u32,
    arrived: Instant,
}

#[cfg(any(feature = "dtls", test))]
impl Newest {
    pub(crate) const fn new(sequence: u32, arrived: Instant) -> Self {
        Self { sequence, arrived }
    }

    /// Whether a notification is newer than this one. (RFC 7641, 3.4)
    pub(crate) fn is_before(self, sequence: u32, now: Instant) -> bool {
        let ahead = sequence.wrapping_sub(self.sequence) & SEQUENCE_MASK;
        (ahead != 0 && ahead < 1 << 23) || now > self.arrived.saturating_add(ORDER_HORIZON)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observer(number: u64, token: u64) -> Observer {
        Observer {
            number,
            token: Token::from_number(token),
            target: "/a".into(),
            key: Vec::new(),
        }
    }

    #[test]
    fn the_cap_holds_and_what_is_removed_is_gone() {
        let mut observers = Observers::default();
        assert!(observers.register(observer(1, 1), 2) && observers.register(observer(2, 2), 2));
        assert!(!observers.register(observer(3, 3), 2));
        assert_eq!(observers.of("/a").len(), 2);
        assert!(observers.of("/b").is_empty());
        assert!(observers.remove(1) && !observers.remove(1));
        assert_eq!(observers.remove_token(Token::from_number(2)), Some(2));
        assert_eq!(observers.numbers().count(), 0);
    }

    #[test]
    fn newer_is_judged_modulo_the_width_and_by_time() {
        let newest = |sequence| Newest::new(sequence, Instant::ZERO);
        let soon = Instant::from_micros(1);
        for (old, new, newer) in [
            (1, 2, true),
            (2, 1, false),
            (2, 2, false),
            (SEQUENCE_MASK, 0, true),
            (0, SEQUENCE_MASK, false),
            (0, (1 << 23) - 1, true),
            (0, 1 << 23, false),
        ] {
            assert_eq!(newest(old).is_before(new, soon), newer, "{old} then {new}");
        }
        assert!(!newest(2).is_before(1, Instant::from_micros(128_000_000)));
        assert!(newest(2).is_before(1, Instant::from_micros(128_000_001)));
    }

    #[test]
    fn sequence_numbers_wrap_at_24_bits() {
        let mut observers = Observers {
            entries: Vec::new(),
            sequence: SEQUENCE_MASK - 1,
        };
        assert_eq!(observers.next_sequence(), SEQUENCE_MASK);
        assert_eq!(observers.next_sequence(), 0);
    }
}
