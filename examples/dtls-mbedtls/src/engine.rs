//! Mbed TLS as an engine.

use std::net::SocketAddr;
use std::rc::Rc;

use coap_psk::{CipherSuite, Error, ErrorKind, Instant, PskKey};
use dtls_per_peer::{Answer, Engine, Hello, PerPeer};

use crate::connection::MbedtlsConnection;
use crate::ffi::{Cookies, Peer};

/// DTLS 1.2 with pre-shared keys by Mbed TLS, server and client role, for many peers.
pub type MbedtlsEndpoint = PerPeer<Mbedtls>;

/// Makes connections of Mbed TLS.
#[derive(Debug)]
pub struct Mbedtls {
    suites: Vec<u16>,
    id: Option<Vec<u8>>,
    cookies: Rc<Cookies>,
}

impl Mbedtls {
    /// An engine that offers and takes these suites, the preferred one first, and wants to be sent records with this connection id:
    /// with an empty one it sends with that of its peer and wants none itself, with `None` there are no ids. (RFC 9146)
    ///
    /// # Errors
    /// [`ErrorKind::Transport`] when the system has no memory or no randomness.
    pub fn new(suites: &[CipherSuite], id: Option<&[u8]>) -> Result<Self, Error> {
        let cookies = Cookies::new().ok_or_else(|| Error::new(ErrorKind::Transport))?;
        Ok(Self {
            suites: suites.iter().map(|suite| suite.number()).collect(),
            id: id.map(<[u8]>::to_vec),
            cookies: Rc::new(cookies),
        })
    }

    fn peer(&self, cookies: Option<Rc<Cookies>>) -> Option<Peer> {
        Peer::new(cookies, &self.suites, self.id.as_deref())
    }
}

impl Engine for Mbedtls {
    type Connection = MbedtlsConnection;

    fn accept(&mut self, hello: Hello<'_>, now: Instant) -> Answer<MbedtlsConnection> {
        // Without memory for it, the hello is as good as lost.
        let Some(mut peer) = self.peer(Some(Rc::clone(&self.cookies))) else {
            return Answer::Stateless(Vec::new());
        };
        if !peer.bind_cookie(hello.from.to_string().as_bytes()) {
            return Answer::Stateless(Vec::new());
        }
        peer.put(hello.datagram);
        let mut connection = MbedtlsConnection::new(peer, now);
        match connection.go_on(now) {
            // Without its cookie, that is the answer.
            Err(failed) => Answer::Stateless(failed.last_words),
            Ok(()) => Answer::Handshake(connection),
        }
    }

    fn connect(
        &mut self,
        _to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<MbedtlsConnection, Error> {
        let peer = self.peer(None);
        let mut peer = peer.ok_or_else(|| Error::new(ErrorKind::Transport))?;
        if !peer.identify(identity, &key) {
            let cause = "Mbed TLS has no room for the identity";
            return Err(Error::with_source(ErrorKind::Transport, cause));
        }
        let mut connection = MbedtlsConnection::new(peer, now);
        match connection.go_on(now) {
            Ok(()) => Ok(connection),
            Err(_) => Err(Error::new(ErrorKind::Transport)),
        }
    }
}
