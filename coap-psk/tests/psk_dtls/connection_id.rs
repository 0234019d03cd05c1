//! Connection ids, and peers that move. (RFC 9146)

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use coap_psk::dtls::psk::{MAX_CONNECTION_ID_LEN, PskConfig, PskEndpoint};
use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, SessionId};
use coap_psk::{CipherSuite, ErrorKind, Instant, PskKey};

use crate::psk_pair::{IDENTITY, KEY, Pair, Side, client_at, end_of, server_at};

const WITH_ID: u8 = 25;
const DATA: u8 = 23;
const NOW: Instant = Instant::from_micros(1);

fn ids_of(len: Option<usize>) -> PskConfig {
    let mut config = PskConfig::default();
    config.connection_id_len = len;
    config
}

fn elsewhere() -> SocketAddr {
    ([203, 0, 113, 7], 1_024).into()
}

/// A record of the client with this text.
fn record(pair: &mut Pair, session: SessionId, text: &[u8]) -> Vec<u8> {
    pair.client.send(session, text, pair.now).unwrap();
    pair.take_wire(Side::Client).remove(0)
}

/// What happens at the server when this comes from there.
fn arrives(pair: &mut Pair, from: SocketAddr, datagram: &[u8]) -> Vec<DtlsEvent> {
    pair.server.handle_datagram(from, datagram, pair.now);
    std::iter::from_fn(|| pair.server.poll_event()).collect()
}

/// Where the server's next datagram goes.
fn sent_to(pair: &mut Pair, session: SessionId, text: &[u8]) -> SocketAddr {
    pair.server.send(session, text, pair.now).unwrap();
    pair.server.poll_transmit().unwrap().to
}

fn data(session: SessionId, data: &[u8]) -> DtlsEvent {
    DtlsEvent::Data {
        session,
        data: data.to_vec(),
    }
}

fn moved(session: SessionId, from: SocketAddr, to: SocketAddr) -> DtlsEvent {
    DtlsEvent::Moved { session, from, to }
}

#[test]
fn each_side_gets_the_id_it_asked_for_when_both_speak_of_ids() {
    let lens = [
        None,
        Some(0),
        Some(1),
        Some(6),
        Some(MAX_CONNECTION_ID_LEN),
        Some(99),
    ];
    for suite in CipherSuite::ALL {
        for (client, server) in lens
            .iter()
            .flat_map(|client| lens.map(|server| (*client, server)))
        {
            let config = |len| {
                let mut config = ids_of(len);
                config.suites = vec![suite];
                config
            };
            let (mut pair, at_client, at_server) =
                Pair::established_with(config(client), config(server));
            pair.client.send(at_client, b"up", pair.now).unwrap();
            pair.server.send(at_server, b"down", pair.now).unwrap();
            pair.settle();
            assert_eq!(
                (pair.at_server(), pair.at_client()),
                (vec![&b"up"[..]], vec![&b"down"[..]])
            );
            let kind_of_last = |from| {
                let mut sent = pair.sent.iter().rev();
                sent.find(|(_, side, _)| *side == from).unwrap().2[0]
            };
            for (sender, receivers) in [(Side::Client, server), (Side::Server, client)] {
                let spoken = client.is_some() && server.is_some();
                let expected = match receivers {
                    Some(1..) if spoken => WITH_ID,
                    _ => DATA,
                };
                assert_eq!(
                    kind_of_last(sender),
                    expected,
                    "{client:?} {server:?} {sender:?}"
                );
            }
            // Closing goes the same way.
            pair.client.close(at_client, pair.now);
            pair.settle();
            assert_eq!(
                end_of(&pair.server_events, at_server),
                Some(CloseReason::Peer)
            );
        }
    }
}

#[test]
fn a_peer_that_moved_is_found_by_its_id_and_answered_where_it_is() {
    for suite in CipherSuite::ALL {
        let mut config = PskConfig::default();
        config.suites = vec![suite];
        let (mut pair, at_client, at_server) = Pair::established_with(config.clone(), config);
        let up = record(&mut pair, at_client, b"from elsewhere");
        assert_eq!(
            arrives(&mut pair, elsewhere(), &up),
            [
                moved(at_server, client_at(), elsewhere()),
                data(at_server, b"from elsewhere")
            ]
        );
        assert_eq!(sent_to(&mut pair, at_server, b"to there"), elsewhere());
        let up = record(&mut pair, at_client, b"again");
        assert_eq!(
            arrives(&mut pair, elsewhere(), &up),
            [data(at_server, b"again")]
        );
        let up = record(&mut pair, at_client, b"back");
        assert_eq!(
            arrives(&mut pair, client_at(), &up),
            [
                moved(at_server, elsewhere(), client_at()),
                data(at_server, b"back")
            ]
        );
        assert_eq!(sent_to(&mut pair, at_server, b"to here"), client_at());
    }
}

#[test]
fn a_client_follows_its_server_too() {
    let (mut pair, at_client, at_server) = Pair::established();
    pair.server.send(at_server, b"down", pair.now).unwrap();
    let down = pair.take_wire(Side::Server).remove(0);
    pair.client.handle_datagram(elsewhere(), &down, pair.now);
    assert_eq!(
        pair.client.poll_event(),
        Some(moved(at_client, server_at(), elsewhere()))
    );
    assert_eq!(pair.client.poll_event(), Some(data(at_client, b"down")));
    pair.client.send(at_client, b"up", pair.now).unwrap();
    assert_eq!(pair.client.poll_transmit().unwrap().to, elsewhere());
}

#[test]
fn only_a_record_that_is_newer_than_all_before_and_authentic_moves_a_session() {
    let (mut pair, at_client, at_server) = Pair::established();
    let [late, seen, next] = [b"1", b"2", b"3"].map(|text| record(&mut pair, at_client, text));
    assert_eq!(
        arrives(&mut pair, client_at(), &seen),
        [data(at_server, b"2")]
    );
    assert_eq!(
        arrives(&mut pair, elsewhere(), &late),
        [data(at_server, b"1")],
        "authentic, but an older one"
    );
    assert_eq!(arrives(&mut pair, elsewhere(), &seen), [], "a copy");
    for at in 0..next.len() {
        let mut forged = next.clone();
        forged[at] ^= 1;
        assert_eq!(arrives(&mut pair, elsewhere(), &forged), [], "byte {at}");
    }
    assert_eq!(sent_to(&mut pair, at_server, b"here"), client_at());
    assert_eq!(
        arrives(&mut pair, elsewhere(), &next),
        [
            moved(at_server, client_at(), elsewhere()),
            data(at_server, b"3")
        ]
    );
}

#[test]
fn without_an_id_a_peer_that_moved_is_a_stranger() {
    for (client, server) in [(None, Some(6)), (Some(6), None), (Some(6), Some(0))] {
        let (mut pair, at_client, _) = Pair::established_with(ids_of(client), ids_of(server));
        let up = record(&mut pair, at_client, b"up");
        assert_eq!(arrives(&mut pair, elsewhere(), &up), []);
    }
}

#[test]
fn a_handshake_does_not_move() {
    let mut pair = Pair::calm();
    pair.connect();
    for from in [Side::Client, Side::Server, Side::Client, Side::Server] {
        for datagram in pair.take_wire(from) {
            pair.deliver(from, &datagram);
        }
    }
    let last_flight = pair.take_wire(Side::Client).remove(0);
    // ClientKeyExchange and ChangeCipherSpec are in clear; the Finished behind them has an id.
    let clear = last_flight
        .windows(3)
        .position(|it| it == [WITH_ID, 0xfe, 0xfd])
        .unwrap();
    pair.deliver(Side::Client, &last_flight[..clear]);
    pair.drain();
    pair.server
        .handle_datagram(elsewhere(), &last_flight[clear..], pair.now);
    pair.drain();
    assert!(pair.server_sessions().is_empty());
    pair.deliver(Side::Client, &last_flight[clear..]);
    pair.settle();
    assert_eq!(pair.server_sessions().len(), 1);
}

#[test]
fn nothing_in_clear_counts_behind_a_record_with_an_id() {
    // Otherwise a ClientHello could hide there from those who count them and do not know how long ids are.
    let (mut pair, at_client, at_server) = Pair::established();
    let up = record(&mut pair, at_client, b"up");
    pair.connect();
    let hello = pair.take_wire(Side::Client).remove(0);
    let events = arrives(&mut pair, client_at(), &[up, hello.clone()].concat());
    assert_eq!(events, [data(at_server, b"up")]);
    assert_eq!(pair.server.poll_transmit(), None);
    let up = record(&mut pair, at_client, b"up");
    let events = arrives(&mut pair, client_at(), &[hello, up].concat());
    assert_eq!(events, [data(at_server, b"up")]);
    assert!(pair.server.poll_transmit().is_some(), "a cookie");
}

#[test]
fn a_new_address_gets_three_times_what_came_from_it_until_it_is_confirmed() {
    let (mut pair, at_client, at_server) = Pair::established();
    let up = record(&mut pair, at_client, b"up");
    arrives(&mut pair, elsewhere(), &up);
    let mut sent = 0;
    let refused = loop {
        match pair.server.send(at_server, b"down", pair.now) {
            Ok(()) => sent += pair.server.poll_transmit().unwrap().datagram.len(),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(
        (2 * up.len()..=3 * up.len()).contains(&sent),
        "{sent} for {}",
        up.len()
    );
    assert_eq!(pair.server.poll_transmit(), None);
    // It goes on where the peer was before, and where it is at last sure to be.
    let back = record(&mut pair, at_client, b"back");
    arrives(&mut pair, client_at(), &back);
    assert!(pair.server.send(at_server, &[0; 1_000], pair.now).is_err());
    pair.server.confirm_path(at_server, pair.now);
    pair.server.send(at_server, &[0; 1_000], pair.now).unwrap();
    assert_eq!(pair.server.poll_transmit().unwrap().to, client_at());
    let stranger = SessionId(at_server.0 + 99);
    pair.server.confirm_path(stranger, pair.now);
}

#[test]
fn a_close_that_may_not_be_sent_closes_all_the_same() {
    let (mut pair, at_client, at_server) = Pair::established();
    let up = record(&mut pair, at_client, b"up");
    arrives(&mut pair, elsewhere(), &up);
    while pair.server.send(at_server, b"", pair.now).is_ok() {}
    while pair.server.poll_transmit().is_some() {}
    pair.server.close(at_server, pair.now);
    assert_eq!(pair.server.poll_transmit(), None);
    assert_eq!(pair.server.sessions(), 0);
}

/// A server among clients at any address.
struct Clients {
    server: PskEndpoint,
    config: PskConfig,
    seed: u8,
}

impl Clients {
    fn new(config: PskConfig) -> Self {
        let server = PskEndpoint::new(config.clone(), [99; 32]);
        let seed = 0;
        Self {
            server,
            config,
            seed,
        }
    }

    /// A client with a session: it, its id and the server's id.
    fn connect(
        &mut self,
        config: PskConfig,
        from: SocketAddr,
        identity: &[u8],
    ) -> (PskEndpoint, SessionId, SessionId) {
        self.seed = self.seed.wrapping_add(1);
        let mut client = PskEndpoint::new(config, [self.seed; 32]);
        let key = PskKey::new(KEY);
        let at_client = client.connect(server_at(), identity, key, NOW).unwrap();
        let mut at_server = None;
        for _ in 0..4 {
            while let Some(out) = client.poll_transmit() {
                self.server.handle_datagram(from, &out.datagram, NOW);
            }
            while let Some(event) = self.server.poll_event() {
                match event {
                    DtlsEvent::NeedKey { handshake, .. } => {
                        let key = Some(PskKey::new(KEY));
                        self.server.provide_key(handshake, key, NOW);
                    }
                    DtlsEvent::Established { session, .. } => at_server = Some(session),
                    _ => {}
                }
            }
            while let Some(out) = self.server.poll_transmit() {
                client.handle_datagram(server_at(), &out.datagram, NOW);
            }
        }
        while client.poll_event().is_some() {}
        (client, at_client, at_server.unwrap())
    }

    /// The session that a client's record counts for when it comes from there.
    fn heard(
        &mut self,
        client: &mut PskEndpoint,
        at_client: SessionId,
        from: SocketAddr,
    ) -> Option<SessionId> {
        client.send(at_client, b"up", NOW).unwrap();
        let up = client.poll_transmit().unwrap().datagram;
        self.server.handle_datagram(from, &up, NOW);
        std::iter::from_fn(|| self.server.poll_event()).find_map(|event| match event {
            DtlsEvent::Data { session, .. } => Some(session),
            _ => None,
        })
    }
}

#[test]
fn an_address_that_passed_to_another_peer_does_not_end_the_session_of_the_one_before() {
    let mut clients = Clients::new(PskConfig::default());
    let ids = PskConfig::default;
    let (mut sleeper, at_sleeper, its_session) = clients.connect(ids(), client_at(), b"sleeper");
    let (mut other, at_other, others_session) = clients.connect(ids(), client_at(), b"other");
    assert_eq!(clients.server.sessions(), 2);
    assert_eq!(
        clients.heard(&mut sleeper, at_sleeper, elsewhere()),
        Some(its_session)
    );
    assert_eq!(
        clients.heard(&mut other, at_other, client_at()),
        Some(others_session)
    );
    // The same one again, which lost its session, takes the place of what it had.
    let (_, _, again) = clients.connect(ids(), client_at(), b"other");
    assert_ne!(again, others_session);
    assert_eq!(clients.server.sessions(), 2);
    assert_eq!(clients.heard(&mut other, at_other, client_at()), None);
}

#[test]
fn a_peer_cannot_drive_another_from_its_address_by_moving_there() {
    let mut clients = Clients::new(PskConfig::default());
    let (mut old, at_old, olds_session) = clients.connect(ids_of(None), client_at(), b"no id");
    let (mut new, at_new, news_session) = clients.connect(ids_of(Some(0)), elsewhere(), b"id");
    assert_eq!(
        clients.heard(&mut new, at_new, client_at()),
        Some(news_session)
    );
    assert_eq!(
        clients.heard(&mut old, at_old, client_at()),
        Some(olds_session)
    );
    assert_eq!(
        clients.heard(&mut new, at_new, client_at()),
        Some(news_session)
    );
    clients.server.close(olds_session, NOW);
    assert_eq!(
        clients.heard(&mut new, at_new, client_at()),
        Some(news_session)
    );
    assert_eq!(clients.server.sessions(), 1);
}

#[test]
fn the_flow_of_an_address_says_nothing_of_where_a_peer_is() {
    let at = |flow| SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1_024, flow, 0).into();
    for len in [None, Some(6)] {
        let mut clients = Clients::new(ids_of(len));
        let mut client = PskEndpoint::new(ids_of(len), [1; 32]);
        let key = PskKey::new(KEY);
        let at_client = client.connect(server_at(), IDENTITY, key, NOW).unwrap();
        let mut events = Vec::new();
        for flow in 0..5 {
            if flow == 4 {
                client.send(at_client, b"up", NOW).unwrap();
            }
            while let Some(out) = client.poll_transmit() {
                clients.server.handle_datagram(at(flow), &out.datagram, NOW);
            }
            while let Some(event) = clients.server.poll_event() {
                if let DtlsEvent::NeedKey { handshake, .. } = event {
                    let key = Some(PskKey::new(KEY));
                    clients.server.provide_key(handshake, key, NOW);
                } else {
                    events.push(event);
                }
            }
            while let Some(out) = clients.server.poll_transmit() {
                client.handle_datagram(server_at(), &out.datagram, NOW);
            }
        }
        let [
            DtlsEvent::Established {
                session: at_server, ..
            },
            DtlsEvent::Data { .. },
        ] = &events[..]
        else {
            panic!("{events:?}");
        };
        clients.server.send(*at_server, &[0; 1_000], NOW).unwrap();
    }
}

#[test]
fn no_two_sessions_have_one_id_and_without_a_free_one_there_is_none() {
    let mut clients = Clients::new(ids_of(Some(1)));
    let config = clients.config.clone();
    let mut sessions: Vec<_> = (0..300)
        .map(|port| {
            let from = SocketAddr::from(([10, 0, 1, 1], port + 1));
            let identity = port.to_be_bytes();
            (from, clients.connect(config.clone(), from, &identity))
        })
        .collect();
    let mut with_id = 0;
    for (from, (client, at_client, at_server)) in &mut sessions {
        assert_eq!(clients.heard(client, *at_client, *from), Some(*at_server));
        client.send(*at_client, b"", NOW).unwrap();
        with_id += u16::from(client.poll_transmit().unwrap().datagram[0] == WITH_ID);
    }
    assert!((128..=256).contains(&with_id), "{with_id} have one");
    // What ends gives its id back.
    for (_, (_, _, at_server)) in &sessions {
        clients.server.close(*at_server, NOW);
    }
    for _ in 0..300 {
        let (mut client, at_client, at_server) =
            clients.connect(config.clone(), client_at(), IDENTITY);
        client.send(at_client, b"", NOW).unwrap();
        assert_eq!(client.poll_transmit().unwrap().datagram[0], WITH_ID);
        clients.server.close(at_server, NOW);
        while clients.server.poll_transmit().is_some() {}
    }
}
