//! A device that gets a new address (RFC 9146) and a cloud that is restarted, through the whole endpoint: our DTLS engine, the
//! message layer, presence.
#![cfg(feature = "psk-dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

use std::net::SocketAddr;
use std::time::Duration;

use coap_psk::dtls::SessionId;
use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::{
    Code, Config, Endpoint, Event, Instant, Method, Output, PskIdentity, PskKey, Request, Response,
};

const KEY: [u8; 16] = [7; 16];

fn cloud_at() -> SocketAddr {
    ([10, 0, 0, 1], 5684).into()
}

fn home() -> SocketAddr {
    ([192, 0, 2, 1], 40_000).into()
}

fn elsewhere() -> SocketAddr {
    ([203, 0, 113, 7], 1_024).into()
}

/// A device behind a NAT, and a cloud that answers every request with a body of so many bytes.
struct World {
    device: Endpoint<PskEndpoint>,
    cloud: Endpoint<PskEndpoint>,
    at_device: SessionId,
    at_cloud: SessionId,
    /// Where the device's datagrams come from, and where those to it must go.
    device_at: SocketAddr,
    /// Where it is as soon as something has arrived.
    soon_at: Option<SocketAddr>,
    now: Instant,
    body: usize,
    requests: usize,
    device_events: Vec<Event>,
    cloud_events: Vec<Event>,
    /// The datagrams of the device.
    up: Vec<Vec<u8>>,
    /// Where the cloud's datagrams went, and how long they were.
    down: Vec<(SocketAddr, usize)>,
    /// Whether what the cloud sends is lost.
    deaf: bool,
}

impl World {
    fn new() -> Self {
        let mut config = PskConfig::default();
        config.connection_id_len = Some(0);
        let identity: PskIdentity = "MuGsF6W4,15bBZlRknc,2,60".parse().unwrap();
        let mut device = Endpoint::new(
            Config::default(),
            PskEndpoint::new(config, [1; 32]),
            [2; 32],
        );
        let now = Instant::from_micros(1);
        let at_device = device
            .connect(cloud_at(), &identity, PskKey::new(KEY), now)
            .unwrap();
        let mut world = Self {
            device,
            cloud: Endpoint::new(
                Config::default(),
                PskEndpoint::new(PskConfig::default(), [3; 32]),
                [4; 32],
            ),
            at_device,
            at_cloud: at_device,
            device_at: home(),
            soon_at: None,
            now,
            body: 2,
            requests: 0,
            device_events: Vec::new(),
            cloud_events: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
            deaf: false,
        };
        world.settle();
        match &world.cloud_events[..] {
            [Event::Online { session, peer, .. }] if *peer == home() => world.at_cloud = *session,
            other => panic!("{other:?}"),
        }
        world.cloud_events.clear();
        world.device_events.clear();
        world
    }

    /// Lets everything happen that needs no time.
    fn settle(&mut self) {
        loop {
            let (up, down) = (self.up.len(), self.down.len());
            while let Some(output) = self.device.poll_output() {
                self.handle_device(output);
            }
            while let Some(output) = self.cloud.poll_output() {
                self.handle_cloud(output);
            }
            if (self.up.len(), self.down.len()) == (up, down) {
                return;
            }
        }
    }

    fn handle_device(&mut self, output: Output) {
        match output {
            Output::Transmit(out) => {
                assert_eq!(out.to, cloud_at());
                self.up.push(out.datagram.clone());
                self.cloud
                    .handle_datagram(self.device_at, &out.datagram, self.now);
            }
            Output::Event(event) => self.device_events.push(event),
            Output::Request { exchange, .. } => {
                let response = Response::new(Code::CONTENT);
                self.device.respond(exchange, response, self.now).unwrap();
            }
            Output::KeyWanted { .. } => panic!("{output:?}"),
        }
    }

    fn handle_cloud(&mut self, output: Output) {
        match output {
            Output::Transmit(out) => {
                self.down.push((out.to, out.datagram.len()));
                if out.to == self.device_at && !self.deaf {
                    self.device
                        .handle_datagram(cloud_at(), &out.datagram, self.now);
                    self.device_at = self.soon_at.take().unwrap_or(self.device_at);
                }
            }
            Output::KeyWanted { handshake, .. } => {
                let key = Some(PskKey::new(KEY));
                self.cloud.provide_key(handshake, key, self.now);
            }
            Output::Request { exchange, .. } => {
                self.requests += 1;
                let response = Response::new(Code::CONTENT).with_payload(0, vec![7; self.body]);
                self.cloud
                    .respond(exchange, response.observable(), self.now)
                    .unwrap();
            }
            Output::Event(event) => self.cloud_events.push(event),
        }
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now.saturating_add(time);
        loop {
            self.settle();
            let deadlines = [self.device.next_deadline(), self.cloud.next_deadline()];
            let next = deadlines.into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.device.handle_timeout(self.now);
            self.cloud.handle_timeout(self.now);
        }
    }

    fn get(&mut self) {
        let request = Request::new(Method::Get, "/temperature").unwrap();
        self.device
            .request(self.at_device, request, self.now)
            .unwrap();
    }

    /// The bodies that the device got as responses and as notifications.
    fn bodies(&self) -> (Vec<usize>, Vec<usize>) {
        let (mut responses, mut notifications) = (Vec::new(), Vec::new());
        for event in &self.device_events {
            match event {
                Event::Response { response, .. } => responses.push(response.payload.len()),
                Event::Notification { response, .. } => {
                    notifications.push(response.payload.len());
                }
                other => panic!("{other:?}"),
            }
        }
        (responses, notifications)
    }

    /// Where the cloud says that the device went.
    fn moves(&self) -> Vec<SocketAddr> {
        let to = |event: &Event| match event {
            Event::Moved { session, peer } if *session == self.at_cloud => *peer,
            other => panic!("{other:?}"),
        };
        self.cloud_events.iter().map(to).collect()
    }
}

#[test]
fn a_request_that_is_repeated_from_elsewhere_is_answered_there_and_handled_once() {
    let mut world = World::new();
    world.deaf = true;
    world.get();
    world.settle();
    assert_eq!(world.requests, 1);
    world.deaf = false;
    world.device_at = elsewhere();
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.bodies().0, [2]);
    assert_eq!(world.moves(), [elsewhere()]);
    assert_eq!(world.requests, 1);
    assert_eq!(world.down.last().unwrap().0, elsewhere());
}

#[test]
fn a_long_answer_waits_until_the_device_has_answered_at_its_new_address() {
    let mut world = World::new();
    world.body = 1_000;
    world.device_at = elsewhere();
    world.down.clear();
    world.get();
    world.settle();
    let [(to, probe)] = world.down[..] else {
        panic!("{:?}", world.down)
    };
    assert_eq!(to, elsewhere());
    assert!(probe < 60, "only an Empty message: {probe} bytes");
    assert!(world.bodies().0.is_empty());
    // The device asks once more, and has answered meanwhile.
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.bodies().0, [1_000]);
    assert_eq!(world.requests, 1);
    world.get();
    world.settle();
    assert_eq!(world.bodies().0, [1_000; 2], "the address is confirmed");
}

#[test]
fn what_was_answered_at_one_address_confirms_no_other() {
    let mut world = World::new();
    world.body = 1_000;
    world.device_at = elsewhere();
    world.soon_at = Some(home());
    world.down.clear();
    world.get();
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.bodies().0, [1_000]);
    assert_eq!(world.moves(), [elsewhere(), home()]);
    // It is asked at both places before it gets the long answer.
    let probed = |(to, len): &(SocketAddr, usize)| (*len < 60).then_some(*to);
    let asked: Vec<_> = world.down.iter().map_while(probed).collect();
    assert_eq!(asked, [elsewhere(), home()]);
    assert_eq!(world.down.len(), 3);
}

#[test]
fn an_observation_goes_on_where_the_device_is() {
    let mut world = World::new();
    let request = Request::new(Method::Get, "/temperature").unwrap();
    let observation = world.device.observe(world.at_device, request, world.now);
    observation.unwrap();
    world.settle();
    world.device_at = elsewhere();
    world.get();
    world.settle();
    let state = Response::new(Code::CONTENT).with_payload(0, vec![8; 600]);
    let observers = world
        .cloud
        .notify(world.at_cloud, "/temperature", &state, world.now);
    assert_eq!(observers.unwrap(), 1);
    world.run_for(Duration::from_secs(10));
    assert_eq!(world.bodies(), (vec![2], vec![2, 600]));
    assert_eq!(world.moves(), [elsewhere()]);
}

#[test]
fn presence_goes_on_through_a_move() {
    let mut world = World::new();
    world.run_for(Duration::from_secs(50));
    world.device_at = elsewhere();
    world.get();
    world.run_for(Duration::from_secs(59));
    assert_eq!(
        world.moves(),
        [elsewhere()],
        "neither offline nor online anew"
    );
    world.cloud_events.clear();
    world.run_for(Duration::from_secs(2));
    assert!(
        matches!(&world.cloud_events[..], [Event::Offline { session, .. }] if *session == world.at_cloud)
    );
    world.cloud_events.clear();
    world.device_at = home();
    world.get();
    world.settle();
    let [Event::Moved { .. }, Event::Online { session, peer, .. }] = &world.cloud_events[..] else {
        panic!("{:?}", world.cloud_events)
    };
    assert_eq!((*session, *peer), (world.at_cloud, home()));
}

#[test]
fn who_sends_a_caught_record_on_in_the_name_of_another_gets_little_sent_there() {
    let mut world = World::new();
    let victim: SocketAddr = ([198, 51, 100, 9], 53).into();
    world.body = 1_000;
    world.device_at = victim;
    // The attacker lets nothing of the device through but to the victim, and the victim has no key.
    world.deaf = true;
    world.down.clear();
    world.up.clear();
    world.get();
    world.run_for(Duration::from_secs(95));
    let arrived: usize = world.up.iter().map(Vec::len).sum();
    assert!(world.down.iter().all(|(to, _)| *to == victim));
    let sent: usize = world.down.iter().map(|(_, len)| len).sum();
    assert!(sent <= 3 * arrived, "{sent} for {arrived}");
    // When the device is let through again, it is served again.
    world.deaf = false;
    world.device_at = home();
    world.device_events.clear();
    world.get();
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.bodies().0, [1_000]);
}

#[test]
fn a_cloud_that_was_restarted_goes_on_with_its_devices() {
    let mut world = World::new();
    let request = || Request::new(Method::Get, "/state").unwrap();
    let (now, at_cloud) = (world.now, world.at_cloud);
    world.cloud.request(at_cloud, request(), now).unwrap();
    world.get();
    world.settle();
    assert_eq!(world.bodies().0, [2]);
    assert!(matches!(&world.cloud_events[..], [Event::Response { .. }]));
    let saved = world
        .cloud
        .with_engine(|engine| engine.export(at_cloud, now), now)
        .unwrap();

    world.cloud = Endpoint::new(
        Config::default(),
        PskEndpoint::new(PskConfig::default(), [5; 32]),
        [6; 32],
    );
    world.cloud_events.clear();
    let session = world.cloud.with_engine(
        |engine| {
            let session = engine.import(saved.expose(), now).unwrap();
            let again = engine.export(session, now).unwrap();
            engine.handle_stored(&again, now);
            session
        },
        now,
    );
    world.settle();
    let [
        Event::Online {
            session: online,
            peer,
            replaced: None,
            ..
        },
    ] = &world.cloud_events[..]
    else {
        panic!("{:?}", world.cloud_events)
    };
    assert_eq!((*online, *peer), (session, home()));
    world.cloud_events.clear();
    world.get();
    world.cloud.request(session, request(), now).unwrap();
    world.settle();
    assert_eq!(world.bodies().0, [2, 2]);
    assert!(matches!(&world.cloud_events[..], [Event::Response { .. }]));
    let hellos = |up: &Vec<u8>| up[0] == 22 && up[13] == 1;
    assert_eq!(
        world.up.iter().filter(|up| hellos(up)).count(),
        2,
        "one handshake"
    );
}
