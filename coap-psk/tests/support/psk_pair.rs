//! Two endpoints of our engine over a wire in virtual time that loses, delays, doubles and reorders.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId, SessionId};
use coap_psk::{Instant, PskKey};

pub(crate) const IDENTITY: &[u8] = b"MuGsF6W4,15bBZlRknc,2,3600";
pub(crate) const KEY: [u8; 16] = [7; 16];

pub(crate) fn server_at() -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, 1), 5684).into()
}

pub(crate) fn client_at() -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, 2), 40_000).into()
}

/// What the wire does to datagrams, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    /// The longest delay, in milliseconds; each datagram draws its own, so that they overtake each other.
    pub(crate) delay: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Server,
}

pub(crate) struct Pair {
    pub(crate) client: PskEndpoint,
    pub(crate) server: PskEndpoint,
    pub(crate) now: Instant,
    pub(crate) weather: Weather,
    /// The key that the server finds for any identity.
    pub(crate) key: Option<[u8; 16]>,
    /// Whether the server answers by itself when a key is wanted.
    pub(crate) answers: bool,
    pub(crate) wanted: Vec<HandshakeId>,
    pub(crate) client_events: Vec<DtlsEvent>,
    pub(crate) server_events: Vec<DtlsEvent>,
    /// Every datagram that was sent, when and by whom.
    pub(crate) sent: Vec<(Instant, Side, Vec<u8>)>,
    wire: BTreeMap<(Instant, usize), (Side, Vec<u8>)>,
    order: usize,
    dice: u64,
}

impl Pair {
    pub(crate) fn new(client: PskConfig, server: PskConfig, seed: u8) -> Self {
        Self {
            client: PskEndpoint::new(client, [seed; 32]),
            server: PskEndpoint::new(server, [!seed; 32]),
            now: Instant::from_micros(1),
            weather: Weather::default(),
            key: Some(KEY),
            answers: true,
            wanted: Vec::new(),
            client_events: Vec::new(),
            server_events: Vec::new(),
            sent: Vec::new(),
            wire: BTreeMap::new(),
            order: 0,
            dice: u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    pub(crate) fn calm() -> Self {
        Self::new(PskConfig::default(), PskConfig::default(), 1)
    }

    /// A pair with a session: its ids at the client and at the server.
    pub(crate) fn established() -> (Self, SessionId, SessionId) {
        Self::established_with(PskConfig::default(), PskConfig::default())
    }

    pub(crate) fn established_with(
        client: PskConfig,
        server: PskConfig,
    ) -> (Self, SessionId, SessionId) {
        let mut pair = Self::new(client, server, 1);
        let at_client = pair.connect();
        pair.settle();
        let at_server = pair.server_sessions()[0];
        assert_eq!(pair.client_sessions(), [at_client]);
        (pair, at_client, at_server)
    }

    pub(crate) fn connect(&mut self) -> SessionId {
        self.connect_with(KEY)
    }

    pub(crate) fn connect_with(&mut self, key: [u8; 16]) -> SessionId {
        self.client
            .connect(server_at(), IDENTITY, PskKey::new(key), self.now)
            .unwrap()
    }

    /// Lets everything happen that needs no time.
    pub(crate) fn settle(&mut self) {
        let now = self.now;
        while self.step(now) {}
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let limit = self.now.saturating_add(time);
        while self.step(limit) {}
        self.now = limit;
    }

    /// Goes to the next thing that happens, but not beyond `limit`; `false` when there is nothing until then.
    fn step(&mut self, limit: Instant) -> bool {
        self.drain();
        let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
        let timers = [self.client.next_deadline(), self.server.next_deadline()];
        let Some(next) = timers
            .into_iter()
            .flatten()
            .chain(arrival)
            .min()
            .filter(|next| *next <= limit)
        else {
            return false;
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let (_, (from, datagram)) = self.wire.pop_first().unwrap();
            self.deliver(from, &datagram);
        } else {
            self.client.handle_timeout(self.now);
            self.server.handle_timeout(self.now);
        }
        self.drain();
        true
    }

    /// Hands a datagram over, past the weather.
    pub(crate) fn deliver(&mut self, from: Side, datagram: &[u8]) {
        match from {
            Side::Client => self.server.handle_datagram(client_at(), datagram, self.now),
            Side::Server => self.client.handle_datagram(server_at(), datagram, self.now),
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Some(event) = self.server.poll_event() {
            if let DtlsEvent::NeedKey { handshake, .. } = &event {
                self.wanted.push(*handshake);
                if self.answers {
                    let key = self.key.map(PskKey::new);
                    self.server.provide_key(*handshake, key, self.now);
                }
            }
            self.server_events.push(event);
        }
        while let Some(event) = self.client.poll_event() {
            self.client_events.push(event);
        }
        while let Some(out) = self.client.poll_transmit() {
            assert_eq!(out.to, server_at());
            self.put(Side::Client, out.datagram);
        }
        while let Some(out) = self.server.poll_transmit() {
            assert_eq!(out.to, client_at());
            self.put(Side::Server, out.datagram);
        }
    }

    fn put(&mut self, from: Side, datagram: Vec<u8>) {
        self.sent.push((self.now, from, datagram.clone()));
        let copies = if self.roll(100) < self.weather.duplicates {
            2
        } else {
            1
        };
        for _ in 0..copies {
            if self.roll(100) < self.weather.loss {
                continue;
            }
            let delay = Duration::from_millis(self.roll(self.weather.delay + 1));
            self.order += 1;
            let arrival = (self.now.saturating_add(delay), self.order);
            self.wire.insert(arrival, (from, datagram.clone()));
        }
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % below
    }

    /// Takes what one side has sent and is still on its way.
    pub(crate) fn take_wire(&mut self, of: Side) -> Vec<Vec<u8>> {
        self.drain();
        let (taken, rest) = std::mem::take(&mut self.wire)
            .into_iter()
            .partition(|(_, (from, _))| *from == of);
        self.wire = rest;
        let taken: BTreeMap<_, _> = taken;
        taken.into_values().map(|(_, datagram)| datagram).collect()
    }

    pub(crate) fn client_sessions(&self) -> Vec<SessionId> {
        sessions(&self.client_events)
    }

    pub(crate) fn server_sessions(&self) -> Vec<SessionId> {
        sessions(&self.server_events)
    }

    /// What arrived at the server.
    pub(crate) fn at_server(&self) -> Vec<&[u8]> {
        data(&self.server_events)
    }

    pub(crate) fn at_client(&self) -> Vec<&[u8]> {
        data(&self.client_events)
    }
}

fn sessions(events: &[DtlsEvent]) -> Vec<SessionId> {
    let session = |event: &DtlsEvent| match event {
        DtlsEvent::Established { session, .. } => Some(*session),
        _ => None,
    };
    events.iter().filter_map(session).collect()
}

fn data(events: &[DtlsEvent]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    for event in events {
        if let DtlsEvent::Data { data, .. } = event {
            found.push(data.as_slice());
        }
    }
    found
}

/// Why a session ended, if it did; at most once.
pub(crate) fn end_of(events: &[DtlsEvent], of: SessionId) -> Option<CloseReason> {
    let mut ends = events.iter().filter_map(|event| match event {
        DtlsEvent::Closed { session, reason } if *session == of => Some(*reason),
        _ => None,
    });
    let end = ends.next();
    assert_eq!(ends.next(), None, "a session ends once");
    end
}

/// The records of a datagram: content type, epoch, sequence number, body. Ids have as many bytes as they have by default.
pub(crate) fn records(datagram: &[u8]) -> Vec<(u8, u16, u64, &[u8])> {
    const WITH_ID: u8 = 25;
    const ID_LEN: usize = 6;
    let mut rest = datagram;
    let mut found = Vec::new();
    while let Some((header, behind)) = rest.split_first_chunk::<11>() {
        let [kind, _, _, e, f, a, b, c, d, g, h] = *header;
        let behind = &behind[if kind == WITH_ID { ID_LEN } else { 0 }..];
        let (len, body) = behind.split_first_chunk::<2>().unwrap();
        let len = usize::from(u16::from_be_bytes(*len));
        let sequence = u64::from_be_bytes([0, 0, a, b, c, d, g, h]);
        found.push((kind, u16::from_be_bytes([e, f]), sequence, &body[..len]));
        rest = &body[len..];
    }
    found
}
