//! What a change does to the ledger: total, whatever the order of the changes.

use std::collections::BTreeSet;

use super::{Attempt, Change, Ledger, Subscription};

impl Ledger {
    /// Carries out what happened. A change about a subscription that is not there does nothing.
    pub(crate) fn apply(&mut self, change: &Change) {
        self.version = self.version.saturating_add(1);
        self.unindex(change.id());
        match change {
            Change::Wanted {
                id,
                target,
                event_types,
                format,
            } => {
                let subscription = Subscription {
                    target: target.clone(),
                    event_types: event_types.clone(),
                    format: *format,
                    attempt: None,
                    released: false,
                };
                self.subscriptions.insert(*id, subscription);
            }
            Change::Attempted {
                id,
                correlation,
                secret,
                event_types,
            } => {
                if let Some(subscription) = self.subscriptions.get_mut(id) {
                    let attempt = Attempt {
                        correlation: correlation.clone(),
                        secret: secret.clone(),
                        event_types: event_types.clone(),
                        subscription: None,
                        last: None,
                        told: BTreeSet::new(),
                    };
                    subscription.attempt = Some(attempt);
                }
            }
            Change::Bound { id, subscription } => {
                if let Some(attempt) = self
                    .subscriptions
                    .get_mut(id)
                    .and_then(|wanted| wanted.attempt.as_mut())
                {
                    attempt.subscription = Some(*subscription);
                }
            }
            Change::Notified {
                id,
                sequence,
                first,
            } => {
                if let Some(attempt) = self
                    .subscriptions
                    .get_mut(id)
                    .and_then(|wanted| wanted.attempt.as_mut())
                {
                    attempt.last = Some(*sequence);
                    attempt.told.extend(first.clone());
                }
            }
            Change::Cancelled { id } => {
                if let Some(subscription) = self.subscriptions.get_mut(id) {
                    subscription.attempt = None;
                }
            }
            Change::Released { id } => {
                if let Some(subscription) = self.subscriptions.get_mut(id) {
                    subscription.released = true;
                }
            }
            Change::Closed { id } => {
                self.subscriptions.remove(id);
            }
        }
        self.index(change.id());
    }
}
