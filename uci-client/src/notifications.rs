//! Judging a notification: read, verify, bound in time, decode; nothing is decided from what is not signed.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use uci_model::api::{AuthScheme, EventSignature, IncomingRequest, SignedNotification, notify};
use uci_model::event::{NotificationHeaders, SigningKey};
use uci_model::{Content, Event, Limits, SubscriptionId, UnixSeconds};

use crate::ledger::SubscribeId;

/// A notification that was taken: verified, in time, in order and not seen before.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Notification {
    /// The subscription as the caller knows it.
    pub id: SubscribeId,
    /// The id that the peer gave the subscription.
    pub subscription: SubscriptionId,
    /// The position of the notification among those of the subscription, from 0.
    pub sequence: u64,
    /// When the peer sent it, by the peer's clock.
    pub timestamp: UnixSeconds,
    /// What it says.
    pub event: Event,
    /// The body as it came; `subscription_cancelled` has none.
    pub content: Option<Content>,
    /// Whether notifications before it are missing; the mirror is then brought into step by fetching.
    pub gap: bool,
}

/// Why a notification was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request is not a POST.
    #[error("method is not POST")]
    Method,
    /// The body is longer than the limits allow.
    #[error("body is too long")]
    TooLarge,
    /// A header field is missing, repeated or malformed.
    #[error("header is missing, repeated or malformed")]
    Malformed,
    /// No subscription has this id, nor does one wait for its id under this Correlation-ID.
    #[error("subscription is unknown")]
    UnknownSubscription,
    /// The signature is not that of the subscription's secret.
    #[error("signature does not match")]
    Signature,
    /// The timestamp is too far from the wall clock.
    #[error("timestamp is too far from now")]
    Stale,
    /// The subscription did not ask for this event type.
    #[error("event type was not subscribed to")]
    EventType,
    /// The body does not fit the event type.
    #[error("body cannot be read")]
    Content,
    /// The subscriptions are not loaded, too many notifications wait, or the journal is slow; the peer may try again.
    #[error("notifications cannot be taken now")]
    Unavailable,
}

impl Refusal {
    /// The status that the peer is answered with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Malformed | Self::Signature | Self::Stale | Self::EventType | Self::Content => {
                StatusCode::BAD_REQUEST
            }
            // UCI: 410 tells the peer to cancel the subscription.
            Self::UnknownSubscription => StatusCode::GONE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// A request with the form of a notification; nothing of it is to be believed before [`Received::verify`].
pub(crate) struct Received {
    pub(crate) headers: NotificationHeaders,
    content: Option<Content>,
    signed: SignedNotification,
}

impl Received {
    pub(crate) fn read(request: &Request<Bytes>, limits: &Limits) -> Result<Self, Refusal> {
        if request.method() != Method::POST {
            return Err(Refusal::Method);
        }
        if request.body().len() > limits.max_length {
            return Err(Refusal::TooLarge);
        }
        let signed = EventSignature::extract(request).map_err(|_| Refusal::Malformed)?;
        let notify =
            notify::Request::try_from_http_request(request, &[]).map_err(|_| Refusal::Malformed)?;
        Ok(Self {
            headers: notify.headers,
            content: notify.content,
            signed,
        })
    }

    /// Verifies the signature over the header text as it came, in constant time.
    pub(crate) fn verify(&self, key: &SigningKey) -> Result<(), Refusal> {
        self.signed.verify(key).map_err(|_| Refusal::Signature)
    }

    /// Checks that the timestamp is within `window` of `wall`, either way.
    pub(crate) fn check_time(&self, wall: SystemTime, window: Duration) -> Result<(), Refusal> {
        let apart = self.headers.timestamp.abs_diff(UnixSeconds::from(wall));
        if apart <= window.as_secs() {
            Ok(())
        } else {
            Err(Refusal::Stale)
        }
    }

    /// Reads the body.
    pub(crate) fn decode(self, limits: &Limits) -> Result<(Event, Option<Content>), Refusal> {
        let event = Event::decode(&self.headers.event_type, self.content.as_ref(), limits);
        Ok((event.map_err(|_| Refusal::Content)?, self.content))
    }
}
