//! Where each subscription stands.
//!
//! ```text
//!            subscribe            durable            201              a notification      one of each type, or too late
//!   (none) ───────────▶ Appending ─────▶ Requesting ─────▶ Confirming ──────────▶ Settling ──────────▶ Live
//!                           ▲                │ failed          │ too late             │ cancelled        │ cancelled, expired
//!                           └── Waiting ◀────┴─────────────────┴──────────────────────┴──────────────────┘
//!
//!            unsubscribe               DELETE accepted          subscription_cancelled, or none in time
//!   (any) ───────────▶ Releasing ──────────────────▶ Lingering ────────────────────────▶ (none)
//!
//!            the peer supports none of the event types          time to ask again
//!   (any) ──────────────────────────────────────────▶ Polled ─────────────────▶ Appending
//! ```
//!
//! A notification of a try that failed for want of an answer takes `Waiting` to `Settling`: the peer has made it all the same.
//! What a subscription is to tell is polled from when the peer was too late to confirm it, or to tell of an event type, until
//! it does.
//! Every pass through `Appending` is a try of its own, with a fresh signing secret and Correlation-ID: an answer that got
//! lost can then never be confused with the answer to the next try.

use uci_model::event::SigningKey;
use uci_model::{CorrelationId, EventType, SubscriptionId};

use crate::ledger::{SubscribeId, Subscription, Target};
use crate::output::EndReason;
use crate::support::Support;

/// How a subscription stands, for who asks.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Standing<'a> {
    /// The subscription as the caller knows it.
    pub id: SubscribeId,
    /// What it is about.
    pub target: &'a Target,
    /// What it is to tell.
    pub event_types: &'a [EventType],
    /// What of that is polled, because the peer does not support it or has told nothing of it in time.
    pub polled: &'a [EventType],
    /// The id that the peer gave, once it did.
    pub subscription: Option<SubscriptionId>,
    /// Whether a notification has come under that id.
    pub confirmed: bool,
}

impl<'a> Standing<'a> {
    pub(crate) fn new(
        id: SubscribeId,
        wanted: &'a Subscription,
        activity: Option<&'a Activity>,
    ) -> Self {
        let attempt = wanted.attempt.as_ref();
        Self {
            id,
            target: &wanted.target,
            event_types: &wanted.event_types,
            polled: activity.map_or(&[], |activity| &activity.polled),
            subscription: attempt.and_then(|attempt| attempt.subscription),
            confirmed: attempt.is_some_and(|attempt| attempt.last.is_some()),
        }
    }
}

/// Where a subscription stands, in protocol order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stage {
    /// The try is on its way into the journal.
    Appending,
    /// The subscribe request is on its way.
    Requesting,
    /// The peer has accepted it; its first notification is awaited.
    Confirming,
    /// Notifications come; the first of some event type is awaited.
    Settling,
    /// Notifications come.
    Live,
    /// The next try is to begin at the timer.
    Waiting,
    /// The peer supports none of its event types; what they would tell is fetched, and it is asked again at the timer.
    Polled,
    /// The unsubscribe request is on its way, or is sent again at the timer.
    Releasing,
    /// The peer has accepted the unsubscribe; its last notification is awaited.
    Lingering,
}

/// What is remembered of a subscription beside the ledger; it is made anew after a restart.
#[derive(Debug)]
pub(crate) struct Activity {
    pub(crate) stage: Stage,
    /// Tries that came to nothing since the subscription last worked.
    pub(crate) failures: u32,
    /// What verifies the notifications of the try with this Correlation-ID.
    pub(crate) key: Option<(CorrelationId, SigningKey)>,
    /// Whether the peer was told that the present try is not wanted any more.
    pub(crate) abandoned: bool,
    /// Which of its event types the peer supports.
    pub(crate) support: Support,
    /// The event types that are polled.
    pub(crate) polled: Vec<EventType>,
    /// Whether the peer may have refused it because what it is about is not there.
    pub(crate) target_in_doubt: bool,
    /// What the caller is told when the subscription is closed.
    pub(crate) closing: EndReason,
}

impl Activity {
    pub(crate) fn new(stage: Stage) -> Self {
        Self {
            stage,
            failures: 0,
            key: None,
            abandoned: false,
            support: Support::default(),
            polled: Vec::new(),
            target_in_doubt: false,
            closing: EndReason::Unsubscribed,
        }
    }

    /// What verifies the notifications of the try with this Correlation-ID.
    pub(crate) fn key_of(&self, correlation: &CorrelationId) -> Option<&SigningKey> {
        self.key
            .as_ref()
            .filter(|(of, _)| of == correlation)
            .map(|(_, key)| key)
    }
}

/// Whether a status can mean that the peer does not support the event types that it was asked for.
///
/// Peers in the field that do not have the subscription endpoints, or not all of them, answer like this.
pub(crate) const fn is_unsupported(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 501)
}

/// Whether a status is final: the same request would be refused again.
pub(crate) const fn is_refusal(status: u16) -> bool {
    // 401 waits for another token; 408, 425 and 429 ask for another try (RFC 9110, RFC 8470, RFC 6585).
    matches!(status, 400..=499 | 501) && !matches!(status, 401 | 408 | 425 | 429)
}
