//! Subscriptions: ended, by the caller or for the peer's sake.

use std::time::Instant;

use uci_model::SubscriptionId;

use super::exchanging::Answer;
use super::{Client, Timer};
use crate::calls::Order;
use crate::error::{Error, ErrorKind};
use crate::exchange::Purpose;
use crate::ledger::{Command, SubscribeId};
use crate::output::{EndReason, Event, Failure, FailureKind, Output};
use crate::subscriptions::Stage;

impl Client {
    /// Ends a subscription: tells the peer, waits for its last notification and then emits [`Event::Ended`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownSubscription`], [`ErrorKind::Loading`] or [`ErrorKind::Stopped`].
    pub fn unsubscribe(&mut self, id: SubscribeId, now: Instant) -> Result<(), Error> {
        let now = self.advance(now);
        self.store.ready()?;
        if !self.activities.contains_key(&id) {
            return Err(ErrorKind::UnknownSubscription.into());
        }
        self.submit(Command::Release { id }, None);
        self.settle(now);
        Ok(())
    }

    /// Ends all subscriptions, as when the account is unlinked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Loading`] or [`ErrorKind::Stopped`].
    pub fn unsubscribe_all(&mut self, now: Instant) -> Result<(), Error> {
        let now = self.advance(now);
        self.store.ready()?;
        let ids: Vec<SubscribeId> = self.activities.keys().copied().collect();
        for id in ids {
            self.submit(Command::Release { id }, None);
        }
        self.settle(now);
        Ok(())
    }

    /// Tells the peer that a subscription it may have is not wanted, once; a 410 tells it later if this fails.
    pub(super) fn abandon(&mut self, id: SubscribeId, subscription: SubscriptionId) {
        if let Some(wanted) = self.store.ledger.get(id) {
            let order = Order::Unsubscribe {
                target: wanted.target.clone(),
                subscription,
            };
            self.exchanges.add(Purpose::Abandon, order);
        }
    }

    /// Begins to end a subscription, unless that has begun.
    pub(super) fn released(&mut self, id: SubscribeId) {
        let stage = self.activities.get(&id).map(|activity| activity.stage);
        if !matches!(stage, Some(Stage::Releasing | Stage::Lingering)) {
            self.release(id);
        }
    }

    /// Sends the unsubscribe request, when there is something to unsubscribe.
    pub(super) fn release(&mut self, id: SubscribeId) {
        let bound = self.bound(id);
        let (Some(wanted), Some(activity)) =
            (self.store.ledger.get(id), self.activities.get_mut(&id))
        else {
            return;
        };
        match bound {
            Some(subscription) => {
                if activity.stage != Stage::Releasing {
                    activity.failures = 0;
                }
                activity.stage = Stage::Releasing;
                self.timers.cancel(Timer::Subscription(id));
                let order = Order::Unsubscribe {
                    target: wanted.target.clone(),
                    subscription,
                };
                self.exchanges.add(Purpose::Unsubscribe { id }, order);
            }
            // Its answer will tell what there is to unsubscribe.
            None if activity.stage == Stage::Requesting => {}
            None => self.close(id, EndReason::Unsubscribed),
        }
    }

    /// Takes the end of an unsubscribe request.
    pub(super) fn unsubscribe_ended(&mut self, id: SubscribeId, answer: Answer<'_>, now: Instant) {
        let Some(activity) = self.activities.get_mut(&id) else {
            return;
        };
        match answer {
            // 202 is what the definition has; peers in the field answer 200 and 204 too.
            Ok(_) => {
                activity.stage = Stage::Lingering;
                self.timers
                    .set(Timer::Subscription(id), now, self.config.cancel_grace);
            }
            Err(Failure {
                kind: FailureKind::Status(404 | 410),
                ..
            }) => self.close(id, EndReason::Unsubscribed),
            Err(failure) => {
                activity.failures = activity.failures.saturating_add(1);
                if activity.failures >= self.config.unsubscribe_attempts {
                    return self.close(id, EndReason::Abandoned);
                }
                let delay = self.config.backoff.delay(
                    activity.failures,
                    failure.retry_after,
                    &mut self.random,
                );
                self.timers.set(Timer::Subscription(id), now, delay);
            }
        }
    }

    /// Forgets a subscription; the caller is told once that is durable.
    pub(super) fn close(&mut self, id: SubscribeId, reason: EndReason) {
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.closing = reason;
            self.timers.cancel(Timer::Subscription(id));
            self.submit(Command::Close { id }, None);
        }
    }

    /// Drops what is remembered of a subscription and tells the caller.
    pub(super) fn end(&mut self, id: SubscribeId, reason: EndReason) {
        self.timers.cancel(Timer::Subscription(id));
        if self.activities.remove(&id).is_some() {
            self.outputs
                .push_back(Output::Event(Event::Ended { id, reason }));
        }
    }
}
