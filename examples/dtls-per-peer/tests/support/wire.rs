//! Two engines over a wire that the test holds, in virtual time, and what any pair of engines has to be able to do over it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, SessionId};
use coap_psk::{Instant, PskKey};

pub const IDENTITY: &[u8] = b"MuGsF6W4,15bBZlRknc,2,3600";
pub const KEY: [u8; 16] = [7; 16];

pub type Engine = Box<dyn DtlsEndpoint>;

pub struct End {
    pub engine: Engine,
    at: SocketAddr,
    events: Vec<DtlsEvent>,
    key: Option<[u8; 16]>,
}

impl End {
    fn new(engine: Engine, at: &str) -> Self {
        Self {
            engine,
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

    pub fn session(&self) -> Option<SessionId> {
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

pub struct Wire {
    pub client: End,
    pub server: End,
    now: Instant,
    /// Told what time it is, before the engines are.
    clock: fn(Instant),
    /// Datagrams on their way: arrival and order, whether to the server, bytes.
    datagrams: BTreeMap<(Instant, u32), (bool, Vec<u8>)>,
    order: u32,
    dice: u64,
    loss: u64,
    /// The content type and length of everything that the server sent, without repetitions.
    shape: Vec<(u8, usize)>,
}

impl Wire {
    pub fn new(client: Engine, server: Engine, seed: u8, clock: fn(Instant)) -> Self {
        let mut wire = Self {
            client: End::new(client, "127.0.0.1:40000"),
            server: End::new(server, "127.0.0.1:5684"),
            now: Instant::ZERO,
            clock,
            datagrams: BTreeMap::new(),
            order: 0,
            dice: u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            loss: 0,
            shape: Vec::new(),
        };
        wire.let_it_be(Instant::from_micros(1));
        wire
    }

    fn let_it_be(&mut self, now: Instant) {
        self.now = now;
        (self.clock)(now);
    }

    pub fn connect(&mut self, key: [u8; 16]) {
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
                let shape = (datagram[0], datagram.len());
                if !to_server && !self.shape.contains(&shape) {
                    self.shape.push(shape);
                }
                if self.roll(100) >= self.loss {
                    let delay = Duration::from_millis(20 + self.roll(80));
                    self.order += 1;
                    let arrival = (self.now.saturating_add(delay), self.order);
                    self.datagrams.insert(arrival, (to_server, datagram));
                }
            }
        }
    }

    pub fn run_for(&mut self, time: Duration) {
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
                return self.let_it_be(limit);
            };
            self.let_it_be(self.now.max(next));
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

/// A session is established, carries data of these lengths both ways, and ends for both.
pub fn understand_each_other(mut wire: Wire, lengths: &[usize], pair: &str) {
    wire.connect(KEY);
    wire.run_for(Duration::from_secs(5));
    for length in lengths {
        wire.send_both_ways(&vec![b'x'; *length]);
    }
    for end in [&wire.client, &wire.server] {
        let arrived: Vec<_> = end.data().iter().map(Vec::len).collect();
        assert_eq!(arrived, lengths, "{pair}");
    }
    let session = wire.client.session().unwrap();
    wire.client.engine.close(session, wire.now);
    wire.run_for(Duration::from_secs(1));
    assert_eq!(wire.client.end(), Some(CloseReason::Local), "{pair}");
    assert_eq!(wire.server.end(), Some(CloseReason::Peer), "{pair}");
}

/// A key that the server does not have, and an identity that it does not know, end in nothing, and look the same.
pub fn refuse_the_wrong_key(make: impl Fn() -> Wire, pair: &str) {
    let shapes = [Some(KEY), None].map(|key| {
        let mut wire = make();
        wire.server.key = key;
        wire.connect([8; 16]);
        wire.run_for(Duration::from_secs(200));
        let sessions = (wire.client.session(), wire.server.session());
        assert_eq!(sessions, (None, None), "{pair}");
        assert!(wire.client.end().is_some(), "{pair}");
        wire.shape
    });
    assert_eq!(shapes[0], shapes[1], "{pair}");
}

/// Of twenty handshakes over a wire that loses a fifth, hardly one is not completed.
pub fn find_each_other_through_loss(make: impl Fn(u8) -> Wire, pair: &str) {
    let done = (0..20).filter(|seed| {
        let mut wire = make(*seed);
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
    assert!(done >= 18, "{pair}: {done} of 20");
}
