//! Good devices while others attack at the full rate of this machine.

mod attackers;
mod forged;
mod insiders;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bench_harness::{Limit, Run};
use coap_psk::Instant;
use device_fleet::Wire;

use crate::peers::{Peers, plan};
use crate::process::Server;

/// Good devices, and how long each waits between an answer and its next request.
const DEVICES: usize = 200;
const INTERVAL: Duration = Duration::from_millis(500);
/// The memory that the server may come to, in MiB.
const MEMORY: f64 = 64.0;

/// Somebody who means harm.
struct Attack {
    what: &'static str,
    /// Attacks until it is told to stop; tells how many datagrams it sent.
    wage: fn(&Scene) -> u64,
}

const ATTACKS: &[Attack] = &[
    Attack {
        what: "ClientHellos from spoofed addresses",
        wage: attackers::spoofed_hellos,
    },
    Attack {
        what: "handshakes that stop after the cookie",
        wage: attackers::half_open,
    },
    Attack {
        what: "handshakes with wrong keys",
        wage: attackers::wrong_keys,
    },
    Attack {
        what: "fragments, alerts and records forged in the name of good devices",
        wage: forged::in_the_name_of_others,
    },
    Attack {
        what: "one record of a device replayed",
        wage: insiders::replayed,
    },
    Attack {
        what: "requests of a device with oversized options",
        wage: insiders::oversized,
    },
];

/// What an attacker knows.
struct Scene {
    server: std::net::SocketAddr,
    /// The good devices' own socket, for those who write their addresses on what they send.
    stolen: std::os::fd::OwnedFd,
    good: Vec<std::net::SocketAddr>,
    stop: Arc<AtomicBool>,
}

impl Scene {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

pub(crate) fn attacks(run: &mut Run) {
    let time = Duration::from_millis(run.scaled(6_000, 300) as u64);
    for attack in ATTACKS {
        suffer(run, attack, time);
    }
}

fn suffer(run: &mut Run, attack: &Attack, time: Duration) {
    let server = Server::own("coaps");
    let mut plan = plan();
    plan.interval = INTERVAL;
    plan.at_once = DEVICES;
    let mut good = Peers::connect(&server, run.scaled(DEVICES, 4), plan);
    good.fleet.ask_more(u32::MAX, good.wire.now());
    good.play(time / 4);
    let calm = service(&mut good, time);
    let before = server.resident();

    let attacker = Attacker::begin(attack, &server, &good);
    good.play(time / 4);
    let attacked = service(&mut good, time);
    let after = server.resident();
    let (sent, took) = attacker.end(&good.wire);

    run.row(
        &format!(
            "{}: requests of good devices that are answered, without",
            attack.what
        ),
        "/s",
        (attacked.0, calm.0),
        Limit::AtLeast(0.9),
    );
    run.row(
        &format!(
            "{}: memory of the server, at most {MEMORY} MiB",
            attack.what
        ),
        "MiB",
        (after as f64 / 1_048_576.0, MEMORY),
        Limit::AtMost(1.0),
    );
    run.note(&format!(
        "{:.0} datagrams a second; p99 of a request {:.1} ms, without {:.1} ms; memory before {:.1} MiB",
        sent as f64 / took.as_secs_f64(),
        attacked.1.as_secs_f64() * 1e3,
        calm.1.as_secs_f64() * 1e3,
        before as f64 / 1_048_576.0,
    ));
}

/// How many requests are answered in a second, and within what time nearly all of them.
fn service(good: &mut Peers, time: Duration) -> (f64, Duration) {
    good.fleet.restart_tally();
    good.play(time);
    let tally = good.fleet.tally();
    assert_eq!(tally.failed(), 0, "{:?}", tally.failures);
    let answered = tally.requests.count() as f64 / time.as_secs_f64();
    (answered, tally.requests.quantile(0.99))
}

/// An attack under way, on a thread of its own.
struct Attacker {
    began: Instant,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Attacker {
    fn begin(attack: &Attack, server: &Server, good: &Peers) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let scene = Scene {
            server: server.address,
            stolen: good.wire.duplicate().expect("a socket"),
            good: (0..good.fleet.devices())
                .map(|index| good.fleet.address(index))
                .collect(),
            stop: Arc::clone(&stop),
        };
        let wage = attack.wage;
        Self {
            began: good.wire.now(),
            stop,
            thread: thread::spawn(move || wage(&scene)),
        }
    }

    /// How many datagrams it sent, and in what time.
    fn end(self, wire: &Wire) -> (u64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.thread.join().expect("no panic");
        (sent, wire.now().saturating_duration_since(self.began))
    }
}
