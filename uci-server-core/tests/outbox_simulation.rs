//! A cloud among seeded faults: it crashes at any output, its journal loses answers, its receivers come and go.
//!
//! What must hold in the end is read off the journal: every event that follows from what became durable reached its receiver,
//! in order, without a gap, and a number that came twice said the same both times.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{Request, StatusCode};
use rig::{Journal, LIGHT, Labels, Told, account, cbor, device, granted, link, subscribe_request};
use uci_server_core::account::{Account, Change, Fact, Target};
use uci_server_core::{
    Append, Appended, Config, DeliveryId, DeliveryOutcome, DeviceCloud, DeviceReport, Event,
    GrantId, Occurrence, Output, TransportFailure,
};

/// xorshift64*: repeatable, and good enough to choose faults.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }
}

struct Simulation {
    dice: Dice,
    cloud: DeviceCloud,
    journal: Journal,
    now: Instant,
    wall: SystemTime,
    starts: u64,
    seed: u64,
    faults: bool,
    /// Attempts whose answers are under way.
    answers: VecDeque<(DeliveryId, Result<DeliveryOutcome, TransportFailure>)>,
    /// What every receiver has, by subscription and number.
    received: BTreeMap<String, Vec<Told>>,
    crashes: u64,
    grants: u64,
    stalled: Vec<uci_server_core::AccountId>,
}

fn config() -> Config {
    let mut config = Config::default();
    config.snapshot_every = 7;
    config.delivery.max_age = Duration::from_secs(1_000_000_000);
    config.queue.limit = 1_000_000;
    config
}

impl Simulation {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            cloud: Self::cloud(seed, 0),
            journal: Journal::default(),
            now: Instant::now(),
            wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            starts: 0,
            seed,
            faults: true,
            answers: VecDeque::new(),
            received: BTreeMap::new(),
            crashes: 0,
            grants: 0,
            stalled: Vec::new(),
        }
    }

    fn cloud(seed: u64, start: u64) -> DeviceCloud {
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&seed.to_le_bytes());
        entropy[8..16].copy_from_slice(&start.to_le_bytes());
        DeviceCloud::new(config(), entropy, Arc::new(Labels))
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.starts += 1;
        self.cloud = Self::cloud(self.seed, self.starts);
        self.answers.clear();
        self.stalled.clear();
        if self.journal.due.contains_key("account/alice") {
            self.cloud.wake(account("alice"), self.wall, self.now);
        }
    }

    /// Carries out outputs until there is none, or until the process dies.
    fn settle(&mut self) {
        while let Some(output) = self.cloud.poll_output() {
            if self.faults && self.dice.one_in(36) {
                // The append may have been on its way.
                if let Output::Append(append) = &output
                    && self.dice.one_in(2)
                {
                    self.journal.append(append);
                }
                return self.crash();
            }
            match output {
                Output::Load { stream } => {
                    if self.faults && self.dice.one_in(20) {
                        self.cloud.handle_load_failed(&stream, self.now);
                    } else {
                        let loaded = self.journal.load(&stream);
                        self.cloud
                            .handle_loaded(&stream, &loaded, self.wall, self.now);
                    }
                }
                Output::Append(append) => self.append(&append),
                Output::SaveSnapshot { stream, snapshot } => {
                    let (version, saved) =
                        (snapshot.version, !(self.faults && self.dice.one_in(3)));
                    if saved {
                        self.journal.snapshots.insert(stream.clone(), snapshot);
                    }
                    if !(self.faults && self.dice.one_in(3)) {
                        self.cloud
                            .handle_saved(&stream, version, saved, self.wall, self.now);
                    }
                }
                Output::Deliver { delivery, request } => self.deliver(delivery, &request),
                Output::Abort { delivery } => {
                    self.answers.retain(|(open, _)| *open != delivery);
                    let stopped = Err(TransportFailure::Connection);
                    self.answers.push_back((delivery, stopped));
                }
                Output::Event(Event::Stalled { account }) => self.stalled.push(account),
                Output::Ask { .. }
                | Output::Respond { .. }
                | Output::Erase { .. }
                | Output::Event(_) => {}
            }
        }
    }

    fn append(&mut self, append: &Append) {
        let fault = if self.faults { self.dice.roll(12) } else { 99 };
        let answer = match fault {
            // Lost before, lost after, never answered.
            0 => Appended::Unknown,
            1 => {
                self.journal.append(append);
                Appended::Unknown
            }
            2 => return,
            _ => self.journal.append(append),
        };
        self.cloud
            .handle_appended(append.id, answer, self.wall, self.now);
        if fault == 3 {
            self.cloud
                .handle_appended(append.id, answer, self.wall, self.now);
        }
    }

    fn deliver(&mut self, delivery: DeliveryId, request: &Request<bytes::Bytes>) {
        let fault = if self.faults { self.dice.roll(6) } else { 99 };
        if fault != 0 {
            self.receive(rig::read_notification(request));
        }
        let status = |status| {
            let response = http::Response::builder()
                .status(status)
                .body(bytes::Bytes::new());
            Ok(DeliveryOutcome::from_response(&response.unwrap()))
        };
        match fault {
            // Never arrived; arrived but nobody knows; arrived and failed.
            0 | 1 => self
                .answers
                .push_back((delivery, Err(TransportFailure::Connection))),
            2 => self
                .answers
                .push_back((delivery, status(StatusCode::SERVICE_UNAVAILABLE))),
            // No answer at all: the cloud's own time limit.
            3 => {}
            _ => self.answers.push_back((delivery, status(StatusCode::OK))),
        }
    }

    fn receive(&mut self, told: Told) {
        let seed = self.seed;
        let seen = self.received.entry(told.subscription.clone()).or_default();
        let next = seen.last().map_or(0, |last| last.sequence + 1);
        // The number of a notification that was dropped with its consent may have been sent, and is not given again.
        let last = u64::from(told.event == "subscription_cancelled");
        assert!(
            told.sequence <= next + last,
            "seed {seed}: a gap: {told:?} after {next}"
        );
        match seen.iter().find(|seen| seen.sequence == told.sequence) {
            Some(before) => assert_eq!(
                before, &told,
                "seed {seed}: a number came with other content"
            ),
            None => seen.push(told),
        }
    }

    fn act(&mut self) {
        let number = if self.dice.one_in(2) { 1 } else { 2 };
        let light = format!("/{}{LIGHT}", device(number));
        let what = match self.dice.roll(17) {
            0 => Occurrence::Registered,
            1 | 2 => Occurrence::Online,
            3 => Occurrence::Offline,
            4 => Occurrence::LinksPublished(vec![link(LIGHT)]),
            5..=8 => Occurrence::RepresentationChanged {
                href: LIGHT.parse().unwrap(),
                content: cbor(&format!("{{\"power\":{}}}", self.dice.roll(1_000_000))),
            },
            9 | 10 => {
                let answers = 1 + self.dice.roll(4);
                for _ in 0..answers {
                    self.answer();
                }
                return;
            }
            11 => {
                let milliseconds = self.dice.roll(60_000);
                return self.pass(Duration::from_millis(milliseconds));
            }
            12 => {
                let grant = self.grant().parse().unwrap();
                let alice = account("alice");
                self.cloud.end_grant(alice, grant, self.wall, self.now);
                self.grants += 1;
                return;
            }
            choice => {
                let request = if choice % 2 == 0 {
                    subscribe_request("", &["devices_online", "devices_offline"])
                } else {
                    subscribe_request(&light, &["resource_contentchanged"])
                };
                // One consent lasts; the others are withdrawn one after the other.
                let grant = match choice {
                    13 | 14 => "g".to_owned(),
                    _ => self.grant(),
                };
                self.cloud
                    .handle_request(&request, granted("alice", &grant), self.wall, self.now);
                return;
            }
        };
        let report = DeviceReport::new(account("alice"), device(number), 1, what);
        self.cloud.handle_report(report, self.wall, self.now);
    }

    /// The consent that is withdrawn next.
    fn grant(&self) -> String {
        format!("g{}", self.grants)
    }

    fn answer(&mut self) {
        if let Some((delivery, result)) = self.answers.pop_front() {
            self.cloud
                .handle_delivery(delivery, result, self.wall, self.now);
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.wall += duration;
        self.cloud.handle_timeout(self.wall, self.now);
        for account in std::mem::take(&mut self.stalled) {
            self.cloud.wake(account, self.wall, self.now);
        }
    }

    fn run(&mut self) {
        for _ in 0..120 {
            self.act();
            self.settle();
        }
        // Everything works from here on.
        self.faults = false;
        if self.dice.one_in(2) {
            self.crash();
        }
        self.settle();
        for _ in 0..1000 {
            while !self.answers.is_empty() {
                self.answer();
                self.settle();
            }
            if self.cloud.next_deadline().is_none() && self.stalled.is_empty() {
                return;
            }
            self.pass(Duration::from_secs(60));
            self.settle();
        }
        panic!("seed {}: it never comes to rest", self.seed);
    }

    /// A subscription whose consent was withdrawn was told so, once and last; of what it had been promised until then it
    /// got the beginning.
    fn check_cancelled(&self, id: &str, promised: Option<&[String]>) {
        let seed = self.seed;
        let received: Vec<&str> = self.received[id]
            .iter()
            .map(|told| told.event.as_str())
            .collect();
        let (last, before) = received.split_last().unwrap();
        assert_eq!(*last, "subscription_cancelled", "seed {seed}: {id}");
        assert!(!before.contains(last), "seed {seed}: {id}");
        if let Some(promised) = promised {
            assert_eq!(before, &promised[..before.len()], "seed {seed}: {id}");
        }
    }

    /// Compares what was received with what follows from the journal.
    fn check(&self) {
        let mut ledger = Account::default();
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut targets: BTreeMap<String, Target> = BTreeMap::new();
        let mut grants: BTreeMap<String, GrantId> = BTreeMap::new();
        let mut ended = BTreeSet::new();
        let none = Vec::new();
        for bytes in self.journal.streams.get("account/alice").unwrap_or(&none) {
            let change = Change::decode(bytes).unwrap();
            ledger.apply(&change);
            match &change.fact {
                Fact::Subscribed { id, made } => {
                    targets.insert(id.to_string(), made.target.clone());
                    grants.insert(id.to_string(), made.grant.clone());
                    if made.target == Target::Devices {
                        let first = ["devices_online".to_owned(), "devices_offline".to_owned()];
                        expected.insert(id.to_string(), first.to_vec());
                    }
                }
                Fact::DeviceOnline { .. } => {
                    expected
                        .values_mut()
                        .for_each(|events| events.push("devices_online".into()));
                }
                Fact::DeviceOffline { .. } => {
                    expected
                        .values_mut()
                        .for_each(|events| events.push("devices_offline".into()));
                }
                Fact::GrantEnded { grant, .. } => {
                    let of_grant = grants.iter().filter(|(_, of)| *of == grant);
                    for (id, _) in of_grant {
                        targets.remove(id);
                        self.check_cancelled(id, expected.remove(id).as_deref());
                        ended.insert(id.clone());
                    }
                }
                _ => {}
            }
        }
        let seed = self.seed;
        assert_eq!(
            ledger.owing().count(),
            0,
            "seed {seed}: something is still owed"
        );
        for (id, events) in &expected {
            let received: Vec<&str> = self.received[id]
                .iter()
                .map(|told| told.event.as_str())
                .collect();
            assert_eq!(&received, events, "seed {seed}: subscription {id}");
        }
        for (id, target) in &targets {
            let Target::Resource(device, href) = target else {
                continue;
            };
            let known = ledger
                .device(*device)
                .and_then(|device| device.resource(href));
            let known = known.and_then(|resource| resource.representation());
            let last = self.received.get(id).and_then(|received| received.last());
            let known = known.map(|content| {
                let limits = uci_model::Limits::default();
                content
                    .in_format(uci_model::ContentFormat::Json, &limits)
                    .unwrap()
                    .into_body()
            });
            assert_eq!(
                last.map(|told| &told.body),
                known.as_ref(),
                "seed {seed}: {id}"
            );
        }
        // Nobody was told of what never became durable.
        assert!(
            self.received
                .keys()
                .all(|id| targets.contains_key(id) || ended.contains(id)),
            "seed {seed}"
        );
    }
}

/// Plays every `step`th seed from `first` on; gives the crashes and the notifications it saw.
fn play(first: u64, step: usize, seeds: u64) -> (u64, u64) {
    let (mut crashes, mut received) = (0, 0);
    for seed in (first..=seeds).step_by(step) {
        let mut simulation = Simulation::new(seed);
        simulation.run();
        simulation.check();
        crashes += simulation.crashes;
        received += simulation.received.values().map(Vec::len).sum::<usize>() as u64;
    }
    (crashes, received)
}

#[test]
fn what_the_journal_promises_reaches_its_receiver_whatever_fails() {
    let seeds = if std::env::var_os("LONG").is_some() {
        20_000
    } else {
        1_000
    };
    let step = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (crashes, received) = std::thread::scope(|scope| {
        let parts: Vec<_> = (1..=step as u64)
            .map(|first| scope.spawn(move || play(first, step, seeds)))
            .collect();
        parts.into_iter().fold((0, 0), |sum, part| {
            let (crashes, received) = part.join().unwrap();
            (sum.0 + crashes, sum.1 + received)
        })
    });
    println!("{seeds} seeds, {crashes} crashes, {received} notifications");
    // The faults really happen, and so do deliveries.
    assert!(crashes > 5 * seeds, "{crashes} crashes");
    assert!(received > 5 * seeds, "{received} notifications");
}
