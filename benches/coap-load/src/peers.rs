//! The peers of a server: their names, their key, and a fleet of them on a runtime.

use std::time::Duration;

use bench_harness::clock;
use coap_psk::{DeviceName, Method, PskIdentity, PskKey, Request};
use device_fleet::{Fleet, Member, Plan, Secret, Wire};
use tokio::runtime::{Builder, Runtime};

use crate::process::Server;

/// As text, because libcoap's server takes no other.
pub(crate) const KEY: &str = "0123456789abcdef";
const PRODUCT: &str = "load";
/// How many requests, or handshakes, are under way at one time.
pub(crate) const WINDOW: usize = 64;
/// Longer than any round takes.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn key() -> PskKey {
    PskKey::new(KEY.as_bytes().try_into().expect("16 bytes"))
}

pub(crate) fn is_known(identity: &PskIdentity) -> bool {
    identity.device().product_key().as_str() == PRODUCT
}

pub(crate) fn name(number: usize) -> DeviceName {
    let device = format!("dev-{number:06}").parse().expect("a key");
    DeviceName::new(PRODUCT.parse().expect("a key"), device)
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// All as fast as they can, one request after another.
pub(crate) fn plan() -> Plan {
    let mut plan = Plan::new(Request::new(Method::Get, "/").expect("a path"));
    plan.arrivals = 0;
    plan.at_once = WINDOW;
    plan.requests = Some(0);
    plan.interval = Duration::ZERO;
    plan
}

/// A fleet and its socket.
pub(crate) struct Peers {
    runtime: Runtime,
    pub(crate) fleet: Fleet,
    pub(crate) wire: Wire,
    /// What a handshake cost the server, in CPU microseconds.
    pub(crate) handshake: f64,
}

impl Peers {
    /// So many devices that have their sessions.
    pub(crate) fn connect(server: &Server, count: usize, plan: Plan) -> Self {
        let runtime = runtime();
        let members = (0..count)
            .map(|number| Member::new(name(number), Secret::Key(key())))
            .collect();
        let wire = runtime
            .block_on(Wire::open(server.address))
            .expect("a socket");
        let seed = clock::wall().to_le_bytes();
        let seed: [u8; 32] = std::array::from_fn(|at| seed[at % 8]);
        let fleet = Fleet::new(members, plan, wire.port(), [seed, [7; 32]], wire.now());
        let mut peers = Self {
            runtime,
            fleet,
            wire,
            handshake: f64::NAN,
        };
        let began = server.cpu();
        peers.settle();
        peers.handshake = (server.cpu() - began) as f64 / 1e3 / count as f64;
        assert_eq!(
            peers.fleet.tally().online,
            count,
            "{:?}",
            peers.fleet.tally().failures
        );
        peers
    }

    /// Plays until every device has done what it was to do.
    fn settle(&mut self) {
        let until = self.wire.now().saturating_add(PATIENCE);
        let driving = self.wire.drive(&mut self.fleet, until);
        self.runtime.block_on(driving).expect("a socket");
        assert!(self.fleet.is_settled(), "in time");
    }

    /// Plays for a while.
    pub(crate) fn play(&mut self, time: Duration) {
        let until = self.wire.now().saturating_add(time);
        let driving = self.wire.drive(&mut self.fleet, until);
        self.runtime.block_on(driving).expect("a socket");
    }

    /// What a request costs the server, in CPU microseconds, when each device sends so many.
    pub(crate) fn ask(&mut self, server: &Server, each: u32) -> f64 {
        self.fleet.restart_tally();
        let began = server.cpu();
        let now = self.wire.now();
        self.fleet.ask_more(each, now);
        self.settle();
        let taken = server.cpu() - began;
        let tally = self.fleet.tally();
        assert_eq!(tally.failed(), 0, "{:?}", tally.failures);
        taken as f64 / 1e3 / tally.requests.count() as f64
    }
}
