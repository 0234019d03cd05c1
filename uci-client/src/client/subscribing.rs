//! Subscriptions: made, confirmed and kept alive.

use std::time::Instant;

use uci_model::event::SigningKey;
use uci_model::{CorrelationId, EventType, EventTypes, SigningSecret, SubscriptionId};

use super::committing::Entry;
use super::exchanging::Answer;
use super::{Client, Timer};
use crate::calls::{Order, decode_subscribed};
use crate::error::{Error, ErrorKind};
use crate::exchange::Purpose;
use crate::ledger::{Command, Outcome, Sealed, SubscribeId, Target};
use crate::output::{EndReason, Event, FailureKind, Output, RetryReason};
use crate::seal::SealError;
use crate::subscriptions::{Activity, Stage, is_refusal, is_unsupported};
use crate::sync::Scope;

/// The field that a signing secret is sealed for.
const SECRET_FIELD: &str = "signing-secret";

impl Client {
    /// Wants a subscription, and keeps it alive until [`Client::unsubscribe`].
    ///
    /// [`Event::Ended`] with the id is its last event, also when the peer refuses to make it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Loading`] before [`Event::Loaded`], [`ErrorKind::Stopped`], [`ErrorKind::Full`],
    /// [`ErrorKind::Seal`], and [`ErrorKind::Request`] when the event types are not of the target's level.
    pub fn subscribe(
        &mut self,
        target: Target,
        event_types: &EventTypes,
        now: Instant,
    ) -> Result<SubscribeId, Error> {
        let now = self.advance(now);
        self.store.ready()?;
        if event_types.level() != target.level() {
            return Err(ErrorKind::Request.into());
        }
        if self.activities.len() >= self.config.max_subscriptions {
            return Err(ErrorKind::Full.into());
        }
        let id = SubscribeId::from_u64(u64::from_be_bytes(self.random.bytes()));
        let event_types: Vec<EventType> = event_types.iter().cloned().collect();
        let mut activity = Activity::new(Stage::Polled);
        let asked = activity.support.ask(&self.supported(&event_types));
        let attempt = if asked.is_empty() {
            None
        } else {
            let (attempt, key) = self
                .new_attempt(id, &event_types, asked)
                .map_err(|source| Error::caused(ErrorKind::Seal, source))?;
            activity.stage = Stage::Appending;
            activity.key = Some(key);
            Some(attempt)
        };
        self.activities.insert(id, activity);
        let want = Command::Want {
            id,
            target,
            event_types,
            format: self.config.format,
        };
        self.submit(want, None);
        if let Some(attempt) = attempt {
            self.submit(attempt, None);
        }
        self.settle(now);
        Ok(id)
    }

    /// Carries out what a command came to, now that it is durable.
    pub(super) fn conclude(&mut self, entry: Entry, now: Instant) {
        match (entry.command, entry.outcome) {
            (Command::Want { id, .. }, _) => self.wanted(id, now),
            (Command::Attempt { id, .. }, Outcome::Done) => self.request(id, now),
            (
                Command::Bind {
                    id, subscription, ..
                },
                Outcome::Done,
            ) => self.accepted(id, Some(subscription), now),
            (
                Command::Bind {
                    id, subscription, ..
                },
                _,
            ) => self.abandon(id, subscription),
            (Command::Release { id }, Outcome::Done) => self.released(id),
            (Command::Close { id }, _) => {
                let reason = self
                    .activities
                    .get(&id)
                    .map_or(EndReason::Unsubscribed, |activity| activity.closing);
                self.end(id, reason);
            }
            (Command::Notify { .. }, outcome) => {
                if let Some((request, notification)) = entry.notification {
                    self.received(request, *notification, outcome, now);
                }
            }
            (Command::Attempt { .. } | Command::Release { .. }, _) => {}
        }
    }

    /// Makes the command that begins a try for `asked` of the `wanted` types, and what verifies its notifications.
    fn new_attempt(
        &mut self,
        id: SubscribeId,
        wanted: &[EventType],
        asked: Vec<EventType>,
    ) -> Result<(Command, (CorrelationId, SigningKey)), SealError> {
        let secret = SigningSecret::from_entropy(self.secrets.bytes());
        let nonce = self.secrets.bytes();
        let sealed = self.sealer.seal(
            &self.stream,
            &secret_field(id),
            nonce,
            secret.expose().as_bytes(),
        )?;
        let correlation = CorrelationId::from_entropy(self.random.bytes());
        let command = Command::Attempt {
            id,
            correlation: correlation.clone(),
            secret: Sealed(sealed),
            event_types: (asked != wanted).then_some(asked),
        };
        Ok((command, (correlation, SigningKey::new(&secret))))
    }

    pub(super) fn open_secret(&self, id: SubscribeId, sealed: &[u8]) -> Option<SigningSecret> {
        let opened = self
            .sealer
            .open(&self.stream, &secret_field(id), sealed)
            .ok()?;
        String::from_utf8(opened.expose().to_vec())
            .ok()?
            .try_into()
            .ok()
    }

    /// Begins a try, or polls when there is nothing to ask the peer for.
    pub(super) fn attempt(&mut self, id: SubscribeId, now: Instant) {
        let Some(wanted) = self.store.ledger.get(id).map(|wanted| &wanted.event_types) else {
            return;
        };
        let wanted = wanted.clone();
        let asked = self.next_to_ask(id);
        if asked.is_empty() {
            return self.fall_back(id, now);
        }
        let Ok((command, key)) = self.new_attempt(id, &wanted, asked) else {
            return self.retry(id, RetryReason::Unsealable, now);
        };
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.stage = Stage::Appending;
            activity.key = Some(key);
            activity.abandoned = false;
            self.submit(command, None);
        }
    }

    /// Sends the subscribe request of a try that is durable.
    fn request(&mut self, id: SubscribeId, now: Instant) {
        let Some(wanted) = self.store.ledger.get(id) else {
            return;
        };
        let Some(attempt) = wanted.attempt.as_ref().filter(|_| !wanted.released) else {
            return;
        };
        let Some(secret) = self.open_secret(id, &attempt.secret.0) else {
            return self.retry(id, RetryReason::Unsealable, now);
        };
        let correlation = attempt.correlation.clone();
        let order = Order::Subscribe {
            target: wanted.target.clone(),
            event_types: wanted.asked().to_vec(),
            correlation: correlation.clone(),
            secret,
            format: wanted.format,
        };
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.stage = Stage::Requesting;
            self.exchanges
                .add(Purpose::Subscribe { id, correlation }, order);
        }
    }

    /// Takes the end of a subscribe request.
    pub(super) fn subscribe_ended(
        &mut self,
        id: SubscribeId,
        correlation: CorrelationId,
        answer: Answer<'_>,
        now: Instant,
    ) {
        let answer = answer.and_then(|response| Ok(decode_subscribed(response)?));
        let failure = match answer {
            Ok(subscription) => {
                return self.submit(
                    Command::Bind {
                        id,
                        correlation,
                        subscription,
                    },
                    None,
                );
            }
            Err(failure) => failure,
        };
        let Some(wanted) = self.store.ledger.get(id) else {
            return;
        };
        let Some(attempt) = wanted
            .attempt
            .as_ref()
            .filter(|attempt| attempt.correlation == correlation)
        else {
            return;
        };
        if let Some(subscription) = attempt.subscription {
            // A notification that verified says more than an answer that got lost. It may not be durable yet, so this
            // waits its turn behind it.
            let bind = Command::Bind {
                id,
                correlation,
                subscription,
            };
            return self.submit(bind, None);
        }
        match failure.kind {
            _ if wanted.released => self.close(id, EndReason::Unsubscribed),
            FailureKind::Status(status) if self.can_poll() && is_unsupported(status) => {
                self.unsupported(id, status, now);
            }
            FailureKind::Status(status) if is_refusal(status) => {
                self.close(id, EndReason::Refused(status));
            }
            FailureKind::Inexpressible => self.close(id, EndReason::Refused(400)),
            _ => self.retry(id, RetryReason::Failed(failure), now),
        }
    }

    /// Goes on once the peer has given the try an id, which is durable: by its answer (`given`), or by a notification alone.
    pub(super) fn accepted(
        &mut self,
        id: SubscribeId,
        given: Option<SubscriptionId>,
        now: Instant,
    ) {
        let Some(wanted) = self.store.ledger.get(id) else {
            return;
        };
        let Some(attempt) = &wanted.attempt else {
            return;
        };
        let (Some(subscription), confirmed) = (attempt.subscription, attempt.last.is_some()) else {
            return;
        };
        let (released, asked) = (wanted.released, wanted.asked().to_vec());
        if let Some(given) = given.filter(|given| *given != subscription) {
            self.abandon(id, given);
        }
        if !released && self.is_probe(id, &asked) {
            self.abandon(id, subscription);
            return self.attempt(id, now);
        }
        self.outputs
            .push_back(Output::Event(Event::Subscribed { id, subscription }));
        if released {
            self.release(id);
        } else if confirmed {
            self.confirmed(id, now);
        } else if let Some(activity) = self.activities.get_mut(&id) {
            activity.stage = Stage::Confirming;
            self.timers
                .set(Timer::Subscription(id), now, self.config.confirm_timeout);
        }
    }

    /// Notes that the first notification has come, and looks what the peer has now.
    pub(super) fn confirmed(&mut self, id: SubscribeId, now: Instant) {
        self.live(id, now);
        self.outputs
            .push_back(Output::Event(Event::Confirmed { id }));
        match self.store.ledger.get(id).map(|wanted| &wanted.target) {
            // Its initial notification is all there is to know.
            Some(Target::Resource { .. }) | None => {}
            Some(target) => self.sync.mark(Scope::of(target)),
        }
    }

    /// Goes on with a subscription whose notifications come: those of every event type are to begin.
    pub(super) fn live(&mut self, id: SubscribeId, now: Instant) {
        let (Some(wanted), Some(activity)) =
            (self.store.ledger.get(id), self.activities.get_mut(&id))
        else {
            return;
        };
        if wanted.is_told_all() {
            return self.keep(id, now);
        }
        activity.stage = Stage::Settling;
        self.timers
            .set(Timer::Subscription(id), now, self.config.confirm_timeout);
        self.poll_the_rest(id, now);
    }

    /// Takes that a notification of `event_type` has come, which may be the first.
    pub(super) fn told(&mut self, id: SubscribeId, event_type: &EventType, now: Instant) {
        let (Some(wanted), Some(activity)) = (self.store.ledger.get(id), self.activities.get(&id))
        else {
            return;
        };
        match activity.stage {
            Stage::Settling if !wanted.is_told_all() => self.poll_the_rest(id, now),
            Stage::Settling => self.keep(id, now),
            // It was late, and is supported after all.
            _ if activity.polled.contains(event_type) => self.keep(id, now),
            _ => {}
        }
    }

    /// Uses a subscription as it is for its lifetime. An event type of which nothing has come counts as not supported.
    fn keep(&mut self, id: SubscribeId, now: Instant) {
        let ask_again = self.lacks_events(id).then_some(self.config.support_retry);
        let Some(activity) = self.activities.get_mut(&id) else {
            return;
        };
        activity.stage = Stage::Live;
        match self.config.lifetime.into_iter().chain(ask_again).min() {
            Some(lifetime) => self.timers.set(Timer::Subscription(id), now, lifetime),
            None => self.timers.cancel(Timer::Subscription(id)),
        }
        self.poll_the_rest(id, now);
    }

    /// Waits before the next try.
    pub(super) fn retry(&mut self, id: SubscribeId, reason: RetryReason, now: Instant) {
        let Some(activity) = self.activities.get_mut(&id) else {
            return;
        };
        activity.failures = activity.failures.saturating_add(1);
        activity.stage = Stage::Waiting;
        let asked = match &reason {
            RetryReason::Failed(failure) => failure.retry_after,
            _ => None,
        };
        let after = self
            .config
            .backoff
            .delay(activity.failures, asked, &mut self.random);
        self.timers.set(Timer::Subscription(id), now, after);
        self.outputs
            .push_back(Output::Event(Event::Retrying { id, reason, after }));
    }

    /// Does what the time of a subscription has come for.
    pub(super) fn subscription_due(&mut self, id: SubscribeId, now: Instant) {
        let Some(stage) = self.activities.get(&id).map(|activity| activity.stage) else {
            return;
        };
        match stage {
            Stage::Waiting => self.attempt(id, now),
            Stage::Polled => self.ask_again(id, now),
            Stage::Confirming => self.unconfirmed(id, now),
            Stage::Settling => {
                self.look(id);
                self.keep(id, now);
            }
            Stage::Live => self.expire(id, now),
            Stage::Releasing => self.release(id),
            Stage::Lingering => self.close(id, EndReason::Unsubscribed),
            Stage::Appending | Stage::Requesting => {}
        }
    }

    /// Replaces a subscription that has worked to its end.
    fn expire(&mut self, id: SubscribeId, now: Instant) {
        let reason = if self.lacks_events(id) {
            RetryReason::Unsupported
        } else {
            RetryReason::Expired
        };
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.failures = 0;
            activity.support.forget_refusals();
        }
        self.replace(id, reason, now);
    }

    /// Replaces a subscription that the peer accepted and has told nothing of, which it may never do.
    fn unconfirmed(&mut self, id: SubscribeId, now: Instant) {
        self.poll_unconfirmed(id, now);
        self.replace(id, RetryReason::Unconfirmed, now);
    }

    fn replace(&mut self, id: SubscribeId, reason: RetryReason, now: Instant) {
        if let Some(subscription) = self.bound(id) {
            self.abandon(id, subscription);
        }
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.abandoned = true;
        }
        self.retry(id, reason, now);
    }

    pub(super) fn bound(&self, id: SubscribeId) -> Option<SubscriptionId> {
        self.store.ledger.get(id)?.attempt.as_ref()?.subscription
    }
}

/// The field of the stream that holds the secret of a subscription.
fn secret_field(id: SubscribeId) -> String {
    format!("{SECRET_FIELD}/{id}")
}
