//! OpenSSL as an engine.

use std::net::SocketAddr;

use coap_psk::{CipherSuite, Error, ErrorKind, Instant, PskKey};
use dtls_per_peer::{Answer, Engine, Hello, PerPeer};

use crate::connection::{Listener, OpensslConnection};
use crate::context::Context;

/// The longest identity of a client that every release of OpenSSL has room for.
const MAX_IDENTITY_LEN: usize = 128;

/// DTLS 1.2 with pre-shared keys by OpenSSL, server and client role, for many peers.
pub type OpensslEndpoint = PerPeer<Openssl>;

/// Makes connections of OpenSSL.
#[derive(Debug)]
pub struct Openssl {
    context: Context,
    /// Answers hellos until one is worth a connection.
    listener: Option<Listener>,
}

impl Openssl {
    /// An engine that offers and takes these suites, the preferred one first.
    ///
    /// # Errors
    /// [`ErrorKind::Transport`] when the system's OpenSSL lacks them.
    pub fn new(suites: &[CipherSuite]) -> Result<Self, Error> {
        let context = Context::new(suites)
            .map_err(|cause| Error::with_source(ErrorKind::Transport, cause))?;
        let listener = None;
        Ok(Self { context, listener })
    }
}

impl Engine for Openssl {
    type Connection = OpensslConnection;

    fn accept(&mut self, hello: Hello<'_>, now: Instant) -> Answer<OpensslConnection> {
        let listener = self.listener.take();
        // Without memory for another one, the hello is as good as lost.
        let Some(mut listener) = listener.or_else(|| Listener::new(&self.context).ok()) else {
            return Answer::Stateless(Vec::new());
        };
        if listener.takes(&hello, now) {
            return match listener.into_connection(now) {
                Ok(connection) => Answer::Handshake(connection),
                Err(failed) => Answer::Stateless(failed.last_words),
            };
        }
        let answer = listener.answer();
        self.listener = Some(listener);
        Answer::Stateless(answer)
    }

    fn connect(
        &mut self,
        _to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<OpensslConnection, Error> {
        if identity.len() > MAX_IDENTITY_LEN || identity.contains(&0) {
            let cause = "OpenSSL has no room for the identity";
            return Err(Error::with_source(ErrorKind::Transport, cause));
        }
        OpensslConnection::connect(&self.context, identity, key, now)
    }
}
