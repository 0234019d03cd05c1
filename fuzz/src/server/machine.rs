//! The whole server machine under arbitrary inputs, with a journal that sometimes fails and peers that sometimes answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use uci_model::{Content, ContentFormat, DeviceId, Href};
use uci_server_core::{
    Append, AppendId, Appended, AskId, Authentication, Config, DeliveryId, DeliveryOutcome,
    DeviceAnswer, DeviceCloud, DeviceReport, Event, GrantEndId, Loaded, Occurrence, Output,
    Principal, ReportId, RequestId, TransportFailure,
};

use super::Open;

/// How many inputs one run has at most.
const MAX_INPUTS: usize = 256;

/// Pairs of bytes, an input each: whatever comes, everything that expects an answer gets exactly one, the machine asks for
/// no time that has passed, and when all is answered it comes to rest.
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
    streams: BTreeMap<String, Vec<Bytes>>,
    appended: BTreeSet<AppendId>,
    /// What the journal answers to the next append, when it is not the truth.
    excuse: Option<Excuse>,
    wall: SystemTime,
    now: Instant,
    requests: BTreeSet<RequestId>,
    reports: BTreeSet<ReportId>,
    grant_ends: BTreeSet<GrantEndId>,
    asks: VecDeque<AskId>,
    deliveries: VecDeque<DeliveryId>,
}

#[derive(Clone, Copy)]
enum Excuse {
    Silence,
    Lost,
    Uncertain,
    Conflict,
    Fenced,
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
        let mut config = Config::default();
        config.max_pending = 16;
        config.snapshot_every = 8;
        Self {
            machine: DeviceCloud::new(config, [7; 32], Arc::new(Open)),
            streams: BTreeMap::new(),
            appended: BTreeSet::new(),
            excuse: None,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            now: Instant::now(),
            requests: BTreeSet::new(),
            reports: BTreeSet::new(),
            grant_ends: BTreeSet::new(),
            asks: VecDeque::new(),
            deliveries: VecDeque::new(),
        }
    }

    fn input(&mut self, kind: u8, argument: u8) {
        let path = |rest: &str| format!("/{}{}{rest}", device(argument), href(argument));
        match kind % 18 {
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
            6 | 7 => {
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
                let (of, grant) = (account(argument), format!("g{}", argument & 1));
                let (of, grant) = (of.parse().expect("an id"), grant.parse().expect("an id"));
                let id = self.machine.end_grant(of, grant, self.wall, self.now);
                self.grant_ends.insert(id);
            }
            14 => self.pass(Duration::from_millis(100 * u64::from(argument))),
            15 => self.answer_delivery(argument),
            16 => self.answer_ask(argument),
            _ => {
                let excuses = [
                    Excuse::Silence,
                    Excuse::Lost,
                    Excuse::Uncertain,
                    Excuse::Conflict,
                    Excuse::Fenced,
                ];
                self.excuse = excuses.get(usize::from(argument % 8)).copied();
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
        self.machine
            .handle_delivery(id, result, self.wall, self.now);
    }

    fn answer_ask(&mut self, argument: u8) {
        if let Some(id) = self.asks.pop_front() {
            let answer = match argument % 4 {
                0 => DeviceAnswer::Unreachable,
                1 => DeviceAnswer::answered(argument, None, None),
                2 => DeviceAnswer::Unreadable,
                _ => DeviceAnswer::answered(0x45, Some(content(argument)), None),
            };
            self.machine.handle_answer(id, answer, self.now);
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.now += duration;
        self.wall += duration;
        self.machine.handle_timeout(self.wall, self.now);
        let next = self.machine.next_deadline();
        assert!(
            next.is_none_or(|next| next > self.now),
            "a time that has passed"
        );
    }

    fn append(&mut self, append: &Append) -> Option<Appended> {
        if self.appended.contains(&append.id) {
            return Some(Appended::Done);
        }
        match self.excuse.take() {
            Some(Excuse::Silence) => return None,
            Some(Excuse::Lost) => return Some(Appended::Unknown),
            Some(Excuse::Conflict) => return Some(Appended::Conflict),
            Some(Excuse::Fenced) => return Some(Appended::Fenced),
            Some(Excuse::Uncertain) => {
                self.keep(append);
                return Some(Appended::Unknown);
            }
            None => {}
        }
        Some(self.keep(append))
    }

    fn keep(&mut self, append: &Append) -> Appended {
        let version = |stream| self.streams.get(stream).map_or(0, Vec::len) as u64;
        let moved = append
            .streams
            .iter()
            .any(|part| version(&part.stream) != part.expected_version);
        if moved {
            return Appended::Conflict;
        }
        for part in &append.streams {
            let stream = self.streams.entry(part.stream.clone()).or_default();
            stream.extend(part.changes.iter().cloned());
        }
        self.appended.insert(append.id);
        Appended::Done
    }

    /// Does everything that the machine wants done; questions and notifications wait for their answers.
    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Respond { request, .. } => assert!(self.requests.remove(&request)),
                Output::Event(Event::Reported { report, .. }) => {
                    assert!(self.reports.remove(&report))
                }
                Output::Event(Event::GrantEnded { end, .. }) => {
                    assert!(self.grant_ends.remove(&end))
                }
                Output::Load { stream } => {
                    let changes = self.streams.get(&stream).cloned().unwrap_or_default();
                    let loaded = Loaded {
                        version: changes.len() as u64,
                        snapshot: None,
                        changes,
                    };
                    self.machine
                        .handle_loaded(&stream, &loaded, self.wall, self.now);
                }
                Output::Append(append) => {
                    if let Some(appended) = self.append(&append) {
                        self.machine
                            .handle_appended(append.id, appended, self.wall, self.now);
                    }
                }
                Output::Ask { ask, .. } => self.asks.push_back(ask),
                Output::Deliver { delivery, .. } => self.deliveries.push_back(delivery),
                _ => {}
            }
        }
    }

    /// From here on everybody answers: then the machine comes to rest, and owes nobody an answer.
    fn rest(&mut self) {
        self.excuse = None;
        for _ in 0..10_000 {
            while !self.deliveries.is_empty() {
                self.answer_delivery(5);
                self.drain();
            }
            let Some(next) = self.machine.next_deadline() else {
                assert!(self.requests.is_empty(), "a request without an answer");
                assert!(self.reports.is_empty(), "a report without an end");
                assert!(
                    self.grant_ends.is_empty(),
                    "the end of a grant without an end"
                );
                return;
            };
            self.pass(next.saturating_duration_since(self.now));
            self.drain();
        }
        panic!("the machine never comes to rest");
    }
}

fn status(code: u16) -> Result<DeliveryOutcome, TransportFailure> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(code).expect("a status");
    Ok(DeliveryOutcome::from_response(&response))
}
