//! Event types that the peer does not support: found out by its answers and by its silence, and polled until it tells of them.

use std::collections::BTreeSet;
use std::time::Instant;

use uci_model::{DeviceId, EventType};

use super::{Client, Timer};
use crate::ledger::{SubscribeId, Target};
use crate::output::{EndReason, Event, Output};
use crate::subscriptions::{Activity, Stage};
use crate::sync::{Parts, Scope};

impl Client {
    pub(super) const fn can_poll(&self) -> bool {
        self.config.poll_interval.is_some()
    }

    /// Those of `event_types` that the peer is not known not to support.
    pub(super) fn supported(&self, event_types: &[EventType]) -> Vec<EventType> {
        let supported = |one: &&EventType| {
            let known = self.config.supported_events.as_ref();
            known.is_none_or(|supported| supported.contains(*one))
        };
        event_types.iter().filter(supported).cloned().collect()
    }

    /// The event types that the next try at a subscription is to ask for; none when the peer supports none.
    pub(super) fn next_to_ask(&self, id: SubscribeId) -> Vec<EventType> {
        let (Some(wanted), Some(activity)) = (self.store.ledger.get(id), self.activities.get(&id))
        else {
            return Vec::new();
        };
        activity.support.ask(&self.supported(&wanted.event_types))
    }

    /// Goes on once it is durable that a subscription is wanted, when there is nothing to ask the peer for.
    pub(super) fn wanted(&mut self, id: SubscribeId, now: Instant) {
        let stage = self.activities.get(&id).map(|activity| activity.stage);
        if stage == Some(Stage::Polled) {
            self.fall_back(id, now);
        }
    }

    /// Takes that the peer refused the current try in a way that says that it does not support its event types.
    pub(super) fn unsupported(&mut self, id: SubscribeId, status: u16, now: Instant) {
        let (Some(wanted), Some(activity)) =
            (self.store.ledger.get(id), self.activities.get_mut(&id))
        else {
            return;
        };
        if status == 400 {
            activity.support.refuse(wanted.asked());
        } else {
            // Without the endpoint there is no event type either.
            activity.support.refuse_all(&wanted.event_types);
        }
        activity.target_in_doubt = status == 404;
        self.attempt(id, now);
    }

    /// Takes that the peer has accepted a try for `asked`; whether that only was to find out what it supports.
    pub(super) fn is_probe(&mut self, id: SubscribeId, asked: &[EventType]) -> bool {
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.support.accept(asked);
            activity.target_in_doubt = false;
        }
        // A peer whose answer is late may have accepted what is not asked for any more.
        let next = self.next_to_ask(id);
        !next.is_empty() && next != asked
    }

    /// Polls a subscription of which the peer supports nothing, and asks again later.
    pub(super) fn fall_back(&mut self, id: SubscribeId, now: Instant) {
        let (Some(wanted), Some(activity)) =
            (self.store.ledger.get(id), self.activities.get_mut(&id))
        else {
            return;
        };
        if wanted.released {
            return;
        }
        if self.config.poll_interval.is_none() {
            return self.close(id, EndReason::Unsupported);
        }
        activity.stage = Stage::Polled;
        activity.failures = 0;
        self.timers.cancel(Timer::Subscription(id));
        if activity.support.is_partial() {
            self.timers
                .set(Timer::Subscription(id), now, self.config.support_retry);
        }
        let event_types = wanted.event_types.clone();
        self.look(id);
        self.set_polled(id, event_types, now);
    }

    /// Fetches all that there is to know about what a subscription is about: before it is polled for what changes.
    pub(super) fn look(&mut self, id: SubscribeId) {
        if let Some(wanted) = self.store.ledger.get(id) {
            self.sync.mark(match &wanted.target {
                Target::Devices => Scope::All,
                Target::Device { device } | Target::Resource { device, .. } => {
                    Scope::Device(*device)
                }
            });
        }
    }

    /// Polls a subscription that the peer has accepted and told nothing of.
    pub(super) fn poll_unconfirmed(&mut self, id: SubscribeId, now: Instant) {
        let (Some(wanted), Some(activity)) =
            (self.store.ledger.get(id), self.activities.get_mut(&id))
        else {
            return;
        };
        // Peers in the field accept a subscription of anything, whether it is there or not.
        activity.target_in_doubt = true;
        let event_types = wanted.event_types.clone();
        self.look(id);
        if self.can_poll() {
            self.set_polled(id, event_types, now);
        }
    }

    /// Polls those event types of a subscription in force of which the peer has told nothing: while their first
    /// notifications are awaited, only those that it was not asked for and those that were polled before.
    pub(super) fn poll_the_rest(&mut self, id: SubscribeId, now: Instant) {
        let (Some(wanted), Some(activity)) = (self.store.ledger.get(id), self.activities.get(&id))
        else {
            return;
        };
        let mut rest = wanted.event_types.clone();
        rest.retain(|one| {
            let awaited = activity.stage == Stage::Settling && wanted.asked().contains(one);
            let polled = !awaited || activity.polled.contains(one);
            self.can_poll() && polled && !wanted.is_told(one)
        });
        self.set_polled(id, rest, now);
    }

    /// Whether the peer may come to support more of a subscription in force than it does.
    pub(super) fn lacks_events(&self, id: SubscribeId) -> bool {
        let (Some(wanted), Some(activity)) = (self.store.ledger.get(id), self.activities.get(&id))
        else {
            return false;
        };
        activity.support.is_partial() || (self.can_poll() && !wanted.is_told_all())
    }

    fn set_polled(&mut self, id: SubscribeId, event_types: Vec<EventType>, now: Instant) {
        let Some(activity) = self.activities.get_mut(&id) else {
            return;
        };
        if activity.polled == event_types {
            return;
        }
        activity.polled.clone_from(&event_types);
        self.outputs
            .push_back(Output::Event(Event::Polling { id, event_types }));
        if let Some(interval) = self.config.poll_interval
            && !self.timers.is_set(Timer::Poll)
        {
            self.timers.set(Timer::Poll, now, interval);
        }
    }

    /// Asks for everything again, in the hope that the peer supports it by now.
    pub(super) fn ask_again(&mut self, id: SubscribeId, now: Instant) {
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.support.forget_refusals();
        }
        self.attempt(id, now);
    }

    /// Fetches what is polled, and again after the interval while anything is.
    pub(super) fn poll(&mut self, now: Instant) {
        let Some(interval) = self.config.poll_interval else {
            return;
        };
        let (mut all, mut links, mut contents) = (false, BTreeSet::new(), BTreeSet::new());
        for target in self.polled_targets() {
            match target {
                Target::Devices => all = true,
                Target::Device { device } => {
                    links.insert(*device);
                }
                Target::Resource { device, .. } => {
                    contents.insert(*device);
                }
            }
        }
        if !all && links.is_empty() && contents.is_empty() {
            return;
        }
        let devices: BTreeSet<DeviceId> = links.union(&contents).copied().collect();
        let mut parts = Parts {
            links: all || !links.is_empty(),
            contents: !contents.is_empty(),
        };
        let mut devices = devices.into_iter();
        let scope = match (devices.next(), devices.next()) {
            (Some(only), None) if !all => Scope::Device(only),
            _ => {
                // Which devices are gone, only their list tells.
                parts.links = true;
                Scope::All
            }
        };
        self.sync.mark_parts(scope, parts);
        self.timers.set(Timer::Poll, now, interval);
    }

    fn polled_targets(&self) -> impl Iterator<Item = &Target> {
        let polled = |(_, activity): &(&SubscribeId, &Activity)| !activity.polled.is_empty();
        self.activities
            .iter()
            .filter(polled)
            .filter_map(|(id, _)| Some(&self.store.ledger.get(*id)?.target))
    }

    /// Ends the subscriptions of which the peer tells nothing and whose device or resource `scope`, just fetched, does not
    /// have.
    ///
    /// A peer with events cancels the subscriptions of what is gone and answers 404 to the next try.
    pub(super) fn end_polled_without_target(&mut self, scope: &Scope) {
        let gone = |(id, activity): &(&SubscribeId, &Activity)| {
            // While the peer makes it or has just accepted it, what was fetched may be older than what it is about.
            matches!(activity.stage, Stage::Polled | Stage::Waiting)
                && self.store.ledger.get(**id).is_some_and(|wanted| {
                    activity.polled == wanted.event_types
                        && self.is_missing(&wanted.target, scope, activity.target_in_doubt)
                })
        };
        let gone: Vec<SubscribeId> = self
            .activities
            .iter()
            .filter(gone)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.close(id, EndReason::Refused(404));
        }
    }

    fn is_missing(&self, target: &Target, scope: &Scope, resource_in_doubt: bool) -> bool {
        let (device, href) = match target {
            Target::Devices => return false,
            Target::Device { device } => (*device, None),
            Target::Resource { device, href } => (*device, Some(href)),
        };
        if !matches!(scope, Scope::All) && *scope != Scope::Device(device) {
            return false;
        }
        let Some(device) = self.mirror.device(device) else {
            return true;
        };
        resource_in_doubt
            && href.is_some_and(|href| device.links().all(|(linked, _)| linked != href))
    }
}
