//! `dimpl` as an engine.

use std::net::SocketAddr;

use coap_psk::{Error, ErrorKind, Instant, PskKey};
use dtls_per_peer::{Answer, Engine, Hello, PerPeer};

use crate::clock::Clock;
use crate::connection::DimplConnection;

/// DTLS 1.2 with TLS_PSK_WITH_AES_128_CCM_8 by `dimpl`, server and client role, for many peers. It is made from its limits
/// and the moment that instant zero stands for.
pub type DimplEndpoint = PerPeer<Dimpl>;

/// Makes connections of `dimpl`.
#[derive(Clone, Copy, Debug)]
pub struct Dimpl {
    clock: Clock,
}

impl From<std::time::Instant> for Dimpl {
    /// `origin` is the moment that instant zero stands for.
    fn from(origin: std::time::Instant) -> Self {
        let clock = Clock { origin };
        Self { clock }
    }
}

impl Engine for Dimpl {
    type Connection = DimplConnection;

    /// Begins a handshake: the cookie of `dimpl` is one that only its own connection knows.
    fn accept(&mut self, hello: Hello<'_>, now: Instant) -> Answer<DimplConnection> {
        match DimplConnection::accept(hello.datagram, self.clock, now) {
            Ok(connection) => Answer::Handshake(connection),
            Err(_) => Answer::Stateless(Vec::new()),
        }
    }

    fn connect(
        &mut self,
        _to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<DimplConnection, Error> {
        DimplConnection::connect(identity, key, self.clock, now)
            .map_err(|cause| Error::with_source(ErrorKind::Transport, cause))
    }
}
