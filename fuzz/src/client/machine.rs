//! The machine against a model: any commands, answers, notifications, delays and restarts, in any order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use uci_client::{
    Append, AppendId, Appended, CallId, Client, Config, Event, ExchangeId, Loaded, Output,
    RequestId, Snapshot, SubscribeId, Target, TransportFailure,
};
use uci_model::api::{BatchFormat, OutgoingRequest, notify, retrieve_devices};
use uci_model::event::{NotificationHeaders, SigningKey};
use uci_model::{
    Content, ContentFormat, DeviceId, EventTypes, SigningSecret, SubscriptionId, UnixSeconds,
};

use super::Open;

mod converging;

/// The longest story that is played, in bytes; longer ones repeat themselves.
const LONGEST: usize = 1024;
/// How many rounds a machine that has nothing left to do may take to come to rest.
const ROUNDS: usize = 5_000;
/// What a peer has, from nothing to too much for the mirror; the last is no list.
const DEVICES: [&str; 5] = [
    "[]",
    r#"[{"device":{"di":"01010101-0101-0101-0101-010101010101","n":"A","rt":[],"dmn":[]},"status":"online","links":[]}]"#,
    r#"[{"device":{"di":"01010101-0101-0101-0101-010101010101","n":"A","rt":[],"dmn":[]},"status":"offline","links":[]},
        {"device":{"di":"02020202-0202-0202-0202-020202020202","n":"B","rt":[],"dmn":[]},"status":"online","links":[
        {"href":"/a","rt":["x"],"if":["y"],"rep":5},{"href":"/b","rt":["x"],"if":["y"],"rep":6}]}]"#,
    r#"[{"device":{"di":"02020202-0202-0202-0202-020202020202","n":"B","rt":[],"dmn":[]},"status":"offline","links":[
        {"href":"/a","rt":["x"],"if":["y"],"rep":1},{"href":"/b","rt":["x"],"if":["y"],"rep":2},
        {"href":"/c","rt":["x"],"if":["y"],"rep":3},{"href":"/d","rt":["x"],"if":["y"],"rep":4}]}]"#,
    r#"{"no":"list"}"#,
];
const STATUSES: [u16; 12] = [200, 204, 301, 400, 401, 403, 404, 405, 429, 500, 501, 503];

/// A subscription as the peer has it.
struct Kept {
    id: SubscriptionId,
    secret: SigningSecret,
    correlation: String,
    event_type: String,
    next: u64,
}

/// What outlives the process.
#[derive(Default)]
struct Journal {
    changes: Vec<Bytes>,
    snapshot: Option<Snapshot>,
    answered: BTreeMap<AppendId, Appended>,
}

impl Journal {
    fn append(&mut self, append: &Append) -> Appended {
        if let Some(answer) = self.answered.get(&append.id) {
            return answer.clone();
        }
        let [part] = append.streams.as_slice() else {
            panic!("an append is about one stream");
        };
        assert!(!part.changes.is_empty(), "nothing is appended");
        let answer = if part.expected_version == self.changes.len() as u64 {
            self.changes.extend(part.changes.iter().cloned());
            Appended::Done {
                versions: vec![self.changes.len() as u64],
            }
        } else {
            Appended::Conflict {
                stream: part.stream.clone(),
            }
        };
        self.answered.insert(append.id, answer.clone());
        answer
    }

    fn loaded(&self) -> Loaded {
        let from = self.snapshot.as_ref().map_or(0, |kept| kept.version);
        let changes = self.changes[from as usize..].to_vec();
        Loaded::new(self.changes.len() as u64, self.snapshot.clone(), changes)
    }
}

/// One process, and what it owes.
struct Run {
    machine: Client,
    now: Instant,
    /// Outputs that expect an answer and when they came, oldest first.
    open: VecDeque<(Instant, Output)>,
    answered: Vec<ExchangeId>,
    calls: BTreeMap<CallId, usize>,
    subscriptions: BTreeMap<SubscribeId, usize>,
    requests: BTreeMap<RequestId, Option<u16>>,
    /// How often all devices were fetched.
    in_step: usize,
}

fn config() -> Config {
    let base = "https://cloud.example/api/v1".parse().expect("a URI");
    let events_url = "https://client.example/events".parse().expect("a URL");
    let mut config = Config::new(&base, events_url).expect("a configuration");
    (config.max_in_flight, config.max_calls) = (3, 8);
    (config.max_subscriptions, config.max_requests) = (6, 4);
    (config.max_mirrored, config.snapshot_every) = (8, 5);
    config.lifetime = Some(Duration::from_secs(2_000));
    config
}

impl Run {
    fn new(number: u8, now: Instant) -> Self {
        let (seed, entropy) = ([number; 32], [number ^ 0x80; 32]);
        Self {
            machine: Client::new(config(), "client", seed, entropy, Arc::new(Open), now),
            now,
            open: VecDeque::new(),
            answered: Vec::new(),
            calls: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            requests: BTreeMap::new(),
            in_step: 0,
        }
    }

    /// Takes all outputs; those that expect an answer stay open.
    fn drain(&mut self, journal: &mut Journal) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Respond { request, response } => {
                    let status = response.status().as_u16();
                    assert!(response.body().is_empty());
                    let before = self.requests.insert(request, Some(status));
                    assert!(before.flatten().is_none(), "a request has one answer");
                }
                Output::SaveSnapshot { snapshot, .. } => journal.snapshot = Some(snapshot),
                Output::Event(Event::Answered { call, .. }) => {
                    *self.calls.get_mut(&call).expect("a call that was made") += 1;
                }
                Output::Event(Event::Ended { id, .. }) => {
                    *self.subscriptions.entry(id).or_default() += 1;
                }
                Output::Event(Event::Loaded { subscriptions }) => {
                    for id in subscriptions {
                        self.subscriptions.entry(id).or_default();
                    }
                }
                Output::Event(Event::InStep) => self.in_step += 1,
                Output::Event(_) => {}
                output => self.open.push_back((self.now, output)),
            }
        }
        let config = self.machine.config();
        let end = |(at, output): &(Instant, Output)| {
            let end = *at + config.request_timeout;
            (matches!(output, Output::Send { .. }) && end > self.now).then_some(end)
        };
        let ends: Vec<Instant> = self.open.iter().filter_map(end).collect();
        assert!(ends.len() <= config.max_in_flight, "C9");
        let next = self.machine.next_deadline();
        assert!(
            ends.iter().all(|end| next.is_some_and(|next| next <= *end)),
            "C6"
        );
        let mirror = self.machine.mirror().devices();
        let mirrored: usize = mirror
            .map(|(_, device)| 1 + device.links().count() + device.representations().count())
            .sum();
        assert!(mirrored <= self.machine.config().max_mirrored, "C9");
    }

    fn pass(&mut self, to: Instant) {
        self.now = to;
        self.machine.handle_timeout(to);
        let next = self.machine.next_deadline();
        assert!(next.is_none_or(|next| next > to), "C5");
        self.machine.handle_timeout(to);
        assert_eq!(self.machine.next_deadline(), next, "C5");
    }
}

/// Everything: the process, the journal, and the peer.
struct World {
    run: Run,
    journal: Journal,
    kept: Vec<Kept>,
    /// What the peer has when it answers well.
    truth: &'static str,
    runs: u8,
}

impl World {
    /// Answers the oldest open output, well where `how` is 0.
    fn answer(&mut self, how: u8) {
        self.run.drain(&mut self.journal);
        let (now, run) = (self.run.now, &mut self.run);
        match run.open.pop_front().map(|(_, output)| output) {
            Some(Output::Send { exchange, .. }) if how == 1 => {
                run.answered.push(exchange);
                let failure = TransportFailure::Interrupted;
                run.machine.handle_failure(exchange, failure, now);
            }
            Some(Output::Send { exchange, request }) => {
                run.answered.push(exchange);
                let fetched = match how {
                    0 => converging::fetched(self.truth, request.uri().path()),
                    _ => (200, DEVICES[usize::from(how) % DEVICES.len()].to_owned()),
                };
                let response = respond(&mut self.kept, &request, how, fetched);
                self.run.machine.handle_response(exchange, &response, now);
            }
            Some(Output::NeedToken { .. }) if how == 1 => run.machine.handle_token_failed(now),
            Some(Output::NeedToken { .. }) => {
                let token = "a-token".to_owned().try_into().expect("a token");
                let expires = (how > 1).then(|| now + Duration::from_secs(u64::from(how)));
                run.machine.handle_token(token, expires, now);
            }
            Some(Output::Load { stream }) if how == 1 => {
                run.machine.handle_load_failed(&stream, now);
            }
            Some(Output::Load { stream }) => {
                let loaded = self.journal.loaded();
                run.machine.handle_loaded(&stream, &loaded, now);
            }
            Some(Output::Append(append)) => {
                let appended = match how {
                    1 => Appended::Unknown,
                    // It took place, and nobody knows.
                    2 => {
                        self.journal.append(&append);
                        Appended::Unknown
                    }
                    _ => self.journal.append(&append),
                };
                run.machine.handle_appended(append.id, &appended, now);
            }
            _ => {}
        }
    }

    fn subscribe(&mut self, what: u8) {
        let device = DeviceId::from_bytes([1 + what % 2; 16]);
        let href = "/a".parse().expect("an href");
        let target = match what % 3 {
            0 => Target::Devices,
            1 => Target::Device { device },
            _ => Target::Resource { device, href },
        };
        let types = EventTypes::all(target.level());
        if let Ok(id) = self.run.machine.subscribe(target, &types, self.run.now) {
            let before = self.run.subscriptions.insert(id, 0);
            assert!(before.is_none(), "an id is given once");
        }
    }

    /// A notification of one of the peer's subscriptions, good where `how` is even.
    fn notify(&mut self, which: u8, how: u8) {
        let count = self.kept.len().max(1);
        let Some(kept) = self.kept.get_mut(usize::from(which) % count) else {
            return;
        };
        kept.next += u64::from(how / 64);
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let event_type = if how & 2 == 0 {
            kept.event_type.as_str()
        } else {
            "subscription_cancelled"
        };
        let timestamp = UnixSeconds::from(wall);
        let mut headers =
            NotificationHeaders::new(event_type.into(), kept.id, kept.next, timestamp);
        headers.correlation_id = kept.correlation.parse().ok();
        let body = match event_type {
            "subscription_cancelled" => None,
            "resource_contentchanged" => Some("7"),
            _ if how & 4 == 0 => Some(r#"[{"di":"01010101-0101-0101-0101-010101010101"}]"#),
            _ => Some("[]"),
        };
        let content = body.map(|body| Content::new(ContentFormat::Json, body.into()));
        let url = "https://client.example/events".parse().expect("a URI");
        let mut request = notify::Request::new(headers, content)
            .try_into_http_request(&url, &SigningKey::new(&kept.secret))
            .expect("a notification");
        kept.next += 1;
        let forged = how & 1 == 1;
        if forged {
            *request.body_mut() = [request.body(), &b" "[..]].concat().into();
        }
        let id = self
            .run
            .machine
            .handle_request(&request, wall, self.run.now);
        self.run.requests.insert(id, None);
        self.run.drain(&mut self.journal);
        if forged {
            let status = self.run.requests[&id].expect("an answer at once");
            assert_ne!(status, 200, "a forged notification");
        }
    }

    fn stale(&mut self) {
        self.run.drain(&mut self.journal);
        let (now, run) = (self.run.now, &mut self.run);
        for exchange in &run.answered {
            let response = Response::new(Bytes::new());
            run.machine.handle_response(*exchange, &response, now);
        }
        let id = AppendId::new([9; 16]);
        run.machine.handle_appended(id, &Appended::Fenced, now);
        run.machine.handle_loaded("other", &Loaded::default(), now);
        assert!(run.machine.poll_output().is_none(), "C8");
    }

    fn restart(&mut self) {
        self.runs = self.runs.wrapping_add(1);
        self.run = Run::new(self.runs, self.run.now);
    }

    /// From now on the world works, and the caller gives everything up: all that was begun ends, once.
    fn come_to_rest(&mut self) {
        for _ in 0..ROUNDS {
            // Refused while the subscriptions are not loaded.
            let _ = self.run.machine.unsubscribe_all(self.run.now);
            self.run.drain(&mut self.journal);
            if !self.run.open.is_empty() {
                self.answer(0);
            } else if let Some(deadline) = self.run.machine.next_deadline() {
                self.run.pass(deadline);
            } else {
                break;
            }
        }
        self.run.drain(&mut self.journal);
        assert!(self.run.open.is_empty(), "it never comes to rest");
        assert!(self.run.machine.next_deadline().is_none());
        assert!(self.run.calls.values().all(|ends| *ends == 1), "C7");
        let subscriptions = &self.run.subscriptions;
        assert!(subscriptions.values().all(|ends| *ends == 1), "C7");
        let requests = &self.run.requests;
        assert!(requests.values().all(Option::is_some), "C7");
        assert!(self.run.machine.subscriptions().next().is_none());
    }
}

fn respond(
    kept: &mut Vec<Kept>,
    request: &Request<Bytes>,
    how: u8,
    fetched: (u16, String),
) -> Response<Bytes> {
    let response = Response::builder().header("content-type", "application/json");
    let (status, body) = match request.method().as_str() {
        _ if how > 8 => (STATUSES[usize::from(how) % STATUSES.len()], "{".to_owned()),
        "POST" => (201, keep(kept, request)),
        "DELETE" => (202, String::new()),
        _ => fetched,
    };
    let response = response.status(status).header("retry-after", "7");
    response.body(body.into()).expect("a response")
}

/// Makes a subscription at the peer; the answer to its request.
fn keep(kept: &mut Vec<Kept>, request: &Request<Bytes>) -> String {
    let body: serde_json::Value = serde_json::from_slice(request.body()).expect("JSON");
    let secret = body["signingSecret"].as_str().expect("a secret").to_owned();
    let correlation = request.headers()["correlation-id"].to_str();
    let correlation = correlation.expect("text").to_owned();
    let known: BTreeSet<&str> = kept.iter().map(|one| one.correlation.as_str()).collect();
    assert!(!known.contains(correlation.as_str()), "a try has its own");
    let number = kept.len() as u64 + 1;
    let mut id = [0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    let id = SubscriptionId::from_bytes(id);
    kept.push(Kept {
        id,
        secret: secret.try_into().expect("a secret"),
        correlation,
        event_type: body["eventTypes"][0].as_str().expect("a type").to_owned(),
        next: 0,
    });
    format!(r#"{{"subscriptionId":"{id}"}}"#)
}

/// A story, two bytes a step: whatever happens, the machine keeps its contract and comes to rest.
pub fn machine(bytes: &[u8]) {
    let now = Instant::now();
    let mut world = World {
        run: Run::new(0, now),
        journal: Journal::default(),
        kept: Vec::new(),
        truth: DEVICES[usize::from(bytes.first().copied().unwrap_or_default()) % 4],
        runs: 0,
    };
    for step in bytes[..bytes.len().min(LONGEST)].chunks_exact(2) {
        let (what, how) = (step[0], step[1]);
        let now = world.run.now;
        match what % 16 {
            0 => {
                let call = retrieve_devices::Request::new(BatchFormat::Base);
                if let Ok(id) = world.run.machine.call(call, now) {
                    world.run.calls.insert(id, 0);
                }
            }
            1 | 2 => world.subscribe(how),
            3 => {
                let count = world.run.subscriptions.len().max(1);
                let id = world.run.subscriptions.keys().nth(usize::from(how) % count);
                if let Some(id) = id.copied() {
                    let _ = world.run.machine.unsubscribe(id, now);
                }
            }
            4 => world.run.machine.resync(now),
            5 | 6 => world.notify(what / 16, how),
            7 => {
                let millis = u64::from(how) * u64::from(how) * 100;
                world.run.pass(now + Duration::from_millis(millis));
            }
            8 => world.stale(),
            9 => world.restart(),
            // An output that is never answered.
            10 => drop(world.run.open.pop_front()),
            11 => world.answer(how),
            _ => world.answer(0),
        }
        world.run.drain(&mut world.journal);
    }
    world.converge();
    world.come_to_rest();
}
