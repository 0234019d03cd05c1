//! CoAP without DTLS, for tests: everybody can read and write it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
use coap_psk::{Error, ErrorKind, Instant, PskKey};

/// How many peers may speak at once; the one that began first gives way.
const MAX_PEERS: usize = 1024;

/// An engine that protects nothing: each address is a session, and its identity is the address.
#[derive(Debug, Default)]
pub struct Open {
    next: u64,
    sessions: BTreeMap<SessionId, SocketAddr>,
    peers: BTreeMap<SocketAddr, SessionId>,
    events: VecDeque<DtlsEvent>,
    transmits: VecDeque<Transmit>,
}

impl DtlsEndpoint for Open {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let session = match self.peers.get(&from) {
            Some(session) => *session,
            None => {
                if let Some((oldest, _)) = self
                    .sessions
                    .first_key_value()
                    .filter(|_| self.sessions.len() >= MAX_PEERS)
                {
                    let session = *oldest;
                    self.close(session, now);
                    let reason = CloseReason::Local;
                    self.events.push_back(DtlsEvent::Closed { session, reason });
                }
                self.next = self.next.wrapping_add(1);
                let session = SessionId(self.next);
                self.sessions.insert(session, from);
                self.peers.insert(from, session);
                let identity = from.to_string().into_bytes();
                self.events.push_back(DtlsEvent::Established {
                    session,
                    peer: from,
                    identity,
                });
                session
            }
        };
        let data = datagram.to_vec();
        self.events.push_back(DtlsEvent::Data { session, data });
    }

    fn handle_timeout(&mut self, _: Instant) {}

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn provide_key(&mut self, _: HandshakeId, _: Option<PskKey>, _: Instant) {}

    fn connect(
        &mut self,
        _: SocketAddr,
        _: &[u8],
        _: PskKey,
        _: Instant,
    ) -> Result<SessionId, Error> {
        Err(ErrorKind::Refused.into())
    }

    fn send(&mut self, session: SessionId, data: &[u8], _: Instant) -> Result<(), Error> {
        let to = *self
            .sessions
            .get(&session)
            .ok_or(ErrorKind::UnknownSession)?;
        let datagram = data.to_vec();
        self.transmits.push_back(Transmit { to, datagram });
        Ok(())
    }

    fn close(&mut self, session: SessionId, _: Instant) {
        if let Some(peer) = self.sessions.remove(&session) {
            self.peers.remove(&peer);
        }
    }
}
