//! Counts failed logins by name, so that passwords cannot be tried without end.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::secret::sha256;

/// Failed logins by the hash of the name, known or unknown alike; bounded.
#[derive(Debug)]
pub(crate) struct Throttle {
    failures: BTreeMap<[u8; 32], (u32, Instant)>,
    deadlines: BTreeSet<(Instant, [u8; 32])>,
    max_failures: u32,
    window: Duration,
    limit: usize,
}

impl Throttle {
    pub(crate) fn new(max_failures: u32, window: Duration, limit: usize) -> Self {
        Self {
            failures: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            max_failures,
            window,
            limit,
        }
    }

    /// Whether further attempts for `name` are refused for now.
    pub(crate) fn is_closed(&self, name: &str) -> bool {
        self.failures
            .get(&sha256(name.as_bytes()))
            .is_some_and(|(count, _)| *count >= self.max_failures)
    }

    /// Counts a failure; the window starts with the first one.
    pub(crate) fn note_failure(&mut self, name: &str, now: Instant) {
        let key = sha256(name.as_bytes());
        if let Some((count, _)) = self.failures.get_mut(&key) {
            *count = count.saturating_add(1);
            return;
        }
        let Some(until) = now.checked_add(self.window) else {
            return;
        };
        if self.failures.len() >= self.limit
            && let Some((_, oldest)) = self.deadlines.pop_first()
        {
            self.failures.remove(&oldest);
        }
        self.failures.insert(key, (1, until));
        self.deadlines.insert((until, key));
    }

    /// Forgets the failures of a name that logged in.
    pub(crate) fn clear(&mut self, name: &str) {
        let key = sha256(name.as_bytes());
        if let Some((_, until)) = self.failures.remove(&key) {
            self.deadlines.remove(&(until, key));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while self.next_deadline().is_some_and(|at| at <= now) {
            if let Some((_, key)) = self.deadlines.pop_first() {
                self.failures.remove(&key);
            }
        }
    }
}
