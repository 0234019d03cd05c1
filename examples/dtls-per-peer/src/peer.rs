//! A connection and how far it is.

use std::net::SocketAddr;

use crate::wire::ClientRandom;

#[derive(Debug)]
pub(crate) struct Peer<C> {
    pub(crate) at: SocketAddr,
    /// Of the client whose handshake this is; `None` when we are the client.
    pub(crate) client_random: Option<ClientRandom>,
    pub(crate) phase: Phase,
    pub(crate) identity: Vec<u8>,
    pub(crate) connection: C,
}

/// How far a connection is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing was agreed yet: the peer's address is not even verified.
    Hello,
    /// The ServerHello is out, so the cookie was right; the identity may come.
    Negotiating,
    /// The identity was handed out; its datagram waits for the key.
    WaitingForKey { held: Vec<u8> },
    /// The key is there, or we are the client and had it from the start.
    Keyed,
    /// Both sides verified each other.
    Established,
}

impl<C> Peer<C> {
    pub(crate) fn is_client(&self) -> bool {
        self.client_random.is_none()
    }

    /// Whether the peer's address is not verified yet.
    pub(crate) fn is_hello(&self) -> bool {
        matches!(self.phase, Phase::Hello)
    }

    pub(crate) fn is_established(&self) -> bool {
        matches!(self.phase, Phase::Established)
    }
}
