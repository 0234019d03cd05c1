//! `dimpl` and coap-psk's own engine, each as client and as server of the other, over a wire that the test holds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, SessionId};
use coap_psk::{Instant, PskKey};
use dtls_dimpl::{DimplEndpoint, Limits};

const IDENTITY: &[u8] = b"MuGsF6W4,15bBZlRknc,2,3600";
const KEY: [u8; 16] = [7; 16];

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Engine {
    Own,
    Dimpl,
}

impl Engine {
    #[allow(clippy::disallowed_methods)]
    fn endpoint(self, seed: u8) -> Box<dyn DtlsEndpoint> {
        match self {
            Self::Own => Box::new(PskEndpoint::new(PskConfig::default(), [seed; 32])),
            Self::Dimpl => Box::new(DimplEndpoint::new(
                Limits::default(),
                std::time::Instant::now(),
            )),
        }
    }
}

const PAIRS: [(Engine, Engine); 2] = [(Engine::Own, Engine::Dimpl), (Engine::Dimpl, Engine::Own)];

struct End {
    engine: Box<dyn DtlsEndpoint>,
    at: SocketAddr,
    events: Vec<DtlsEvent>,
    key: Option<[u8; 16]>,
}

impl End {
    fn new(engine: Engine, at: &str, seed: u8) -> Self {
        Self {
            engine: engine.endpoint(seed),
            at: at.parse().unwrap(),
            events: Vec::new(),
            key: Some(KEY),
        }
    }

    fn drain(&mut self, now: Instant) -> Vec<Vec<u8>> {
        while let Some(event) = self.engine.poll_event() {
            if let DtlsEvent::NeedKey {
                handshake,
                identity,
            } = &event
            {
                assert_eq!(identity, IDENTITY);
                let key = self.key.map(PskKey::new);
                self.engine.provide_key(*handshake, key, now);
            }
            self.events.push(event);
        }
        std::iter::from_fn(|| self.engine.poll_transmit())
            .map(|out| out.datagram)
            .collect()
    }

    fn session(&self) -> Option<SessionId> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::Established { session, .. } => Some(*session),
            _ => None,
        })
    }

    fn data(&self) -> Vec<Vec<u8>> {
        let data = self.events.iter().filter_map(|event| match event {
            DtlsEvent::Data { data, .. } => Some(data.clone()),
            _ => None,
        });
        data.collect()
    }

    fn end(&self) -> Option<CloseReason> {
        self.events.iter().find_map(|event| match event {
            DtlsEvent::Closed { reason, .. } => Some(*reason),
            _ => None,
        })
    }
}

struct Wire {
    client: End,
    server: End,
    now: Instant,
    /// Datagrams on their way: arrival and order, whether to the server, bytes.
    datagrams: BTreeMap<(Instant, u32), (bool, Vec<u8>)>,
    order: u32,
    dice: u64,
    loss: u64,
}

impl Wire {
    fn new((client, server): (Engine, Engine), seed: u8) -> Self {
        Self {
            client: End::new(client, "127.0.0.1:40000", seed),
            server: End::new(server, "127.0.0.1:5684", !seed),
            now: Instant::from_micros(1),
            datagrams: BTreeMap::new(),
            order: 0,
            dice: u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss: 0,
        }
    }

    fn connect(&mut self, key: [u8; 16]) {
        let to = self.server.at;
        self.client
            .engine
            .connect(to, IDENTITY, PskKey::new(key), self.now)
            .unwrap();
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % below
    }

    fn drain(&mut self) {
        for to_server in [true, false] {
            let end = if to_server {
                &mut self.client
            } else {
                &mut self.server
            };
            for datagram in end.drain(self.now) {
                if self.roll(100) >= self.loss {
                    let delay = Duration::from_millis(20 + self.roll(80));
                    self.order += 1;
                    let arrival = (self.now.saturating_add(delay), self.order);
                    self.datagrams.insert(arrival, (to_server, datagram));
                }
            }
        }
    }

    fn run_for(&mut self, time: Duration) {
        let limit = self.now.saturating_add(time);
        loop {
            self.drain();
            let arrival = self.datagrams.first_key_value().map(|((at, _), _)| *at);
            let timers = [
                self.client.engine.next_deadline(),
                self.server.engine.next_deadline(),
            ];
            let next = timers.into_iter().flatten().chain(arrival).min();
            let Some(next) = next.filter(|next| *next <= limit) else {
                self.now = limit;
                return;
            };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, (to_server, datagram)) = self.datagrams.pop_first().unwrap();
                let (from, to) = if to_server {
                    (self.client.at, &mut self.server)
                } else {
                    (self.server.at, &mut self.client)
                };
                to.engine.handle_datagram(from, &datagram, self.now);
            } else {
                self.client.engine.handle_timeout(self.now);
                self.server.engine.handle_timeout(self.now);
            }
        }
    }

    fn send_both_ways(&mut self, data: &[u8]) {
        for end in [&mut self.client, &mut self.server] {
            let session = end.session().unwrap();
            end.engine.send(session, data, self.now).unwrap();
        }
        self.run_for(Duration::from_secs(1));
    }
}

#[test]
fn the_two_engines_understand_each_other() {
    for pair in PAIRS {
        let mut wire = Wire::new(pair, 1);
        wire.connect(KEY);
        wire.run_for(Duration::from_secs(5));
        let lengths = [0, 1, 15, 16, 17, 1_152, 1 << 14];
        for length in lengths {
            wire.send_both_ways(&vec![b'x'; length]);
        }
        for end in [&wire.client, &wire.server] {
            let arrived: Vec<_> = end.data().iter().map(Vec::len).collect();
            assert_eq!(arrived, lengths, "{pair:?}");
        }
        let session = wire.client.session().unwrap();
        wire.client.engine.close(session, wire.now);
        wire.run_for(Duration::from_secs(1));
        assert_eq!(wire.client.end(), Some(CloseReason::Local), "{pair:?}");
        assert_eq!(wire.server.end(), Some(CloseReason::Peer), "{pair:?}");
    }
}

#[test]
fn neither_takes_a_wrong_key_of_the_other() {
    for pair in PAIRS {
        let mut wire = Wire::new(pair, 1);
        wire.connect([8; 16]);
        wire.run_for(Duration::from_secs(200));
        let sessions = (wire.client.session(), wire.server.session());
        assert_eq!(sessions, (None, None), "{pair:?}");
        assert!(wire.client.end().is_some(), "{pair:?}");
    }
}

#[test]
fn they_find_each_other_through_loss() {
    for pair in PAIRS {
        let done = (0..20).filter(|seed| {
            let mut wire = Wire::new(pair, *seed);
            wire.loss = 20;
            wire.connect(KEY);
            wire.run_for(Duration::from_secs(200));
            let (Some(_), Some(_)) = (wire.client.session(), wire.server.session()) else {
                return false;
            };
            wire.loss = 0;
            wire.send_both_ways(b"21.5");
            wire.server.data() == [b"21.5"] && wire.client.data() == [b"21.5"]
        });
        let done = done.count();
        assert!(done >= 18, "{pair:?}: {done} of 20");
    }
}
