//! Subscriptions that the journal has: taken up after a restart, and after somebody else wrote to the stream.

use std::time::Instant;

use uci_model::event::SigningKey;

use super::Client;
use super::committing::Entry;
use crate::ledger::{Command, SubscribeId};
use crate::output::{EndReason, Event, Output, RetryReason};
use crate::subscriptions::{Activity, Stage};
use crate::sync::Scope;

impl Client {
    /// Takes up the subscriptions of a ledger that was just loaded; `again` are commands that will be decided again.
    pub(super) fn resume(&mut self, again: &[Entry], now: Instant) {
        let gone = |id: &&SubscribeId| {
            let wanted_again = |entry: &Entry| matches!(entry.command, Command::Want { id: wanted, .. } if wanted == **id);
            self.store.ledger.get(**id).is_none() && !again.iter().any(wanted_again)
        };
        let gone: Vec<SubscribeId> = self.activities.keys().filter(gone).copied().collect();
        for id in gone {
            self.end(id, EndReason::Stopped);
        }
        let subscriptions: Vec<SubscribeId> =
            self.store.ledger.subscriptions().keys().copied().collect();
        for id in &subscriptions {
            if !self.is_in_step(*id, again) {
                self.resume_one(*id, now);
            }
        }
        self.outputs
            .push_back(Output::Event(Event::Loaded { subscriptions }));
    }

    /// Whether what is remembered of a subscription is about the try that the ledger has, or about one that will follow.
    fn is_in_step(&self, id: SubscribeId, again: &[Entry]) -> bool {
        let Some(activity) = self.activities.get(&id) else {
            return false;
        };
        let attempt = self
            .store
            .ledger
            .get(id)
            .and_then(|wanted| wanted.attempt.as_ref());
        let tried_again = |entry: &Entry| matches!(entry.command, Command::Attempt { id: tried, .. } if tried == id);
        attempt.is_none_or(|attempt| activity.key_of(&attempt.correlation).is_some())
            || again.iter().any(tried_again)
    }

    fn resume_one(&mut self, id: SubscribeId, now: Instant) {
        let Some(subscription) = self.store.ledger.get(id) else {
            return;
        };
        let released = subscription.released;
        let mut activity = Activity::new(Stage::Waiting);
        let attempt = subscription.attempt.as_ref();
        let bound = attempt.and_then(|attempt| attempt.subscription);
        let confirmed = attempt.is_some_and(|attempt| attempt.last.is_some());
        if let Some(attempt) = attempt {
            let secret = self.open_secret(id, &attempt.secret.0);
            activity.key =
                secret.map(|secret| (attempt.correlation.clone(), SigningKey::new(&secret)));
            if bound.is_some() {
                let mut refused = self.supported(&subscription.event_types);
                refused.retain(|one| !subscription.asked().contains(one));
                activity.support.refuse_all(&refused);
            }
        }
        let usable = activity.key.is_some();
        self.activities.insert(id, activity);
        match bound {
            _ if released => self.release(id),
            None if self.next_to_ask(id).is_empty() => self.fall_back(id, now),
            Some(_) if usable && confirmed => self.live(id, now),
            Some(_) if usable => self.accepted(id, None, now),
            bound => {
                // The answer was lost with the last run, or the secret is: begin anew at once.
                if let Some(subscription) = bound {
                    self.abandon(id, subscription);
                }
                self.retry(id, RetryReason::Interrupted, now);
            }
        }
        self.sync.mark(Scope::All);
    }
}
