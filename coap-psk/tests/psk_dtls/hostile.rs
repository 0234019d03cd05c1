//! What strangers and broken peers can do.

use std::time::Duration;

use coap_psk::PskKey;
use coap_psk::dtls::psk::PskConfig;
use coap_psk::dtls::{CloseReason, DtlsEndpoint};

use crate::psk_pair::{Pair, Side, client_at, end_of, records, server_at};

#[test]
fn a_wrong_key_and_an_unknown_identity_look_the_same_and_end_in_nothing() {
    let shape = |key: Option<[u8; 16]>| {
        let mut pair = Pair::calm();
        pair.key = key;
        let session = pair.connect_with([1; 16]);
        pair.run_for(Duration::from_secs(120));
        assert_eq!(pair.server_sessions(), []);
        assert_eq!(
            end_of(&pair.client_events, session),
            Some(CloseReason::HandshakeTimeout)
        );
        assert_eq!(pair.server.next_deadline(), None, "nothing is left");
        // Times, types, epochs and lengths are all that an onlooker can compare.
        let seen = pair
            .sent
            .iter()
            .filter(|(_, from, _)| *from == Side::Server);
        seen.map(|(at, _, datagram)| {
            let shapes = records(datagram).into_iter();
            (
                *at,
                shapes
                    .map(|(kind, epoch, _, body)| (kind, epoch, body.len()))
                    .collect::<Vec<_>>(),
            )
        })
        .collect::<Vec<_>>()
    };
    let wrong = shape(Some([2; 16]));
    assert_eq!(wrong, shape(None));
    // Two flights and then silence: not even an alert.
    assert_eq!(wrong.len(), 2);
}

#[test]
fn junk_changes_nothing() {
    let (mut pair, at_client, _) = Pair::established();
    let before = (pair.server_events.len(), pair.sent.len());
    for junk in [
        &b""[..],
        b"\0",
        &[22; 13],
        &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255],
        &[23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 99, 0, 0],
        &[23, 254, 253, 0, 2, 0, 0, 0, 0, 0, 99, 0, 1, 0],
        &[255; 1500],
    ] {
        for from in [client_at(), ([192, 0, 2, 9], 1).into()] {
            pair.server.handle_datagram(from, junk, pair.now);
        }
    }
    pair.settle();
    assert_eq!((pair.server_events.len(), pair.sent.len()), before);
    pair.client.send(at_client, b"up", pair.now).unwrap();
    pair.settle();
    assert_eq!(pair.at_server(), [b"up"]);
}

#[test]
fn alerts_in_clear_are_nobodys_word() {
    for description in [0, 10, 40, 80, 90] {
        let fatal = |sequence: u8| {
            [
                21,
                254,
                253,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                sequence,
                0,
                2,
                2,
                description,
            ]
        };
        let mut pair = Pair::calm();
        pair.connect();
        // Before every datagram of the handshake, and after it.
        for sequence in 0..20 {
            pair.server
                .handle_datagram(client_at(), &fatal(sequence), pair.now);
            pair.client
                .handle_datagram(server_at(), &fatal(sequence), pair.now);
            for from in [Side::Client, Side::Server] {
                for datagram in pair.take_wire(from) {
                    pair.deliver(from, &datagram);
                }
            }
        }
        pair.drain();
        assert_eq!(pair.server_sessions().len(), 1);
        assert_eq!((pair.client.sessions(), pair.server.sessions()), (1, 1));
    }
}

#[test]
fn forged_records_are_counted_and_too_many_close_the_session() {
    let mut config = PskConfig::default();
    config.max_rejected = 10;
    let mut pair = Pair::new(PskConfig::default(), config, 1);
    let at_client = pair.connect();
    pair.settle();
    let at_server = pair.server_sessions()[0];
    pair.client.send(at_client, b"up", pair.now).unwrap();
    let genuine = pair.take_wire(Side::Client).remove(0);
    let mut forged = genuine.clone();
    *forged.last_mut().unwrap() ^= 1;
    for _ in 0..10 {
        pair.deliver(Side::Client, &forged);
    }
    pair.deliver(Side::Client, &genuine);
    pair.settle();
    assert_eq!(
        pair.at_server(),
        [b"up"],
        "a forgery does not use its number up"
    );
    // Its number is now used up, so that it is not even looked at.
    pair.deliver(Side::Client, &forged);
    pair.settle();
    assert_eq!(end_of(&pair.server_events, at_server), None);
    forged[10] = forged[10].wrapping_add(1);
    pair.deliver(Side::Client, &forged);
    pair.settle();
    assert_eq!(
        end_of(&pair.server_events, at_server),
        Some(CloseReason::Fault)
    );
    assert_eq!(
        end_of(&pair.client_events, at_client),
        Some(CloseReason::Peer)
    );
}

#[test]
fn a_finished_in_clear_and_messages_ahead_of_their_time_do_no_harm() {
    let mut pair = Pair::calm();
    pair.connect();
    // The first three flights; the ClientKeyExchange is on its way.
    for from in [Side::Client, Side::Server, Side::Client, Side::Server] {
        for datagram in pair.take_wire(from) {
            pair.deliver(from, &datagram);
        }
    }
    for number in 0..8 {
        for kind in [1_u8, 11, 15, 16, 20] {
            if (kind, number) == (16, 2) {
                // What comes in clear at its time is believed, as long as it lasts.
                continue;
            }
            let body = [kind, 0, 0, 12, 0, number, 0, 0, 0, 0, 0, 12, 0, 10];
            let mut forged = vec![22, 254, 253, 0, 0, 0, 0, 0, 0, 1, number, 0, 24];
            forged.extend(body);
            forged.extend([0; 10]);
            pair.deliver(Side::Client, &forged);
        }
    }
    pair.settle();
    assert_eq!(pair.server_sessions().len(), 1);
    assert_eq!(pair.client_sessions().len(), 1);
}

#[test]
fn a_hello_in_a_peers_name_does_not_disturb_its_handshake_or_its_session() {
    let mut stranger = Pair::new(PskConfig::default(), PskConfig::default(), 77).client;
    let mut pair = Pair::calm();
    pair.connect();
    for _ in 0..5 {
        stranger
            .connect(server_at(), b"x", PskKey::new([1; 16]), pair.now)
            .unwrap();
        let hello = stranger.poll_transmit().unwrap().datagram;
        pair.deliver(Side::Client, &hello);
        for from in [Side::Client, Side::Server] {
            for datagram in pair.take_wire(from) {
                pair.deliver(from, &datagram);
            }
        }
    }
    pair.settle();
    assert_eq!(pair.server_sessions().len(), 1);
    assert_eq!((pair.client.sessions(), pair.server.sessions()), (1, 1));
}

#[test]
fn a_datagram_full_of_hellos_gets_one_answer() {
    let mut pair = Pair::calm();
    pair.connect();
    let hello = pair.take_wire(Side::Client).remove(0);
    let body = &hello[13..];
    let three = [body, body, body].concat();
    let len = u16::try_from(three.len()).unwrap().to_be_bytes();
    let in_one_record = [&hello[..11], &len, &three].concat();
    let in_many_records = hello.repeat(3);
    for full in [in_one_record, in_many_records] {
        pair.server.handle_datagram(client_at(), &full, pair.now);
        let answer = pair.server.poll_transmit().unwrap();
        assert_eq!(records(&answer.datagram)[0].3[0], 3, "a cookie");
        assert_eq!(pair.server.poll_transmit(), None);
    }
    // One behind another message counts as ever.
    let done = [14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let len = u16::try_from(body.len() + done.len())
        .unwrap()
        .to_be_bytes();
    let behind = [&hello[..11], &len, &done, body].concat();
    pair.server.handle_datagram(client_at(), &behind, pair.now);
    assert!(pair.server.poll_transmit().is_some());
}

#[test]
fn a_wrong_finished_under_the_right_keys_is_refused() {
    // A client whose hello was changed on the way has the same keys only without the extended master secret; so that goes too.
    let mut pair = Pair::calm();
    pair.connect();
    let strip = |hello: &[u8]| {
        let mut hello = hello.to_vec();
        let at = hello
            .windows(4)
            .rposition(|bytes| bytes == [0, 23, 0, 0])
            .unwrap();
        hello[at] = 0x7f;
        hello
    };
    while pair.wanted.is_empty() {
        for datagram in pair.take_wire(Side::Client) {
            let is_hello = records(&datagram)[0].3[0] == 1;
            let datagram = if is_hello { strip(&datagram) } else { datagram };
            pair.deliver(Side::Client, &datagram);
        }
        for datagram in pair.take_wire(Side::Server) {
            pair.deliver(Side::Server, &datagram);
        }
        pair.drain();
    }
    pair.settle();
    assert_eq!(pair.server_sessions(), []);
    let alerts = pair
        .sent
        .iter()
        .filter(|(_, from, _)| *from == Side::Server);
    let alerts: Vec<_> = alerts
        .flat_map(|(_, _, datagram)| records(datagram))
        .filter(|(kind, ..)| *kind == 21)
        .map(|(_, epoch, _, body)| (epoch, body.to_vec()))
        .collect();
    assert_eq!(alerts, [(0, vec![2, 51])], "decrypt_error");
}
