//! All devices as one machine.

mod events;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{SessionId, Transmit};
use coap_psk::{Config, Endpoint, Instant, activation};

use crate::device::{Device, State, Turn};
use crate::member::Member;
use crate::plan::Plan;
use crate::tally::Tally;

/// The address of the first device; the others follow it.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);

/// Machine: many devices that connect to one cloud, activate themselves, and send requests.
///
/// All of them live in one DTLS engine, which tells its peers apart by their address. Here there is only one peer, and many of
/// this side: so the address that goes with a datagram, in and out, is that of the device, never that of the cloud.
pub struct Fleet {
    endpoint: Endpoint<PskEndpoint>,
    plan: Plan,
    port: u16,
    devices: Vec<Device>,
    sessions: BTreeMap<SessionId, usize>,
    /// The devices whose turn has a time.
    due: BTreeSet<(Instant, usize)>,
    /// Those whose turn it is; one that is here by mistake has another turn.
    ready: VecDeque<usize>,
    /// How many have something under way.
    under_way: usize,
    transmits: VecDeque<Transmit>,
    tally: Tally,
}

impl Fleet {
    /// A fleet whose devices send from this port, and begin to come at `now`. The seed must be random and new in every run.
    #[must_use]
    pub fn new(
        members: Vec<Member>,
        plan: Plan,
        port: u16,
        seed: [[u8; 32]; 2],
        now: Instant,
    ) -> Self {
        let mut dtls = PskConfig::default();
        dtls.accept = false;
        dtls.max_sessions = members.len();
        let mut config = Config::default();
        config.max_sessions = members.len();
        let [dtls_seed, seed] = seed;
        let dtls = PskEndpoint::new(dtls, dtls_seed);
        let mut fleet = Self {
            endpoint: Endpoint::new(config, dtls, seed),
            plan,
            port,
            devices: members.into_iter().map(Device::new).collect(),
            sessions: BTreeMap::new(),
            due: BTreeSet::new(),
            ready: VecDeque::new(),
            under_way: 0,
            transmits: VecDeque::new(),
            tally: Tally::default(),
        };
        for index in 0..fleet.devices.len() {
            let arrival = now.saturating_add(fleet.plan.arrival(index));
            fleet.set_turn(index, Turn::At(arrival));
        }
        fleet
    }

    /// Takes a datagram of the cloud that arrived at the address of a device.
    pub fn handle_datagram(&mut self, device: SocketAddr, datagram: &[u8], now: Instant) {
        self.endpoint.handle_datagram(device, datagram, now);
        self.pump(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, index)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, index));
            self.set_turn(index, Turn::Now);
        }
        self.endpoint.handle_timeout(now);
        self.pump(now);
    }

    /// The next datagram to send to the cloud, with the address of the device that sends it.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let turn = self.due.first().map(|(at, _)| *at);
        turn.into_iter().chain(self.endpoint.next_deadline()).min()
    }

    /// Whether every device has done what it was to do, or has given up.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.tally.settled == self.devices.len()
    }

    /// How many devices there are.
    #[must_use]
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// What came of it so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts anew from here on, but for who is there.
    pub fn restart_tally(&mut self) {
        let Tally {
            arrived,
            online,
            settled,
            ..
        } = self.tally;
        self.tally = Tally {
            arrived,
            online,
            settled,
            ..Tally::default()
        };
    }

    /// Lets every device that has a session send so many requests more.
    pub fn ask_more(&mut self, requests: u32, now: Instant) {
        self.plan.requests = Some(requests);
        for index in 0..self.devices.len() {
            if let Some(device) = self.devices.get_mut(index)
                && let State::Idle(session) = device.state
            {
                device.asked = 0;
                self.become_idle(index, session, Turn::Now);
            }
        }
        self.pump(now);
    }

    /// Ends at most so many sessions as good devices do; tells how many are left.
    pub fn leave(&mut self, at_most: usize, now: Instant) -> usize {
        for _ in 0..at_most {
            let Some((session, index)) = self.sessions.pop_first() else {
                break;
            };
            self.go_away(index);
            self.settle(index);
            self.endpoint.close(session, now);
        }
        self.pump(now);
        self.sessions.len()
    }

    /// The address that the device of this number sends from.
    #[must_use]
    pub fn address(&self, index: usize) -> SocketAddr {
        let offset = u32::try_from(index).unwrap_or(u32::MAX);
        let address = Ipv4Addr::from_bits(FIRST.to_bits().saturating_add(offset));
        (address, self.port).into()
    }

    /// Handles what the endpoint has to say, and lets devices take their turn while there is room.
    fn pump(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.endpoint.poll_output() {
                self.handle_output(output, now);
            }
            if self.under_way >= self.plan.at_once {
                return;
            }
            let Some(index) = self.ready.pop_front() else {
                return;
            };
            self.take_turn(index, now);
        }
    }

    fn take_turn(&mut self, index: usize, now: Instant) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        if device.turn != Turn::Now {
            return;
        }
        device.turn = Turn::None;
        device.began = now;
        match device.state {
            State::Away => {
                if !std::mem::replace(&mut device.arrived, true) {
                    self.tally.arrived = self.tally.arrived.saturating_add(1);
                }
                self.connect(index, now);
            }
            State::Idle(session) => self.ask(index, session, now),
            State::Connecting(_) | State::Activating(..) | State::Asking(..) => {}
        }
    }

    fn connect(&mut self, index: usize, now: Instant) {
        let from = self.address(index);
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        let identity = device.member.identity(self.plan.lifetime);
        let key = device.member.key();
        match self.endpoint.connect(from, &identity, key, now) {
            Ok(session) => {
                self.sessions.insert(session, index);
                self.set_state(index, State::Connecting(session));
            }
            Err(_) => self.handle_no_session(index, "no place for a session", now),
        }
    }

    fn activate(&mut self, index: usize, session: SessionId, now: Instant) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        let asked = activation::request(&device.member.name)
            .and_then(|request| self.endpoint.request(session, request, now));
        match asked {
            Ok(exchange) => self.set_state(index, State::Activating(session, exchange)),
            Err(_) => self.give_session_up(index, session, "request not sent", now),
        }
    }

    fn ask(&mut self, index: usize, session: SessionId, now: Instant) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        device.asked = device.asked.saturating_add(1);
        let request = self.plan.request_of(&device.member.name);
        match self.endpoint.request(session, request, now) {
            Ok(exchange) => self.set_state(index, State::Asking(session, exchange)),
            Err(_) => self.give_session_up(index, session, "request not sent", now),
        }
    }

    fn set_state(&mut self, index: usize, state: State) {
        if let Some(device) = self.devices.get_mut(index) {
            let before = usize::from(device.is_under_way());
            device.state = state;
            let after = usize::from(device.is_under_way());
            self.under_way = self.under_way.saturating_sub(before).saturating_add(after);
        }
    }

    fn set_turn(&mut self, index: usize, turn: Turn) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        if let Turn::At(before) = device.turn {
            self.due.remove(&(before, index));
        }
        match turn {
            Turn::None => {}
            Turn::At(at) => {
                self.due.insert((at, index));
            }
            Turn::Now => self.ready.push_back(index),
        }
        device.turn = turn;
    }

    /// Notes whether a device has anything left to do.
    fn set_settled(&mut self, index: usize, settled: bool) {
        if let Some(device) = self.devices.get_mut(index) {
            let before = usize::from(std::mem::replace(&mut device.settled, settled));
            self.tally.settled = self
                .tally
                .settled
                .saturating_sub(before)
                .saturating_add(usize::from(settled));
        }
    }

    fn settle(&mut self, index: usize) {
        self.set_turn(index, Turn::None);
        self.set_settled(index, true);
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("devices", &self.devices.len())
            .field("sessions", &self.sessions.len())
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}
