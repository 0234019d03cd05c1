//! Fleets against a cloud, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub
)]

#[path = "support/cloud.rs"]
mod cloud;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::Transmit;
use coap_psk::dtls::psk::PskEndpoint;
use coap_psk::{Code, Endpoint, Instant, Method, Output, Request};
use device_fleet::{Fleet, Member, Plan};

use cloud::{Cloud, endpoint, members, product};

const PORT: u16 = 40_000;
const TRIP: Duration = Duration::from_millis(20);

struct Air {
    fleet: Fleet,
    cloud: Cloud,
    endpoint: Endpoint<PskEndpoint>,
    now: Instant,
    /// What is on its way, by when it arrives.
    to_cloud: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    to_fleet: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    sent: u64,
    /// In percent.
    loss: u64,
    addresses: BTreeSet<SocketAddr>,
    /// Everything that left the fleet.
    said: Vec<Vec<u8>>,
}

impl Air {
    fn new(members: Vec<Member>, plan: Plan, cloud: Cloud) -> Self {
        Self {
            fleet: Fleet::new(members, plan, PORT, [[1; 32], [2; 32]], Instant::ZERO),
            cloud,
            endpoint: endpoint(7),
            now: Instant::ZERO,
            to_cloud: BTreeMap::new(),
            to_fleet: BTreeMap::new(),
            sent: 0,
            loss: 0,
            addresses: BTreeSet::new(),
            said: Vec::new(),
        }
    }

    /// When it arrives, and its number; `None` when it is lost.
    fn admit(&mut self) -> Option<(Instant, u64)> {
        self.sent += 1;
        let dice = self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (dice % 100 >= self.loss).then(|| (self.now.saturating_add(TRIP), self.sent))
    }

    fn exchange(&mut self) {
        while let Some(Transmit { to, datagram }) = self.fleet.poll_transmit() {
            self.addresses.insert(to);
            self.said.push(datagram.clone());
            if let Some(place) = self.admit() {
                self.to_cloud.insert(place, (to, datagram));
            }
        }
        while let Some(output) = self.endpoint.poll_output() {
            if let Output::Transmit(Transmit { to, datagram }) = output {
                if let Some(place) = self.admit() {
                    self.to_fleet.insert(place, (to, datagram));
                }
            } else {
                self.cloud.take(&mut self.endpoint, output, self.now);
            }
        }
    }

    /// Goes on to the next thing that happens; `false` when nothing does until `end`.
    fn step(&mut self, end: Instant) -> bool {
        self.exchange();
        let next = [
            self.fleet.next_deadline(),
            self.endpoint.next_deadline(),
            self.to_cloud.keys().next().map(|(at, _)| *at),
            self.to_fleet.keys().next().map(|(at, _)| *at),
        ];
        let next = next.into_iter().flatten().min();
        let Some(next) = next.filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(first) = self
            .to_cloud
            .first_entry()
            .filter(|it| it.key().0 <= self.now)
        {
            let (from, datagram) = first.remove();
            self.endpoint.handle_datagram(from, &datagram, self.now);
        }
        while let Some(first) = self
            .to_fleet
            .first_entry()
            .filter(|it| it.key().0 <= self.now)
        {
            let (device, datagram) = first.remove();
            self.fleet.handle_datagram(device, &datagram, self.now);
        }
        self.endpoint.handle_timeout(self.now);
        self.fleet.handle_timeout(self.now);
        let deadline = self.fleet.next_deadline();
        assert!(deadline.is_none_or(|at| at > self.now), "time stands still");
        true
    }

    fn run_until(&mut self, secs: u64) {
        let end = Instant::ZERO.saturating_add(Duration::from_secs(secs));
        while !self.fleet.is_settled() && self.step(end) {}
        self.exchange();
    }
}

fn plan() -> Plan {
    let mut plan = Plan::new(Request::new(Method::Post, "/up/{device}").unwrap());
    plan.requests = Some(3);
    plan
}

#[test]
fn every_device_has_an_address_a_session_and_its_answers() {
    let mut air = Air::new(members(200), plan(), Cloud::new(200));
    air.run_until(60);
    let tally = air.fleet.tally();
    assert!(air.fleet.is_settled());
    assert_eq!((tally.arrived, tally.online, tally.failed()), (200, 200, 0));
    assert_eq!(tally.handshakes.count(), 200);
    assert_eq!(tally.answers, BTreeMap::from([(Code::CHANGED, 600)]));
    assert_eq!((air.cloud.answered, air.addresses.len()), (600, 200));
    // Three round trips of two times 20 ms, and one.
    assert!((120..=128).contains(&tally.handshakes.quantile(0.5).as_millis()));
    assert!((40..=43).contains(&tally.requests.quantile(0.99).as_millis()));

    air.fleet.ask_more(2, air.now);
    assert!(!air.fleet.is_settled());
    air.run_until(120);
    assert_eq!(air.cloud.answered, 1_000);
    while air.fleet.leave(64, air.now) > 0 {}
    let end = air.now.saturating_add(TRIP);
    while air.step(end) {}
    assert_eq!((air.cloud.online, air.fleet.tally().online), (0, 0));
}

#[test]
fn devices_of_a_product_fetch_their_secrets_and_come_back_with_them() {
    let (key, secret) = product();
    let members = Member::of_product(&key, &secret, "dev-", 50).unwrap();
    let mut air = Air::new(members, plan(), Cloud::new(50));
    air.run_until(60);
    let tally = air.fleet.tally();
    assert_eq!(
        (tally.activations, tally.online, tally.failed()),
        (50, 50, 0)
    );
    assert_eq!(tally.handshakes.count(), 100, "with either secret");
    assert_eq!(air.cloud.answered, 150);
}

#[test]
fn a_bad_network_costs_time_and_no_answers() {
    let mut air = Air::new(members(200), plan(), Cloud::new(200));
    air.loss = 20;
    air.run_until(600);
    let tally = air.fleet.tally();
    assert!(air.fleet.is_settled());
    let unanswered = tally.failures.get("request timed out").copied();
    assert_eq!(tally.requests.count() + unanswered.unwrap_or(0), 600);
    assert!(tally.requests.count() >= 590, "{:?}", tally.failures);
}

#[test]
fn a_device_whose_secret_is_wrong_gives_up_after_its_attempts() {
    let mut unknown = members(11);
    let mut plan = plan();
    plan.attempts = 2;
    let mut air = Air::new(unknown.split_off(10), plan, Cloud::new(10));
    air.run_until(1_000);
    let tally = air.fleet.tally();
    assert!(air.fleet.is_settled());
    assert_eq!((tally.online, tally.handshakes.count()), (0, 0));
    assert_eq!(tally.failures, BTreeMap::from([("handshake timed out", 2)]));
}

#[test]
fn no_more_devices_come_than_may_have_something_under_way() {
    let mut plan = plan();
    (plan.arrivals, plan.at_once) = (0, 4);
    let mut air = Air::new(members(100), plan, Cloud::new(100));
    air.loss = 100;
    air.run_until(60);
    assert_eq!(air.fleet.tally().arrived, 4);
}

#[test]
fn devices_come_back_to_a_cloud_that_has_forgotten_them() {
    let mut plan = plan();
    plan.interval = Duration::from_secs(30);
    let mut air = Air::new(members(20), plan, Cloud::new(20));
    air.run_until(40);
    (air.cloud, air.endpoint) = (Cloud::new(20), endpoint(8));
    air.run_until(1_000);
    let tally = air.fleet.tally();
    assert!(air.fleet.is_settled());
    assert_eq!((tally.online, air.cloud.online), (20, 20));
    assert_eq!(tally.failures, BTreeMap::from([("request timed out", 20)]));
    assert_eq!(
        tally.requests.count(),
        40,
        "one of three was lost with the session"
    );
}

#[test]
fn devices_come_back_at_once_to_a_cloud_that_says_it_goes() {
    let mut plan = plan();
    plan.interval = Duration::from_secs(300);
    let mut air = Air::new(members(20), plan, Cloud::new(20));
    air.run_until(40);
    air.endpoint.close_all(air.now);
    air.run_until(60);
    let tally = air.fleet.tally();
    let closed = BTreeMap::from([("session closed by the cloud", 20)]);
    assert_eq!((tally.online, &tally.failures), (20, &closed));
    assert_eq!(tally.handshakes.count(), 40);
}

#[test]
fn the_same_seed_says_the_same() {
    let run = || {
        let mut air = Air::new(members(20), plan(), Cloud::new(20));
        air.run_until(60);
        air.said
    };
    assert_eq!(run(), run());
}
