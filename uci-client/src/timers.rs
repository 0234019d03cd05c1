//! When something is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// At most one point in time for each key.
#[derive(Debug)]
pub(crate) struct Timers<K> {
    by_key: BTreeMap<K, Instant>,
    by_time: BTreeSet<(Instant, K)>,
}

impl<K: Copy + Ord> Timers<K> {
    pub(crate) const fn new() -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_time: BTreeSet::new(),
        }
    }

    /// Sets the timer of `key` to `delay` from `now`, a millisecond at least, so that nothing set at a time is due at that
    /// time; a point beyond the end of time is never reached.
    pub(crate) fn set(&mut self, key: K, now: Instant, delay: Duration) {
        self.cancel(key);
        if let Some(at) = now.checked_add(delay.max(Duration::from_millis(1))) {
            self.by_key.insert(key, at);
            self.by_time.insert((at, key));
        }
    }

    pub(crate) fn cancel(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    pub(crate) fn is_set(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// Takes the earliest key whose time has come.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.cancel(key);
        Some(key)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
