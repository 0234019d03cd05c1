//! Counts logins by name, so that passwords cannot be tried without end.
//!
//! An attempt counts from its start, because many can be under way at once; one that succeeds
//! clears the count.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::sha256;

/// Attempts by the hash of the name, known or unknown alike; bounded.
#[derive(Debug)]
pub(crate) struct Throttle {
    attempts: BTreeMap<[u8; 32], (u32, Instant)>,
    deadlines: BTreeSet<(Instant, [u8; 32])>,
    max_attempts: u32,
    window: Duration,
    limit: usize,
}

impl Throttle {
    pub(crate) fn new(max_attempts: u32, window: Duration, limit: usize) -> Self {
        Self {
            attempts: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            max_attempts,
            window,
            limit,
        }
    }

    /// Counts an attempt for `name`; whether it may go on. The window starts with the first one.
    pub(crate) fn admits(&mut self, name: &str, now: Instant) -> bool {
        let key = sha256(name.as_bytes());
        if let Some((count, _)) = self.attempts.get_mut(&key) {
            let admitted = *count < self.max_attempts;
            *count = count.saturating_add(1);
            return admitted;
        }
        let Some(until) = now.checked_add(self.window) else {
            return true;
        };
        if self.attempts.len() >= self.limit
            && let Some((_, oldest)) = self.deadlines.pop_first()
        {
            self.attempts.remove(&oldest);
        }
        self.attempts.insert(key, (1, until));
        self.deadlines.insert((until, key));
        true
    }

    /// Forgets the attempts of a name that logged in.
    pub(crate) fn clear(&mut self, name: &str) {
        let key = sha256(name.as_bytes());
        if let Some((_, until)) = self.attempts.remove(&key) {
            self.deadlines.remove(&(until, key));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.attempts.remove(&key);
            }
        }
    }
}
