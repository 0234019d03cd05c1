//! What a [`Client`](crate::Client) wants done and what it has to tell.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use uci_model::{EventType, SubscriptionId};

use crate::append::{Append, Snapshot};
use crate::calls::Reply;
use crate::ledger::SubscribeId;
use crate::mirror::MirrorChange;
use crate::notifications::{Notification, Refusal};

/// An HTTP request on its way to the peer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(pub(crate) u64);

/// A call that the caller made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CallId(pub(crate) u64);

/// A request that the peer made.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(crate) u64);

/// Something for the caller to do or to know.
///
/// It prints without the bodies of requests and responses: that of a subscribe request holds a signing secret.
#[must_use = "an output left undone stalls its exchange"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an ignored command stalls, so a new one is to break the build of its callers"
)]
pub enum Output {
    /// Send the request; answer with `handle_response` or `handle_failure`.
    Send {
        /// The exchange to name in the answer.
        exchange: ExchangeId,
        /// The request, complete; its `Authorization` header is marked sensitive.
        request: http::Request<Bytes>,
    },
    /// Get an access token; answer with `handle_token` or `handle_token_failed`.
    NeedToken {
        /// Whether the peer refused the last one, which therefore must not be given again.
        refused: bool,
    },
    /// Answer the peer's request.
    Respond {
        /// The id that `handle_request` returned.
        request: RequestId,
        /// The answer, complete.
        response: http::Response<Bytes>,
    },
    /// Read the stream; answer with `handle_loaded` or `handle_load_failed`.
    Load {
        /// The name of the stream.
        stream: String,
    },
    /// Append the changes; answer with `handle_appended`.
    Append(Append),
    /// Save the snapshot when convenient; no answer is expected.
    SaveSnapshot {
        /// The name of the stream.
        stream: String,
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// Know what happened.
    Event(Event),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { exchange, request } => f
                .debug_struct("Send")
                .field("exchange", exchange)
                .field("method", request.method())
                .field("uri", request.uri())
                .finish_non_exhaustive(),
            Self::NeedToken { refused } => f
                .debug_struct("NeedToken")
                .field("refused", refused)
                .finish(),
            Self::Respond { request, response } => f
                .debug_struct("Respond")
                .field("request", request)
                .field("status", &response.status())
                .finish_non_exhaustive(),
            Self::Load { stream } => f.debug_struct("Load").field("stream", stream).finish(),
            Self::Append(append) => f.debug_tuple("Append").field(append).finish(),
            Self::SaveSnapshot { stream, snapshot } => f
                .debug_struct("SaveSnapshot")
                .field("stream", stream)
                .field("snapshot", snapshot)
                .finish(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// Something that happened. What an event tells is durable by the time the event is out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The subscriptions are loaded.
    Loaded {
        /// The subscriptions that are kept alive.
        subscriptions: Vec<SubscribeId>,
    },
    /// Subscriptions are no longer kept here; calls still work.
    Stopped {
        /// Why.
        reason: StopReason,
    },
    /// A call has ended.
    Answered {
        /// The call.
        call: CallId,
        /// How it ended.
        result: Result<Reply, Failure>,
    },
    /// The peer has accepted a subscription; it is confirmed by its first notification.
    Subscribed {
        /// The subscription as the caller knows it.
        id: SubscribeId,
        /// The id that the peer gave.
        subscription: SubscriptionId,
    },
    /// The first notification of a subscription came and verified.
    Confirmed {
        /// The subscription.
        id: SubscribeId,
    },
    /// A subscription is not in force and will be tried again.
    Retrying {
        /// The subscription.
        id: SubscribeId,
        /// Why it is not in force.
        reason: RetryReason,
        /// After what time.
        after: Duration,
    },
    /// What events of these types would tell is fetched at intervals, because the peer does not support them or has told
    /// nothing of them in time; nothing of the subscription is, when there are none.
    Polling {
        /// The subscription.
        id: SubscribeId,
        /// The event types that are polled from now on.
        event_types: Vec<EventType>,
    },
    /// A subscription is over; nothing more is heard of its id.
    Ended {
        /// The subscription.
        id: SubscribeId,
        /// Why.
        reason: EndReason,
    },
    /// A notification was taken.
    Notified(Box<Notification>),
    /// A notification was refused.
    Refused {
        /// The peer's request.
        request: RequestId,
        /// Why.
        refusal: Refusal,
    },
    /// The mirror changed.
    Mirror(MirrorChange),
    /// The mirror is at its limit; what was just learned is not in it.
    MirrorFull,
    /// All devices were fetched and the mirror is in step with them.
    InStep,
}

/// Why subscriptions are no longer kept here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum StopReason {
    /// Another node has taken over the stream.
    Fenced,
    /// The stream holds something that this version cannot read.
    Unreadable,
}

/// Why a subscription is tried again.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RetryReason {
    /// The request failed.
    Failed(Failure),
    /// No notification came in time; what it was to tell is polled until one comes.
    Unconfirmed,
    /// The peer cancelled it.
    Cancelled,
    /// It reached the configured lifetime.
    Expired,
    /// The peer did not support all its event types, or told nothing of some, and is asked for them again.
    Unsupported,
    /// The last answer or the secret was lost over a restart.
    Interrupted,
    /// A new secret could not be sealed.
    Unsealable,
}

/// Why a subscription is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EndReason {
    /// The caller unsubscribed and the peer has confirmed it, or does not know the subscription any more.
    Unsubscribed,
    /// The caller unsubscribed and the peer could not be told; it learns by 410 at its next notification.
    Abandoned,
    /// The peer refused to make it, with this status; 404 too when it was polled and what it was about is not there.
    Refused(u16),
    /// The peer is configured to support none of its event types, and nothing is polled.
    Unsupported,
    /// The stream was taken over or is unreadable.
    Stopped,
}

/// How a request to the peer failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error("{kind}")]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// How long the peer asks to wait (RFC 9110, 10.2.3).
    pub retry_after: Option<Duration>,
}

impl From<FailureKind> for Failure {
    fn from(kind: FailureKind) -> Self {
        Self {
            kind,
            retry_after: None,
        }
    }
}

/// What went wrong with a request to the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FailureKind {
    /// The peer answered with this status.
    #[error("the peer answered with status {0}")]
    Status(u16),
    /// The peer's answer cannot be read.
    #[error("the answer of the peer cannot be read")]
    Undecodable,
    /// No answer came in time; the peer may have carried out the request.
    #[error("no answer came in time")]
    Timeout,
    /// The request could not be sent or its answer not received.
    #[error("{0}")]
    Transport(TransportFailure),
    /// There was no access token to send it with.
    #[error("there is no access token")]
    NoToken,
    /// The request cannot be expressed.
    #[error("the request cannot be expressed")]
    Inexpressible,
}

/// Why the caller could not carry out an exchange.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportFailure {
    /// The request never left, so the peer cannot have acted on it.
    #[error("the request could not be sent")]
    NotSent,
    /// The connection ended early or the answer was too large; the peer may have acted on the request.
    #[error("the answer could not be received")]
    Interrupted,
}
