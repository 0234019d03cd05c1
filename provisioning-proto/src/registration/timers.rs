use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{CommandId, ExchangeId, Key, OperationId, StreamId};

/// What a deadline is of.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Timer {
    Operation(OperationId),
    Held(OperationId),
    /// A former target is to be told.
    Retirement(Key),
    /// A former target did not answer.
    RetirementEnds(ExchangeId),
    /// An append is to be repeated.
    Append(StreamId),
    Command(CommandId),
}

/// Deadlines, each of one thing.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, Timer)>,
    of: BTreeMap<Timer, Instant>,
}

impl Timers {
    /// Sets or moves a deadline. One that lies beyond all time is none.
    pub(super) fn set(&mut self, timer: Timer, now: Instant, after: Duration) {
        self.cancel(&timer);
        if let Some(at) = now.checked_add(after) {
            self.of.insert(timer.clone(), at);
            self.order.insert((at, timer));
        }
    }

    pub(super) fn cancel(&mut self, timer: &Timer) {
        if let Some((timer, at)) = self.of.remove_entry(timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Disarmed before it is handled.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        let (at, _) = self.order.first()?;
        if *at > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.of.remove(&timer);
        Some(timer)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }
}
