//! A device and a cloud over a wire in virtual time that loses, delays, doubles and reorders.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::dtls::{SessionId, Transmit};
use coap_psk::{
    Config, DeviceSecret, Endpoint, Event, Instant, KeyBytes, Output, PskIdentity, PskKey,
};

use crate::plain::Plain;

pub(crate) const IDENTITY: &str = "MuGsF6W4,15bBZlRknc,2,3600";

pub(crate) fn identity() -> PskIdentity {
    IDENTITY.parse().unwrap()
}

pub(crate) fn key() -> PskKey {
    DeviceSecret::new("M3yy874uGY8INjEGddTR")
        .unwrap()
        .key(KeyBytes::FromOne)
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Side {
    Device,
    Cloud,
}

/// What the wire does to datagrams, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) loss: u64,
    pub(crate) duplicates: u64,
    /// The longest delay, in milliseconds; each datagram draws its own, so that they overtake each other.
    pub(crate) delay: u64,
}

pub(crate) struct Pair {
    pub(crate) device: Endpoint<Plain>,
    pub(crate) cloud: Endpoint<Plain>,
    pub(crate) now: Instant,
    pub(crate) weather: Weather,
    /// Datagrams on their way: arrival and order, receiver, sender's address, bytes.
    wire: BTreeMap<(Instant, u64), (Side, SocketAddr, Vec<u8>)>,
    sent: u64,
    dice: u64,
    pub(crate) device_address: SocketAddr,
    /// Outputs that nobody has taken yet.
    pub(crate) outputs: Vec<(Side, Output)>,
    /// Every record in clear that was put on the wire: who sent it and its CoAP bytes.
    pub(crate) records: Vec<(Side, Vec<u8>)>,
}

pub(crate) fn cloud_address() -> SocketAddr {
    (Ipv4Addr::new(10, 0, 0, 1), 5684).into()
}

impl Pair {
    pub(crate) fn new(config: Config, seed: u64) -> Self {
        Self {
            device: Endpoint::new(config.clone(), Plain::new(1), [1; 32]),
            cloud: Endpoint::new(config, Plain::new(2), [2; 32]),
            now: Instant::from_micros(1),
            weather: Weather {
                delay: 20,
                ..Weather::default()
            },
            wire: BTreeMap::new(),
            sent: 0,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            device_address: (Ipv4Addr::new(10, 0, 0, 2), 40_000).into(),
            outputs: Vec::new(),
            records: Vec::new(),
        }
    }

    /// A pair with an established session: its ids at the device and at the cloud.
    pub(crate) fn online(config: Config) -> (Self, SessionId, SessionId) {
        let mut pair = Self::new(config, 1);
        let device = pair
            .device
            .connect(cloud_address(), &identity(), key(), pair.now)
            .unwrap();
        pair.run_for(Duration::from_secs(1));
        let mut cloud = None;
        pair.take(|side, output| match output {
            Output::Event(Event::Online { session, .. }) if side == Side::Cloud => {
                cloud = Some(*session);
            }
            Output::Event(Event::Online { .. }) => {}
            other => panic!("{other:?}"),
        });
        pair.records.clear();
        (pair, device, cloud.unwrap())
    }

    pub(crate) fn end(&mut self, side: Side) -> &mut Endpoint<Plain> {
        match side {
            Side::Device => &mut self.device,
            Side::Cloud => &mut self.cloud,
        }
    }

    fn roll(&mut self, below: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) % below.max(1)
    }

    fn put(&mut self, from: Side, transmit: &Transmit) {
        if transmit.datagram.first() == Some(&4) {
            self.records.push((from, transmit.datagram[9..].to_vec()));
        }
        let (to, address) = match from {
            Side::Device => (Side::Cloud, self.device_address),
            Side::Cloud => (Side::Device, cloud_address()),
        };
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
            self.sent += 1;
            let arrival = (self.now.saturating_add(delay), self.sent);
            self.wire
                .insert(arrival, (to, address, transmit.datagram.clone()));
        }
    }

    /// Takes what the ends put out; keys are looked up at once.
    pub(crate) fn drain(&mut self) {
        loop {
            let mut idle = true;
            for side in [Side::Device, Side::Cloud] {
                while let Some(output) = self.end(side).poll_output() {
                    idle = false;
                    match output {
                        Output::Transmit(transmit) => self.put(side, &transmit),
                        Output::KeyWanted {
                            handshake,
                            identity: wanted,
                        } => {
                            let known = (wanted.device() == identity().device()).then(key);
                            let now = self.now;
                            self.end(side).provide_key(handshake, known, now);
                        }
                        other => self.outputs.push((side, other)),
                    }
                }
            }
            if idle {
                return;
            }
        }
    }

    /// Goes to the next thing that happens, but not beyond `limit`; `false` when that is reached.
    pub(crate) fn step(&mut self, limit: Instant) -> bool {
        self.drain();
        let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
        let next = [
            arrival,
            self.device.next_deadline(),
            self.cloud.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min();
        let Some(next) = next.filter(|next| *next <= limit) else {
            self.now = self.now.max(limit);
            return false;
        };
        self.now = self.now.max(next);
        if arrival == Some(next) {
            let (_, (to, from, datagram)) = self.wire.pop_first().unwrap();
            let now = self.now;
            self.end(to).handle_datagram(from, &datagram, now);
        } else {
            let now = self.now;
            self.device.handle_timeout(now);
            self.cloud.handle_timeout(now);
        }
        self.drain();
        true
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let limit = self.now.saturating_add(time);
        while self.step(limit) {}
    }

    pub(crate) fn take(&mut self, mut look: impl FnMut(Side, &Output)) {
        for (side, output) in self.outputs.drain(..) {
            look(side, &output);
        }
    }
}
