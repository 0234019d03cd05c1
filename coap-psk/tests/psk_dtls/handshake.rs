//! How handshakes go.

use std::time::Duration;

use coap_psk::dtls::psk::{MIN_MTU, PskConfig};
use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, Handshakes};
use coap_psk::{CipherSuite, PskKey};

use crate::psk_pair::{IDENTITY, KEY, Pair, Side, client_at, end_of, records, server_at};

const HANDSHAKE: u8 = 22;

/// What was sent by a side: (seconds, type and number of its first handshake message in clear).
fn flights(pair: &Pair, side: Side) -> Vec<(u64, u8, u8)> {
    let first = |datagram: &[u8]| match records(datagram)[0] {
        (HANDSHAKE, 0, _, body) => (body[0], body[5]),
        (kind, ..) => (kind, 0),
    };
    pair.sent
        .iter()
        .filter(|(_, from, _)| *from == side)
        .map(|(at, _, datagram)| {
            let (kind, number) = first(datagram);
            (at.as_micros() / 1_000_000, kind, number)
        })
        .collect()
}

#[test]
fn a_session_is_established_in_three_round_trips_and_both_know_whose_it_is() {
    let (pair, at_client, at_server) = Pair::established();
    assert_eq!(
        flights(&pair, Side::Client),
        [(0, 1, 0), (0, 1, 1), (0, 16, 2)]
    );
    // The HelloVerifyRequest, the ServerHello, and the ChangeCipherSpec with Finished.
    assert_eq!(
        flights(&pair, Side::Server),
        [(0, 3, 0), (0, 2, 1), (0, 20, 0)]
    );
    for (events, session, peer) in [
        (&pair.client_events, at_client, server_at()),
        (&pair.server_events, at_server, client_at()),
    ] {
        let identity = IDENTITY.to_vec();
        assert!(events.contains(&DtlsEvent::Established {
            session,
            peer,
            identity
        }));
    }
    assert_eq!(pair.server.next_deadline(), None);
    assert_eq!(pair.client.next_deadline(), None);
}

#[test]
fn a_client_hello_without_its_cookie_leaves_nothing_behind() {
    let mut pair = Pair::calm();
    pair.connect();
    let hello = pair.take_wire(Side::Client).remove(0);
    for port in 1..200 {
        let spoofed = ([192, 0, 2, 1], port).into();
        pair.server.handle_datagram(spoofed, &hello, pair.now);
        let answer = pair.server.poll_transmit().unwrap();
        assert_eq!(answer.to, spoofed);
        assert!(answer.datagram.len() < hello.len(), "no amplification");
        assert!(pair.server.poll_transmit().is_none());
        assert_eq!(pair.server.next_deadline(), None);
        assert!(pair.server.poll_event().is_none());
    }
}

#[test]
fn a_client_hello_in_fragments_gets_no_answer_and_leaves_nothing_behind() {
    let mut pair = Pair::calm();
    pair.connect();
    let hello = pair.take_wire(Side::Client).remove(0);
    let (header, body) = (&hello[13..25], &hello[25..]);
    let half = body.len() / 2;
    for (offset, part) in [(0, &body[..half]), (half, &body[half..])] {
        let [_, offset, len] = [0, offset, part.len()].map(|it| u8::try_from(it).unwrap());
        let [kind, a, b, c, d, e, ..] = *header else {
            panic!("a message has a header")
        };
        let fragment = [&[kind, a, b, c, d, e, 0, 0, offset, 0, 0, len], part].concat();
        let record_len = u8::try_from(fragment.len()).unwrap();
        let record = [&hello[..11], &[0, record_len], &fragment].concat();
        assert_eq!(records(&record)[0].3, fragment);
        pair.deliver(Side::Client, &record);
        pair.drain();
        assert_eq!(pair.server.next_deadline(), None);
    }
    assert!(pair.sent.iter().all(|(_, from, _)| *from == Side::Client));
    pair.deliver(Side::Client, &hello);
    pair.drain();
    assert!(pair.sent.iter().any(|(_, from, _)| *from == Side::Server));
}

#[test]
fn the_server_numbers_its_answers_as_the_client_numbered_what_they_answer() {
    let mut pair = Pair::calm();
    pair.connect();
    pair.settle();
    let of = |side| {
        let sent = pair.sent.iter().filter(move |(_, from, _)| *from == side);
        sent.map(|(_, _, datagram)| records(datagram))
            .collect::<Vec<_>>()
    };
    let (client, server) = (of(Side::Client), of(Side::Server));
    for flight in 0..2 {
        let (asked, answered) = (&client[flight][0], &server[flight][0]);
        assert_eq!(asked.2, answered.2, "sequence number of record {flight}");
        assert_eq!(
            asked.3[4..6],
            answered.3[4..6],
            "number of message {flight}"
        );
    }
    // The cookie request says DTLS 1.0, as it does for every version.
    assert_eq!(server[0][0].3[12..14], [0xfe, 0xff]);
}

#[test]
fn a_cookie_is_good_for_one_hello_from_one_address_for_up_to_two_lifetimes() {
    let mut pair = Pair::calm();
    pair.connect();
    pair.run_for(Duration::ZERO);
    let hello = pair.sent[2].2.clone();
    let takes = |pair: &mut Pair, from, hello: &[u8]| {
        pair.server.handle_datagram(from, hello, pair.now);
        let answer = pair.server.poll_transmit().unwrap();
        while pair.server.poll_transmit().is_some() {}
        records(&answer.datagram)[0].3[0] == 2
    };
    // As if from another run of the client, so that the handshake of the first one is not meant.
    assert!(takes(&mut pair, client_at(), &hello));
    assert!(!takes(&mut pair, ([10, 0, 0, 2], 40_001).into(), &hello));
    assert!(!takes(&mut pair, ([10, 0, 0, 3], 40_000).into(), &hello));
    for at in [30, hello.len() - 3] {
        // A byte of the random, and one of the extended master secret's extension, which becomes unknown.
        let mut other = hello.clone();
        other[at] ^= 0x40;
        assert!(!takes(&mut pair, client_at(), &other));
    }
    pair.run_for(Duration::from_secs(100));
    assert!(takes(&mut pair, client_at(), &hello), "of the key before");
    pair.run_for(Duration::from_secs(21));
    assert!(!takes(&mut pair, client_at(), &hello));
}

#[test]
fn flights_are_repeated_after_doubling_times_until_the_handshake_is_over() {
    let mut pair = Pair::calm();
    let session = pair.connect();
    pair.weather.loss = 100;
    pair.run_for(Duration::from_secs(200));
    let times: Vec<_> = flights(&pair, Side::Client)
        .iter()
        .map(|(at, ..)| *at)
        .collect();
    assert_eq!(times, [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(
        end_of(&pair.client_events, session),
        Some(CloseReason::HandshakeTimeout)
    );
    assert_eq!(pair.client.next_deadline(), None);
}

#[test]
fn a_server_repeats_its_hello_to_a_verified_client_only_and_gives_up_in_silence() {
    let mut pair = Pair::calm();
    pair.connect();
    let hello = pair.take_wire(Side::Client).remove(0);
    pair.deliver(Side::Client, &hello);
    pair.run_for(Duration::ZERO);
    let with_cookie = pair.sent[2].2.clone();

    let mut server = Pair::calm();
    server.deliver(Side::Client, &hello);
    server.weather.loss = 100;
    server.run_for(Duration::from_secs(200));
    assert_eq!(
        flights(&server, Side::Server),
        [(0, 3, 0)],
        "an unverified client"
    );

    let mut server = Pair::calm();
    server.deliver(Side::Client, &with_cookie);
    server.weather.loss = 100;
    server.run_for(Duration::from_secs(200));
    let times: Vec<_> = flights(&server, Side::Server)
        .iter()
        .map(|(at, ..)| *at)
        .collect();
    assert_eq!(times, [0, 1, 3, 7, 15, 31, 63]);
    assert_eq!(server.server_events, []);
    assert_eq!(server.server.next_deadline(), None);
}

#[test]
fn ended_handshakes_are_counted_and_unverified_ones_are_not() {
    let mut pair = Pair::calm();
    pair.connect();
    let hello = pair.take_wire(Side::Client).remove(0);
    pair.weather.loss = 100;
    pair.deliver(Side::Client, &hello);
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.server.handshakes(), Handshakes::default());

    let (mut pair, ..) = Pair::established();
    // A wrong key ends in a timeout, and one that another connect replaces has failed.
    pair.connect_with([8; 16]);
    pair.settle();
    pair.connect_with([8; 16]);
    pair.run_for(Duration::from_secs(200));
    let counted = Handshakes {
        established: 1,
        failed: 1,
        timed_out: 1,
    };
    assert_eq!(pair.server.handshakes(), counted);
    assert_eq!(pair.client.handshakes(), counted);
}

#[test]
fn a_repeated_hello_is_answered_again_but_a_copy_of_it_is_not() {
    let mut pair = Pair::calm();
    pair.connect();
    pair.settle();
    let with_cookie = pair.sent[2].2.clone();
    let mut server = Pair::calm();
    let answered = |server: &mut Pair| {
        let before = server.sent.len();
        server.deliver(Side::Client, &with_cookie);
        server.drain();
        server.sent.len() > before
    };
    assert!(answered(&mut server));
    assert!(!answered(&mut server));
    server.weather.loss = 100;
    server.run_for(Duration::from_millis(600));
    assert!(answered(&mut server));
    assert!(!answered(&mut server));
}

#[test]
fn a_key_may_come_late_and_only_once() {
    let mut pair = Pair::calm();
    pair.answers = false;
    pair.connect();
    pair.run_for(Duration::from_secs(5));
    let handshake = pair.wanted[0];
    assert_eq!(
        pair.wanted,
        [handshake],
        "asked once, however often the client repeats"
    );
    assert_eq!(pair.server_sessions(), []);
    pair.server
        .provide_key(handshake, Some(PskKey::new(KEY)), pair.now);
    pair.settle();
    assert_eq!(
        pair.server_sessions().len(),
        1,
        "from what waited, without another repetition"
    );
    assert_eq!(pair.client_sessions().len(), 1);
    let events = pair.server_events.len();
    pair.server.provide_key(handshake, None, pair.now);
    pair.settle();
    assert_eq!(pair.server_events.len(), events);
}

#[test]
fn a_lost_last_flight_is_sent_again_when_the_client_repeats_its_own() {
    let mut pair = Pair::calm();
    let session = pair.connect();
    for from in [
        Side::Client,
        Side::Server,
        Side::Client,
        Side::Server,
        Side::Client,
    ] {
        for datagram in pair.take_wire(from) {
            pair.deliver(from, &datagram);
        }
    }
    assert_eq!(pair.take_wire(Side::Server).len(), 1, "and is lost");
    pair.run_for(Duration::from_secs(2));
    assert_eq!(pair.client_sessions(), [session]);
    assert_eq!(pair.server_sessions().len(), 1, "not a second session");
}

#[test]
fn a_long_identity_and_a_hint_cross_a_narrow_path_in_fragments() {
    let mut config = PskConfig::default();
    config.mtu = 0;
    config.identity_hint = Some(vec![b'h'; 300]);
    for suite in CipherSuite::ALL {
        config.suites = vec![suite];
        let mut pair = Pair::new(config.clone(), config.clone(), 3);
        let identity = vec![b'x'; 500];
        pair.client
            .connect(server_at(), &identity, PskKey::new(KEY), pair.now)
            .unwrap();
        pair.settle();
        assert_eq!(pair.server_sessions().len(), 1, "{suite}");
        assert!(
            matches!(&pair.server_events[0], DtlsEvent::NeedKey { identity: seen, .. } if *seen == identity)
        );
        assert!(pair.sent.len() > 10);
        assert!(
            pair.sent
                .iter()
                .all(|(_, _, datagram)| datagram.len() <= MIN_MTU)
        );
    }
}

#[test]
fn a_message_is_cut_where_a_record_ends_however_wide_the_path_is() {
    const LONGEST: usize = 1 << 14;
    let mut config = PskConfig::default();
    config.mtu = 60_000;
    config.max_message = 30_000;
    config.identity_hint = Some(vec![b'h'; 20_000]);
    let mut pair = Pair::new(config.clone(), config, 3);
    let identity = vec![b'x'; 20_000];
    pair.client
        .connect(server_at(), &identity, PskKey::new(KEY), pair.now)
        .unwrap();
    pair.settle();
    assert_eq!(pair.server_sessions().len(), 1);
    for (_, _, datagram) in &pair.sent {
        assert!(records(datagram).iter().all(|it| it.3.len() <= LONGEST));
    }
}

#[test]
fn both_suites_work_and_the_server_prefers_the_first_of_its_own() {
    for (client, server, chosen) in [
        (vec![0, 1], vec![0, 1], Some(0xc0a8_u16)),
        (vec![1, 0], vec![0, 1], Some(0xc0a8)),
        (vec![1], vec![0, 1], Some(0x00ae)),
        (vec![0, 1], vec![1], Some(0x00ae)),
        (vec![0], vec![1], None),
    ] {
        let config = |suites: &[usize]| {
            let mut config = PskConfig::default();
            config.suites = suites.iter().map(|at| CipherSuite::ALL[*at]).collect();
            config
        };
        let mut pair = Pair::new(config(&client), config(&server), 5);
        let at_client = pair.connect();
        pair.settle();
        let hello = pair
            .sent
            .iter()
            .find_map(|(_, from, datagram)| match records(datagram)[0] {
                (HANDSHAKE, 0, _, body) if *from == Side::Server && body[0] == 2 => {
                    Some(u16::from_be_bytes([body[47], body[48]]))
                }
                _ => None,
            });
        assert_eq!(hello, chosen);
        if chosen.is_some() {
            let at_server = pair.server_sessions()[0];
            pair.client.send(at_client, b"up", pair.now).unwrap();
            pair.server.send(at_server, b"down", pair.now).unwrap();
            pair.settle();
            assert_eq!(
                (pair.at_server(), pair.at_client()),
                (vec![&b"up"[..]], vec![&b"down"[..]])
            );
        } else {
            let (_, _, refusal) = pair.sent.last().unwrap();
            assert_eq!(records(refusal)[0].3, [2, 40], "handshake_failure");
        }
    }
}

#[test]
fn the_other_suite_is_refused_without_encrypt_then_mac() {
    let mut config = PskConfig::default();
    config.suites = vec![CipherSuite::PskAes128CbcSha256];
    let mut pair = Pair::new(config.clone(), config, 5);
    pair.connect();
    let mut hello = pair.take_wire(Side::Client).remove(0);
    // The number of the extension, 22, becomes one that nobody knows.
    let at = hello
        .windows(4)
        .rposition(|bytes| bytes == [0, 22, 0, 0])
        .unwrap();
    hello[at] = 0x7f;
    pair.deliver(Side::Client, &hello);
    pair.drain();
    let (_, _, refusal) = pair.sent.last().unwrap();
    assert_eq!(records(refusal)[0].3, [2, 40], "handshake_failure");
}

#[test]
fn a_second_handshake_from_the_same_address_replaces_the_session_only_when_verified() {
    let (mut pair, _, first) = Pair::established();
    // A wrong key first: the session must live through it.
    let wrong = pair.connect_with([8; 16]);
    pair.run_for(Duration::from_secs(120));
    assert_eq!(
        end_of(&pair.client_events, wrong),
        Some(CloseReason::HandshakeTimeout)
    );
    assert_eq!(pair.server_sessions(), [first]);
    pair.server.send(first, b"still here", pair.now).unwrap();
    pair.settle();
    assert_eq!(pair.at_client(), [b"still here"]);

    pair.connect();
    pair.settle();
    assert_eq!(pair.server_sessions().len(), 2);
    assert_eq!(end_of(&pair.server_events, first), Some(CloseReason::Peer));
    assert_eq!(pair.server.sessions(), 1);
}

#[test]
fn a_peer_that_lost_its_handshake_begins_anew_from_the_same_port() {
    for heard in 1..=3 {
        let mut pair = Pair::calm();
        pair.connect();
        for _ in 0..heard {
            for from in [Side::Client, Side::Server] {
                for datagram in pair.take_wire(from) {
                    pair.deliver(from, &datagram);
                }
            }
        }
        // Its power fails.
        let established = pair.server_sessions().len();
        pair.client = Pair::new(PskConfig::default(), PskConfig::default(), 9).client;
        pair.client_events.clear();
        pair.connect();
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.client_sessions().len(), 1, "after {heard} flights");
        assert_eq!(pair.server_sessions().len(), established + 1);
    }
}

#[test]
fn a_side_that_only_connects_answers_nobody() {
    let mut deaf = PskConfig::default();
    deaf.accept = false;
    let mut pair = Pair::new(PskConfig::default(), deaf, 1);
    pair.connect();
    pair.settle();
    assert!(pair.sent.iter().all(|(_, from, _)| *from == Side::Client));
}

#[test]
fn a_peer_without_the_extended_master_secret_is_taken_unless_it_is_required() {
    let mut strict = PskConfig::default();
    strict.require_extended_master_secret = true;
    for (config, answer) in [(PskConfig::default(), 3), (strict, 2)] {
        let mut pair = Pair::new(PskConfig::default(), config, 1);
        pair.connect();
        let mut hello = pair.take_wire(Side::Client).remove(0);
        let at = hello
            .windows(4)
            .rposition(|bytes| bytes == [0, 23, 0, 0])
            .unwrap();
        hello[at] = 0x7f;
        pair.deliver(Side::Client, &hello);
        pair.drain();
        let (_, _, said) = pair.sent.last().unwrap();
        // A cookie request, or a fatal alert.
        assert_eq!(records(said)[0].3[0], answer);
    }
}
