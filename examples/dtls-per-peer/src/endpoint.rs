//! Many connections as one [`DtlsEndpoint`].

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

use coap_psk::dtls::{
    Claim, CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, Handshakes, SessionId, ShardNumber,
    Transmit,
};
use coap_psk::{Error, ErrorKind, Instant, PskKey};

use crate::engine::{Answer, Connection, Engine, Failed, Hello, Step};
use crate::peer::{Peer, Phase};
use crate::table::{AtAddress, Table};
use crate::wire::{ClientRandom, Message, messages, starts_in_clear};

/// The most bytes of one record. (RFC 6347, 4.1; RFC 5246, 6.2.1)
const MAX_PLAINTEXT: usize = 1 << 14;

/// What is bounded in an endpoint.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Established sessions; at the limit new handshakes are not begun. Default 10,000.
    pub max_sessions: usize,
    /// Handshakes under way; at the limit the oldest gives way, one of an unverified address first. Default 1,024.
    pub max_handshakes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sessions: 10_000,
            max_handshakes: 1024,
        }
    }
}

/// DTLS 1.2 by an engine that knows one connection each, server and client role, for many peers.
pub struct PerPeer<E: Engine> {
    limits: Limits,
    engine: E,
    shard: ShardNumber,
    table: Table<E::Connection>,
    counts: Handshakes,
    events: VecDeque<DtlsEvent>,
    transmits: VecDeque<Transmit>,
}

impl<E: Engine> PerPeer<E> {
    /// An endpoint without connections.
    #[must_use]
    pub fn new(limits: Limits, engine: impl Into<E>) -> Self {
        Self {
            limits,
            engine: engine.into(),
            shard: ShardNumber::default(),
            table: Table::new(),
            counts: Handshakes::default(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    /// This endpoint as one of several at an address: from now on its ids name this shard. A peer is known by its address, and
    /// what comes from one address must come to the same shard.
    #[must_use]
    pub const fn on_shard(mut self, shard: ShardNumber) -> Self {
        self.shard = shard;
        self.table.begin_at(shard.first_id());
        self
    }

    /// How the handshakes of both roles ended so far.
    #[must_use]
    pub const fn handshakes(&self) -> Handshakes {
        self.counts
    }

    fn insert(&mut self, peer: Peer<E::Connection>) -> u64 {
        if self.table.handshakes() >= self.limits.max_handshakes
            && let Some(oldest) = self.table.oldest_handshake()
        {
            self.remove(oldest, CloseReason::HandshakeTimeout);
        }
        let (id, replaced) = self.table.insert(peer);
        if let Some(replaced) = replaced {
            self.remove(replaced, CloseReason::HandshakeFailed);
        }
        id
    }

    /// Takes a connection out; says so when anybody outside had heard of it.
    fn remove(&mut self, id: u64, reason: CloseReason) {
        let Some(peer) = self.table.remove(id) else {
            return;
        };
        if !peer.is_established() && !peer.is_hello() {
            self.counts.end(reason);
        }
        if peer.is_client() || peer.is_established() {
            self.events.push_back(DtlsEvent::Closed {
                session: SessionId(id),
                reason,
            });
        }
    }

    /// Takes out a connection whose engine gave up.
    fn fail(&mut self, id: u64, failed: Failed, in_handshake: CloseReason) {
        let Some(peer) = self.table.get(id) else {
            return;
        };
        let (to, established) = (peer.at, peer.is_established());
        self.transmit(to, failed.last_words);
        self.remove(
            id,
            if established {
                CloseReason::Fault
            } else {
                in_handshake
            },
        );
    }

    fn transmit(&mut self, to: SocketAddr, datagrams: Vec<Vec<u8>>) {
        let transmits = datagrams.into_iter();
        self.transmits
            .extend(transmits.map(|datagram| Transmit { to, datagram }));
    }

    /// Takes over what a connection has to say, and sets its timer.
    fn drain(&mut self, id: u64, now: Instant) {
        let Some(peer) = self.table.get_mut(id) else {
            return;
        };
        let to = peer.at;
        let (steps, deadline) = peer.connection.drain(now);
        let mut closed = false;
        for step in steps {
            match step {
                Step::Transmit(datagram) => {
                    self.note_server_hello(id, &datagram);
                    self.transmits.push_back(Transmit { to, datagram });
                }
                Step::Established => self.establish(id),
                Step::Data(data) => self.events.push_back(DtlsEvent::Data {
                    session: SessionId(id),
                    data,
                }),
                Step::ClosedByPeer => closed = true,
            }
        }
        if closed {
            return self.remove(id, CloseReason::Peer);
        }
        self.table.schedule(id, deadline);
    }

    /// A ServerHello says that the peer returned its cookie: only now an older handshake at its address gives way.
    fn note_server_hello(&mut self, id: u64, datagram: &[u8]) {
        if self.table.get(id).is_some_and(Peer::is_hello)
            && messages(datagram).any(|message| message == Message::ServerHello)
            && let Some(replaced) = self.table.verify(id)
        {
            self.remove(replaced, CloseReason::HandshakeFailed);
        }
    }

    fn establish(&mut self, id: u64) {
        let Some(peer) = self.table.get(id) else {
            return;
        };
        let (peer, identity) = (peer.at, peer.identity.clone());
        let replaced = self.table.establish(id);
        self.counts.succeed();
        self.events.push_back(DtlsEvent::Established {
            session: SessionId(id),
            peer,
            identity,
        });
        if let Some(replaced) = replaced {
            self.remove(replaced, CloseReason::Peer);
        }
    }

    fn feed(&mut self, id: u64, datagram: &[u8], now: Instant) {
        let Some(peer) = self.table.get_mut(id) else {
            return;
        };
        match peer.connection.handle_datagram(datagram, now) {
            Ok(()) => self.drain(id, now),
            Err(failed) => self.fail(id, failed, CloseReason::HandshakeFailed),
        }
    }

    /// Feeds a ClientHello to the handshake that it belongs to; one that belongs to none may begin another.
    fn feed_hello(
        &mut self,
        from: SocketAddr,
        at: AtAddress,
        random: Option<&ClientRandom>,
        datagram: &[u8],
        now: Instant,
    ) {
        let Some(random) = random else {
            // A later fragment does not say whose it is.
            if let Some(id) = at.hello.or(at.pending) {
                self.feed(id, datagram, now);
            }
            return;
        };
        let begun = [at.hello, at.pending].into_iter().flatten().find(|id| {
            let peer = self.table.get(*id);
            peer.is_some_and(|peer| peer.client_random.as_ref() == Some(random))
        });
        if let Some(id) = begun {
            return self.feed(id, datagram, now);
        }
        if self.table.established() >= self.limits.max_sessions && at.established.is_none() {
            return;
        }
        let hello = Hello {
            from,
            random,
            datagram,
        };
        match self.engine.accept(hello, now) {
            Answer::Handshake(connection) => {
                let id = self.insert(Peer {
                    at: from,
                    client_random: Some(*random),
                    phase: Phase::Hello,
                    identity: Vec::new(),
                    connection,
                });
                self.drain(id, now);
            }
            Answer::Stateless(datagrams) => self.transmit(from, datagrams),
        }
    }

    /// Feeds another datagram of a handshake, unless it brings the identity: then the key is asked for first.
    fn feed_handshake(&mut self, id: u64, datagram: &[u8], now: Instant) {
        let Some(peer) = self.table.get_mut(id) else {
            return;
        };
        let identity = messages(datagram).find_map(|message| match message {
            Message::ClientKeyExchange { identity } => Some(identity.to_vec()),
            _ => None,
        });
        match (&mut peer.phase, identity) {
            (Phase::Negotiating, Some(identity)) => {
                peer.identity.clone_from(&identity);
                peer.phase = Phase::WaitingForKey {
                    held: datagram.to_vec(),
                };
                self.events.push_back(DtlsEvent::NeedKey {
                    handshake: HandshakeId(id),
                    identity,
                });
            }
            // What else arrives meanwhile is lost; the peer repeats its flight.
            (Phase::WaitingForKey { .. }, _) => {}
            _ => self.feed(id, datagram, now),
        }
    }
}

impl<E: Engine> DtlsEndpoint for PerPeer<E> {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let at = self.table.at(from);
        if !starts_in_clear(datagram) {
            // Which of the two it belongs to, only the keys can tell; each drops what it cannot verify.
            for id in [at.established, at.pending].into_iter().flatten() {
                self.feed(id, datagram, now);
            }
            return;
        }
        if let Some(Message::ClientHello { random }) = messages(datagram).next() {
            self.feed_hello(from, at, random, datagram, now);
        } else if let Some(pending) = at.pending {
            // No identity is looked up for an address that did not return its cookie: a hello is not pending.
            self.feed_handshake(pending, datagram, now);
        } else if let Some(established) = at.established {
            // A flight repeated because our last one was lost.
            self.feed(established, datagram, now);
        }
    }

    fn claim_of(&self, from: SocketAddr, _datagram: &[u8]) -> Claim {
        let at = self.table.at(from);
        match at.established.or(at.pending) {
            Some(_) => Claim::Known,
            None => Claim::Stranger,
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(id) = self.table.take_due(now) {
            let Some(peer) = self.table.get_mut(id) else {
                continue;
            };
            match peer.connection.handle_timeout(now) {
                Ok(()) => self.drain(id, now),
                Err(failed) => self.fail(id, failed, CloseReason::HandshakeTimeout),
            }
            // An engine that asks for a moment that has passed is asked again a little later, not in a circle.
            if self.table.deadline_of(id).is_some_and(|again| again <= now) {
                let later = Instant::from_micros(now.as_micros().saturating_add(1000));
                self.table.schedule(id, Some(later));
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.table.next_deadline()
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        let id = handshake.0;
        let Some(peer) = self.table.get_mut(id) else {
            return;
        };
        let Phase::WaitingForKey { held } = &mut peer.phase else {
            return;
        };
        let held = std::mem::take(held);
        peer.phase = Phase::Keyed;
        // An unknown identity goes on with a key that nobody has, so that it fails where a wrong key fails.
        let Some(key) = key.or_else(random_key) else {
            return self.fail(id, Failed::default(), CloseReason::HandshakeFailed);
        };
        peer.connection.provide_key(&peer.identity, key);
        self.feed(id, &held, now);
    }

    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error> {
        if self.table.established() >= self.limits.max_sessions {
            return Err(Error::new(ErrorKind::Full));
        }
        let connection = self.engine.connect(to, identity, key, now)?;
        let id = self.insert(Peer {
            at: to,
            client_random: None,
            phase: Phase::Keyed,
            identity: identity.to_vec(),
            connection,
        });
        self.drain(id, now);
        Ok(SessionId(id))
    }

    fn send(&mut self, session: SessionId, data: &[u8], now: Instant) -> Result<(), Error> {
        if data.len() > MAX_PLAINTEXT {
            // An engine may take it for a broken connection.
            return Err(Error::new(ErrorKind::TooLarge));
        }
        let peer = self.table.get_mut(session.0);
        let peer = peer
            .filter(|peer| peer.is_established())
            .ok_or_else(|| Error::new(ErrorKind::UnknownSession))?;
        if let Err(error) = peer.connection.send(data, now) {
            self.remove(session.0, CloseReason::Fault);
            return Err(error);
        }
        self.drain(session.0, now);
        Ok(())
    }

    fn close(&mut self, session: SessionId, now: Instant) {
        if let Some(peer) = self.table.get_mut(session.0) {
            peer.connection.close();
            self.drain(session.0, now);
            self.remove(session.0, CloseReason::Local);
        }
    }

    fn shard(&self) -> ShardNumber {
        self.shard
    }
}

/// A key that nobody has.
fn random_key() -> Option<PskKey> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).ok()?;
    Some(PskKey::new(random))
}

impl<E: Engine> fmt::Debug for PerPeer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerPeer")
            .field("limits", &self.limits)
            .field("sessions", &self.table.established())
            .field("handshakes", &self.table.handshakes())
            .finish_non_exhaustive()
    }
}
