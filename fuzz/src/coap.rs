//! Targets of `coap-psk`.

use std::net::SocketAddr;

use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent};
use coap_psk::{Instant, PskIdentity};
use dtls_dimpl::{DimplEndpoint, Limits};

/// The PSK identity that a device sends: what parses is printed exactly as it came.
pub fn identity(bytes: &[u8]) {
    if let Ok(identity) = PskIdentity::parse(bytes) {
        assert_eq!(identity.to_string().as_bytes(), bytes);
    }
}

/// Datagrams at the DTLS listener of the examples, each after its length in two bytes, from two addresses in turn.
pub fn dtls(bytes: &[u8]) {
    // The engine's clock has no meaning here: the same moment for all keeps a run repeatable.
    let mut endpoint = DimplEndpoint::new(Limits::default(), std::time::Instant::now());
    let addresses = [1_u16, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    let mut rest = bytes;
    for address in addresses.into_iter().cycle() {
        let Some((length, tail)) = rest.split_first_chunk::<2>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (datagram, tail) = tail.split_at(length);
        rest = tail;
        let now = Instant::ZERO;
        endpoint.handle_datagram(address, datagram, now);
        while let Some(event) = endpoint.poll_event() {
            match event {
                DtlsEvent::NeedKey { handshake, .. } => endpoint.provide_key(handshake, None, now),
                DtlsEvent::Established { .. } => panic!("a session without a key"),
                _ => {}
            }
        }
        while endpoint.poll_transmit().is_some() {}
    }
}
