//! Those who have no key.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::PskKey;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent, SessionId, Transmit};
use device_fleet::Wire;
use tokio::time::timeout;

use super::Scene;
use crate::engine::client;
use crate::peers::{name, runtime};

/// The first address of an attacker; good devices have others.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);
/// How many addresses an attacker writes on its datagrams.
const ADDRESSES: usize = 4_096;
/// How many of its handshakes are under way at a time.
const AT_ONCE: usize = 512;
/// An attacker waits no longer than this for an answer.
const IMPATIENCE: Duration = Duration::from_millis(5);

/// An address of an attacker.
pub(super) fn address(number: usize, port: u16) -> SocketAddr {
    let host = FIRST.to_bits() + (number % 1_000_000) as u32;
    (Ipv4Addr::from_bits(host), port).into()
}

/// Sends these over and over, from these addresses.
pub(super) async fn flood(scene: &Scene, wire: &Wire, datagrams: &[(SocketAddr, Vec<u8>)]) -> u64 {
    let mut sent = 0;
    for (from, datagram) in datagrams.iter().cycle() {
        if scene.is_over() {
            break;
        }
        wire.send(*from, datagram).await;
        sent += 1;
    }
    sent
}

/// First ClientHellos, whose answers go to nobody.
pub(super) fn spoofed_hellos(scene: &Scene) -> u64 {
    runtime().block_on(async {
        let wire = Wire::open(scene.server).await.expect("a socket");
        let hellos: Vec<_> = (0..ADDRESSES)
            .map(|number| hello(number, wire.port()))
            .collect();
        flood(scene, &wire, &hellos).await
    })
}

fn hello(number: usize, port: u16) -> (SocketAddr, Vec<u8>) {
    let (_, mut client) = client(number);
    let hello = client.poll_transmit().expect("a hello");
    (address(number, port), hello.datagram)
}

/// The cookie comes back, and then nothing.
pub(super) fn half_open(scene: &Scene) -> u64 {
    handshakes(scene, 2)
}

/// Everything comes, under a key that is none.
pub(super) fn wrong_keys(scene: &Scene) -> u64 {
    handshakes(scene, 3)
}

/// Handshakes that are forgotten when the client has sent so many flights.
fn handshakes(scene: &Scene, flights: usize) -> u64 {
    let mut config = PskConfig::default();
    config.accept = false;
    config.handshake_timeout = Duration::from_secs(2);
    let mut engine = PskEndpoint::new(config, [9; 32]);
    let mut open = BTreeMap::<SocketAddr, (SessionId, usize)>::new();
    let (mut next, mut sent) = (0, 0);
    runtime().block_on(async {
        let mut wire = Wire::open(scene.server).await.expect("a socket");
        while !scene.is_over() {
            let now = wire.now();
            engine.handle_timeout(now);
            while let Some(event) = engine.poll_event() {
                if let DtlsEvent::Closed { session, .. } = event {
                    open.retain(|_, (it, _)| *it != session);
                }
            }
            while open.len() < AT_ONCE {
                let at = address(next, wire.port());
                let identity = format!("{},2,3600", name(next % 100_000));
                let wrong = PskKey::new([0xbb; 16]);
                let session = engine.connect(at, identity.as_bytes(), wrong, now);
                open.insert(at, (session.expect("a place"), 0));
                next += 1;
            }
            while let Some(Transmit { to, datagram }) = engine.poll_transmit() {
                wire.send(to, &datagram).await;
                sent += 1;
                if let Some((session, said)) = open.get_mut(&to) {
                    *said += 1;
                    if *said >= flights {
                        engine.close(*session, now);
                        open.remove(&to);
                    }
                }
            }
            let received = wire.receive(|at, datagram| engine.handle_datagram(at, datagram, now));
            if let Ok(received) = timeout(IMPATIENCE, received).await {
                received.expect("a socket");
            }
        }
    });
    sent
}
