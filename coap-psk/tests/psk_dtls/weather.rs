//! Handshakes and data over a wire that loses, doubles and reorders.

use std::time::Duration;

use coap_psk::CipherSuite;
use coap_psk::dtls::psk::PskConfig;
use coap_psk::dtls::{CloseReason, DtlsEndpoint};

use crate::psk_pair::{Pair, Weather, end_of};

/// Plays a handshake and ten messages each way; whether there was a session.
fn play(weather: Weather, mtu: usize, suite: CipherSuite, seed: u8) -> bool {
    let mut config = PskConfig::default();
    config.mtu = mtu;
    config.suites = vec![suite];
    config.identity_hint = Some(vec![b'h'; 100]);
    let mut pair = Pair::new(config.clone(), config, seed);
    pair.weather = weather;
    let at_client = pair.connect();
    pair.run_for(Duration::from_secs(200));
    assert_eq!(pair.client.next_deadline(), None, "every handshake ends");
    assert_eq!(pair.server.next_deadline(), None);
    if pair.client_sessions().is_empty() {
        let reason = end_of(&pair.client_events, at_client);
        assert_eq!(reason, Some(CloseReason::HandshakeTimeout));
        return false;
    }
    let sessions = pair.server_sessions();
    assert_eq!(pair.client_sessions(), [at_client]);
    let at_server = *sessions.last().unwrap();
    for number in 0..10_u8 {
        pair.client.send(at_client, &[number], pair.now).unwrap();
        pair.server.send(at_server, &[number], pair.now).unwrap();
    }
    pair.run_for(Duration::from_secs(1));
    for mut arrived in [pair.at_client(), pair.at_server()] {
        let count = arrived.len();
        arrived.sort_unstable();
        arrived.dedup();
        assert_eq!(arrived.len(), count, "nothing arrives twice");
        assert!(weather.loss > 0 || count == 10, "nothing is lost here");
    }
    true
}

#[test]
fn handshakes_survive_loss_doubles_and_disorder() {
    for suite in CipherSuite::ALL {
        for (loss, least) in [(0, 100), (10, 100), (20, 98), (40, 80)] {
            let weather = Weather {
                loss,
                duplicates: 20,
                delay: 300,
            };
            let done = (0..100)
                .filter(|seed| play(weather, 1_200, suite, *seed))
                .count();
            assert!(done >= least, "{suite} with {loss} % lost: {done} of 100");
        }
    }
}

#[test]
fn fragments_survive_loss_doubles_and_disorder() {
    for (loss, least) in [(0, 100), (10, 95), (30, 50)] {
        let weather = Weather {
            loss,
            duplicates: 20,
            delay: 300,
        };
        let done = (0..100)
            .filter(|seed| play(weather, 128, CipherSuite::PskAes128Ccm8, *seed))
            .count();
        assert!(done >= least, "with {loss} % lost: {done} of 100");
    }
}
