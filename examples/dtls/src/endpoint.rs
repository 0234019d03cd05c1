//! Many `dimpl` connections as one [`DtlsEndpoint`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
use coap_psk::secret::PskKey;
use coap_psk::{Error, ErrorKind, Instant};

use crate::connection::{Connection, Phase, Step};
use crate::handshakes::Handshakes;
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

/// The connections at one address: at most one of each. One that gets further takes the place of the one before it, and
/// not earlier: whoever can only send in the peer's name, and not receive, harms nothing that is verified.
#[derive(Clone, Copy, Debug, Default)]
struct AtAddress {
    /// It works.
    established: Option<u64>,
    /// A handshake with an address that returned its cookie, or one that we began.
    pending: Option<u64>,
    /// A handshake of which nothing is verified.
    hello: Option<u64>,
}

/// DTLS 1.2 with TLS_PSK_WITH_AES_128_CCM_8 by `dimpl`, server and client role, for many peers.
#[derive(Debug)]
pub struct DimplEndpoint {
    limits: Limits,
    /// The moment that `Instant` zero of coap-psk stands for.
    origin: std::time::Instant,
    connections: BTreeMap<u64, Connection>,
    addresses: BTreeMap<SocketAddr, AtAddress>,
    deadlines: BTreeSet<(Instant, u64)>,
    deadline_of: BTreeMap<u64, Instant>,
    /// Handshakes under way, oldest first.
    handshakes: BTreeSet<u64>,
    /// Those among them whose address is not verified.
    hellos: BTreeSet<u64>,
    counts: Arc<Handshakes>,
    next: u64,
    events: VecDeque<DtlsEvent>,
    transmits: VecDeque<Transmit>,
}

impl DimplEndpoint {
    /// An endpoint without connections; `origin` is the moment that instant zero stands for.
    #[must_use]
    pub fn new(limits: Limits, origin: std::time::Instant) -> Self {
        Self {
            limits,
            origin,
            connections: BTreeMap::new(),
            addresses: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: BTreeMap::new(),
            handshakes: BTreeSet::new(),
            hellos: BTreeSet::new(),
            counts: Arc::default(),
            next: 0,
            events: VecDeque::new(),
            transmits: VecDeque::new(),
        }
    }

    /// Counts in `counts` how handshakes end.
    #[must_use]
    pub fn counting(mut self, counts: Arc<Handshakes>) -> Self {
        self.counts = counts;
        self
    }

    fn engine_time(&self, now: Instant) -> std::time::Instant {
        self.origin
            .checked_add(Duration::from_micros(now.as_micros()))
            .unwrap_or(self.origin)
    }

    fn family_time(&self, at: std::time::Instant) -> Instant {
        let since = at.saturating_duration_since(self.origin);
        Instant::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn established_count(&self) -> usize {
        self.connections.len().saturating_sub(self.handshakes.len())
    }

    fn insert(&mut self, connection: Connection) -> u64 {
        if self.handshakes.len() >= self.limits.max_handshakes
            && let Some(oldest) = self.hellos.iter().chain(&self.handshakes).next().copied()
        {
            self.remove(oldest, CloseReason::HandshakeTimeout);
        }
        let id = self.next;
        self.next = self.next.saturating_add(1);
        let at = self.addresses.entry(connection.peer).or_default();
        let replaced = if connection.is_hello() {
            self.hellos.insert(id);
            at.hello.replace(id)
        } else {
            at.pending.replace(id)
        };
        self.handshakes.insert(id);
        self.connections.insert(id, connection);
        if let Some(replaced) = replaced {
            self.remove(replaced, CloseReason::HandshakeFailed);
        }
        id
    }

    /// Notes that the peer of a handshake returned its cookie: only now an older handshake at its address gives way.
    fn verify(&mut self, id: u64, peer: SocketAddr) {
        self.hellos.remove(&id);
        let at = self.addresses.entry(peer).or_default();
        at.hello = at.hello.filter(|known| *known != id);
        if let Some(replaced) = at.pending.replace(id) {
            self.remove(replaced, CloseReason::HandshakeFailed);
        }
    }

    /// Takes a connection out; says so when anybody outside had heard of it.
    fn remove(&mut self, id: u64, reason: CloseReason) {
        let Some(connection) = self.connections.remove(&id) else {
            return;
        };
        let verified = !self.hellos.remove(&id);
        if self.handshakes.remove(&id) && verified {
            self.counts.ended(reason);
        }
        if let Some(at) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(at, id));
        }
        if let Some(at) = self.addresses.get_mut(&connection.peer) {
            at.established = at.established.filter(|known| *known != id);
            at.pending = at.pending.filter(|known| *known != id);
            at.hello = at.hello.filter(|known| *known != id);
            if let (None, None, None) = (at.established, at.pending, at.hello) {
                self.addresses.remove(&connection.peer);
            }
        }
        if connection.is_client() || connection.is_established() {
            self.events.push_back(DtlsEvent::Closed {
                session: SessionId(id),
                reason,
            });
        }
    }

    /// Takes over what a connection has to say, and sets its timer.
    fn drain(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let to = connection.peer;
        let identity = connection.identity.clone();
        let was_hello = connection.is_hello();
        let (steps, deadline) = connection.drain();
        if was_hello && !connection.is_hello() {
            self.verify(id, to);
        }
        let mut closed = false;
        for step in steps {
            match step {
                Step::Transmit(datagram) => self.transmits.push_back(Transmit { to, datagram }),
                Step::Established => self.establish(id, to, identity.clone()),
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
        if let Some(old) = self.deadline_of.remove(&id) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(deadline) = deadline.map(|at| self.family_time(at)) {
            self.deadline_of.insert(id, deadline);
            self.deadlines.insert((deadline, id));
        }
    }

    fn establish(&mut self, id: u64, peer: SocketAddr, identity: Vec<u8>) {
        self.handshakes.remove(&id);
        self.counts.succeeded();
        let at = self.addresses.entry(peer).or_default();
        at.pending = at.pending.filter(|known| *known != id);
        let old = at.established.replace(id);
        self.events.push_back(DtlsEvent::Established {
            session: SessionId(id),
            peer,
            identity,
        });
        if let Some(old) = old {
            self.remove(old, CloseReason::Peer);
        }
    }

    fn feed(&mut self, id: u64, datagram: &[u8], now: Instant) {
        let now = self.engine_time(now);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        match connection.feed(datagram, now) {
            Ok(()) => self.drain(id),
            Err(_) => self.fail(id, CloseReason::HandshakeFailed),
        }
    }

    /// Takes out a connection whose engine gave up: an error of `dimpl` is final.
    fn fail(&mut self, id: u64, in_handshake: CloseReason) {
        let established = self
            .connections
            .get(&id)
            .is_some_and(Connection::is_established);
        self.remove(
            id,
            if established {
                CloseReason::Fault
            } else {
                in_handshake
            },
        );
    }

    /// Feeds a ClientHello to the handshake that it belongs to; one that belongs to none begins another.
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
            self.connections
                .get(id)
                .is_some_and(|it| it.client_random.as_ref() == Some(random))
        });
        if let Some(id) = begun {
            return self.feed(id, datagram, now);
        }
        if self.established_count() >= self.limits.max_sessions && at.established.is_none() {
            return;
        }
        if let Ok(connection) = Connection::server(from, *random, self.engine_time(now)) {
            let id = self.insert(connection);
            self.feed(id, datagram, now);
        }
    }

    /// Feeds another datagram of a handshake, unless it brings the identity: then the key is asked for first.
    fn feed_handshake(&mut self, id: u64, datagram: &[u8], now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let identity = messages(datagram).find_map(|message| match message {
            Message::ClientKeyExchange { identity } => Some(identity.to_vec()),
            _ => None,
        });
        match (&mut connection.phase, identity) {
            (Phase::Negotiating, Some(identity)) => {
                connection.identity.clone_from(&identity);
                connection.phase = Phase::WaitingForKey {
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

impl DtlsEndpoint for DimplEndpoint {
    fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Instant) {
        let at = self.addresses.get(&from).copied().unwrap_or_default();
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

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, id));
            self.deadline_of.remove(&id);
            let std_now = self.engine_time(now);
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            match connection.tick(std_now) {
                Ok(()) => self.drain(id),
                Err(_) => self.fail(id, CloseReason::HandshakeTimeout),
            }
            // An engine that asks for a moment that has passed is asked again a little later, not in a circle.
            if let Some(&again) = self.deadline_of.get(&id)
                && again <= now
            {
                let later = Instant::from_micros(now.as_micros().saturating_add(1000));
                self.deadlines.remove(&(again, id));
                self.deadlines.insert((later, id));
                self.deadline_of.insert(id, later);
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.events.pop_front()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    fn provide_key(&mut self, handshake: HandshakeId, key: Option<PskKey>, now: Instant) {
        let id = handshake.0;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !matches!(connection.phase, Phase::WaitingForKey { .. }) {
            return;
        }
        let Phase::WaitingForKey { held } = std::mem::replace(&mut connection.phase, Phase::Keyed)
        else {
            return;
        };
        // An unknown identity goes on with a key that nobody has, so that it fails where a wrong key fails.
        let key = key.or_else(|| {
            let mut random = [0; 16];
            getrandom::fill(&mut random).ok()?;
            Some(PskKey::new(random))
        });
        let Some(key) = key else {
            return self.fail(id, CloseReason::HandshakeFailed);
        };
        connection.slot.put(connection.identity.clone(), key);
        self.feed(id, &held, now);
    }

    fn connect(
        &mut self,
        to: SocketAddr,
        identity: &[u8],
        key: PskKey,
        now: Instant,
    ) -> Result<SessionId, Error> {
        if self.established_count() >= self.limits.max_sessions {
            return Err(Error::new(ErrorKind::Full));
        }
        let connection = Connection::client(to, identity, key, self.engine_time(now))
            .map_err(|cause| Error::with_source(ErrorKind::Transport, cause))?;
        let id = self.insert(connection);
        self.drain(id);
        Ok(SessionId(id))
    }

    fn send(&mut self, session: SessionId, data: &[u8], now: Instant) -> Result<(), Error> {
        if data.len() > MAX_PLAINTEXT {
            // The engine would take it for a broken connection.
            return Err(Error::new(ErrorKind::TooLarge));
        }
        let now = self.engine_time(now);
        let connection = self
            .connections
            .get_mut(&session.0)
            .filter(|connection| connection.is_established())
            .ok_or_else(|| Error::new(ErrorKind::UnknownSession))?;
        if let Err(cause) = connection.send(data, now) {
            self.remove(session.0, CloseReason::Fault);
            return Err(Error::with_source(ErrorKind::Transport, cause));
        }
        self.drain(session.0);
        Ok(())
    }

    fn close(&mut self, session: SessionId, _now: Instant) {
        if let Some(connection) = self.connections.get_mut(&session.0) {
            connection.close();
            self.drain(session.0);
            self.remove(session.0, CloseReason::Local);
        }
    }
}
