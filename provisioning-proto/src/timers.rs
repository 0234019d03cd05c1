use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Deadlines, each of one thing.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    order: BTreeSet<(Instant, T)>,
    of: BTreeMap<T, Instant>,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self {
            order: BTreeSet::new(),
            of: BTreeMap::new(),
        }
    }
}

impl<T: Clone + Ord> Timers<T> {
    /// Sets or moves a deadline. One that lies beyond all time is none.
    pub(crate) fn set(&mut self, timer: T, now: Instant, after: Duration) {
        self.cancel(&timer);
        if let Some(at) = now.checked_add(after) {
            self.of.insert(timer.clone(), at);
            self.order.insert((at, timer));
        }
    }

    pub(crate) fn cancel(&mut self, timer: &T) {
        if let Some((timer, at)) = self.of.remove_entry(timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Disarmed before it is handled.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let (at, _) = self.order.first()?;
        if *at > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.of.remove(&timer);
        Some(timer)
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }
}
