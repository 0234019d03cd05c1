//! Handshakes of the engine alone: no socket, no CoAP.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bench_harness::{Limit, Run, clock, median};
use coap_psk::Instant;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent, Transmit};

use crate::peers::{key, name};

/// What one core is to do in a second.
const WANTED: f64 = 80_000.0;
pub(crate) const CLOUD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_684);

pub(crate) fn handshakes(run: &mut Run) {
    let count = run.scaled(5_000, 4);
    let rates = (0..run.scaled(5, 1)).map(|_| rate(count));
    run.row(
        "handshakes on one core, 80,000 wanted",
        "/s",
        (median(rates.collect()), WANTED),
        Limit::AtLeast(1.0),
    );
}

pub(crate) fn server_config() -> PskConfig {
    let mut config = PskConfig::default();
    config.max_sessions = 1_000_000;
    config.max_handshakes = 1_000_000;
    config
}

/// How many handshakes a second of CPU time is good for. All clients are at the same step, so that the clock is read between
/// steps and not between datagrams.
fn rate(count: usize) -> f64 {
    let mut server = PskEndpoint::new(server_config(), [1; 32]);
    let mut clients: BTreeMap<_, _> = (0..count).map(client).collect();
    let (now, mut taken, mut established) = (Instant::ZERO, 0, 0);
    while established < count {
        let mut said = Vec::new();
        for (at, client) in &mut clients {
            while let Some(Transmit { datagram, .. }) = client.poll_transmit() {
                said.push((*at, datagram));
            }
        }
        assert!(!said.is_empty(), "a handshake stands still");
        let mut answers = Vec::with_capacity(said.len());
        let began = clock::thread_cpu();
        for (from, datagram) in said {
            server.handle_datagram(from, &datagram, now);
            while let Some(event) = server.poll_event() {
                match event {
                    DtlsEvent::NeedKey { handshake, .. } => {
                        server.provide_key(handshake, Some(key()), now);
                    }
                    DtlsEvent::Established { .. } => established += 1,
                    _ => {}
                }
            }
            answers.extend(std::iter::from_fn(|| server.poll_transmit()));
        }
        taken += clock::thread_cpu() - began;
        for Transmit { to, datagram } in answers {
            let client = clients.get_mut(&to).expect("an answer to a client");
            client.handle_datagram(CLOUD, &datagram, now);
        }
    }
    count as f64 / (taken as f64 / 1e9)
}

/// A client that has begun its handshake, and its address.
pub(crate) fn client(number: usize) -> (SocketAddr, PskEndpoint) {
    let mut config = PskConfig::default();
    config.accept = false;
    let seed = number.to_le_bytes();
    let mut client = PskEndpoint::new(config, std::array::from_fn(|at| seed[at % 8]));
    let identity = format!("{},2,3600", name(number));
    client
        .connect(CLOUD, identity.as_bytes(), key(), Instant::ZERO)
        .expect("a place");
    let address = Ipv4Addr::from_bits(Ipv4Addr::new(10, 0, 0, 0).to_bits() + number as u32);
    ((address, CLOUD.port()).into(), client)
}
