//! The attempts that may still send something: until they are answered, stopped, or took too long.
//!
//! An attempt outlives its line when that is forgotten. It is then stopped, and what waits for it waits until it is over: the
//! end of its consent, and the next line of its subscription, which never has two attempts at once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use uci_model::SubscriptionId;

use super::slots::HostName;
use crate::ids::{AccountId, DeliveryId, GrantEndId, GrantId};

/// All attempts of one machine.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    open: BTreeMap<DeliveryId, Attempt>,
    of_subscriptions: BTreeMap<SubscriptionId, DeliveryId>,
    limits: BTreeSet<(Instant, DeliveryId)>,
    /// Those that are to be stopped and whose driver has not been told so.
    to_abort: VecDeque<DeliveryId>,
    next_id: u64,
}

/// One attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) subscription: SubscriptionId,
    pub(super) sequence: u64,
    pub(super) host: HostName,
    /// The consent under which it tells something; `None` for a cancellation, which tells nothing.
    pub(super) consent: Option<Consent>,
    until: Instant,
    /// That it fails says nothing: it was stopped.
    pub(super) aborted: bool,
    /// The ends of consents that wait for it to be over.
    pub(super) awaited_by: Vec<GrantEndId>,
}

/// A user's consent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Consent {
    pub(crate) account: AccountId,
    pub(crate) grant: GrantId,
}

impl Attempt {
    pub(super) fn new(
        subscription: SubscriptionId,
        sequence: u64,
        host: HostName,
        consent: Option<Consent>,
        until: Instant,
    ) -> Self {
        Self {
            subscription,
            sequence,
            host,
            consent,
            until,
            aborted: false,
            awaited_by: Vec::new(),
        }
    }
}

impl Attempts {
    pub(super) fn begin(&mut self, attempt: Attempt) -> DeliveryId {
        let id = DeliveryId::new(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.limits.insert((attempt.until, id));
        self.of_subscriptions.insert(attempt.subscription, id);
        self.open.insert(id, attempt);
        id
    }

    /// Takes an attempt out that is over; `None` when it was before.
    pub(super) fn end(&mut self, id: DeliveryId) -> Option<Attempt> {
        let attempt = self.open.remove(&id)?;
        self.limits.remove(&(attempt.until, id));
        self.of_subscriptions.remove(&attempt.subscription);
        Some(attempt)
    }

    /// The attempt of a subscription that is not over yet.
    pub(super) fn of(&self, subscription: SubscriptionId) -> Option<DeliveryId> {
        self.of_subscriptions.get(&subscription).copied()
    }

    /// Has an attempt stopped.
    pub(super) fn abort(&mut self, id: DeliveryId) {
        if let Some(attempt) = self.open.get_mut(&id)
            && !attempt.aborted
        {
            attempt.aborted = true;
            self.to_abort.push_back(id);
        }
    }

    /// Has all attempts stopped that tell something under a consent, and notes that its end waits for them; how many.
    pub(super) fn await_all_of(&mut self, consent: &Consent, end: GrantEndId) -> usize {
        let mut waits_for = 0_usize;
        for (id, attempt) in &mut self.open {
            if attempt.consent.as_ref() != Some(consent) {
                continue;
            }
            attempt.awaited_by.push(end);
            waits_for = waits_for.saturating_add(1);
            if !attempt.aborted {
                attempt.aborted = true;
                self.to_abort.push_back(*id);
            }
        }
        waits_for
    }

    /// The attempts whose time is up by `now`; whatever is left of them is stopped.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<DeliveryId> {
        let due = self.limits.iter().take_while(|(at, _)| *at <= now);
        let due: Vec<DeliveryId> = due.map(|(_, id)| *id).collect();
        let told = |id: &&DeliveryId| self.open.get(id).is_some_and(|attempt| attempt.aborted);
        let untold = due.iter().filter(|id| !told(id));
        self.to_abort.extend(untold);
        due
    }

    /// The next attempt whose driver is to be told to stop it.
    pub(super) fn poll_abort(&mut self) -> Option<DeliveryId> {
        self.to_abort.pop_front()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.limits.first().map(|(at, _)| *at)
    }
}
