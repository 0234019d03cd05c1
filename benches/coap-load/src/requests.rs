//! What a request costs the server among many peers.

use std::thread;
use std::time::Duration;

use bench_harness::{Limit, Run, median};

use crate::echo::Echo;
use crate::peers::{KEY, Peers, plan};
use crate::process::Server;

/// How many requests make a round.
const REQUESTS: usize = 48_000;
/// libcoap's cost grows with its peers: among 8,000 of them a round of so many takes seconds.
const REQUESTS_OF_LIBCOAP: usize = 8_000;
/// Until libcoap's server listens.
const START: Duration = Duration::from_millis(500);

pub(crate) fn among_peers(run: &mut Run) {
    for peers in [16, 2_000, 8_000] {
        let count = run.scaled(peers, 16);
        let (ours, echo) = beside_echo(run, count);
        run.row(
            &format!("a request among {peers} peers, a raw UDP echo"),
            "µs",
            (ours.request, echo),
            Limit::AtMost(2.0),
        );
        let Some(libcoap) = of_libcoap(run, count) else {
            run.note("coap-server-openssl is not installed");
            continue;
        };
        // The goals are for 8,000; before that it is shown what they grow from.
        let goal = |at_8_000| Limit::AtMost(if peers < 8_000 { 1.0 } else { at_8_000 });
        run.row(
            &format!("a request among {peers} peers, libcoap with OpenSSL"),
            "µs",
            (ours.request, libcoap.request),
            goal(0.2),
        );
        run.row(
            &format!("a handshake of {peers} peers, libcoap with OpenSSL"),
            "µs",
            (ours.handshake, libcoap.handshake),
            goal(0.5),
        );
    }
}

/// What peers cost a server, in CPU microseconds.
struct Cost {
    handshake: f64,
    request: f64,
}

pub(crate) fn among_many(run: &mut Run) {
    let counts = [run.scaled(100_000, 32), run.scaled(8_000, 16)];
    let servers = counts.map(|_| Server::own("coaps"));
    let mut peers: Vec<_> = servers
        .iter()
        .zip(counts)
        .map(|(server, count)| Peers::connect(server, count, plan()))
        .collect();
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds(run) {
        for (at, samples) in samples.iter_mut().enumerate() {
            samples.push(peers[at].ask(&servers[at], each(run, REQUESTS, counts[at])));
        }
    }
    let [many, fewer] = samples.map(median);
    run.row(
        "a request among 100,000 peers and among 8,000",
        "µs",
        (many, fewer),
        Limit::AtMost(1.25),
    );
    let resident = servers[0].resident() as f64 / counts[0] as f64;
    run.note(&format!(
        "resident memory of the server with 100,000 peers: {resident:.0} B each"
    ));
}

/// The server and the echo in turns.
fn beside_echo(run: &Run, count: usize) -> (Cost, f64) {
    let (ours, echo) = (Server::own("coaps"), Server::own("echo"));
    let mut peers = Peers::connect(&ours, count, plan());
    let mut addresses = Echo::new(&echo, count);
    let (mut of_ours, mut of_echo) = (Vec::new(), Vec::new());
    for _ in 0..rounds(run) {
        of_ours.push(peers.ask(&ours, each(run, REQUESTS, count)));
        of_echo.push(addresses.ask(&echo, run.scaled(REQUESTS, 64)));
    }
    let cost = Cost {
        handshake: peers.handshake,
        request: median(of_ours),
    };
    (cost, median(of_echo))
}

fn of_libcoap(run: &Run, count: usize) -> Option<Cost> {
    let server = Server::libcoap(KEY)?;
    wait(START);
    let mut peers = Peers::connect(&server, count, plan());
    let each = each(run, REQUESTS_OF_LIBCOAP, count);
    let samples = (0..rounds(run)).map(|_| peers.ask(&server, each));
    let request = median(samples.collect());
    Some(Cost {
        handshake: peers.handshake,
        request,
    })
}

fn rounds(run: &Run) -> usize {
    run.scaled(5, 1)
}

/// How many requests each device sends in a round.
fn each(run: &Run, requests: usize, devices: usize) -> u32 {
    run.scaled((requests / devices).max(1), 1) as u32
}

#[expect(
    clippy::disallowed_methods,
    reason = "nothing else tells that another program listens"
)]
fn wait(time: Duration) {
    thread::sleep(time);
}
