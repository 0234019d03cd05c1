//! The proofs that were accepted lately, so that none is accepted twice (RFC 9449 11.1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::sha256;
use crate::server::dpop::Thumbprint;

/// What a proof is remembered by.
type Name = [u8; 32];

/// What became of a proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Noted {
    /// It was not seen before, and is remembered now.
    New,
    /// It was.
    Seen,
    /// There is no room to remember it.
    Full,
}

/// Proofs by the hash of key and `jti`, until their time is over; bounded.
#[derive(Debug)]
pub(crate) struct Proofs {
    seen: BTreeSet<Name>,
    deadlines: BTreeMap<Instant, Vec<Name>>,
    limit: usize,
}

impl Proofs {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            seen: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            limit,
        }
    }

    /// Remembers a proof until it would be refused by its time.
    pub(crate) fn note(&mut self, key: Thumbprint, jti: &str, until: Instant) -> Noted {
        // The thumbprint has a fixed length, so no two pairs are one text.
        let name = sha256(&[key.to_bytes().as_slice(), jti.as_bytes()].concat());
        if self.seen.contains(&name) {
            return Noted::Seen;
        }
        if self.seen.len() >= self.limit {
            return Noted::Full;
        }
        self.seen.insert(name);
        self.deadlines.entry(until).or_default().push(name);
        Noted::New
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|(at, _)| *at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            let over = self.deadlines.pop_first().map(|(_, names)| names);
            for name in over.unwrap_or_default() {
                self.seen.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn a_proof_is_new_once_until_its_time_is_over_and_never_for_want_of_room() {
        let start = tokio::time::Instant::now().into_std();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (one, two) = (
            Thumbprint::from_bytes([1; 32]),
            Thumbprint::from_bytes([2; 32]),
        );
        let mut proofs = Proofs::new(2);
        assert_eq!(proofs.note(one, "a", at(5)), Noted::New);
        assert_eq!(proofs.note(one, "a", at(9)), Noted::Seen);
        assert_eq!(proofs.note(two, "a", at(9)), Noted::New);
        assert_eq!(proofs.note(one, "b", at(9)), Noted::Full);
        assert_eq!(proofs.note(two, "a", at(9)), Noted::Seen);
        assert_eq!(proofs.next_deadline(), Some(at(5)));
        proofs.handle_timeout(at(5));
        assert_eq!(proofs.note(one, "a", at(9)), Noted::New);
        proofs.handle_timeout(at(9));
        assert_eq!(proofs.next_deadline(), None);
        assert!(proofs.seen.is_empty());
    }
}
