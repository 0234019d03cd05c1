//! What a session takes on the heap of a server, as its allocator counts.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::OnceLock;

use bench_harness::{Goal, Limit, Run};
use coap_psk::dtls::psk::PskEndpoint;
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent};
use coap_psk::{Config, Endpoint, Instant, Output};

use crate::engine::{CLOUD, client, server_config};
use crate::peers::key;

/// What an idle session of the engine may take.
const ALLOWED: f64 = 400.0;

static METER: OnceLock<fn() -> usize> = OnceLock::new();

/// Runs the goal of memory; `meter` tells how many bytes are allocated now.
pub fn main(meter: fn() -> usize, arguments: impl IntoIterator<Item = String>) -> ExitCode {
    METER.get_or_init(|| meter);
    let goal = Goal {
        name: "memory",
        what: "bytes of an idle session",
        measure: sessions,
    };
    bench_harness::main(&[goal], arguments)
}

fn sessions(run: &mut Run) {
    let count = run.scaled(20_000, 4);
    let mut engine = PskEndpoint::new(server_config(), [1; 32]);
    let of_engine = each(count, |from, datagram| {
        engine.handle_datagram(from, datagram, Instant::ZERO);
        while let Some(event) = engine.poll_event() {
            if let DtlsEvent::NeedKey { handshake, .. } = event {
                engine.provide_key(handshake, Some(key()), Instant::ZERO);
            }
        }
        std::iter::from_fn(|| engine.poll_transmit())
            .map(|transmit| transmit.datagram)
            .collect()
    });
    run.row(
        "heap of an idle session of the engine, at most 400 B",
        "B",
        (of_engine, ALLOWED),
        Limit::AtMost(1.0),
    );

    let mut config = Config::default();
    config.max_sessions = count;
    let dtls = PskEndpoint::new(server_config(), [1; 32]);
    let mut endpoint = Endpoint::new(config, dtls, [2; 32]);
    let of_endpoint = each(count, |from, datagram| {
        endpoint.handle_datagram(from, datagram, Instant::ZERO);
        let mut answers = Vec::new();
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::KeyWanted { handshake, .. } => {
                    endpoint.provide_key(handshake, Some(key()), Instant::ZERO);
                }
                Output::Transmit(transmit) => answers.push(transmit.datagram),
                Output::Request { .. } | Output::Event(_) => {}
            }
        }
        answers
    });
    run.note(&format!(
        "with what the CoAP endpoint keeps of it: {of_endpoint:.0} B"
    ));
}

/// What each of so many sessions takes in a server, which answers a datagram with datagrams to the same peer. The clients are
/// gone when it is counted.
fn each(count: usize, mut server: impl FnMut(SocketAddr, &[u8]) -> Vec<Vec<u8>>) -> f64 {
    let mut handshake = |number| {
        let (at, mut client) = client(number);
        while let Some(transmit) = client.poll_transmit() {
            for answer in server(at, &transmit.datagram) {
                client.handle_datagram(CLOUD, &answer, Instant::ZERO);
            }
        }
        assert_eq!(client.sessions(), 1, "a session");
    };
    let meter = METER.get().expect("an allocator that counts");
    // What there is once is not counted.
    let first = count / 4;
    (0..first).for_each(&mut handshake);
    let before = meter();
    (first..count).for_each(handshake);
    (meter() - before) as f64 / (count - first) as f64
}
