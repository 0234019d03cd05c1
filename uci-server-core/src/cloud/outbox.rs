//! Notifications on their way: what is sent when, and what its fate means for the subscription.

use std::collections::btree_map::Entry;
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Uri};
use uci_model::api::{OutgoingRequest as _, notify};
use uci_model::event::{NotificationHeaders, SigningKey};
use uci_model::{Content, EventType, SigningSecret, SubscriptionId, UnixSeconds};

use super::perform::secret_field;
use super::stream::{Ledger, StreamName};
use super::{DeviceCloud, after};
use crate::account::{Command, EndCause, Notification, Subscription};
use crate::delivery::{Consent, Verdict};
use crate::device_port::{DeliveryOutcome, TransportFailure};
use crate::error::{Error, ErrorKind};
use crate::ids::{AccountId, DeliveryId, GrantEndId};
use crate::output::Output;
use crate::sealer::Sealer;

impl DeviceCloud {
    /// Looks at a subscription's queue: lines its head up, ends it when that is too old, or lets it rest.
    pub(super) fn dispatch(
        &mut self,
        account: &AccountId,
        subscription: SubscriptionId,
        now: Instant,
    ) {
        if let Some(sequence) = self.sendable(account, subscription, now)
            && let Ok(ledger) = self.account(account)
            && let Some(found) = ledger.subscription(subscription)
        {
            let events_url = found.made().events_url.clone();
            self.deliveries
                .enqueue(account, subscription, sequence, &events_url);
        }
    }

    /// Sends the head of a queue whose turn has come.
    pub(super) fn send(&mut self, account: &AccountId, subscription: SubscriptionId, now: Instant) {
        // Since it was lined up, much may have happened to it.
        let Some(sequence) = self.sendable(account, subscription, now) else {
            return;
        };
        match self.notification(account, subscription) {
            Ok((request, consent)) => {
                let until = after(now, self.config.delivery.attempt_timeout);
                let started = self
                    .deliveries
                    .start(subscription, sequence, consent, until);
                if let Some(delivery) = started {
                    self.outputs
                        .push_back(Output::Deliver { delivery, request });
                }
            }
            // The key may be back later: as good as a receiver that is down.
            Err(_) => {
                let jitter = self.entropy.draw_u64();
                let rules = &self.config.delivery;
                self.deliveries
                    .put_off(subscription, sequence, rules, jitter, now);
            }
        }
    }

    /// The number of a queue's head, if that is durable and may be sent. Otherwise it is seen to that the queue is looked at
    /// again when that has changed.
    fn sendable(
        &mut self,
        account: &AccountId,
        subscription: SubscriptionId,
        now: Instant,
    ) -> Option<u64> {
        let Some(stream) = self.streams.get(&StreamName::Account(account.clone())) else {
            self.deliveries.forget(subscription);
            return None;
        };
        // What is not durable yet must not be sent; it is looked at again when it is. Other queues have nothing to wait for: if
        // they had, every one of an account's would be lined up again for each append of that account.
        if let Some(append) = stream.busy
            && self.touches(append, account, subscription)
        {
            return None;
        }
        let Some(found) = self.account(account).ok()?.subscription(subscription) else {
            self.deliveries.forget(subscription);
            return None;
        };
        let Some(sequence) = found.head().map(Notification::sequence) else {
            self.deliveries.rest(subscription);
            return None;
        };
        if let Some(command) = self.given_up(subscription, found, now) {
            self.enqueue_settlement(account.clone(), subscription, command, now);
            return None;
        }
        Some(sequence)
    }

    /// What to do about a queue whose head was tried and is too old.
    fn given_up(
        &self,
        id: SubscriptionId,
        subscription: &Subscription,
        now: Instant,
    ) -> Option<Command> {
        let head = subscription.head()?;
        // However old it is after a standstill of this cloud, it is tried once.
        if !self.deliveries.has_failed(id, head.sequence()) {
            return None;
        }
        let age = |since| self.clock.age(since, now);
        let rules = &self.config.delivery;
        match subscription.ended_at() {
            Some(at) if age(at) > rules.cancellation_age => Some(Command::Remove { id }),
            None if age(head.since()) > rules.max_age => Some(Command::End {
                id,
                cause: EndCause::Expired,
            }),
            _ => None,
        }
    }

    pub(super) fn end_delivery(
        &mut self,
        delivery: DeliveryId,
        result: Result<DeliveryOutcome, TransportFailure>,
        now: Instant,
    ) {
        let jitter = || self.entropy.draw_u64();
        let rules = &self.config.delivery;
        let Some(ended) = self.deliveries.end(delivery, result, rules, jitter, now) else {
            return;
        };
        for end in ended.awaited_by {
            self.note_attempt_over(end);
        }
        let Some((account, id, verdict)) = ended.outcome else {
            return;
        };
        let command = match verdict {
            Verdict::Delivered { sequence } => Command::Delivered { id, sequence },
            Verdict::Gone => Command::Remove { id },
            Verdict::Refused => Command::End {
                id,
                cause: EndCause::Refused,
            },
            Verdict::Retry => return,
            Verdict::Aborted => return self.dispatch(&account, id, now),
        };
        self.enqueue_settlement(account, id, command, now);
    }

    /// Acknowledges the end of a grant once nothing is being told under it any more. What is on its way is stopped.
    pub(super) fn acknowledge_end(&mut self, end: GrantEndId, consent: &Consent) {
        match self.deliveries.await_all_of(consent, end) {
            0 => self.grant_ended(end, Ok(())),
            attempts => drop(self.ending.insert(end, attempts)),
        }
    }

    /// Notes that one of the attempts is over for which the end of a grant waits.
    fn note_attempt_over(&mut self, end: GrantEndId) {
        let Entry::Occupied(mut waiting) = self.ending.entry(end) else {
            return;
        };
        let left = waiting.get().saturating_sub(1);
        if left == 0 {
            waiting.remove();
            self.grant_ended(end, Ok(()));
        } else {
            waiting.insert(left);
        }
    }

    /// Has attempts stopped that are to be stopped.
    pub(super) fn abort_attempts(&mut self) {
        while let Some(delivery) = self.deliveries.poll_abort() {
            self.outputs.push_back(Output::Abort { delivery });
        }
    }

    /// The head of a queue as a request, signed now: receivers refuse old timestamps. With it the consent under which it
    /// tells something.
    fn notification(
        &mut self,
        account: &AccountId,
        id: SubscriptionId,
    ) -> Result<(Request<Bytes>, Option<Consent>), Error> {
        let name = StreamName::Account(account.clone());
        let stream = self.streams.get_mut(&name).ok_or(ErrorKind::Unavailable)?;
        let Some(Ledger::Account(ledger)) = &stream.ledger else {
            return Err(ErrorKind::Unavailable.into());
        };
        let found = ledger.subscription(id).ok_or(ErrorKind::NotFound)?;
        let head = found.head().ok_or(ErrorKind::NotFound)?;
        let made = found.made();
        let key = match stream.keys.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(open_key(&*self.sealer, &name, id, &made.sealed_secret)?)
            }
        };
        let timestamp = UnixSeconds::from(self.wall);
        let event_type = head.event_type().clone();
        let cancelled = event_type == EventType::SubscriptionCancelled;
        let mut headers = NotificationHeaders::new(event_type, id, head.sequence(), timestamp);
        headers.correlation_id = made.correlation.clone();
        let content = (!cancelled).then(|| Content::new(made.format, head.body().clone()));
        let consent = (!cancelled).then(|| Consent {
            account: account.clone(),
            grant: made.grant.clone(),
        });
        let uri = Uri::try_from(made.events_url.as_str())
            .map_err(|error| Error::with_source(ErrorKind::Malformed, error))?;
        let request = notify::Request::new(headers, content)
            .try_into_http_request(&uri, key)
            .map_err(|error| Error::with_source(ErrorKind::Malformed, error))?;
        Ok((request, consent))
    }
}

/// The key that a subscription's notifications are signed with.
fn open_key(
    sealer: &dyn Sealer,
    name: &StreamName,
    id: SubscriptionId,
    sealed: &[u8],
) -> Result<SigningKey, Error> {
    let opened = sealer
        .open(&name.to_string(), &secret_field(id), sealed)
        .map_err(|error| Error::with_source(ErrorKind::Sealing, error))?;
    let text = std::str::from_utf8(opened.expose()).map_err(|_| ErrorKind::Sealing)?;
    let secret = SigningSecret::try_from(text.to_owned()).map_err(|_| ErrorKind::Sealing)?;
    Ok(SigningKey::new(&secret))
}
