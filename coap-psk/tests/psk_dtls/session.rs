//! What happens on an established session.

use coap_psk::ErrorKind;
use coap_psk::dtls::psk::PskConfig;
use coap_psk::dtls::{CloseReason, DtlsEndpoint, DtlsEvent, SessionId};

use crate::psk_pair::{Pair, Side, end_of};

#[test]
fn data_goes_both_ways_and_the_end_is_told_to_the_peer() {
    for close_by_server in [false, true] {
        let (mut pair, at_client, at_server) = Pair::established();
        pair.client.send(at_client, b"up", pair.now).unwrap();
        pair.server.send(at_server, b"", pair.now).unwrap();
        pair.settle();
        assert_eq!(pair.at_server(), [b"up"]);
        assert_eq!(pair.at_client(), [b""]);
        if close_by_server {
            pair.server.close(at_server, pair.now);
        } else {
            pair.client.close(at_client, pair.now);
        }
        pair.settle();
        let (local, peer) = (Some(CloseReason::Local), Some(CloseReason::Peer));
        let ends = [
            end_of(&pair.client_events, at_client),
            end_of(&pair.server_events, at_server),
        ];
        assert_eq!(
            ends,
            if close_by_server {
                [peer, local]
            } else {
                [local, peer]
            }
        );
        assert_eq!(pair.client.sessions() + pair.server.sessions(), 0);
        let gone = pair.client.send(at_client, b"up", pair.now).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::UnknownSession);
    }
}

#[test]
fn a_record_counts_once_however_often_and_in_whatever_order_it_comes() {
    let (mut pair, at_client, _) = Pair::established();
    let mut sent = Vec::new();
    for number in 0..70_u8 {
        pair.client.send(at_client, &[number], pair.now).unwrap();
        sent.extend(pair.take_wire(Side::Client));
    }
    for _ in 0..2 {
        for datagram in sent.iter().rev() {
            pair.deliver(Side::Client, datagram);
        }
    }
    pair.drain();
    let arrived: Vec<_> = pair.at_server().iter().map(|data| data[0]).collect();
    // The window is 64 wide.
    assert_eq!(arrived, (6..70).rev().collect::<Vec<_>>());
}

#[test]
fn several_records_in_one_datagram_are_all_read() {
    let (mut pair, at_client, _) = Pair::established();
    let mut datagram = Vec::new();
    for number in 0..3_u8 {
        pair.client.send(at_client, &[number], pair.now).unwrap();
        datagram.extend(pair.take_wire(Side::Client).concat());
    }
    pair.deliver(Side::Client, &datagram);
    pair.drain();
    assert_eq!(pair.at_server(), [[0], [1], [2]]);
}

#[test]
fn what_fits_no_record_is_refused_and_the_session_goes_on() {
    // Under a connection id the type of the record takes a byte of its text. (RFC 9146, 4)
    for (id_len, room) in [(None, 1 << 14), (Some(6), (1 << 14) - 1)] {
        let mut config = PskConfig::default();
        config.connection_id_len = id_len;
        let (mut pair, at_client, _) = Pair::established_with(config.clone(), config);
        let refused = pair.client.send(at_client, &vec![0; room + 1], pair.now);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooLarge);
        pair.client
            .send(at_client, &vec![0; room], pair.now)
            .unwrap();
        pair.settle();
        assert_eq!(pair.at_server()[0].len(), room);
    }
}

#[test]
fn sessions_that_are_not_there_are_nobodys() {
    let (mut pair, at_client, _) = Pair::established();
    let events = pair.client_events.len();
    pair.client.close(SessionId(at_client.0 + 1), pair.now);
    let refused = pair.client.send(SessionId(at_client.0 + 1), b"", pair.now);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::UnknownSession);
    // One under way is no session yet, and can be given up.
    let connecting = pair.connect();
    let refused = pair.client.send(connecting, b"", pair.now);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::UnknownSession);
    pair.client.close(connecting, pair.now);
    pair.settle();
    let closed = DtlsEvent::Closed {
        session: connecting,
        reason: CloseReason::Local,
    };
    assert_eq!(pair.client_events[events..], [closed]);
}
