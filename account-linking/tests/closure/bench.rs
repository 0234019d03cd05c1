//! The two machines, their stores, and the clock that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use account_linking::SecretBytes;
use account_linking::client::{
    Cloud, Config, Event, ExchangeId, Links, OperationId, Output, TransportFailure,
};
use account_linking::server::{AuthorizationServer, PlainPages};

use crate::channel::{Carried, Channel, Packet};
use crate::harness::{self, json};
use crate::shadow::Shadow;
use crate::world::{Disk, TestSealer};

pub struct Bench {
    pub server: harness::World,
    pub links: Links,
    pub disk: Disk,
    pub channel: Channel,
    pub shadow: Shadow,
    pub cloud: Cloud,
    /// Every event of the client, with the number of the process that told it.
    pub events: Vec<(u64, Event)>,
    /// Commands that have not ended, of the process that runs.
    pub open: BTreeSet<OperationId>,
    /// Appends until the process dies at one of them.
    pub dies_in: Option<u64>,
    /// How many events there were when a process died at an append, and perhaps kept what it had to tell to itself.
    pub deaths: Vec<usize>,
    /// Grants whose tokens the client has made durable.
    pub stored: BTreeSet<String>,
    pub run: u64,
    pub server_runs: u8,
    waiting: BTreeMap<ExchangeId, Instant>,
    /// The grant whose tokens the client has got and not yet stored.
    got: Option<String>,
    codes: BTreeSet<String>,
}

fn machine(cloud: &Cloud, run: u64, server: &harness::World) -> Links {
    let mut seed = [9; 32];
    seed[..8].copy_from_slice(&run.to_be_bytes());
    let clouds = [cloud.clone()];
    let (sealer, seed) = (Arc::new(TestSealer), SecretBytes::new(seed));
    Links::new(config(), clouds, sealer, seed, server.wall, server.now).unwrap()
}

pub fn config() -> Config {
    let mut config = Config::new("home");
    config.snapshot_every = 5;
    config
}

impl Bench {
    pub fn new(server: harness::World, cloud: Cloud, seed: u64, window: Option<Duration>) -> Self {
        let links = machine(&cloud, 0, &server);
        Self {
            server,
            links,
            disk: Disk::default(),
            channel: Channel::new(seed),
            shadow: Shadow::new(window),
            cloud,
            events: Vec::new(),
            open: BTreeSet::new(),
            dies_in: None,
            deaths: Vec::new(),
            stored: BTreeSet::new(),
            run: 0,
            server_runs: 1,
            waiting: BTreeMap::new(),
            got: None,
            codes: BTreeSet::new(),
        }
    }

    pub fn now(&self) -> Instant {
        self.server.now
    }

    /// The client's process dies, and another one begins with what is stored.
    pub fn restart_client(&mut self) {
        self.run += 1;
        (self.dies_in, self.got) = (None, None);
        self.waiting.clear();
        self.open.clear();
        self.links = machine(&self.cloud, self.run, &self.server);
        let due = self.disk.streams.iter();
        let due = due.filter(|(_, stream)| stream.due.is_some());
        let names: Vec<_> = due.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.links.wake(&name, self.server.now).unwrap();
        }
        self.pump();
    }

    /// The server's process dies, with its sessions, and another one begins with what is stored.
    pub fn restart_server(&mut self) {
        self.server_runs += 1;
        let (seed, now) = ([self.server_runs; 32], self.server.now);
        let pages = Box::new(PlainPages);
        self.server.server = AuthorizationServer::new(harness::config(), pages, seed, now).unwrap();
        let due: Vec<_> = self.server.store.due.keys().cloned().collect();
        for stream in due {
            let wall = self.server.wall;
            self.server.server.wake(&stream, wall, now).unwrap();
        }
        self.server.pump();
    }

    /// Does what the client wants done.
    pub fn pump(&mut self) {
        while let Some(output) = self.links.poll_output() {
            match output {
                Output::Send { exchange, request } => {
                    let body = form_urlencoded::parse(request.body());
                    for (_, code) in body.filter(|(name, _)| name == "code") {
                        let is_new = self.codes.insert(code.into_owned());
                        assert!(is_new, "the client sent a code twice");
                    }
                    self.waiting.insert(exchange, self.server.now);
                    let (now, request) = (self.server.now, Packet::Request(request));
                    self.channel.put(now, self.run, exchange, request);
                }
                Output::Append(append) => {
                    let dies = self.dies_in == Some(0);
                    self.deaths.extend(dies.then_some(self.events.len()));
                    self.dies_in = self.dies_in.map(|left| left.saturating_sub(1));
                    if dies && self.channel.dice.roll(2) == 0 {
                        return self.restart_client();
                    }
                    let appended = self.disk.append(&append);
                    self.stored.extend(self.got.take());
                    if dies {
                        return self.restart_client();
                    }
                    self.links
                        .handle_appended(append.id, &appended, self.server.now);
                }
                Output::Load { stream } => {
                    let loaded = self.disk.load(&stream);
                    self.links.handle_loaded(&stream, &loaded, self.server.now);
                }
                Output::Snapshot { stream, snapshot } => {
                    self.disk.streams.get_mut(&stream).unwrap().snapshot = Some(snapshot);
                }
                Output::Event(event) => {
                    if let Some(operation) = event.operation() {
                        let was_open = self.open.remove(&operation);
                        assert!(was_open, "an end without a beginning: {event:?}");
                    }
                    self.events.push((self.run, event));
                }
            }
        }
    }

    fn arrive(&mut self, carried: Carried) {
        let Carried { run, exchange, .. } = carried;
        let now = self.server.now;
        match carried.packet {
            Packet::Request(request) => {
                self.shadow.arrives(&request, now);
                let response = self.server.request(&request);
                self.shadow.answered(&request, &response, now);
                self.channel
                    .put(now, run, exchange, Packet::Answer(response));
            }
            // The connections of a process die with it.
            _ if run != self.run => {}
            Packet::Answer(response) => {
                let sent = self.waiting.remove(&exchange);
                if sent.is_some_and(|sent| now < sent + config().exchange_timeout) {
                    let body = json(&response);
                    let access = body["access_token"].as_str();
                    self.got = access.map(|token| self.shadow.grant_of(token).to_owned());
                }
                self.links.handle_response(exchange, &response, now);
            }
            Packet::Reset => {
                self.waiting.remove(&exchange);
                self.links
                    .handle_failure(exchange, TransportFailure::Unknown, now);
            }
        }
        self.pump();
        self.got = None;
    }

    /// Lets time pass, and everybody act in it.
    pub fn pass(&mut self, time: Duration) {
        let end = self.server.now + time;
        for _ in 0..20_000 {
            let client = self.links.next_deadline();
            let server = self.server.server.next_deadline();
            let next = [client, server, self.channel.next()];
            let next = next.into_iter().flatten().min().filter(|at| *at <= end);
            let Some(at) = next else {
                self.server.pass(end - self.server.now);
                return;
            };
            let now = at.max(self.server.now);
            self.server.pass(now - self.server.now);
            if client.is_some_and(|at| at <= now) {
                self.links.handle_timeout(now);
                self.pump();
            }
            let deadline = self.server.server.next_deadline();
            assert!(deadline.is_none_or(|at| at > now), "no progress");
            while let Some(carried) = self.channel.take(now) {
                self.arrive(carried);
            }
        }
        panic!("the machines do not come to rest");
    }
}
