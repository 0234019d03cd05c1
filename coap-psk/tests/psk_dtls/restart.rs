//! Sessions that go on in another endpoint, because the program of the first one ended.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint, SavedSession};
use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, SessionId};
use coap_psk::{CipherSuite, ErrorKind, Instant};
use proptest::prelude::*;

use crate::psk_pair::{IDENTITY, Pair, Side, client_at, records, server_at};

fn configs() -> impl Iterator<Item = PskConfig> {
    let lens = [None, Some(0), Some(6)];
    CipherSuite::ALL.into_iter().flat_map(move |suite| {
        lens.map(|len| {
            let mut config = PskConfig::default();
            config.suites = vec![suite];
            config.connection_id_len = len;
            config
        })
    })
}

/// An endpoint as after a restart, with the session that was saved.
fn restart(config: &PskConfig, saved: &SavedSession, pair: &Pair) -> (PskEndpoint, SessionId) {
    let mut endpoint = PskEndpoint::new(config.clone(), [200; 32]);
    let session = endpoint.import(saved.expose(), pair.now).unwrap();
    (endpoint, session)
}

fn save_and_store(endpoint: &mut PskEndpoint, session: SessionId, now: Instant) {
    let saved = endpoint.export(session, now).unwrap();
    endpoint.handle_stored(&saved, now);
}

#[test]
fn a_server_that_was_killed_goes_on_with_its_sessions_in_both_directions() {
    for config in configs() {
        let (mut pair, at_client, at_server) =
            Pair::established_with(config.clone(), config.clone());
        pair.client.send(at_client, b"before", pair.now).unwrap();
        let before = pair.take_wire(Side::Client).remove(0);
        pair.deliver(Side::Client, &before);
        pair.server.send(at_server, b"before", pair.now).unwrap();
        pair.settle();
        let saved = pair.server.export(at_server, pair.now).unwrap();
        // It goes on while the export is written, and is killed.
        pair.server.handle_stored(&saved, pair.now);
        pair.server.send(at_server, b"meanwhile", pair.now).unwrap();
        pair.settle();
        let (server, session) = restart(&config, &saved, &pair);
        pair.server = server;
        pair.server_events.clear();
        assert_eq!(
            pair.server.poll_event(),
            Some(DtlsEvent::Established {
                session,
                peer: client_at(),
                identity: IDENTITY.to_vec()
            })
        );
        assert_eq!(pair.server.sessions(), 1);

        pair.deliver(Side::Client, &before);
        pair.drain();
        assert_eq!(
            pair.at_server(),
            [b""; 0],
            "what came before does not count again"
        );
        pair.client.send(at_client, b"after", pair.now).unwrap();
        pair.settle();
        assert_eq!(pair.at_server(), [b"after"]);

        assert_eq!(pair.server.records_left(session), Some(0));
        let refused = pair.server.send(session, b"", pair.now).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Transport);
        save_and_store(&mut pair.server, session, pair.now);
        assert_eq!(pair.server.records_left(session), Some(1 << 16));
        pair.server.send(session, b"after", pair.now).unwrap();
        pair.settle();
        assert_eq!(pair.at_client(), [&b"before"[..], b"meanwhile", b"after"]);
    }
}

#[test]
fn a_client_goes_on_after_a_restart_as_well() {
    for config in configs() {
        let (mut pair, at_client, at_server) =
            Pair::established_with(config.clone(), config.clone());
        let saved = pair.client.export(at_client, pair.now).unwrap();
        let (client, session) = restart(&config, &saved, &pair);
        pair.client = client;
        save_and_store(&mut pair.client, session, pair.now);
        pair.client.send(session, b"up", pair.now).unwrap();
        pair.server.send(at_server, b"down", pair.now).unwrap();
        pair.settle();
        assert_eq!(pair.at_server(), [b"up"]);
        assert_eq!(pair.at_client(), [b"down"]);
    }
}

#[test]
fn what_an_export_reserves_is_the_most_that_is_sent_until_it_is_stored() {
    let mut config = PskConfig::default();
    config.reserved_records = 10;
    let (mut pair, at_client, _) = Pair::established_with(config, PskConfig::default());
    let all = (1 << 48) - 1;
    assert_eq!(
        pair.client.records_left(at_client),
        Some(all),
        "after the Finished"
    );
    let first = pair.client.export(at_client, pair.now).unwrap();
    assert_eq!(pair.client.records_left(at_client), Some(10));
    for _ in 0..4 {
        pair.client.send(at_client, b"", pair.now).unwrap();
    }
    let second = pair.client.export(at_client, pair.now).unwrap();
    assert_eq!(pair.client.records_left(at_client), Some(6), "not yet");
    pair.client.handle_stored(&first, pair.now);
    assert_eq!(
        pair.client.records_left(at_client),
        Some(6),
        "known already"
    );
    pair.client.handle_stored(&second, pair.now);
    assert_eq!(pair.client.records_left(at_client), Some(10));
    pair.client.handle_stored(&first, pair.now);
    assert_eq!(pair.client.records_left(at_client), Some(10));
    for _ in 0..10 {
        pair.client.send(at_client, b"", pair.now).unwrap();
    }
    let refused = pair.client.send(at_client, b"", pair.now).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Transport);
    pair.client.close(at_client, pair.now);
    assert_eq!(pair.client.records_left(at_client), None);
    assert!(pair.client.export(at_client, pair.now).is_none());
    pair.client.handle_stored(&second, pair.now);
}

#[test]
fn an_address_that_was_not_confirmed_is_not_after_a_restart_either() {
    let (mut pair, at_client, at_server) = Pair::established();
    pair.client.send(at_client, b"up", pair.now).unwrap();
    let up = pair.take_wire(Side::Client).remove(0);
    let elsewhere: SocketAddr = "[2001:db8::7]:1024".parse().unwrap();
    pair.server.handle_datagram(elsewhere, &up, pair.now);
    let saved = pair.server.export(at_server, pair.now).unwrap();
    let (mut server, session) = restart(&PskConfig::default(), &saved, &pair);
    assert!(
        matches!(server.poll_event(), Some(DtlsEvent::Established { peer, .. }) if peer == elsewhere)
    );
    save_and_store(&mut server, session, pair.now);
    let refused = server.send(session, b"", pair.now).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    server.confirm_path(session, pair.now);
    server.send(session, b"", pair.now).unwrap();
    assert_eq!(server.poll_transmit().unwrap().to, elsewhere);
}

#[test]
fn what_is_no_export_is_refused_whatever_it_is() {
    for config in configs() {
        let (mut pair, _, at_server) = Pair::established_with(config.clone(), config.clone());
        let saved = pair.server.export(at_server, pair.now).unwrap();
        assert_eq!(format!("{saved:?}"), "SavedSession(..)");
        let bytes = saved.expose();
        assert!(bytes.len() < 300, "{} bytes", bytes.len());
        let import = |bytes: &[u8]| {
            let mut endpoint = PskEndpoint::new(config.clone(), [200; 32]);
            let imported = endpoint.import(bytes, pair.now);
            assert_eq!(endpoint.sessions(), usize::from(imported.is_ok()));
            imported.map_err(|error| error.kind())
        };
        assert!(import(bytes).is_ok());
        for len in 0..bytes.len() {
            assert_eq!(import(&bytes[..len]), Err(ErrorKind::SavedSession), "{len}");
        }
        assert_eq!(
            import(&[bytes, &[0]].concat()),
            Err(ErrorKind::SavedSession)
        );
        for at in 0..3 {
            let mut other = bytes.to_vec();
            other[at] ^= 0x41;
            assert_eq!(
                import(&other),
                Err(ErrorKind::SavedSession),
                "version and suite"
            );
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.to_vec();
                other[at] ^= 1 << bit;
                let _ = import(&other);
            }
        }
    }
}

#[test]
fn a_session_is_imported_where_there_is_room_and_its_place_is_free() {
    for len in [None, Some(6)] {
        let mut config = PskConfig::default();
        config.connection_id_len = len;
        let (mut pair, _, at_server) = Pair::established_with(config.clone(), config.clone());
        let saved = pair.server.export(at_server, pair.now).unwrap();
        let again = pair.server.import(saved.expose(), pair.now).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Refused);
        config.max_sessions = 0;
        let mut full = PskEndpoint::new(config.clone(), [1; 32]);
        let refused = full.import(saved.expose(), pair.now).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Full);
        config.max_sessions = 1;
        config.connection_id_len = Some(8);
        let mut longer = PskEndpoint::new(config, [1; 32]);
        let imported = longer.import(saved.expose(), pair.now);
        let expected = len.map(|_| ErrorKind::SavedSession);
        assert_eq!(imported.err().map(|error| error.kind()), expected);
    }
}

#[test]
fn sessions_that_share_an_address_are_all_imported() {
    let plain = {
        let mut config = PskConfig::default();
        config.connection_id_len = None;
        config
    };
    let mut saved = Vec::new();
    for (seed, config) in [(1, &plain), (2, &PskConfig::default())] {
        let mut pair = Pair::new(config.clone(), PskConfig::default(), seed);
        pair.connect();
        pair.settle();
        let at_server = pair.server_sessions()[0];
        saved.push((pair.server.export(at_server, pair.now).unwrap(), pair));
    }
    for order in [[0, 1], [1, 0]] {
        let mut server = PskEndpoint::new(PskConfig::default(), [200; 32]);
        for which in order {
            let (saved, pair) = &saved[which];
            server.import(saved.expose(), pair.now).unwrap();
        }
        assert_eq!(server.sessions(), 2);
        while server.poll_event().is_some() {}
        for (_, pair) in &mut saved {
            let at_client = pair.client_sessions()[0];
            pair.client.send(at_client, b"up", pair.now).unwrap();
            let up = pair.take_wire(Side::Client).remove(0);
            server.handle_datagram(client_at(), &up, pair.now);
            assert!(matches!(server.poll_event(), Some(DtlsEvent::Data { .. })));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Export,
    /// The oldest export that is not stored is.
    Store,
    /// The endpoint learns of the oldest export that is stored.
    Tell,
    /// The program ends, and another goes on with what is stored.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Send),
        2 => Just(Step::Export),
        2 => Just(Step::Store),
        2 => Just(Step::Tell),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_sequence_number_is_used_twice_whenever_the_program_ends(
        steps in steps(),
        reserved in 0..6_u32,
        by_client: bool,
    ) {
        let mut config = PskConfig::default();
        config.reserved_records = reserved;
        let (mut pair, at_client, at_server) = Pair::established_with(config.clone(), config.clone());
        // The Finished had number 0.
        let mut used = BTreeSet::from([0]);
        let now = pair.now;
        pair.drain();
        let (mut endpoint, mut session, to) = if by_client {
            (pair.client, at_client, server_at())
        } else {
            (pair.server, at_server, client_at())
        };
        let (mut exports, mut untold) = (VecDeque::new(), VecDeque::new());
        let mut stored = None;
        for step in steps {
            match step {
                Step::Send => {
                    let left = endpoint.records_left(session).unwrap();
                    let sent = endpoint.send(session, b"text", now);
                    prop_assert_eq!(sent.is_ok(), left > 0);
                }
                Step::Export => exports.push_back(endpoint.export(session, now).unwrap()),
                Step::Store => {
                    if let Some(saved) = exports.pop_front() {
                        stored = Some(saved.expose().to_vec());
                        untold.push_back(saved);
                    }
                }
                Step::Tell => {
                    if let Some(saved) = untold.pop_front() {
                        endpoint.handle_stored(&saved, now);
                    }
                }
                Step::Crash => {
                    if let Some(stored) = &stored {
                        endpoint = PskEndpoint::new(config.clone(), [200; 32]);
                        session = endpoint.import(stored, now).unwrap();
                        exports.clear();
                        untold.clear();
                    }
                }
            }
            while let Some(out) = endpoint.poll_transmit() {
                prop_assert_eq!(out.to, to);
                for (_, epoch, sequence, _) in records(&out.datagram) {
                    prop_assert_eq!(epoch, 1);
                    prop_assert!(used.insert(sequence), "{} comes back", sequence);
                }
            }
        }
    }
}
