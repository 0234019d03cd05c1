//! The machine contract, C2 to C8, over random steps.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;
#[path = "contract/steps.rs"]
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::Method;
use proptest::prelude::*;
use rig::{
    Journal, LIGHT, Labels, account, cbor, device, granted, link, request, subscribe_request,
};
use steps::{Input, JournalMood, Step, delivery_result, device_answer, steps};
use uci_server_core::account::{Change, Fact};
use uci_server_core::{
    Append, AppendId, Appended, AskId, Config, DeliveryId, DeliveryOutcome, DeviceCloud,
    DeviceReport, Event, GrantEndId, Occurrence, Output, TransportFailure,
};

/// When outputs are taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Drain {
    AfterEveryInput,
    AfterEveryBurst,
}

struct Driver {
    cloud: DeviceCloud,
    journal: Journal,
    now: Instant,
    wall: SystemTime,
    log: Vec<String>,
    pending: VecDeque<Output>,
    asks: VecDeque<AskId>,
    deliveries: VecDeque<DeliveryId>,
    old_asks: Vec<AskId>,
    old_deliveries: Vec<DeliveryId>,
    old_appends: Vec<AppendId>,
    open: BTreeMap<String, usize>,
    /// The accounts of the subscriptions that are durable.
    subscribed: BTreeMap<String, String>,
    /// Whose grants are being ended.
    ending: BTreeMap<GrantEndId, &'static str>,
    /// When outputs were taken the last time.
    drained: Instant,
    /// Notifications with a body under way: of which subscription, and since when at the earliest.
    telling: BTreeMap<DeliveryId, (String, Instant)>,
}

fn owner(number: u8) -> &'static str {
    ["alice", "bob", "carol"][usize::from(number)]
}

impl Driver {
    fn new() -> Self {
        let mut config = Config::default();
        config.max_pending = 20;
        config.idle_after = Duration::from_secs(60);
        config.delivery.max_age = Duration::from_secs(3600);
        config.delivery.cancellation_age = Duration::from_secs(600);
        Self {
            cloud: DeviceCloud::new(config, [7; 32], Arc::new(Labels)),
            journal: Journal::default(),
            now: start(),
            wall: UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            log: Vec::new(),
            pending: VecDeque::new(),
            asks: VecDeque::new(),
            deliveries: VecDeque::new(),
            old_asks: Vec::new(),
            old_deliveries: Vec::new(),
            old_appends: Vec::new(),
            open: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            ending: BTreeMap::new(),
            drained: start(),
            telling: BTreeMap::new(),
        }
    }

    fn input(&mut self, input: &Input) {
        let (wall, now) = (self.wall, self.now);
        match input {
            Input::Request { account, kind } => {
                let light = format!("/{}{LIGHT}", device(1));
                let request = match kind {
                    0 => request(Method::GET, ""),
                    1 => request(Method::GET, "?content=all"),
                    2 | 3 => request(Method::GET, &light),
                    4 => subscribe_request("", &["devices_online", "devices_offline"]),
                    5 => subscribe_request(&light, &["resource_contentchanged"]),
                    6 => request(Method::DELETE, "/subscriptions/none"),
                    _ => rig::post(&light, "application/json", "{\"state\":true}"),
                };
                let who = granted(owner(*account), "g");
                let id = self.cloud.handle_request(&request, who, wall, now);
                self.opened(format!("request {id}"));
            }
            Input::Report {
                account: number,
                device: which,
                kind,
            } => {
                let href: uci_model::Href = LIGHT.parse().unwrap();
                let what = match kind {
                    0 => Occurrence::Registered,
                    1 | 2 => Occurrence::Online,
                    3 => Occurrence::Offline,
                    4 => Occurrence::LinksPublished(vec![link(LIGHT)]),
                    5 => Occurrence::LinksWithdrawn(vec![href]),
                    6 => Occurrence::Unregistered,
                    _ => Occurrence::RepresentationChanged {
                        href,
                        content: cbor("{\"a\":1}"),
                    },
                };
                let report = DeviceReport::new(account(owner(*number)), device(*which), 1, what);
                let id = self.cloud.handle_report(report, wall, now);
                self.opened(format!("report {id}"));
            }
            Input::EndGrant { account: number } => {
                let grant = "g".parse().unwrap();
                let id = self
                    .cloud
                    .end_grant(account(owner(*number)), grant, wall, now);
                self.opened(format!("grant end {id}"));
                self.ending.insert(id, owner(*number));
            }
            Input::Wake { account: number } => {
                self.cloud.wake(account(owner(*number)), wall, now);
            }
            Input::Operator {
                account: number,
                device: which,
                kind,
            } => {
                let whose = account(owner(*number));
                let opened = match kind {
                    0 => {
                        let id = self.cloud.transfer_device(device(*which), whose, wall, now);
                        format!("owner {id}")
                    }
                    1 => {
                        let id = self.cloud.remove_device(device(*which), wall, now);
                        format!("owner {id}")
                    }
                    2 => format!("export {}", self.cloud.export_account(whose, wall, now)),
                    _ => format!("erasure {}", self.cloud.erase_account(whose, wall, now)),
                };
                self.opened(opened);
            }
            Input::Timeout { milliseconds } => {
                self.now += Duration::from_millis(*milliseconds);
                self.wall += Duration::from_millis(*milliseconds);
                self.cloud.handle_timeout(self.wall, self.now);
                let next = self.cloud.next_deadline();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "C5: {next:?} {:?}",
                    self.now
                );
            }
            Input::Backwards => {
                self.cloud
                    .handle_timeout(wall, now - Duration::from_secs(1));
                // The past is over: what is due is due by the latest time that was given.
                let next = self.cloud.next_deadline();
                assert!(next.is_none_or(|next| next > now), "C5: {next:?} {now:?}");
            }
        }
    }

    fn opened(&mut self, what: String) {
        assert!(self.open.insert(what, 0).is_none(), "an id was given twice");
    }

    fn closed(&mut self, what: &str) {
        let count = self
            .open
            .get_mut(what)
            .expect("C7: an id that was never given");
        *count += 1;
        assert_eq!(*count, 1, "C7: {what}");
    }

    fn drain(&mut self) {
        while let Some(output) = self.cloud.poll_output() {
            self.log.push(format!("{output:?}"));
            match &output {
                Output::Respond { request, .. } => self.closed(&format!("request {request}")),
                Output::Event(Event::Reported { report, .. }) => {
                    self.closed(&format!("report {report}"));
                }
                Output::Event(Event::GrantEnded { end, result }) => {
                    self.closed(&format!("grant end {end}"));
                    if result.is_ok() {
                        self.check_nothing_is_told(self.ending[end]);
                    }
                }
                Output::Event(Event::OwnerChanged { change, .. }) => {
                    self.closed(&format!("owner {change}"));
                }
                Output::Event(Event::AccountExported { export, .. }) => {
                    self.closed(&format!("export {export}"));
                }
                Output::Event(Event::AccountErased { erasure, .. }) => {
                    self.closed(&format!("erasure {erasure}"));
                }
                Output::Deliver { delivery, request } => {
                    let to = request.headers()["subscription-id"].to_str().unwrap();
                    if !request.body().is_empty() {
                        let since = self.drained;
                        self.telling.insert(*delivery, (to.to_owned(), since));
                    }
                    self.pending.push_back(output);
                }
                _ => self.pending.push_back(output),
            }
        }
        self.drained = self.now;
    }

    /// All subscriptions of an account are made under the one grant that has ended.
    fn check_nothing_is_told(&self, owner: &str) {
        // What has had its time is over without an answer.
        let time = Config::default().delivery.attempt_timeout;
        let told = self.telling.values().any(|(id, since)| {
            let account = self.subscribed.get(id);
            account.is_some_and(|account| account == owner) && self.now < *since + time
        });
        assert!(!told, "{owner} is told of something after the end");
    }

    fn end_delivery(
        &mut self,
        delivery: DeliveryId,
        result: Result<DeliveryOutcome, TransportFailure>,
    ) {
        self.old_deliveries.push(delivery);
        self.telling.remove(&delivery);
        self.cloud
            .handle_delivery(delivery, result, self.wall, self.now);
    }

    fn append(&mut self, append: &Append) -> Appended {
        let appended = self.journal.append(append);
        if appended == Appended::Done {
            for part in &append.streams {
                let Some(owner) = part.stream.strip_prefix("account/") else {
                    continue;
                };
                for change in &part.changes {
                    if let Fact::Subscribed { id, .. } = Change::decode(change).unwrap().fact {
                        self.subscribed.insert(id.to_string(), owner.to_owned());
                    }
                }
            }
        }
        appended
    }

    /// The outside answers; what the answers cause is answered too.
    fn serve(&mut self, step: &Step) {
        self.carry_out(step);
        for answer in &step.answers {
            if let Some(ask) = self.asks.pop_front() {
                self.old_asks.push(ask);
                self.cloud
                    .handle_answer(ask, device_answer(*answer), self.now);
            }
            if let Some(delivery) = self.deliveries.pop_front() {
                self.end_delivery(delivery, delivery_result(*answer));
            }
        }
        self.carry_out(step);
    }

    fn carry_out(&mut self, step: &Step) {
        self.drain();
        while let Some(output) = self.pending.pop_front() {
            match output {
                Output::Load { .. } | Output::Append(_) | Output::Erase { .. }
                    if matches!(step.journal, JournalMood::Silent) => {}
                Output::Load { stream } => {
                    let loaded = self.journal.load(&stream);
                    self.cloud
                        .handle_loaded(&stream, &loaded, self.wall, self.now);
                }
                Output::Append(append) => {
                    self.old_appends.push(append.id);
                    let tries = self
                        .old_appends
                        .iter()
                        .filter(|id| **id == append.id)
                        .count();
                    let odd = append.id.0[0] % 2 == 1;
                    let appended = match step.journal {
                        JournalMood::Conflicting if odd => Appended::Conflict,
                        JournalMood::Fencing if odd => Appended::Fenced,
                        JournalMood::Unsure if tries == 1 => {
                            // It happened, but the answer was lost.
                            self.append(&append);
                            Appended::Unknown
                        }
                        _ => self.append(&append),
                    };
                    self.cloud
                        .handle_appended(append.id, appended, self.wall, self.now);
                }
                Output::Erase { stream } => {
                    let erased = !matches!(step.journal, JournalMood::Unsure);
                    if erased {
                        self.journal.erase(&stream);
                    }
                    self.cloud
                        .handle_erased(&stream, erased, self.wall, self.now);
                }
                Output::SaveSnapshot { .. } if matches!(step.journal, JournalMood::Silent) => {}
                Output::SaveSnapshot { stream, snapshot } => {
                    let (version, saved) = (
                        snapshot.version,
                        !matches!(step.journal, JournalMood::Unsure),
                    );
                    if saved {
                        self.journal.snapshots.insert(stream.clone(), snapshot);
                    }
                    self.cloud
                        .handle_saved(&stream, version, saved, self.wall, self.now);
                }
                Output::Abort { delivery } => {
                    self.deliveries.retain(|open| *open != delivery);
                    self.end_delivery(delivery, Err(TransportFailure::Connection));
                }
                Output::Ask { ask, .. } => self.asks.push_back(ask),
                Output::Deliver { delivery, .. } => self.deliveries.push_back(delivery),
                Output::Respond { .. } | Output::Event(_) => {}
            }
            self.drain();
        }
    }

    fn run(steps: &[Step], drain: Drain) -> Self {
        let mut driver = Self::new();
        for step in steps {
            for input in &step.burst {
                driver.input(input);
                if drain == Drain::AfterEveryInput {
                    driver.drain();
                }
            }
            driver.serve(step);
        }
        driver
    }
}

/// One instant for all runs of a process: logs may hold instants.
fn start() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(|| Instant::now() + Duration::from_secs(3600))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn c2_the_same_inputs_give_the_same_outputs(steps in steps()) {
        let (one, two) = (Driver::run(&steps, Drain::AfterEveryBurst), Driver::run(&steps, Drain::AfterEveryBurst));
        prop_assert_eq!(one.log, two.log);
    }

    #[test]
    fn c3_draining_late_is_correct(steps in steps()) {
        let late = Driver::run(&steps, Drain::AfterEveryBurst);
        let early = Driver::run(&steps, Drain::AfterEveryInput);
        prop_assert_eq!(late.log, early.log);
    }

    #[test]
    fn c4_looking_changes_nothing(steps in steps()) {
        let plain = Driver::run(&steps, Drain::AfterEveryBurst);
        let mut curious = Driver::new();
        for step in &steps {
            for input in &step.burst {
                curious.input(input);
                let looked = (curious.cloud.next_deadline(), format!("{:?}", curious.cloud));
                prop_assert_eq!(looked, (curious.cloud.next_deadline(), format!("{:?}", curious.cloud)));
            }
            curious.serve(step);
            prop_assert!(curious.cloud.poll_output().is_none());
        }
        prop_assert_eq!(plain.log, curious.log);
    }

    #[test]
    fn c5_timeouts_may_come_early_and_often(steps in steps()) {
        let mut driver = Driver::run(&steps, Drain::AfterEveryBurst);
        driver.cloud.handle_timeout(driver.wall, driver.now);
        driver.drain();
        let before = driver.log.len();
        for _ in 0..3 {
            driver.cloud.handle_timeout(driver.wall, driver.now);
        }
        driver.drain();
        prop_assert_eq!(driver.log.len(), before);
    }

    #[test]
    fn c6_a_silent_outside_leaves_nothing_behind(steps in steps()) {
        let mut driver = Driver::run(&steps, Drain::AfterEveryBurst);
        let mut rounds = 0;
        while let Some(next) = driver.cloud.next_deadline() {
            driver.wall += next.saturating_duration_since(driver.now);
            driver.now = driver.now.max(next);
            driver.cloud.handle_timeout(driver.wall, driver.now);
            driver.drain();
            driver.pending.clear();
            rounds += 1;
            prop_assert!(rounds < 10_000, "it never comes to rest");
        }
        let left: Vec<_> = driver.open.iter().filter(|(_, count)| **count != 1).collect();
        prop_assert!(left.is_empty(), "C6, C7: {:?}", left);
    }

    #[test]
    fn c8_late_repeated_and_unknown_answers_are_ignored(steps in steps()) {
        let mut driver = Driver::run(&steps, Drain::AfterEveryBurst);
        let before = driver.log.len();
        for ask in std::mem::take(&mut driver.old_asks) {
            driver.cloud.handle_answer(ask, device_answer(3), driver.now);
        }
        for delivery in std::mem::take(&mut driver.old_deliveries) {
            driver.cloud.handle_delivery(delivery, delivery_result(3), driver.wall, driver.now);
        }
        // With a silent journal an append may still be open, and its answer is not late.
        let silent = steps.iter().any(|step| matches!(step.journal, JournalMood::Silent));
        if !silent {
            for id in std::mem::take(&mut driver.old_appends) {
                for appended in [Appended::Conflict, Appended::Fenced, Appended::Done] {
                    driver.cloud.handle_appended(id, appended, driver.wall, driver.now);
                }
            }
        }
        driver.cloud.handle_appended(AppendId([0; 16]), Appended::Fenced, driver.wall, driver.now);
        let loaded = uci_server_core::Loaded { version: 99, ..Default::default() };
        driver.cloud.handle_loaded("account/nobody", &loaded, driver.wall, driver.now);
        driver.cloud.handle_loaded("nonsense", &loaded, driver.wall, driver.now);
        driver.cloud.handle_load_failed("account/nobody", driver.now);
        for saved in [true, false] {
            for name in ["account/nobody", "account/alice", "nonsense"] {
                driver.cloud.handle_saved(name, 99, saved, driver.wall, driver.now);
            }
        }
        driver.cloud.handle_erased("account/nobody", true, driver.wall, driver.now);
        driver.drain();
        prop_assert_eq!(&driver.log[before..], &[] as &[String]);
    }
}
