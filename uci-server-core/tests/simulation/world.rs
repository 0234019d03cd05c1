//! Everything there is: one device-side cloud, the linked accounts of two client-side clouds, devices, a journal for every
//! process, and the network between them, in virtual time on one event loop.
//!
//! ```text
//!  devices ──reports──▶ ┌────────┐ ──notifications──▶ ┌──────┐
//!          ◀─questions─ │ server │ ◀────requests───── │ link │ ◀── what the client-side cloud wants
//!                       └───┬────┘                    └──┬───┘
//!                        journal                      journal
//! ```
//!
//! Every arrow loses, doubles, delays and reorders what goes over it, and every process dies between any two outputs, as the
//! seed wants it. One seed is one run: chance comes from [`Dice`] alone.

pub mod client;
pub mod consent;
pub mod device;
pub mod dice;
pub mod end;
pub mod faults;
pub mod journal;
pub mod journaling;
pub mod link;
pub mod network;
pub mod queue;
pub mod sealers;
pub mod server;
pub mod trace;
pub mod turmoil;
pub mod usage;
pub mod witness;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{Request, Response};
use uci_model::DeviceId;
use uci_server_core::{AccountId, AskId, DeliveryOutcome, DeviceAnswer, DeviceRequest};

use device::Device;
use dice::Dice;
use faults::Faults;
use link::Link;
use network::{Attempt, Exchange};
use queue::Queue;
use server::Server;
use trace::Trace;
use witness::Witness;

/// The users whose devices these are; the last one has linked nobody.
pub const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// A process that can die.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Process {
    Server,
    Link(usize),
}

/// Something that is going to happen. What belongs to a process names its run: after a crash it concerns nobody.
pub enum Happening {
    Restart(Process),
    JournalDoes(Process, u32, journal::Order),
    JournalAnswers(Process, u32, journal::Answer),
    RequestArrives(Exchange, Request<Bytes>),
    ResponseArrives(
        Exchange,
        Result<Response<Bytes>, uci_client::TransportFailure>,
    ),
    NotificationArrives(Attempt, Request<Bytes>),
    NotificationAnswered(
        Attempt,
        Result<DeliveryOutcome, uci_server_core::TransportFailure>,
    ),
    AskArrives(u32, AskId, DeviceRequest),
    AskAnswered(u32, AskId, DeviceAnswer),
    /// A device tells what it has not told yet.
    Report(usize),
    /// A device gets a session again.
    Reconnect(usize),
    /// Whoever carries devices looks whether one that counts as online is there.
    Missed(DeviceId, u64),
    Wake(AccountId),
    /// The authorization server tells of a withdrawn consent until it is heard.
    TellGrantEnd(usize, u32),
    /// The user links the account again.
    Relink(usize),
    /// A client-side cloud looks what it should subscribe to.
    Tend(usize),
}

/// How much happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// All that came off the queue: messages, answers of the journals, timers.
    pub happenings: u64,
    pub crashes: u64,
    pub notifications: u64,
    pub requests: u64,
    pub reports: u64,
    pub asks: u64,
    pub subscriptions: u64,
    pub grants_ended: u64,
    /// Attempts that were stopped because their consent ended, or their account rested.
    pub aborts: u64,
}

impl Counts {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            happenings: self.happenings + other.happenings,
            crashes: self.crashes + other.crashes,
            notifications: self.notifications + other.notifications,
            requests: self.requests + other.requests,
            reports: self.reports + other.reports,
            asks: self.asks + other.asks,
            subscriptions: self.subscriptions + other.subscriptions,
            grants_ended: self.grants_ended + other.grants_ended,
            aborts: self.aborts + other.aborts,
        }
    }
}

pub struct World {
    pub dice: Dice,
    pub trace: Trace,
    pub faults: Faults,
    pub elapsed: Duration,
    pub queue: Queue<Happening>,
    pub server: Server,
    pub links: Vec<Link>,
    pub devices: Vec<Device>,
    pub witness: Witness,
    pub counts: Counts,
    pub seed: u64,
    start: Instant,
}

impl World {
    /// A world in which nothing has happened yet and nothing goes wrong.
    pub fn new(seed: u64, prints: bool) -> Self {
        let start = Instant::now();
        let mut world = Self {
            dice: Dice::new(seed),
            trace: Trace::new(prints),
            faults: Faults::default(),
            elapsed: Duration::ZERO,
            queue: Queue::new(),
            server: Server::default(),
            links: (0..link::LINKS.len()).map(Link::new).collect(),
            devices: Vec::new(),
            witness: Witness::default(),
            counts: Counts::default(),
            seed,
            start,
        };
        world.start_server();
        for link in 0..world.links.len() {
            world.start_link(link);
            world.plan(Duration::ZERO, Happening::Tend(link));
        }
        world.begin_devices();
        world
    }

    pub fn now(&self) -> Instant {
        self.start + self.elapsed
    }

    /// The wall clock of a process, which may go wrong.
    pub fn wall(&self, process: Process) -> SystemTime {
        let step = match process {
            Process::Server => self.server.clock_step,
            Process::Link(link) => self.links[link].clock_step,
        };
        let right = UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.elapsed;
        let step_size = Duration::from_secs(step.unsigned_abs());
        if step < 0 {
            right - step_size
        } else {
            right + step_size
        }
    }

    pub fn plan(&mut self, after: Duration, what: Happening) {
        self.queue.put(self.elapsed + after, what);
    }

    /// Lets time pass, and everything happen that is due meanwhile.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.elapsed + duration;
        loop {
            let planned = self.queue.next_at();
            let deadline = self.next_deadline();
            match (planned, deadline) {
                (_, Some((at, process)))
                    if at <= end && planned.is_none_or(|planned| at <= planned) =>
                {
                    self.elapsed = self.elapsed.max(at);
                    self.time_out(process);
                }
                (Some(at), _) if at <= end => {
                    if let Some((at, what)) = self.queue.take() {
                        self.elapsed = at;
                        self.counts.happenings += 1;
                        self.happen(what);
                    }
                }
                _ => {
                    self.elapsed = end;
                    return;
                }
            }
        }
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<Duration> {
        let deadline = self.next_deadline().map(|(at, _)| at);
        deadline.into_iter().chain(self.queue.next_at()).min()
    }

    fn next_deadline(&self) -> Option<(Duration, Process)> {
        let since = |at: Instant| at.saturating_duration_since(self.start);
        let server = self
            .server
            .machine
            .as_ref()
            .and_then(|cloud| cloud.next_deadline());
        let mut first = server.map(|at| (since(at), Process::Server));
        for (index, link) in self.links.iter().enumerate() {
            let at = link
                .machine
                .as_ref()
                .and_then(|client| client.next_deadline());
            if let Some(at) = at.map(since)
                && first.is_none_or(|(before, _)| at < before)
            {
                first = Some((at, Process::Link(index)));
            }
        }
        first
    }

    fn time_out(&mut self, process: Process) {
        self.trace
            .line(self.elapsed, format_args!("{process:?} times out"));
        let (wall, now) = (self.wall(process), self.now());
        match process {
            Process::Server => {
                if let Some(cloud) = &mut self.server.machine {
                    cloud.handle_timeout(wall, now);
                    assert!(
                        cloud.next_deadline().is_none_or(|at| at > now),
                        "the server spins"
                    );
                }
                self.drain_server();
            }
            Process::Link(link) => {
                if let Some(client) = &mut self.links[link].machine {
                    client.handle_timeout(now);
                    assert!(
                        client.next_deadline().is_none_or(|at| at > now),
                        "a client spins"
                    );
                }
                self.drain_link(link);
            }
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Restart(Process::Server) => self.start_server(),
            Happening::Restart(Process::Link(link)) => self.start_link(link),
            Happening::JournalDoes(process, run, order) => self.journal_does(process, run, order),
            Happening::JournalAnswers(process, run, answer) => {
                self.journal_answers(process, run, answer);
            }
            Happening::RequestArrives(exchange, request) => {
                self.request_arrives(exchange, &request);
            }
            Happening::ResponseArrives(exchange, result) => self.response_arrives(exchange, result),
            Happening::NotificationArrives(attempt, request) => {
                self.notification_arrives(attempt, &request);
            }
            Happening::NotificationAnswered(attempt, result) => {
                self.notification_answered(attempt, result);
            }
            Happening::AskArrives(run, ask, request) => self.ask_arrives(run, ask, &request),
            Happening::AskAnswered(run, ask, answer) => self.ask_answered(run, ask, answer),
            Happening::Report(device) => self.report(device),
            Happening::Reconnect(device) => self.reconnect(device),
            Happening::Missed(device, generation) => self.missed(device, generation),
            Happening::Wake(account) => self.wake(account),
            Happening::TellGrantEnd(link, grant) => self.tell_grant_end(link, grant),
            Happening::Relink(link) => self.relink(link),
            Happening::Tend(link) => self.tend(link),
        }
    }

    /// Which run of a process this is; what belongs to an earlier one is void.
    pub fn run_of(&self, process: Process) -> u32 {
        match process {
            Process::Server => self.server.run,
            Process::Link(link) => self.links[link].run,
        }
    }

    pub fn crash(&mut self, process: Process) {
        self.counts.crashes += 1;
        self.trace
            .line(self.elapsed, format_args!("{process:?} crashes"));
        match process {
            Process::Server => self.stop_server(),
            Process::Link(link) => self.links[link].stop(),
        }
        let down = self.dice.pick(&[10, 1_000, 40_000]);
        let after = self.dice.milliseconds(1, down);
        self.plan(after, Happening::Restart(process));
    }

    /// 32 bytes that no run before has had.
    pub fn entropy(&self, process: Process, purpose: u8) -> [u8; 32] {
        let mut entropy = [purpose; 32];
        let place = match process {
            Process::Server => u64::MAX,
            Process::Link(link) => link as u64,
        };
        entropy[..8].copy_from_slice(&self.seed.to_le_bytes());
        entropy[8..16].copy_from_slice(&place.to_le_bytes());
        entropy[16..20].copy_from_slice(&self.run_of(process).to_le_bytes());
        entropy
    }
}
