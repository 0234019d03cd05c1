//! Notifications on their way: what is sent when, and what its fate means for the subscription.

use std::time::Instant;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use uci_model::event::{NotificationHeaders, SignedMessage, SigningKey};
use uci_model::{EventType, SigningSecret, SubscriptionId, UnixSeconds};

use super::perform::secret_field;
use super::stream::StreamName;
use super::{DeviceCloud, after};
use crate::account::{Command, EndCause, Subscription};
use crate::delivery::Verdict;
use crate::device_port::{DeliveryOutcome, TransportFailure};
use crate::error::{Error, ErrorKind};
use crate::ids::{AccountId, DeliveryId};
use crate::output::Output;
use crate::time::UnixMillis;

impl DeviceCloud {
    /// Looks at a subscription's queue: sends its head, ends it when that is too old, or lets it rest.
    pub(super) fn dispatch(
        &mut self,
        account: &AccountId,
        subscription: SubscriptionId,
        now: Instant,
    ) {
        let Some(stream) = self.streams.get(&StreamName::Account(account.clone())) else {
            return self.deliveries.forget(subscription);
        };
        // What is not durable yet must not be sent.
        if let Some(append) = stream.busy {
            return self.touch(append, account, subscription);
        }
        let Ok(ledger) = self.account(account) else { return };
        let Some(found) = ledger.subscription(subscription) else {
            return self.deliveries.forget(subscription);
        };
        let Some(head) = found.head() else {
            return self.deliveries.rest(subscription);
        };
        if let Some(command) = self.given_up(subscription, found) {
            return self.enqueue_settlement(account, command, now);
        }
        let until = after(now, self.config.delivery.attempt_timeout);
        let Some(delivery) = self.deliveries.start(account, subscription, head.sequence(), until)
        else {
            return;
        };
        match self.notification(account, subscription) {
            Ok(request) => self.outputs.push_back(Output::Deliver { delivery, request }),
            // The key may be back later: as good as a receiver that is down.
            Err(_) => self.end_delivery(delivery, Err(TransportFailure::Connection), now),
        }
    }

    /// What to do about a queue whose head was tried and is too old.
    fn given_up(&self, id: SubscriptionId, subscription: &Subscription) -> Option<Command> {
        let head = subscription.head()?;
        // However old it is after a standstill of this cloud, it is tried once.
        if !self.deliveries.has_failed(id, head.sequence()) {
            return None;
        }
        let wall = UnixMillis::from(self.wall);
        let rules = &self.config.delivery;
        match subscription.ended_at() {
            Some(at) if wall.since(at) > rules.cancellation_age => Some(Command::Remove { id }),
            None if wall.since(head.since()) > rules.max_age => {
                Some(Command::End { id, cause: EndCause::Expired })
            }
            _ => None,
        }
    }

    pub(super) fn end_delivery(
        &mut self,
        delivery: DeliveryId,
        result: Result<DeliveryOutcome, TransportFailure>,
        now: Instant,
    ) {
        let jitter = self.entropy.draw_u64();
        let rules = &self.config.delivery;
        let Some((account, id, verdict)) =
            self.deliveries.end(delivery, result, rules, jitter, now)
        else {
            return;
        };
        let command = match verdict {
            Verdict::Delivered { sequence } => Command::Delivered { id, sequence },
            Verdict::Gone => Command::Remove { id },
            Verdict::Refused => Command::End { id, cause: EndCause::Refused },
            Verdict::Retry => return,
        };
        self.enqueue_settlement(&account, command, now);
    }

    /// The head of a queue as a request, signed now: receivers refuse old timestamps.
    fn notification(
        &self,
        account: &AccountId,
        id: SubscriptionId,
    ) -> Result<Request<Bytes>, Error> {
        let found = self.account(account)?.subscription(id).ok_or(ErrorKind::NotFound)?;
        let head = found.head().ok_or(ErrorKind::NotFound)?;
        let made = found.made();
        let key = self.signing_key(account, id, &made.sealed_secret)?;
        let cancelled = *head.event_type() == EventType::SubscriptionCancelled;
        // It has no body, and then no Content-Type, which is signed as the empty text.
        let content_type = if cancelled { None } else { Some(made.format.as_str()) };
        let texts = Texts {
            event_type: head.event_type().to_string(),
            subscription_id: id.to_string(),
            sequence_number: head.sequence().to_string(),
            event_timestamp: UnixSeconds::from(self.wall).to_string(),
        };
        let signature = key.sign(&SignedMessage {
            content_type: content_type.unwrap_or_default().as_bytes(),
            event_type: texts.event_type.as_bytes(),
            subscription_id: texts.subscription_id.as_bytes(),
            sequence_number: texts.sequence_number.as_bytes(),
            event_timestamp: texts.event_timestamp.as_bytes(),
            body: head.body(),
        });
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(made.events_url.as_str())
            .header(NotificationHeaders::EVENT_TYPE, texts.event_type)
            .header(NotificationHeaders::SUBSCRIPTION_ID, texts.subscription_id)
            .header(NotificationHeaders::SEQUENCE_NUMBER, texts.sequence_number)
            .header(NotificationHeaders::EVENT_TIMESTAMP, texts.event_timestamp)
            .header(NotificationHeaders::EVENT_SIGNATURE, signature.to_string());
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(correlation) = &made.correlation {
            request = request.header(NotificationHeaders::CORRELATION_ID, correlation.as_str());
        }
        request
            .body(head.body().clone())
            .map_err(|error| Error::with_source(ErrorKind::Malformed, error))
    }

    fn signing_key(
        &self,
        account: &AccountId,
        id: SubscriptionId,
        sealed: &[u8],
    ) -> Result<SigningKey, Error> {
        let stream = StreamName::Account(account.clone()).to_string();
        let opened = self
            .sealer
            .open(&stream, &secret_field(id), sealed)
            .map_err(|error| Error::with_source(ErrorKind::Sealing, error))?;
        let text = std::str::from_utf8(opened.expose()).map_err(|_| ErrorKind::Sealing)?;
        let secret = SigningSecret::try_from(text.to_owned()).map_err(|_| ErrorKind::Sealing)?;
        Ok(SigningKey::new(&secret))
    }
}

/// The header texts that are signed, exactly as they are sent.
struct Texts {
    event_type: String,
    subscription_id: String,
    sequence_number: String,
    event_timestamp: String,
}
