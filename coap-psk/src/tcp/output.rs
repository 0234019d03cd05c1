//! What a connection asks of its driver and tells the application.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::frame::FrameError;
use crate::failure::Failure;
use crate::request::{Request, Response};

/// What a [`Connection`](super::Connection) puts out.
#[derive(Debug)]
#[must_use = "an output left undone stalls its exchange"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output that is not handled would stall"
)]
pub enum Output {
    /// Bytes to write to the stream, behind those before.
    Send(Vec<u8>),
    /// A request of the peer; [`Connection::respond`](super::Connection::respond) answers.
    Request {
        /// Its exchange.
        exchange: ExchangeId,
        /// The request.
        request: Request,
    },
    /// The stream is to be closed once everything before is written. Nothing is put out behind this but events.
    Close,
    /// Something that needs no answer.
    Event(Event),
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The final answer to a request of ours. For an observation: the peer does not let it be observed, or not any more.
    Response {
        /// The exchange.
        exchange: ExchangeId,
        /// The answer.
        response: Response,
    },
    /// A request of ours has no answer, or an observation ended.
    Failed {
        /// The exchange.
        exchange: ExchangeId,
        /// Why.
        failure: Failure,
    },
    /// The state of a resource that we observe.
    Notification {
        /// The exchange of the observation.
        exchange: ExchangeId,
        /// The state.
        response: Response,
    },
    /// An observer of a resource of ours is gone.
    Unobserved {
        /// The exchange that registered it.
        exchange: ExchangeId,
    },
    /// The peer wants the connection to end. What it has asked is still answered, then the connection is closed.
    /// (RFC 8323, 5.5)
    Released(Release),
    /// The connection is over, and this is its last event.
    Closed {
        /// Why.
        why: CloseReason,
    },
}

/// What goes with the wish for an orderly end. (RFC 8323, 5.5)
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Release {
    /// Where the sender would rather be connected to, as authorities of URIs, of 1 to 255 bytes each. To be believed no
    /// more than the connection is: over plain TCP anybody on the way can write this.
    pub alternatives: Vec<String>,
    /// For how many seconds the sender does not want to be connected to again, in 24 bits.
    pub hold_off: Option<u32>,
}

impl Release {
    /// A release without reasons.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            alternatives: Vec::new(),
            hold_off: None,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The application closed it, or released it and the peer took too long.
    Local,
    /// The peer released it, and everything was answered or took too long.
    Released,
    /// The peer aborted it.
    Aborted {
        /// The option of our CSM that the peer cannot live with.
        bad_csm_option: Option<u16>,
        /// The peer's words, for a person.
        diagnostic: String,
    },
    /// The peer broke the protocol, so that the connection was aborted.
    Violation(Violation),
    /// The peer gave no sign of life.
    Silent,
    /// The stream ended or broke.
    Ended,
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Violation {
    /// A message is longer than we take.
    TooLarge,
    /// A message breaks the format, or is neither request nor response nor signal.
    Malformed,
    /// A signal has a critical option that is not known. (RFC 8323, 5.2)
    UnknownOption(u16),
    /// Its CSM was not its first message, or did not come in time.
    NoCsm,
}

impl From<FrameError> for Violation {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLarge => Self::TooLarge,
            FrameError::Malformed => Self::Malformed,
        }
    }
}

impl Violation {
    /// For the person who looks after the peer.
    pub(super) const fn diagnostic(self) -> &'static str {
        match self {
            Self::TooLarge => "message over Max-Message-Size",
            Self::Malformed => "malformed message",
            Self::UnknownOption(_) => "unknown critical option",
            Self::NoCsm => "CSM missing",
        }
    }
}

/// An exchange of requests and responses on one connection; never used again there.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(pub(super) u64);

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeId({})", self.0)
    }
}
