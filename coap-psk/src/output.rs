//! What an endpoint asks of its driver and tells the application.

use core::fmt;
use core::net::SocketAddr;

use crate::dtls::{HandshakeId, SessionId, ShardNumber, Transmit};
use crate::failure::Failure;
use crate::identity::PskIdentity;
use crate::request::{Request, Response};

/// What an [`Endpoint`](crate::Endpoint) puts out.
#[derive(Debug)]
#[must_use = "an output left undone stalls its exchange"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output that is not handled would stall"
)]
pub enum Output {
    /// A datagram to send.
    Transmit(Transmit),
    /// A device is in a handshake; [`Endpoint::provide_key`](crate::Endpoint::provide_key) answers.
    KeyWanted {
        /// The handshake.
        handshake: HandshakeId,
        /// Who it claims to be.
        identity: PskIdentity,
    },
    /// A request of the peer; [`Endpoint::respond`](crate::Endpoint::respond) answers.
    Request {
        /// Its exchange.
        exchange: ExchangeId,
        /// Whose session it came on.
        identity: PskIdentity,
        /// The request.
        request: Request,
    },
    /// Something that needs no answer.
    Event(Event),
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A device came online, or a session of our own is established.
    Online {
        /// The session.
        session: SessionId,
        /// Who is on it.
        identity: PskIdentity,
        /// The peer's address.
        peer: SocketAddr,
        /// The session of the same device that this one takes the place of. That one is closed, without an event.
        replaced: Option<SessionId>,
    },
    /// What was [`Online`](Self::Online) is no longer, or a connection failed. The end of a session that was
    /// [`Silent`](OfflineReason::Silent) is told as well.
    Offline {
        /// The session.
        session: SessionId,
        /// Who was on it.
        identity: PskIdentity,
        /// Why.
        why: OfflineReason,
    },
    /// A peer in a handshake named an identity that has not the form of one. The peer learns no more than with a wrong key.
    MalformedIdentity {
        /// The peer.
        peer: SocketAddr,
        /// How many bytes it named. What they are is not told: a device that is set up wrongly may send its secret.
        len: usize,
    },
    /// The peer's address changed.
    Moved {
        /// The session.
        session: SessionId,
        /// The new address.
        peer: SocketAddr,
    },
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
    /// A response that had to be sent on its own never arrived.
    Undelivered {
        /// The exchange.
        exchange: ExchangeId,
    },
    /// An observer of a resource of ours is gone.
    Unobserved {
        /// The exchange that registered it.
        exchange: ExchangeId,
    },
}

/// An exchange of requests and responses on one session; never used again.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId {
    pub(crate) session: SessionId,
    pub(crate) number: u64,
}

impl ExchangeId {
    /// The session it is on.
    #[must_use]
    pub const fn session(self) -> SessionId {
        self.session
    }
}

impl From<ExchangeId> for ShardNumber {
    fn from(exchange: ExchangeId) -> Self {
        exchange.session.into()
    }
}

impl fmt::Debug for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExchangeId({}:{})", self.session.0, self.number)
    }
}

/// Why a device is offline.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OfflineReason {
    /// It was silent for its lifetime. Its session stays for a while: a message on it makes the device online again, or
    /// [`Closed`](Self::Closed) follows.
    Silent,
    /// Its session ended.
    Closed,
    /// The handshake of a session that we began failed.
    Refused,
    /// The handshake of a session that we began took too long.
    TimedOut,
}
