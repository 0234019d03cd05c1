//! The client-side clouds: a machine for every linked account, and what such a cloud wants of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use uci_client::{
    Appended, Call, CallId, Client, Config, Event, Loaded, Notification, Output, RequestId,
    Snapshot, StreamAppend, SubscribeId, Target,
};
use uci_model::api::{
    AccessToken, BatchFormat, retrieve_device, retrieve_devices, retrieve_resource, update_resource,
};
use uci_model::{Content, ContentFormat, DeviceId, EventTypes, Href, Limits, SubscriptionId, Value};
use uci_server_core::DeliveryOutcome;

use super::journal::{self, Journal, Order};
use super::network::{Attempt, Exchange};
use super::sealers::ClientSealer;
use super::witness::reads_foreign_data;
use super::{ACCOUNTS, Happening, Process, World};

/// Which company has linked which account, and how it works.
pub const LINKS: [Manner; 4] = [
    Manner::new("east", 0, ContentFormat::Json),
    Manner::new("east", 1, ContentFormat::OcfCbor),
    Manner::new("west", 0, ContentFormat::OcfCbor),
    Manner {
        renews: true,
        ..Manner::new("west", 1, ContentFormat::Json)
    },
];

/// How a client-side cloud works with one account.
pub struct Manner {
    company: &'static str,
    account: usize,
    format: ContentFormat,
    /// Whether it polls and replaces its subscriptions from time to time.
    pub renews: bool,
}

impl Manner {
    const fn new(company: &'static str, account: usize, format: ContentFormat) -> Self {
        Self {
            company,
            account,
            format,
            renews: false,
        }
    }
}

/// One linked account at one client-side cloud.
pub struct Link {
    pub number: usize,
    /// `None` while the process is down.
    pub machine: Option<Client>,
    pub run: u32,
    pub journal: Journal,
    /// By how many seconds its wall clock is wrong.
    pub clock_step: i64,
    /// The consent, counted up whenever the user links the account again.
    pub grant: u32,
    pub linked: bool,
    /// The consents whose end is durable at the server.
    pub ended: BTreeSet<u32>,
    /// What it wants to be told of.
    pub wanted: BTreeMap<Target, SubscribeId>,
    /// Every signing secret that it ever sent.
    pub secrets: BTreeSet<String>,
    /// What waits for its one answer.
    pub calls: BTreeSet<CallId>,
    pub requests: BTreeMap<RequestId, (Attempt, SubscriptionId, u64)>,
    /// The latest number of each subscription in this run.
    latest: BTreeMap<SubscriptionId, u64>,
    loaded: bool,
    tokens: u32,
}

impl Link {
    pub fn new(number: usize) -> Self {
        Self {
            number,
            machine: None,
            run: 0,
            journal: Journal::default(),
            clock_step: 0,
            grant: 1,
            linked: true,
            ended: BTreeSet::new(),
            wanted: BTreeMap::new(),
            secrets: BTreeSet::new(),
            calls: BTreeSet::new(),
            requests: BTreeMap::new(),
            latest: BTreeMap::new(),
            loaded: false,
            tokens: 0,
        }
    }

    pub fn manner(&self) -> &'static Manner {
        &LINKS[self.number]
    }

    pub fn account(&self) -> &'static str {
        ACCOUNTS[self.manner().account]
    }

    pub fn company(&self) -> &'static str {
        self.manner().company
    }

    pub fn grant_id(&self, grant: u32) -> String {
        format!("grant-{}-{grant}", self.number)
    }

    fn config(&self) -> Config {
        let url = format!("https://{}.example.com/events/{}", self.company(), self.number);
        let base = "https://cloud.example.com/api/v1".parse().unwrap();
        let mut config = Config::new(&base, url.parse().unwrap()).unwrap();
        config.format = self.manner().format;
        config.snapshot_every = 5;
        if self.manner().renews {
            config.poll_interval = Some(Duration::from_secs(500));
            config.lifetime = Some(Duration::from_secs(1_300));
        }
        config
    }

    pub fn stop(&mut self) {
        self.machine = None;
        self.run += 1;
        self.calls.clear();
        self.requests.clear();
        self.latest.clear();
        self.loaded = false;
    }

    /// Notes a notification that took effect: in one run they come in order, and without a gap but before the last word.
    fn note(&mut self, told: &Notification) {
        let last = told.event == uci_model::Event::SubscriptionCancelled;
        assert!(!told.gap || last, "link {}: {told:?} after a gap", self.number);
        if let Some(before) = self.latest.insert(told.subscription, told.sequence) {
            let step = told.sequence.checked_sub(before).expect("forward");
            assert!(step == 1 || (step == 2 && last), "{told:?} after {before}");
        }
    }
}

impl World {
    pub fn start_link(&mut self, index: usize) {
        let process = Process::Link(index);
        self.links[index].run += 1;
        let (seed, entropy) = (self.entropy(process, 2), self.entropy(process, 3));
        let now = self.now();
        let link = &mut self.links[index];
        let stream = format!("link/{index}");
        let sealer = Arc::new(ClientSealer);
        link.machine = Some(Client::new(link.config(), stream, seed, entropy, sealer, now));
        self.drain_link(index);
    }

    /// Looks what there is and what is subscribed to, and makes up the difference.
    pub fn tend(&mut self, index: usize) {
        self.plan(Duration::from_secs(60), Happening::Tend(index));
        let now = self.now();
        let link = &mut self.links[index];
        let Some(client) = &mut link.machine else {
            return;
        };
        if !link.loaded {
            return;
        }
        let mut targets = BTreeSet::from([Target::Devices]);
        for (device, mirrored) in client.mirror().devices() {
            targets.insert(Target::Device { device });
            let hrefs = mirrored.links().map(|(href, _)| href.clone());
            targets.extend(hrefs.map(|href| Target::Resource { device, href }));
        }
        for (target, id) in &link.wanted {
            if !targets.contains(target) {
                expect_loading(client.unsubscribe(*id, now));
            }
        }
        for target in targets {
            if !link.wanted.contains_key(&target) {
                let types = EventTypes::all(target.level());
                if let Some(id) = expect_loading(client.subscribe(target.clone(), &types, now)) {
                    link.wanted.insert(target, id);
                }
            }
        }
        self.drain_link(index);
    }

    /// A client-side cloud does something for its user.
    pub fn stir_link(&mut self, index: usize) {
        let (choice, other) = (self.dice.roll(12), self.dice.index(16));
        let power = self.dice.roll(1_000_000);
        let stranger = self.devices[other % self.devices.len()].id;
        let now = self.now();
        let link = &mut self.links[index];
        let Some(client) = link.machine.as_mut().filter(|_| link.loaded) else {
            return;
        };
        let known = some_resource(client, other);
        let call: Call = match (choice, known) {
            (0, _) => retrieve_devices::Request::new(BatchFormat::All).into(),
            (1, _) => retrieve_device::Request::new(stranger, BatchFormat::Base).into(),
            (2, _) => {
                let href = "/light/1".parse().unwrap();
                retrieve_resource::Request::new(stranger, href).into()
            }
            (3 | 4, Some((device, href))) => retrieve_resource::Request::new(device, href).into(),
            (5..=7, Some((device, href))) => {
                let text = format!("{{\"power\":{power}}}");
                let content = Content::new(ContentFormat::Json, Bytes::from(text));
                update_resource::Request::new(device, href, content).into()
            }
            (8, _) => {
                let ids: Vec<SubscribeId> = link.wanted.values().copied().collect();
                if let Some(id) = ids.get(other % ids.len().max(1)) {
                    expect_loading(client.unsubscribe(*id, now));
                }
                return self.drain_link(index);
            }
            (9, _) if other == 0 => {
                expect_loading(client.unsubscribe_all(now));
                return self.drain_link(index);
            }
            _ => return,
        };
        let id = client.call(call, now).unwrap();
        link.calls.insert(id);
        self.drain_link(index);
    }

    pub fn response_arrives(
        &mut self,
        exchange: Exchange,
        result: Result<Response<Bytes>, uci_client::TransportFailure>,
    ) {
        let now = self.now();
        let link = &mut self.links[exchange.link];
        if link.run != exchange.run {
            return;
        }
        if let Some(client) = &mut link.machine {
            match result {
                Ok(response) => client.handle_response(exchange.id, &response, now),
                Err(failure) => client.handle_failure(exchange.id, failure, now),
            }
            self.drain_link(exchange.link);
        }
    }

    pub fn notification_arrives(&mut self, attempt: Attempt, request: &Request<Bytes>) {
        let (wall, now) = (self.wall(Process::Link(attempt.link)), self.now());
        let link = &mut self.links[attempt.link];
        let Some(client) = &mut link.machine else {
            let failure = Err(uci_server_core::TransportFailure::Connection);
            return self.answer_notification(attempt, failure);
        };
        let header = |name| request.headers()[name].to_str().unwrap();
        let subscription = header("subscription-id").parse().unwrap();
        let sequence = header("sequence-number").parse().unwrap();
        let id = client.handle_request(request, wall, now);
        let before = link.requests.insert(id, (attempt, subscription, sequence));
        assert!(before.is_none(), "an id came twice");
        self.drain_link(attempt.link);
    }

    pub fn journal_answers_link(&mut self, index: usize, answer: journal::Answer) {
        let now = self.now();
        let Some(client) = &mut self.links[index].machine else {
            return;
        };
        match answer {
            journal::Answer::Appended(id, outcome) => {
                let appended = match outcome {
                    journal::Outcome::Done(versions) => Appended::Done { versions },
                    journal::Outcome::Conflict(stream) => Appended::Conflict { stream },
                    journal::Outcome::Unknown => Appended::Unknown,
                };
                client.handle_appended(uci_client::AppendId::new(id), &appended, now);
            }
            journal::Answer::Loaded(stream, loaded) => {
                let snapshot = loaded.snapshot.map(|snapshot| {
                    Snapshot::new(snapshot.version, snapshot.format, snapshot.bytes)
                });
                let loaded = Loaded::new(loaded.version, snapshot, loaded.changes);
                client.handle_loaded(&stream, &loaded, now);
            }
            journal::Answer::LoadFailed(stream) => client.handle_load_failed(&stream, now),
        }
        self.drain_link(index);
    }

    /// Carries out outputs until there is none, or until the process dies.
    pub fn drain_link(&mut self, index: usize) {
        while let Some(output) = self.links[index].machine.as_mut().and_then(Client::poll_output) {
            if self.dice.one_in(self.faults.crash) {
                return self.crash(Process::Link(index));
            }
            self.carry_out_for_link(index, output);
        }
    }

    fn carry_out_for_link(&mut self, index: usize, output: Output) {
        let process = Process::Link(index);
        match output {
            Output::Send { exchange: id, request } => {
                let link = &mut self.links[index];
                if let Some(secret) = signing_secret(&request) {
                    link.secrets.insert(secret);
                }
                let exchange = Exchange { link: index, run: link.run, id };
                self.trace.line(
                    self.elapsed,
                    format_args!("{index} sends {} {}", request.method(), request.uri().path()),
                );
                self.send_request(exchange, &request);
            }
            Output::NeedToken { .. } => self.give_token(index),
            Output::Respond { request, response } => {
                let link = &mut self.links[index];
                let open = link.requests.remove(&request);
                let (attempt, subscription, sequence) = open.expect("one answer to an open request");
                let status = response.status();
                self.trace.line(
                    self.elapsed,
                    format_args!("{index} answers {subscription} {sequence}: {status}"),
                );
                if status == http::StatusCode::OK {
                    self.witness.note_taken(subscription, sequence);
                }
                self.answer_notification(attempt, Ok(DeliveryOutcome::from_response(&response)));
            }
            Output::Load { stream } => self.order(process, Order::Load(stream)),
            Output::Append(append) => {
                let id = *append.id.as_bytes();
                let parts = append.streams.into_iter().map(to_part).collect();
                self.order(process, Order::Append(journal::Append { id, parts }));
            }
            Output::SaveSnapshot { stream, snapshot } => {
                let Snapshot { version, format, bytes, .. } = snapshot;
                let snapshot = journal::Snapshot { version, format, bytes };
                self.order(process, Order::Save(stream, snapshot));
            }
            Output::Event(event) => self.note_link_event(index, event),
        }
    }

    fn give_token(&mut self, index: usize) {
        let now = self.now();
        let withheld = self.dice.one_in(self.faults.token);
        let link = &mut self.links[index];
        link.tokens += 1;
        let text = format!("token.{index}.{}.{}", link.grant, link.tokens);
        let Some(client) = &mut link.machine else {
            return;
        };
        if withheld || !link.linked {
            client.handle_token_failed(now);
        } else {
            let expires = Some(now + Duration::from_secs(600));
            client.handle_token(AccessToken::try_from(text).unwrap(), expires, now);
        }
    }

    fn note_link_event(&mut self, index: usize, event: Event) {
        self.trace.detail(self.elapsed, format_args!("{index} notes {event:?}"));
        let link = &mut self.links[index];
        match event {
            Event::Loaded { subscriptions } => {
                if !std::mem::replace(&mut link.loaded, true) {
                    link.wanted.retain(|_, id| subscriptions.contains(id));
                }
            }
            Event::Answered { call, result } => {
                assert!(link.calls.remove(&call), "{call:?} ended twice");
                drop(result);
            }
            Event::Ended { id, .. } => link.wanted.retain(|_, wanted| *wanted != id),
            Event::Notified(told) => link.note(&told),
            Event::Stopped { .. } | Event::MirrorFull => panic!("{event:?}"),
            _ => {}
        }
    }

    pub fn relink(&mut self, index: usize) {
        let link = &mut self.links[index];
        link.grant += 1;
        link.linked = true;
    }

    /// Nothing in a mirror is another account's.
    pub fn check_mirror_is_own(&self, index: usize) {
        let link = &self.links[index];
        let Some(client) = &link.machine else {
            return;
        };
        for (id, device) in client.mirror().devices() {
            let body = device.representations().fold(id.to_string(), |text, (_, value)| {
                text + &String::from_utf8(value.to_json().unwrap()).unwrap()
            });
            let foreign = reads_foreign_data(&body.into(), link.account(), &self.devices);
            assert!(!foreign, "{} mirrors {id}", link.account());
        }
    }
}

/// A command is refused only while the journal is read again; it is given again later.
fn expect_loading<T>(result: Result<T, uci_client::Error>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(error) => {
            assert_eq!(error.kind(), uci_client::ErrorKind::Loading);
            None
        }
    }
}

fn some_resource(client: &Client, number: usize) -> Option<(DeviceId, Href)> {
    let all: Vec<_> = client
        .mirror()
        .devices()
        .flat_map(|(id, device)| device.links().map(move |(href, _)| (id, href.clone())))
        .collect();
    all.get(number % all.len().max(1)).cloned()
}

fn signing_secret(request: &Request<Bytes>) -> Option<String> {
    let value = Value::from_json(request.body(), &Limits::default()).ok()?;
    Some(value.get("signingSecret")?.as_str()?.to_owned())
}

fn to_part(part: StreamAppend) -> journal::Part {
    journal::Part {
        stream: part.stream,
        expected_version: part.expected_version,
        changes: part.changes,
        due: part.due,
    }
}
