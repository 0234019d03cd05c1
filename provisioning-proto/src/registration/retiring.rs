//! The end of former assignments: their targets are told that the device has gone, one after another, until they have heard it.

use std::time::{Duration, Instant, SystemTime};

use crate::allocation::Target;
use crate::roster;
use crate::time::{millis, unix_millis};

use super::timers::Timer;
use super::{Exchange, ExchangeId, Key, Output, Registrations};

/// How long a retirement waits until no assignment of the device is under way.
const WAIT: Duration = Duration::from_secs(1);

impl Registrations {
    /// Sees to it that the former targets of a device are told in time.
    pub(super) fn plan_retirement(&mut self, key: &Key, wall: SystemTime, now: Instant) {
        let registration = self.directory.registration(&key.0, &key.1);
        let Some(registration) = registration.filter(|known| !known.previous.is_empty()) else {
            self.timers.cancel(&Timer::Retirement(key.clone()));
            return;
        };
        if self.retiring.contains_key(key) {
            return;
        }
        let (at, grace) = (unix_millis(wall), millis(self.config.grace));
        if registration.to_retire(at.saturating_sub(grace)).is_some() {
            self.retire(key, wall, now);
        } else {
            self.plan_later(key, wall, now);
        }
    }

    /// Former targets wait for the end of the grace.
    fn plan_later(&mut self, key: &Key, wall: SystemTime, now: Instant) {
        let registration = self.directory.registration(&key.0, &key.1);
        if let Some(registration) = registration.filter(|known| !known.previous.is_empty()) {
            let due = millis(self.config.grace).saturating_add(registration.committed_at);
            let after = Duration::from_millis(due.saturating_sub(unix_millis(wall)).max(1));
            self.timers.set(Timer::Retirement(key.clone()), now, after);
        }
    }

    pub(super) fn is_retiring(&self, key: &Key, target: &Target) -> bool {
        self.retiring
            .get(key)
            .is_some_and(|(_, retiring)| retiring == target)
    }

    /// Tells the next former target of a device, unless the device is just being given one: it might be the same. A proposal
    /// outlives its operation: a commit of which nobody knows what became of it may yet be found to be stored.
    pub(super) fn retire(&mut self, key: &Key, wall: SystemTime, now: Instant) {
        if self.retiring.contains_key(key) {
            return;
        }
        let registration = self.directory.registration(&key.0, &key.1);
        let proposed = registration.is_some_and(|known| known.pending.is_some());
        if proposed || self.open.contains_key(key) {
            self.timers.set(Timer::Retirement(key.clone()), now, WAIT);
            return;
        }
        let superseded_before = unix_millis(wall).saturating_sub(millis(self.config.grace));
        let Some(former) = registration
            .and_then(|known| known.to_retire(superseded_before))
            .cloned()
        else {
            // Not yet.
            return self.plan_later(key, wall, now);
        };
        let point = &former.target.access_point;
        let point = self.directory.access_point(&key.0, point).cloned();
        let exchange = ExchangeId(self.numbers.next());
        let target = former.target.clone();
        self.retiring
            .insert(key.clone(), (exchange, target.clone()));
        self.exchanges
            .insert(exchange, Exchange::Retirement(key.clone(), target));
        let patience = self.config.retire_retry;
        self.timers
            .set(Timer::RetirementEnds(exchange), now, patience);
        self.outputs.push_back(Output::RetireDevice {
            exchange,
            tenant: key.0.clone(),
            id: key.1.clone(),
            assignment: Box::new(former),
            access_point: point.map(Box::new),
        });
    }

    /// A former target has heard it, or has not.
    pub(super) fn retired(
        &mut self,
        key: &Key,
        target: Target,
        done: bool,
        wall: SystemTime,
        now: Instant,
    ) {
        if let Some((exchange, _)) = self.retiring.get(key) {
            self.timers.cancel(&Timer::RetirementEnds(*exchange));
        }
        if done {
            self.note(key, roster::Command::RetireTarget { target }, wall, now);
        } else {
            self.retiring.remove(key);
            let after = self.config.retire_retry;
            self.timers.set(Timer::Retirement(key.clone()), now, after);
        }
    }
}
