//! The whole server machine under arbitrary inputs, with a journal that sometimes fails and peers that sometimes answer.

mod journal;
mod model;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use uci_model::{Content, ContentFormat, DeviceId, Href};
use uci_server_core::{
    AccountId, Append, AskId, Authentication, Config, DeliveryId, DeliveryOutcome, DeviceAnswer,
    DeviceCloud, DeviceReport, ErasureId, Event, GrantEndId, Occurrence, Output, Principal,
    ReportId, RequestId, TransportFailure,
};

use self::journal::{Excuse, Journal};
use self::model::Model;
use super::Open;

/// How many inputs one run has at most.
const MAX_INPUTS: usize = 256;

/// Pairs of bytes, an input each: whatever comes, everything that expects an answer gets exactly one, the machine asks for
/// no time that has passed, subscribers are told what the journal says, in order and without gaps, and when all is answered
/// it comes to rest. The process may be gone at any time; then another one goes on from the journal.
pub fn machine(bytes: &[u8]) {
    let mut world = World::new();
    for pair in bytes.chunks(2).take(MAX_INPUTS) {
        world.input(pair[0], pair.get(1).copied().unwrap_or_default());
        world.drain();
    }
    world.rest();
}

struct World {
    machine: DeviceCloud,
    journal: Journal,
    model: Model,
    wall: SystemTime,
    now: Instant,
    starts: u16,
    requests: BTreeSet<RequestId>,
    reports: BTreeSet<ReportId>,
    grant_ends: BTreeMap<GrantEndId, (&'static str, String, usize)>,
    erasures: BTreeSet<ErasureId>,
    asks: VecDeque<AskId>,
    deliveries: VecDeque<DeliveryId>,
    /// Attempts whose sender is about to stop.
    stopping: VecDeque<DeliveryId>,
    stalled: Vec<AccountId>,
}

fn account(argument: u8) -> &'static str {
    ["alice", "bob"][usize::from(argument & 1)]
}

fn device(argument: u8) -> DeviceId {
    DeviceId::from_entropy([argument >> 1 & 1; 16])
}

fn href(argument: u8) -> Href {
    let text = ["/light/1", "/a/b"][usize::from(argument >> 2 & 1)];
    text.parse().expect("an href")
}

fn content(argument: u8) -> Content {
    let body = Bytes::from(format!("{{\"state\":{argument}}}"));
    Content::new(ContentFormat::Json, body)
}

impl World {
    fn new() -> Self {
        Self {
            machine: cloud(0),
            journal: Journal::default(),
            model: Model::default(),
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            now: Instant::now(),
            starts: 0,
            requests: BTreeSet::new(),
            reports: BTreeSet::new(),
            grant_ends: BTreeMap::new(),
            erasures: BTreeSet::new(),
            asks: VecDeque::new(),
            deliveries: VecDeque::new(),
            stopping: VecDeque::new(),
            stalled: Vec::new(),
        }
    }

    /// A process that begins with nothing but the journal.
    fn restart(&mut self) {
        self.starts = self.starts.wrapping_add(1);
        self.machine = cloud(self.starts);
        self.model.restart();
        self.requests.clear();
        self.reports.clear();
        self.grant_ends.clear();
        self.erasures.clear();
        self.asks.clear();
        self.deliveries.clear();
        self.stopping.clear();
        self.stalled.clear();
        for account in self.journal.due() {
            let account = account.parse().expect("an id");
            self.machine.wake(account, self.wall, self.now);
        }
    }

    fn input(&mut self, kind: u8, argument: u8) {
        let path = |rest: &str| format!("/{}{}{rest}", device(argument), href(argument));
        match kind % 22 {
            0 => self.report(argument, Occurrence::Registered),
            1 => self.report(argument, Occurrence::Unregistered),
            2 => self.report(argument, Occurrence::Online),
            3 => self.report(argument, Occurrence::Offline),
            4 => {
                let link = format!(
                    r#"{{"href":"{}","rt":["x.y"],"if":["oic.if.rw"]}}"#,
                    href(argument)
                );
                let link = serde_json::from_str(&link).expect("a link");
                self.report(argument, Occurrence::LinksPublished(vec![link]));
            }
            5 => self.report(argument, Occurrence::LinksWithdrawn(vec![href(argument)])),
            6 => {
                let (href, content) = (href(argument), content(argument));
                self.report(argument, Occurrence::PropertiesChanged { href, content });
            }
            7 => {
                let (href, content) = (href(argument), content(argument));
                self.report(
                    argument,
                    Occurrence::RepresentationChanged { href, content },
                );
            }
            8 => self.request(argument, Method::GET, "", ""),
            9 => self.request(argument, Method::GET, &path(""), ""),
            10 => self.request(argument, Method::POST, &path(""), r#"{"state":1}"#),
            11 => self.subscribe(argument, "", "devices_online"),
            12 => self.subscribe(argument, &path(""), "resource_contentchanged"),
            13 => {
                let (of, grant) = (account(argument), format!("g{}", argument >> 4 & 1));
                let id = self.machine.end_grant(
                    of.parse().expect("an id"),
                    grant.parse().expect("an id"),
                    self.wall,
                    self.now,
                );
                let life = self.model.life(of);
                self.grant_ends.insert(id, (of, grant, life));
            }
            14 => self.pass(Duration::from_millis(100 * u64::from(argument))),
            15 => self.answer_delivery(argument),
            16 => self.answer_ask(argument),
            17 => self.restart(),
            18 => {
                let of = account(argument).parse().expect("an id");
                let id = self.machine.erase_account(of, self.wall, self.now);
                self.erasures.insert(id);
            }
            19 => self.stop_one(),
            20 => {
                for account in std::mem::take(&mut self.stalled) {
                    self.machine.wake(account, self.wall, self.now);
                }
            }
            _ => {
                let excuses = [
                    Excuse::Silence,
                    Excuse::Lost,
                    Excuse::Uncertain,
                    Excuse::Conflict,
                    Excuse::Fenced,
                ];
                let excuse = excuses.get(usize::from(argument % 8)).copied();
                if argument & 8 == 0 {
                    self.journal.excuse = excuse;
                } else {
                    self.journal.removal_excuse = excuse;
                }
            }
        }
    }

    fn report(&mut self, argument: u8, occurrence: Occurrence) {
        let owner = account(argument).parse().expect("an id");
        let generation = u64::from(argument >> 3 & 3);
        let report = DeviceReport::new(owner, device(argument), generation, occurrence);
        let id = self.machine.handle_report(report, self.wall, self.now);
        self.reports.insert(id);
    }

    fn subscribe(&mut self, argument: u8, path: &str, event: &str) {
        let body = format!(
            r#"{{"eventsUrl":"https://client.example/e","eventTypes":["{event}"],"signingSecret":"{}"}}"#,
            "s".repeat(32)
        );
        self.request(
            argument,
            Method::POST,
            &format!("{path}/subscriptions"),
            &body,
        );
    }

    fn request(&mut self, argument: u8, method: Method, path: &str, body: &str) {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://cloud.example/api/v1/devices{path}"))
            .header("content-type", "application/json")
            .header("correlation-id", "c")
            .body(Bytes::copy_from_slice(body.as_bytes()))
            .expect("a request");
        let principal = Principal::new(
            account(argument).parse().expect("an id"),
            "client".parse().expect("an id"),
            format!("g{}", argument >> 4 & 1).parse().expect("an id"),
            "r:* w:*",
            self.wall + Duration::from_secs(3600),
        );
        let authentication = Authentication::Granted(principal);
        let id = self
            .machine
            .handle_request(&request, authentication, self.wall, self.now);
        self.requests.insert(id);
        if argument >= 0xf0 {
            self.drain();
            self.requests.remove(&id);
            self.machine.cancel_request(id);
        }
    }

    fn answer_delivery(&mut self, argument: u8) {
        let Some(id) = self.deliveries.pop_front() else {
            return;
        };
        let result = match argument % 6 {
            0 => Err(TransportFailure::Connection),
            1 => status(410),
            2 => status(400),
            3 => status(503),
            _ => status(200),
        };
        self.model.end(id);
        self.machine
            .handle_delivery(id, result, self.wall, self.now);
    }

    /// One that was told to stop sending has stopped.
    fn stop_one(&mut self) {
        if let Some(id) = self.stopping.pop_front() {
            self.model.end(id);
            let stopped = Err(TransportFailure::Connection);
            self.machine
                .handle_delivery(id, stopped, self.wall, self.now);
        }
    }

    fn answer_ask(&mut self, argument: u8) {
        if let Some(id) = self.asks.pop_front() {
            let answer = match argument % 5 {
                0 => DeviceAnswer::Unreachable,
                1 => DeviceAnswer::answered(argument, None, None),
                2 => DeviceAnswer::Unreadable,
                3 => DeviceAnswer::AsKnown,
                _ => DeviceAnswer::answered(0x45, Some(content(argument)), None),
            };
            self.machine.handle_answer(id, answer, self.now);
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.wall += duration;
        self.model.pass(self.now);
        self.machine.handle_timeout(self.wall, self.now);
        let next = self.machine.next_deadline();
        assert!(
            next.is_none_or(|next| next > self.now),
            "a time that has passed"
        );
    }

    fn append(&mut self, append: &Append) {
        let (answer, happened) = self.journal.append(append);
        if happened {
            self.model.commit(append);
        }
        if let Some(appended) = answer {
            self.machine
                .handle_appended(append.id, appended, self.wall, self.now);
        }
    }

    /// An attempt is to be stopped, and will be in a while.
    fn abort(&mut self, delivery: DeliveryId) {
        if self.deliveries.contains(&delivery) {
            self.deliveries.retain(|open| *open != delivery);
            self.stopping.push_back(delivery);
        }
    }

    /// Does everything that the machine wants done; questions and notifications wait for their answers.
    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Respond { request, .. } => assert!(self.requests.remove(&request)),
                Output::Event(Event::Reported { report, .. }) => {
                    assert!(self.reports.remove(&report))
                }
                Output::Event(Event::GrantEnded { end, result }) => {
                    let (account, grant, life) = self.grant_ends.remove(&end).expect("an open end");
                    if result.is_ok() {
                        self.model.check_ended(account, &grant, life);
                    }
                }
                Output::Event(Event::AccountErased { erasure, .. }) => {
                    assert!(self.erasures.remove(&erasure));
                }
                Output::Event(Event::Stalled { account }) => self.stalled.push(account),
                Output::Load { stream } => {
                    let loaded = self.journal.load(&stream);
                    self.machine
                        .handle_loaded(&stream, &loaded, self.wall, self.now);
                }
                Output::Append(append) => self.append(&append),
                Output::SaveSnapshot { stream, snapshot } => {
                    let version = snapshot.version;
                    if let Some(saved) = self.journal.save(&stream, snapshot) {
                        self.machine
                            .handle_saved(&stream, version, saved, self.wall, self.now);
                    }
                }
                Output::Erase { stream } => {
                    if let Some(erased) = self.journal.erase(&stream) {
                        self.machine
                            .handle_erased(&stream, erased, self.wall, self.now);
                    }
                }
                Output::Ask { ask, .. } => self.asks.push_back(ask),
                Output::Deliver { delivery, request } => {
                    self.model.send(delivery, &request, self.now);
                    self.deliveries.push_back(delivery);
                }
                Output::Abort { delivery } => self.abort(delivery),
                _ => {}
            }
        }
    }

    /// From here on everybody answers: then the machine comes to rest, and owes nobody anything.
    fn rest(&mut self) {
        self.journal.excuse = None;
        self.journal.removal_excuse = None;
        let mut rested = false;
        for _ in 0..10_000 {
            while !self.stopping.is_empty() || !self.deliveries.is_empty() {
                self.stop_one();
                self.answer_delivery(5);
                self.drain();
            }
            for account in std::mem::take(&mut self.stalled) {
                self.machine.wake(account, self.wall, self.now);
                self.drain();
            }
            let next = self.machine.next_deadline();
            if next.is_none() && self.deliveries.is_empty() && self.stalled.is_empty() {
                assert!(self.requests.is_empty(), "a request without an answer");
                assert!(self.reports.is_empty(), "a report without an end");
                assert!(
                    self.grant_ends.is_empty(),
                    "the end of a grant without an end"
                );
                assert!(self.erasures.is_empty(), "an erasure without an end");
                if rested {
                    return self.model.check_rest();
                }
                // Accounts that were lost to another node are taken up again by a process of their own.
                rested = true;
                self.restart();
                self.drain();
            } else if let Some(next) = next {
                self.pass(next.saturating_duration_since(self.now));
                self.drain();
            }
        }
        panic!("the machine never comes to rest");
    }
}

/// The process of this number: no two have the same seed.
fn cloud(start: u16) -> DeviceCloud {
    let mut config = Config::default();
    config.max_pending = 16;
    config.snapshot_every = 8;
    let mut seed = [7; 32];
    seed[..2].copy_from_slice(&start.to_le_bytes());
    DeviceCloud::new(config, seed, Arc::new(Open))
}

fn status(code: u16) -> Result<DeliveryOutcome, TransportFailure> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    Ok(DeliveryOutcome::from_response(&response))
}
