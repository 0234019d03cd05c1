//! OpenSSL with itself, with coap-psk's own engine and with `dimpl`, each as client and as server, in both suites.

use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::CipherSuite::{self, PskAes128CbcSha256, PskAes128Ccm8};
use coap_psk::dtls::{DtlsEndpoint as _, Handshakes};
use coap_psk::{Instant, PskKey};
use dtls_openssl::{Limits, Openssl, OpensslEndpoint};

use crate::clock;
use crate::kind::Kind::{self, Dimpl, Openssl as Ssl, Own};
use crate::wire::{
    IDENTITY, KEY, Wire, find_each_other_through_loss, refuse_the_wrong_key, understand_each_other,
};

/// Client, server, and the suite that the client offers.
type Pair = (Kind, Kind, CipherSuite);

const PAIRS: [Pair; 8] = [
    (Ssl, Ssl, PskAes128Ccm8),
    (Ssl, Ssl, PskAes128CbcSha256),
    (Ssl, Own, PskAes128Ccm8),
    (Ssl, Own, PskAes128CbcSha256),
    (Own, Ssl, PskAes128Ccm8),
    (Own, Ssl, PskAes128CbcSha256),
    (Ssl, Dimpl, PskAes128Ccm8),
    (Dimpl, Ssl, PskAes128Ccm8),
];

fn wire((client, server, suite): Pair, seed: u8) -> Wire {
    let client = client.endpoint(&[suite], seed);
    let server = server.endpoint(&CipherSuite::ALL, !seed);
    Wire::new(client, server, seed, clock::set)
}

#[test]
fn they_understand_each_other() {
    let lengths = [1, 15, 16, 17, 1_152, 1 << 14];
    for pair in PAIRS {
        understand_each_other(wire(pair, 1), &lengths, &format!("{pair:?}"));
    }
}

#[test]
fn none_takes_a_wrong_key_of_another() {
    for pair in PAIRS {
        refuse_the_wrong_key(|| wire(pair, 1), &format!("{pair:?}"));
    }
}

#[test]
fn they_find_each_other_through_loss() {
    for pair in PAIRS {
        find_each_other_through_loss(|seed| wire(pair, seed), &format!("{pair:?}"));
    }
}

#[test]
fn without_a_common_suite_there_is_no_session() {
    for (client, server) in [(Ssl, Ssl), (Own, Ssl), (Ssl, Own)] {
        let client = client.endpoint(&[PskAes128Ccm8], 1);
        let server = server.endpoint(&[PskAes128CbcSha256], 2);
        let mut wire = Wire::new(client, server, 1, clock::set);
        wire.connect(KEY);
        wire.run_for(Duration::from_secs(200));
        assert_eq!((wire.client.session(), wire.server.session()), (None, None));
    }
}

fn openssl() -> OpensslEndpoint {
    OpensslEndpoint::new(Limits::default(), Openssl::new(&CipherSuite::ALL).unwrap())
}

fn at(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

#[test]
fn a_client_hello_without_its_cookie_leaves_nothing_behind() {
    let (mut client, mut server) = (openssl(), openssl());
    let now = Instant::from_micros(1);
    clock::set(now);
    let key = PskKey::new(KEY);
    client.connect(at(5684), IDENTITY, key, now).unwrap();
    let hello = client.poll_transmit().unwrap().datagram;
    for port in 1..200 {
        server.handle_datagram(at(port), &hello, now);
        let answer = server.poll_transmit().unwrap();
        assert_eq!(answer.to, at(port));
        assert!(answer.datagram.len() < hello.len(), "no amplification");
        assert!(server.poll_transmit().is_none());
        assert_eq!(server.next_deadline(), None);
        assert!(server.poll_event().is_none());
    }
    assert_eq!(server.handshakes(), Handshakes::default());
}

#[test]
fn a_cookie_of_another_address_is_none() {
    let (mut client, mut server) = (openssl(), openssl());
    let now = Instant::from_micros(1);
    clock::set(now);
    let key = PskKey::new(KEY);
    client.connect(at(5684), IDENTITY, key, now).unwrap();
    let hello = client.poll_transmit().unwrap().datagram;
    server.handle_datagram(at(1), &hello, now);
    let request = server.poll_transmit().unwrap().datagram;
    client.handle_datagram(at(5684), &request, now);
    let hello = client.poll_transmit().unwrap().datagram;
    server.handle_datagram(at(2), &hello, now);
    assert_eq!(server.next_deadline(), None);
    server.handle_datagram(at(1), &hello, now);
    assert!(server.next_deadline().is_some(), "a handshake");
}

#[test]
fn a_flight_is_sent_again_when_the_test_lets_a_second_pass() {
    let mut client = openssl();
    let key = PskKey::new(KEY);
    clock::set(Instant::ZERO);
    client
        .connect(at(5684), IDENTITY, key, Instant::ZERO)
        .unwrap();
    let hello = client.poll_transmit().unwrap().datagram;
    let due = client.next_deadline().unwrap();
    assert_eq!(due.as_micros(), 1_000_000);
    clock::set(due);
    client.handle_timeout(due);
    let again = client.poll_transmit().unwrap().datagram;
    assert_eq!(hello.len(), again.len());
    assert!(client.poll_transmit().is_none());
    assert_eq!(client.next_deadline().unwrap().as_micros(), 3_000_000);
}

#[test]
fn an_identity_that_c_cannot_hold_is_refused() {
    let mut client = openssl();
    for identity in [&b"a\0b"[..], &[b'x'; 129]] {
        let key = PskKey::new(KEY);
        let refused = client.connect(at(5684), identity, key, Instant::ZERO);
        assert_eq!(refused.unwrap_err().kind(), coap_psk::ErrorKind::Transport);
    }
    assert!(client.poll_transmit().is_none());
}
