//! A DTLS engine without the security: handshakes with a key, sessions, records in clear. For tests of what stands on it.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
use coap_psk::{Error, ErrorKind, Instant, PskKey};

const HELLO: u8 = 1;
const PROOF: u8 = 2;
const FINISHED: u8 = 3;
const RECORD: u8 = 4;
const BYE: u8 = 5;

const RESEND: Duration = Duration::from_secs(1);
const ATTEMPTS: u8 = 60;

enum State {
    Saying(Vec<u8>),
    WaitingForKey,
    Proving(Vec<u8>),
    Open,
}

struct Peer {
    address: SocketAddr,
    nonce: u64,
    identity: Vec<u8>,
    key: Option<PskKey>,
    state: State,
    resend: Option<Instant>,
    attempts: u8,
}

/// One end; the two ends of a pair need different `salt`s.
pub(crate) struct Plain {
    next: u64,
    salt: u64,
    peers: BTreeMap<u64, Peer>,
    events: VecDeque<DtlsEvent>,
    transmits: VecDeque<Transmit>,
}

impl Plain {
    pub(crate) fn new(salt: u64) -> Self {
        Self {
            next: 0,
            salt,
            peers: BTreeMap::new(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    fn transmit(&mut self, to: SocketAddr, kind: u8, nonce: u64, body: &[u8]) {
        let datagram = [&[kind][..], &nonce.to_be_bytes(), body].concat();
        self.transmits.push_back(Transmit { to, datagram });
    }

    fn add(&mut self, peer: Peer) -> u64 {
        self.next += 1;
        self.peers.insert(self.next, peer);
        self.next
    }

    fn find(&self, nonce: u64) -> Option<u64> {
        self.peers
            .iter()
            .find(|(_, peer)| peer.nonce == nonce)
            .map(|(id, _)| *id)
    }

    fn fail(&mut self, id: u64, reason: CloseReason) {
        if self.peers.remove(&id).is_some() {
            self.events.push_back(DtlsEvent::Closed {
                session: SessionId(id),
                reason,
            });
        }
    }

    fn open(&mut self, id: u64) {
        let Some(peer) = self.peers.get_mut(&id) else {
            return;
        };
        peer.state = State::Open;
        peer.resend = None;
        let (peer, identity) = (peer.address, peer.identity.clone());
        self.events.push_back(DtlsEvent::Established {
            session: SessionId(id),
            peer,
            identity,
        });
    }
}

impl DtlsEndpoint for Plain {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], _now: Instant) {
        let Some((&kind, rest)) = datagram.split_first() else {
            return;
        };
        let Some((nonce, body)) = rest.split_first_chunk::<8>() else {
            return;
        };
        let nonce = u64::from_be_bytes(*nonce);
        let known = self.find(nonce);
        match (kind, known) {
            (HELLO, None) => {
                let state = State::WaitingForKey;
                let identity = body.to_vec();
                let id = self.add(Peer {
                    address: from,
                    nonce,
                    identity,
                    key: None,
                    state,
                    resend: None,
                    attempts: 0,
                });
                let identity = body.to_vec();
                self.events.push_back(DtlsEvent::NeedKey {
                    handshake: HandshakeId(id),
                    identity,
                });
            }
            (PROOF, Some(id)) => {
                let peer = &self.peers[&id];
                let right = peer.key.as_ref().is_some_and(|key| key.expose() == body);
                let (address, fresh) = (peer.address, matches!(peer.state, State::Saying(_)));
                if !right {
                    return self.fail(id, CloseReason::HandshakeFailed);
                }
                self.transmit(address, FINISHED, nonce, &[]);
                if fresh {
                    self.open(id);
                }
            }
            (FINISHED, Some(id)) if matches!(self.peers[&id].state, State::Proving(_)) => {
                self.open(id);
            }
            (RECORD, Some(id)) if matches!(self.peers[&id].state, State::Open) => {
                let peer = self.peers.get_mut(&id).unwrap();
                if peer.address != from {
                    let moved = DtlsEvent::Moved {
                        session: SessionId(id),
                        from: peer.address,
                        to: from,
                    };
                    peer.address = from;
                    self.events.push_back(moved);
                }
                self.events.push_back(DtlsEvent::Data {
                    session: SessionId(id),
                    data: body.to_vec(),
                });
            }
            (BYE, Some(id)) if matches!(self.peers[&id].state, State::Open) => {
                self.fail(id, CloseReason::Peer);
            }
            _ => {}
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        let due: Vec<u64> = self
            .peers
            .iter()
            .filter(|(_, it)| it.resend.is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let peer = self.peers.get_mut(&id).unwrap();
            peer.attempts += 1;
            peer.resend = Some(now.saturating_add(RESEND));
            let (address, nonce, attempts) = (peer.address, peer.nonce, peer.attempts);
            let (kind, body) = match &peer.state {
                State::Saying(body) => (HELLO, body.clone()),
                State::Proving(body) => (PROOF, body.clone()),
                State::WaitingForKey | State::Open => continue,
            };
            if attempts > ATTEMPTS {
                if kind == HELLO {
                    self.fail(id, CloseReason::HandshakeTimeout);
                } else {
                    self.peers.remove(&id);
                }
                continue;
            }
            self.transmit(address, kind, nonce, &body);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(|peer| peer.resend).min()
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        let Some(peer) = self.peers.get_mut(&handshake.0) else {
            return;
        };
        if !matches!(peer.state, State::WaitingForKey) {
            return;
        }
        let proof = key.map_or_else(|| vec![0; 16], |key| key.expose().to_vec());
        peer.state = State::Proving(proof.clone());
        peer.resend = Some(now.saturating_add(RESEND));
        let (address, nonce) = (peer.address, peer.nonce);
        self.transmit(address, PROOF, nonce, &proof);
    }

    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error> {
        let nonce = self.salt << 32 | (self.next + 1);
        let state = State::Saying(identity.to_vec());
        let resend = Some(now.saturating_add(RESEND));
        let identity = identity.to_vec();
        let id = self.add(Peer {
            address: to,
            nonce,
            identity: identity.clone(),
            key: Some(key),
            state,
            resend,
            attempts: 0,
        });
        self.transmit(to, HELLO, nonce, &identity);
        Ok(SessionId(id))
    }

    fn send(&mut self, session: SessionId, data: &[u8], _now: Instant) -> Result<(), Error> {
        let peer = self
            .peers
            .get(&session.0)
            .filter(|peer| matches!(peer.state, State::Open));
        let (address, nonce) = peer
            .map(|peer| (peer.address, peer.nonce))
            .ok_or(ErrorKind::UnknownSession)?;
        self.transmit(address, RECORD, nonce, data);
        Ok(())
    }

    fn close(&mut self, session: SessionId, _now: Instant) {
        if let Some(peer) = self.peers.remove(&session.0) {
            self.transmit(peer.address, BYE, peer.nonce, &[]);
            self.events.push_back(DtlsEvent::Closed {
                session,
                reason: CloseReason::Local,
            });
        }
    }
}
