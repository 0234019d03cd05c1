//! Bootstraps of several clients over a wire that loses nothing, in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use provisioning_proto::lwm2m::objects::{Security, Server};
use provisioning_proto::lwm2m::{
    Account, Bootstraps, Client as Name, Code, Config, Configuration, Event, ExchangeId, Incoming,
    Missing, Opaque, Output, PeerId, Request, RequestId, Response,
};

use super::client::Client;

pub const KEY: &[u8] = b"connection key 1";

pub fn account(id: u16) -> Account {
    let key = Opaque::new(KEY.to_vec());
    Account::new(
        Security::psk("coaps://target:5684", id, b"device", key),
        Server::new(id, 300),
    )
}

pub fn configuration() -> Configuration {
    Configuration::new(vec![account(101)])
}

pub fn name(tenant: &str, endpoint: &str) -> Name {
    Name {
        tenant: tenant.parse().unwrap(),
        endpoint: endpoint.parse().unwrap(),
    }
}

pub struct World {
    pub machine: Bootstraps,
    pub now: Instant,
    pub clients: BTreeMap<PeerId, Client>,
    pub names: BTreeMap<PeerId, Name>,
    /// What a client is to have; nothing for one that is not known.
    pub wanted: Result<Configuration, Missing>,
    pub answers: Vec<Code>,
    /// In how many seconds those are to come again that are told so.
    pub put_off: Vec<u32>,
    pub packs: Vec<Response>,
    pub events: Vec<Event>,
    /// Requests that are not answered yet.
    pub open: VecDeque<(ExchangeId, PeerId, Request)>,
    pub cancelled: Vec<ExchangeId>,
    requests: u64,
    pub confidential: bool,
}

impl World {
    pub fn new(config: Config) -> Self {
        Self {
            machine: Bootstraps::new(config),
            now: Instant::now(),
            clients: BTreeMap::new(),
            names: BTreeMap::new(),
            wanted: Ok(configuration()),
            answers: Vec::new(),
            put_off: Vec::new(),
            packs: Vec::new(),
            events: Vec::new(),
            open: VecDeque::new(),
            cancelled: Vec::new(),
            requests: 0,
            confidential: true,
        }
    }

    /// A world with one client, under peer 1.
    pub fn with(config: Config, client: Client) -> Self {
        let mut world = Self::new(config);
        world.clients.insert(PeerId(1), client);
        world.names.insert(PeerId(1), name("t", "urn:imei:1"));
        world
    }

    pub fn client(&self) -> &Client {
        &self.clients[&PeerId(1)]
    }

    /// The client of a peer asks to be bootstrapped; gives the number of its request.
    pub fn begins(&mut self, peer: PeerId) -> RequestId {
        let request = self.clients[&peer].asks(self.names[&peer].endpoint.as_str());
        self.requests += 1;
        let id = RequestId(self.requests);
        self.asks(peer, id, &request);
        id
    }

    pub fn asks(&mut self, peer: PeerId, id: RequestId, request: &Request) {
        let client = self.names[&peer].clone();
        let incoming = Incoming {
            id,
            peer,
            client,
            confidential: self.confidential,
            request,
        };
        self.machine.handle_request(incoming, self.now);
        self.drain();
    }

    /// Takes what the machine puts out; requests to clients wait.
    pub fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Configure { bootstrap, .. } => {
                    self.machine
                        .handle_configuration(bootstrap, self.wanted.clone(), self.now);
                }
                Output::Respond { response, .. } => {
                    self.answers.push(response.code);
                    self.put_off.extend(response.max_age);
                    if !response.payload.is_empty() {
                        self.packs.push(response);
                    }
                }
                Output::Send {
                    exchange,
                    peer,
                    request,
                } => {
                    // The answer to the request comes before anything else.
                    assert!(!self.answers.is_empty());
                    self.open.push_back((exchange, peer, request));
                }
                Output::Cancel { exchange } => self.cancelled.push(exchange),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// A client answers the oldest request; whether there was one.
    pub fn step(&mut self) -> bool {
        let Some((exchange, peer, request)) = self.open.pop_front() else {
            return false;
        };
        let response = self.clients.get_mut(&peer).unwrap().answer(&request);
        self.machine.handle_response(exchange, &response, self.now);
        self.drain();
        true
    }

    /// Everything is answered.
    pub fn settle(&mut self) {
        while self.step() {}
    }

    pub fn passes(&mut self, time: Duration) {
        self.now += time;
        self.machine.handle_timeout(self.now);
        self.drain();
    }
}
