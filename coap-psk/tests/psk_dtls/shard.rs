//! Several engines at one address: what their ids and connection ids say of them.

use coap_psk::ErrorKind;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, SessionId, ShardNumber};

use crate::psk_pair::{Pair, Side};

fn shard(number: u8, id_len: Option<usize>) -> PskConfig {
    let mut config = PskConfig::default();
    config.connection_id_len = id_len;
    config.shard = Some(ShardNumber(number));
    config
}

fn endpoint(config: PskConfig) -> PskEndpoint {
    PskEndpoint::new(config, [77; 32])
}

/// A device with a session at this shard, and its next record.
fn record_to(number: u8, id_len: Option<usize>) -> (Pair, SessionId, Vec<u8>) {
    let (mut pair, at_client, at_server) =
        Pair::established_with(PskConfig::default(), shard(number, id_len));
    pair.client.send(at_client, b"up", pair.now).unwrap();
    let record = pair.take_wire(Side::Client).remove(0);
    (pair, at_server, record)
}

#[test]
fn ids_of_sessions_and_handshakes_name_their_shard() {
    for number in [0, 1, 200, 255] {
        let (pair, at_server, _) = record_to(number, Some(6));
        assert_eq!(pair.server.shard(), ShardNumber(number));
        assert_eq!(ShardNumber::from(at_server), ShardNumber(number));
        assert_eq!(ShardNumber::from(pair.wanted[0]), ShardNumber(number));
    }
    let (_, _, at_server) = Pair::established();
    assert_eq!(ShardNumber::from(at_server), ShardNumber(0), "alone");
}

#[test]
fn a_record_with_a_connection_id_names_its_shard_to_every_other() {
    for number in [0, 3, 255] {
        for id_len in [1, 2, 6, 8] {
            let (mut pair, at_server, record) = record_to(number, Some(id_len));
            for reader in [0, 3, 7] {
                let reader = endpoint(shard(reader, Some(id_len)));
                assert_eq!(reader.shard_of(&record), Some(ShardNumber(number)));
            }
            // Wherever it comes from.
            let elsewhere = ([203, 0, 113, 7], 1_024).into();
            let now = pair.now;
            pair.server.handle_datagram(elsewhere, &record, now);
            assert!(matches!(
                pair.server.poll_event(),
                Some(DtlsEvent::Moved { session, .. }) if session == at_server
            ));
        }
    }
}

#[test]
fn what_has_no_connection_id_names_no_shard_and_neither_does_anything_to_an_engine_that_is_alone() {
    for id_len in [None, Some(0)] {
        let (pair, _, record) = record_to(3, id_len);
        assert_eq!(endpoint(shard(1, id_len)).shard_of(&record), None);
        for (_, _, datagram) in &pair.sent {
            assert_eq!(endpoint(shard(1, Some(6))).shard_of(datagram), None);
        }
    }
    let (pair, _, record) = record_to(3, Some(6));
    assert_eq!(endpoint(PskConfig::default()).shard_of(&record), None);
    // The last flights have records of both kinds; they come from where the handshake takes place.
    let hellos = pair.sent.iter().take(4);
    for (_, _, datagram) in hellos {
        assert_eq!(endpoint(shard(1, Some(6))).shard_of(datagram), None);
    }
    for cut in 0..record.len() {
        assert_eq!(
            endpoint(shard(1, Some(6))).shard_of(&record[..cut]),
            None,
            "cut off at {cut}"
        );
    }
}

#[test]
fn one_byte_is_an_id_for_one_session_and_the_next_goes_without() {
    let (mut pair, first, _) = record_to(3, Some(1));
    pair.connect();
    pair.settle();
    let sessions = pair.server_sessions();
    assert_eq!((sessions.len(), sessions[0]), (2, first));
    let at_client = *pair.client_sessions().last().unwrap();
    pair.client.send(at_client, b"up", pair.now).unwrap();
    let record = pair.take_wire(Side::Client).remove(0);
    assert_eq!(pair.server.shard_of(&record), None);
}

#[test]
fn a_saved_session_goes_on_at_the_shard_that_its_connection_id_names() {
    for (id_len, elsewhere) in [
        (Some(6), Err(ErrorKind::SavedSession)),
        (None, Ok(ShardNumber(4))),
    ] {
        let (mut pair, at_server, _) = record_to(3, id_len);
        let saved = pair.server.export(at_server, pair.now).unwrap();
        let import = |number| {
            let imported = endpoint(shard(number, id_len)).import(saved.expose(), pair.now);
            imported
                .map(ShardNumber::from)
                .map_err(|error| error.kind())
        };
        assert_eq!(import(3), Ok(ShardNumber(3)));
        assert_eq!(import(4), elsewhere);
    }
}
