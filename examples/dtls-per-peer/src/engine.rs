//! What an engine has to offer.

use std::net::SocketAddr;

use coap_psk::{Error, Instant, PskKey};

use crate::wire::ClientRandom;

/// Makes connections.
pub trait Engine {
    /// One of them.
    type Connection: Connection;

    /// Takes a ClientHello that no handshake under way has seen.
    fn accept(&mut self, hello: Hello<'_>, now: Instant) -> Answer<Self::Connection>;

    /// Begins a handshake with the server at `to`.
    ///
    /// # Errors
    /// [`ErrorKind::Transport`](coap_psk::ErrorKind::Transport) when the engine cannot.
    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<Self::Connection, Error>;
}

/// A datagram that begins with a ClientHello.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "what an engine is told, it must look at"
)]
pub struct Hello<'a> {
    /// Where it came from.
    pub from: SocketAddr,
    /// What the client drew for this handshake; it stays the same when the cookie comes back.
    pub random: &'a ClientRandom,
    /// All of it.
    pub datagram: &'a [u8],
}

/// What an engine makes of a ClientHello.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "engines outside this crate answer with it"
)]
pub enum Answer<C> {
    /// A handshake, which has taken the datagram.
    Handshake(C),
    /// Nothing is kept of it; these datagrams go back.
    Stateless(Vec<Vec<u8>>),
}

/// The engine of one connection. A failure is final: it is not called again then.
pub trait Connection {
    /// Takes a datagram of the peer.
    ///
    /// # Errors
    /// The connection is over.
    fn handle_datagram(&mut self, datagram: &[u8], now: Instant) -> Result<(), Failed>;

    /// Does what is due at `now`.
    ///
    /// # Errors
    /// The connection is over.
    fn handle_timeout(&mut self, now: Instant) -> Result<(), Failed>;

    /// Provides the key of the identity that the peer named; its ClientKeyExchange follows.
    fn provide_key(&mut self, identity: &[u8], key: PskKey);

    /// Sends `data` as one record.
    ///
    /// # Errors
    /// [`ErrorKind::Transport`](coap_psk::ErrorKind::Transport): the connection is over.
    fn send(&mut self, data: &[u8], now: Instant) -> Result<(), Error>;

    /// Says to the peer that this is the end.
    fn close(&mut self);

    /// Everything that the engine has to say now, and when it wants to be called again.
    fn drain(&mut self, now: Instant) -> (Vec<Step>, Option<Instant>);
}

/// What a connection has to say.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "engines outside this crate say it")]
pub enum Step {
    /// A datagram for the peer.
    Transmit(Vec<u8>),
    /// Both sides verified each other.
    Established,
    /// The plaintext of an authentic record.
    Data(Vec<u8>),
    /// The peer closed the connection.
    ClosedByPeer,
}

/// A connection that is over.
#[derive(Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "engines outside this crate make it"
)]
pub struct Failed {
    /// The datagrams that tell the peer so.
    pub last_words: Vec<Vec<u8>>,
}
