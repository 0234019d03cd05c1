//! Who may be sent to now: a bound on all attempts together and one on those to a host, shared out in turns.
//!
//! Hosts take turns, and the subscriptions of a host are served in the order in which they became ready. A host gets all
//! its share only when it has answered, whatever the answer: one of which nothing is known yet gets a few attempts at a
//! time, and one that could not be reached gets one. Hosts that are down hold hardly any of what all share, not even after a
//! restart, when nothing is known of anybody. A host for which nothing waits and nothing is under way is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use uci_model::SubscriptionId;

use crate::config::DeliveryRules;

/// A host with its port, as the `eventsUrl` has it.
pub(super) type HostName = Arc<str>;

/// Most attempts at once to a host of which nothing is known.
const MOST_AT_FIRST: usize = 4;

#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    most_per_host: usize,
    in_flight: usize,
    hosts: BTreeMap<HostName, Host>,
    /// The hosts for which somebody waits and that have room.
    turns: BTreeMap<u64, HostName>,
    next_ticket: u64,
}

#[derive(Debug, Default)]
struct Host {
    /// How many subscriptions there are that know it.
    members: usize,
    in_flight: usize,
    /// Whether the last attempt was answered; `None` before the first has ended.
    answers: Option<bool>,
    waiting: BTreeMap<u64, SubscriptionId>,
    turn: Option<u64>,
}

impl Slots {
    pub(super) fn new(rules: &DeliveryRules) -> Self {
        Self {
            most: rules.max_concurrent.max(1),
            most_per_host: rules.max_concurrent_per_host.max(1),
            in_flight: 0,
            hosts: BTreeMap::new(),
            turns: BTreeMap::new(),
            next_ticket: 0,
        }
    }

    /// Adds a subscription to the host of its URL.
    pub(super) fn enter(&mut self, events_url: &str) -> HostName {
        let host = host_of(events_url);
        let name = self
            .hosts
            .get_key_value(host)
            .map_or_else(|| host.into(), |(name, _)| Arc::clone(name));
        let host = self.hosts.entry(Arc::clone(&name)).or_default();
        host.members = host.members.saturating_add(1);
        name
    }

    /// Takes a subscription away that does not wait.
    pub(super) fn leave(&mut self, name: &HostName) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.members = host.members.saturating_sub(1);
        }
        self.forget_if_idle(name);
    }

    /// Forgets a host that no subscription knows, when nothing is under way to it any more.
    fn forget_if_idle(&mut self, name: &HostName) {
        let host = self.hosts.get(name);
        if host.is_some_and(|host| host.members == 0 && host.in_flight == 0) {
            self.hosts.remove(name);
        }
    }

    /// Puts a subscription at the end of its host's queue and returns its ticket.
    pub(super) fn queue(&mut self, name: &HostName, subscription: SubscriptionId) -> u64 {
        let ticket = self.ticket();
        if let Some(host) = self.hosts.get_mut(name) {
            host.waiting.insert(ticket, subscription);
        }
        self.arrange(name);
        ticket
    }

    /// Takes a subscription out of its host's queue.
    pub(super) fn withdraw(&mut self, name: &HostName, ticket: u64) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.waiting.remove(&ticket);
        }
        self.arrange(name);
    }

    /// Takes the next subscription that there is room for out of its queue.
    pub(super) fn next(&mut self) -> Option<SubscriptionId> {
        if self.in_flight >= self.most {
            return None;
        }
        let (_, name) = self.turns.pop_first()?;
        let host = self.hosts.get_mut(&name)?;
        host.turn = None;
        let subscription = host
            .waiting
            .pop_first()
            .map(|(_, subscription)| subscription);
        self.arrange(&name);
        subscription
    }

    /// Begins an attempt.
    pub(super) fn take(&mut self, name: &HostName) {
        self.in_flight = self.in_flight.saturating_add(1);
        if let Some(host) = self.hosts.get_mut(name) {
            host.in_flight = host.in_flight.saturating_add(1);
        }
        self.arrange(name);
    }

    /// Ends an attempt.
    pub(super) fn free(&mut self, name: &HostName) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(host) = self.hosts.get_mut(name) {
            host.in_flight = host.in_flight.saturating_sub(1);
        }
        self.arrange(name);
        self.forget_if_idle(name);
    }

    /// Notes whether an attempt was answered.
    pub(super) fn note(&mut self, name: &HostName, answered: bool) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.answers = Some(answered);
        }
        self.arrange(name);
    }

    /// Gives a host a turn, behind all others, or takes it away.
    fn arrange(&mut self, name: &HostName) {
        let Some(host) = self.hosts.get_mut(name) else {
            return;
        };
        let most = match host.answers {
            Some(true) => self.most_per_host,
            Some(false) => 1,
            None => self.most_per_host.min(MOST_AT_FIRST),
        };
        let wants = !host.waiting.is_empty() && host.in_flight < most;
        match host.turn {
            None if wants => {
                let turn = self.next_ticket;
                self.next_ticket = turn.wrapping_add(1);
                host.turn = Some(turn);
                self.turns.insert(turn, Arc::clone(name));
            }
            Some(turn) if !wants => {
                host.turn = None;
                self.turns.remove(&turn);
            }
            _ => {}
        }
    }

    fn ticket(&mut self) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.wrapping_add(1);
        ticket
    }
}

/// Host and port of a URL as it is written: the policy on `eventsUrl` has made it one without credentials, in lower case.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

#[cfg(test)]
mod tests;
