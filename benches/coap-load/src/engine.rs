//! Handshakes of the engine alone: no socket, no CoAP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bench_harness::{Limit, Run, clock, median};
use coap_psk::Instant;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, Transmit};

use crate::peers::{WINDOW, key, name};

/// What one core is to do in a second.
const WANTED: f64 = 80_000.0;
pub(crate) const CLOUD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5_684);

pub(crate) fn handshakes(run: &mut Run) {
    let (count, rounds) = (run.scaled(5_000, 4), run.scaled(9, 1));
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(rate(PskEndpoint::new(server_config(), [1; 32]), count));
        peers.extend(openssl(count));
    }
    let ours = median(ours);
    let least = Limit::AtLeast(1.0);
    run.row(
        "handshakes on one core, 80,000 wanted",
        "/s",
        (ours, WANTED),
        least,
    );
    if !peers.is_empty() {
        let limit = Limit::AtLeast(2.0);
        run.row(
            "handshakes on one core, OpenSSL",
            "/s",
            (ours, median(peers)),
            limit,
        );
    }
}

#[cfg(feature = "openssl")]
fn openssl(count: usize) -> Option<f64> {
    use dtls_openssl::{Limits, Openssl, OpensslEndpoint};
    let mut limits = Limits::default();
    limits.max_sessions = count;
    let engine = Openssl::new(&PskConfig::default().suites).expect("both suites");
    Some(rate(OpensslEndpoint::new(limits, engine), count))
}

#[cfg(not(feature = "openssl"))]
const fn openssl(_: usize) -> Option<f64> {
    None
}

pub(crate) fn server_config() -> PskConfig {
    let mut config = PskConfig::default();
    config.max_sessions = 1_000_000;
    config.max_handshakes = 1_000_000;
    config
}

/// How many handshakes a second of CPU time is good for on the server's side. A window of clients is at the same step, so that
/// the clock is read between steps and not between datagrams; all sessions stay.
fn rate(mut server: impl DtlsEndpoint, count: usize) -> f64 {
    let mut taken = 0;
    for first in (0..count).step_by(WINDOW) {
        let clients = (first..count.min(first + WINDOW)).map(client).collect();
        taken += shake_hands(&mut server, clients);
    }
    count as f64 / (taken as f64 / 1e9)
}

/// Handshakes of these clients, and what they cost the server, in CPU nanoseconds.
fn shake_hands(server: &mut impl DtlsEndpoint, mut clients: Vec<(SocketAddr, PskEndpoint)>) -> u64 {
    let (now, mut taken, mut established) = (Instant::ZERO, 0, 0);
    while established < clients.len() {
        let mut said = Vec::new();
        for (at, client) in &mut clients {
            let datagrams = std::iter::from_fn(|| client.poll_transmit());
            said.extend(datagrams.map(|it| (*at, it.datagram)));
        }
        assert!(!said.is_empty(), "a handshake stands still");
        let mut answers = Vec::with_capacity(said.len());
        let began = clock::thread_cpu();
        for (from, datagram) in &said {
            server.handle_datagram(*from, datagram, now);
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
            let client = clients.iter_mut().find(|(at, _)| *at == to);
            let (_, client) = client.expect("an answer to a client");
            client.handle_datagram(CLOUD, &datagram, now);
        }
    }
    taken
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
