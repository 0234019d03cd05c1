//! What is bounded.

use std::net::SocketAddr;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, HandshakeId};
use coap_psk::{ErrorKind, Instant, PskKey};

use crate::psk_pair::{IDENTITY, KEY, Pair, end_of, server_at};

const NOW: Instant = Instant::ZERO;

fn from(port: u16) -> SocketAddr {
    ([10, 0, 0, 2], port).into()
}

/// A server and its clients, each at a port of its own.
struct Many {
    server: PskEndpoint,
    events: Vec<DtlsEvent>,
}

impl Many {
    fn new(config: PskConfig) -> Self {
        let server = PskEndpoint::new(config, [9; 32]);
        let events = Vec::new();
        Self { server, events }
    }

    fn client(seed: u16) -> PskEndpoint {
        let [high, low] = seed.to_be_bytes();
        let mut seed = [low; 32];
        seed[0] = high;
        let mut client = PskEndpoint::new(PskConfig::default(), seed);
        client
            .connect(server_at(), IDENTITY, PskKey::new(KEY), NOW)
            .unwrap();
        client
    }

    /// Plays `flights` flights of the client, or all.
    fn play(&mut self, client: &mut PskEndpoint, port: u16, flights: usize) {
        self.play_at(client, from(port), flights);
    }

    fn play_at(&mut self, client: &mut PskEndpoint, at: SocketAddr, flights: usize) {
        for _ in 0..flights {
            while let Some(out) = client.poll_transmit() {
                self.server.handle_datagram(at, &out.datagram, NOW);
            }
            while let Some(event) = self.server.poll_event() {
                if let DtlsEvent::NeedKey { handshake, .. } = &event {
                    self.server
                        .provide_key(*handshake, Some(PskKey::new(KEY)), NOW);
                }
                self.events.push(event);
            }
            while let Some(out) = self.server.poll_transmit() {
                assert_eq!(out.to, at);
                client.handle_datagram(server_at(), &out.datagram, NOW);
            }
        }
    }

    fn asked(&self) -> usize {
        let asked = |event: &&DtlsEvent| matches!(event, DtlsEvent::NeedKey { .. });
        self.events.iter().filter(asked).count()
    }
}

#[test]
fn over_the_cap_of_handshakes_the_oldest_gives_way() {
    let mut config = PskConfig::default();
    config.max_handshakes = 3;
    let mut many = Many::new(config);
    // Four clients whose ServerHello has arrived and who say nothing more for now.
    let mut clients: Vec<_> = (0..4).map(Many::client).collect();
    for (client, port) in clients.iter_mut().zip(1..) {
        many.play(client, port, 2);
    }
    for (client, port) in clients.iter_mut().zip(1..) {
        many.play(client, port, 2);
        assert_eq!(client.sessions(), usize::from(port != 1), "client {port}");
    }
    assert_eq!(many.asked(), 3);
}

#[test]
fn a_network_that_fills_all_places_takes_them_from_itself() {
    let mut config = PskConfig::default();
    config.max_handshakes = 3;
    let mut many = Many::new(config);
    // Far away, and slow to answer.
    let (mut slow, slow_at) = (Many::client(999), ([10, 0, 7, 7], 5).into());
    many.play_at(&mut slow, slow_at, 2);
    let mut flood: Vec<_> = (0..10).map(Many::client).collect();
    for (client, port) in flood.iter_mut().zip(1..) {
        many.play(client, port, 2);
    }
    many.play_at(&mut slow, slow_at, 2);
    assert_eq!(slow.sessions(), 1);
    for (client, port) in flood.iter_mut().zip(1..) {
        many.play(client, port, 2);
        assert_eq!(client.sessions(), usize::from(port > 8), "client {port}");
    }
}

#[test]
fn at_the_cap_of_sessions_only_a_replacement_is_taken() {
    let mut config = PskConfig::default();
    config.max_sessions = 2;
    let mut many = Many::new(config);
    let mut clients: Vec<_> = (0..4).map(Many::client).collect();
    // The last one is past its hello before the cap is met.
    many.play(&mut clients[3], 4, 2);
    for (client, port) in clients.iter_mut().zip(1..3) {
        many.play(client, port, 4);
        assert_eq!(client.sessions(), 1);
    }
    many.play(&mut clients[2], 3, 4);
    many.play(&mut clients[3], 4, 4);
    assert_eq!((clients[2].sessions(), clients[3].sessions()), (0, 0));
    assert_eq!(many.server.sessions(), 2);
    let mut again = Many::client(9);
    many.play(&mut again, 1, 4);
    assert_eq!((again.sessions(), many.server.sessions()), (1, 2));
}

#[test]
fn connections_of_ours_are_capped_with_the_sessions() {
    let mut config = PskConfig::default();
    config.max_sessions = 2;
    let mut pair = Pair::new(config, PskConfig::default(), 1);
    let first = pair.connect();
    let to = |port| SocketAddr::from(([10, 0, 0, 1], port));
    let mut connect = |port| {
        pair.client
            .connect(to(port), IDENTITY, PskKey::new(KEY), NOW)
    };
    connect(1).unwrap();
    assert_eq!(connect(2).unwrap_err().kind(), ErrorKind::Full);
    pair.client.close(first, NOW);
    let long = vec![b'x'; 1 << 16];
    let refused = pair.client.connect(to(3), &long, PskKey::new(KEY), NOW);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Transport);
    assert!(
        pair.client
            .connect(to(3), IDENTITY, PskKey::new(KEY), NOW)
            .is_ok()
    );
}

#[test]
fn another_connection_to_the_same_server_takes_the_place_of_one_under_way() {
    let mut pair = Pair::calm();
    let first = pair.connect();
    let second = pair.connect();
    pair.settle();
    assert_eq!(
        end_of(&pair.client_events, first),
        Some(CloseReason::HandshakeFailed)
    );
    assert_eq!(pair.client_sessions(), [second]);
}

#[test]
fn a_message_over_the_limit_is_not_put_together() {
    let mut config = PskConfig::default();
    config.max_message = 100;
    let mut pair = Pair::new(PskConfig::default(), config, 1);
    let identity = vec![b'x'; 99];
    pair.client
        .connect(server_at(), &identity, PskKey::new(KEY), pair.now)
        .unwrap();
    pair.settle();
    assert_eq!(pair.server_events, [], "99 bytes and their length are 101");
    pair.server.provide_key(HandshakeId(0), None, pair.now);
    assert!(pair.server.poll_event().is_none());
}
