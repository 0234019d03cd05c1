//! The port to a DTLS 1.2 engine: many sessions in one object, datagrams in and out, no socket and no clock.
//!
//! ```text
//!  peer's datagrams ─▶ handle_datagram ─▶ NeedKey ─▶ provide_key ─▶ Established ─▶ Data, Data, .. ─▶ Closed
//!                      connect ──────────────────────────────────▶ Established          ▲ send, close
//! ```
//!
//! An engine keeps these promises. Every `NeedKey` and every session id is its own and never used again. `Established`
//! is reported once per session, when the peer's Finished has been verified, and `Closed` once, as the last thing about
//! it. A session that [`connect`](DtlsEndpoint::connect) began and that fails is reported by `Closed` alone.
//! A new ClientHello from the address of a session leaves that session alone until the new handshake has been verified.
//! A session keeps its id when its peer's address changes; `Moved` comes before what came from the new address.
//! What a datagram brings about is reported when `handle_datagram` returns: the endpoint counts it against who sent that one.
//! The module `psk` (feature `psk-dtls`) is such an engine.
//!
//! Several engines can stand behind one address, each with a socket of its own: see [`ShardNumber`], and the `driver` module for
//! who brings which datagram to which of them.

#[cfg(feature = "psk-dtls")]
pub mod psk;
mod shard;

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use crate::error::Error;
use crate::secret::PskKey;
use crate::time::Instant;

pub use shard::ShardNumber;

/// An engine for DTLS 1.2 with pre-shared keys, both roles, without input or output of its own.
pub trait DtlsEndpoint {
    /// Takes a datagram that arrived from `from`.
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant);

    /// Whose a datagram claims to be, by its address or what it says in clear; it need not be true. When there is more than can be
    /// taken, that of strangers is dropped first. By default everybody is known.
    fn claim_of(&self, from: SocketAddr, datagram: &[u8]) -> Claim {
        let _ = (from, datagram);
        Claim::Known
    }

    /// Does what is due at `now`. Early and repeated calls are harmless.
    fn handle_timeout(&mut self, now: Instant);

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    fn next_deadline(&self) -> Option<Instant>;

    /// The next thing that happened.
    fn poll_event(&mut self) -> Option<DtlsEvent>;

    /// The next datagram to send.
    fn poll_transmit(&mut self) -> Option<Transmit>;

    /// Answers a [`DtlsEvent::NeedKey`].
    ///
    /// `None` makes the engine go on with a random key, so that an unknown identity fails at Finished exactly as a wrong
    /// key does. An answer for a handshake that is gone is ignored.
    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant);

    /// Begins a session with the server at `to`.
    ///
    /// # Errors
    /// [`ErrorKind::Full`](crate::ErrorKind::Full) or [`ErrorKind::Transport`](crate::ErrorKind::Transport) when no
    /// handshake was begun.
    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error>;

    /// Sends `data` as one record.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSession`](crate::ErrorKind::UnknownSession) when the session is not established;
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) when `data` does not fit a record;
    /// [`ErrorKind::Refused`](crate::ErrorKind::Refused) when so much must not go to an address that is not confirmed yet;
    /// [`ErrorKind::Transport`](crate::ErrorKind::Transport) when the engine cannot seal it.
    fn send(&mut self, session: SessionId, data: &[u8], now: Instant) -> Result<(), Error>;

    /// Learns that the peer answered something that was sent to the address it moved to, so that it really is there.
    ///
    /// Until then an engine that follows a peer sends little to the new address, because others may have named it. Engines
    /// that follow nobody have nothing to do here.
    fn confirm_path(&mut self, session: SessionId, now: Instant) {
        let _ = (session, now);
    }

    /// Closes a session. Unknown sessions are ignored.
    fn close(&mut self, session: SessionId, now: Instant);

    /// Which one this engine is of those that share an address: its ids begin at [`ShardNumber::first_id`]. By default it is
    /// alone.
    fn shard(&self) -> ShardNumber {
        ShardNumber::default()
    }

    /// The one among the engines of an address that a datagram is for, as far as it says so in clear; it need not be true.
    ///
    /// Engines that know a peer by its address alone have nothing to do here: what comes from one address always comes to the
    /// same engine.
    fn shard_of(&self, datagram: &[u8]) -> Option<ShardNumber> {
        let _ = datagram;
        None
    }
}

/// A handshake that waits for a key.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_structs,
    reason = "engines outside this crate number their handshakes"
)]
pub struct HandshakeId(pub u64);

/// Whose a datagram claims to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "engines outside this crate judge, too"
)]
pub enum Claim {
    /// Nobody's who has a session or a handshake here.
    Stranger,
    /// Somebody's who may have one.
    Known,
    /// That of this session.
    Session(SessionId),
}

/// A DTLS session.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_structs,
    reason = "engines outside this crate number their sessions"
)]
pub struct SessionId(pub u64);

/// A datagram to send.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "engines outside this crate build it"
)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The bytes.
    pub datagram: Vec<u8>,
}

/// What an engine reports.
#[derive(Clone, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an event that is not handled would stall a handshake"
)]
pub enum DtlsEvent {
    /// A peer named its identity; [`DtlsEndpoint::provide_key`] answers.
    NeedKey {
        /// The waiting handshake.
        handshake: HandshakeId,
        /// The identity as the peer sent it.
        identity: Vec<u8>,
    },
    /// A handshake is complete and verified.
    Established {
        /// The new session, or the one that `connect` returned.
        session: SessionId,
        /// The peer's address.
        peer: SocketAddr,
        /// The identity that the key belongs to.
        identity: Vec<u8>,
    },
    /// An authenticated record arrived.
    Data {
        /// Its session.
        session: SessionId,
        /// Its plaintext.
        data: Vec<u8>,
    },
    /// The peer's address changed and the engine follows it.
    Moved {
        /// The session.
        session: SessionId,
        /// The address until now.
        from: SocketAddr,
        /// The address from now on.
        to: SocketAddr,
    },
    /// The session is gone.
    Closed {
        /// The session.
        session: SessionId,
        /// Why.
        reason: CloseReason,
    },
}

impl fmt::Debug for DtlsEvent {
    /// Leaves the plaintext out: it may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedKey {
                handshake,
                identity,
            } => write!(f, "NeedKey({handshake:?}, {})", identity.escape_ascii()),
            Self::Established {
                session,
                peer,
                identity,
            } => write!(
                f,
                "Established({session:?}, {peer}, {})",
                identity.escape_ascii()
            ),
            Self::Data { session, data } => {
                write!(f, "Data({session:?}, {} bytes)", data.len())
            }
            Self::Moved { session, from, to } => write!(f, "Moved({session:?}, {from}, {to})"),
            Self::Closed { session, reason } => write!(f, "Closed({session:?}, {reason:?})"),
        }
    }
}

/// How the handshakes of an engine ended, for whoever operates it.
///
/// One of an address that never returned its cookie does not count: anybody can send that.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "engines outside this crate count, too"
)]
pub struct Handshakes {
    /// Those that became a session.
    pub established: u64,
    /// Those that failed or gave way to a newer one.
    pub failed: u64,
    /// Those that were not complete in time. A wrong key shows up here: the peer's Finished cannot be read.
    pub timed_out: u64,
}

impl Handshakes {
    /// These and those of another engine.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            established: self.established.saturating_add(other.established),
            failed: self.failed.saturating_add(other.failed),
            timed_out: self.timed_out.saturating_add(other.timed_out),
        }
    }

    /// Counts one that became a session.
    pub const fn succeed(&mut self) {
        self.established = self.established.saturating_add(1);
    }

    /// Counts one that ended for this reason before it became a session.
    pub const fn end(&mut self, reason: CloseReason) {
        let count = match reason {
            CloseReason::HandshakeTimeout => &mut self.timed_out,
            _ => &mut self.failed,
        };
        *count = count.saturating_add(1);
    }
}

/// Why a session is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    Local,
    /// The peer closed it.
    Peer,
    /// The handshake did not complete in time.
    HandshakeTimeout,
    /// The handshake failed: a wrong key or parameters that do not fit.
    HandshakeFailed,
    /// The engine met an error that it cannot go on from.
    Fault,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn plaintext_does_not_print() {
        let session = SessionId(7);
        let data = b"deviceSecret".to_vec();
        assert_eq!(
            format!("{:?}", DtlsEvent::Data { session, data }),
            "Data(SessionId(7), 12 bytes)"
        );
    }
}
