//! The machine of registrations against a model: any requests, answers, failures, delays, commands and restarts, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use provisioning_proto::allocation::{AccessPoint, AllocationPolicy, Rule, Target};
use provisioning_proto::directory::{Evidence, Principal};
use provisioning_proto::model::{
    AssignmentState, Attestation, Derivation, Enrollment, EnrollmentGroup, Entry, Expected,
    GroupAttestation, IdRule, Rebind,
};
use provisioning_proto::mqtt::{GroupSecret, Mac, SignatureType, TimedMac, Window};
use provisioning_proto::registration::{
    AppendId, Command, CommandId, Config, OperationId, Output, RegistrationRequest, Registrations,
    Stored, StreamId,
};
use provisioning_proto::roster::{self, Roster};
use provisioning_proto::tenant::{self, Tenant};
use provisioning_proto::{RegistrationId, SealedSecret, Secret, TenantId};

/// The longest story that is played, in bytes.
const LONGEST: usize = 512;
/// How many rounds a machine that has nothing left to do may take to come to rest.
const ROUNDS: usize = 20_000;
/// Devices of the group, and one that is enrolled.
const DEVICES: [&str; 4] = ["sn-1", "sn-2", "sn-3", "dev-1"];
const POINTS: [&str; 2] = ["a", "b"];
const SECRET: &[u8] = b"12345678";
const OWN: &[u8] = b"a secret of its own";
const GROUP: [u8; 32] = [7; 32];
/// How many devices the group lets in.
const ROOM: u32 = 2;

fn tenant_id() -> TenantId {
    "t".parse().expect("a tenant")
}

fn device(place: usize) -> RegistrationId {
    DEVICES[place % DEVICES.len()].parse().expect("an id")
}

fn target(place: usize) -> Target {
    let point = POINTS[place % POINTS.len()].parse();
    Target::new(point.expect("an access point"), None)
}

fn sealed(bytes: &[u8]) -> SealedSecret {
    SealedSecret::new(bytes.to_vec()).expect("a sealed secret")
}

/// One cloud, its journal, and what the world outside knows.
struct World {
    machine: Registrations,
    start: Instant,
    elapsed: Duration,
    journal: BTreeMap<StreamId, Vec<Bytes>>,
    applied: BTreeMap<AppendId, u64>,
    waiting: Vec<Output>,
    /// Which devices each access point knows.
    known: BTreeSet<(String, RegistrationId)>,
    asked: BTreeMap<OperationId, Duration>,
    commands: BTreeSet<CommandId>,
    largest: [u64; DEVICES.len()],
    runs: u8,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            machine: Registrations::new(config(), [0; 32]),
            start: Instant::now(),
            elapsed: Duration::ZERO,
            journal: BTreeMap::new(),
            applied: BTreeMap::new(),
            waiting: Vec::new(),
            known: BTreeSet::new(),
            asked: BTreeMap::new(),
            commands: BTreeSet::new(),
            largest: [0; DEVICES.len()],
            runs: 0,
        };
        world.settings(tenant::Command::Create {
            name: "T".to_owned(),
        });
        world.point(0, true);
        world.point(1, true);
        world.settings(tenant::Command::AddScope("s".parse().expect("a scope")));
        world.lead_to(0);
        let attestation = GroupAttestation::GroupKey {
            primary: sealed(&GROUP),
            secondary: None,
            derivation: Derivation::IdAsKey,
        };
        let scope = "s".parse().expect("a scope");
        let mut group = EnrollmentGroup::new("G".to_owned(), scope, attestation, Entry::enabled());
        group.ids = IdRule::any();
        group.ids.max_devices = Some(ROOM);
        group.rebind = Rebind::Allow;
        world.settings(tenant::Command::SetGroup {
            group: "g".parse().expect("a group"),
            value: group,
            expected: Expected::Any,
        });
        world.settle();
        world.enroll(true);
        world.settle();
        world
    }

    fn times(&self) -> (SystemTime, Instant) {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.elapsed;
        (wall, self.start + self.elapsed)
    }

    fn command(&mut self, command: Command) {
        let (wall, now) = self.times();
        if let Ok(id) = self.machine.command(command, wall, now) {
            assert!(self.commands.insert(id), "a number is given twice");
        }
        self.drain();
    }

    fn settings(&mut self, command: tenant::Command) {
        let tenant = tenant_id();
        self.command(Command::Settings { tenant, command });
    }

    fn of_device(&mut self, place: usize, command: roster::Command) {
        let (tenant, id) = (tenant_id(), device(place));
        self.command(Command::Registration {
            tenant,
            id,
            command,
        });
    }

    fn point(&mut self, place: usize, accepts_new: bool) {
        let mut point = AccessPoint::new(target(place).access_point, "P");
        point.accepts_new = accepts_new;
        let expected = Expected::Any;
        self.settings(tenant::Command::SetAccessPoint { point, expected });
    }

    fn lead_to(&mut self, place: usize) {
        let rule = Rule::Fixed {
            target: target(place),
        };
        let policy = AllocationPolicy::new("p".parse().expect("a policy"), 0, rule);
        let expected = Expected::Any;
        self.settings(tenant::Command::SetPolicy { policy, expected });
    }

    fn enroll(&mut self, enabled: bool) {
        let mut entry = Entry::enabled();
        entry.enabled = enabled;
        let attestation = Attestation::SymmetricKey {
            primary: sealed(SECRET),
            secondary: None,
        };
        let enrollment = Enrollment::new(attestation, entry);
        let expected = Expected::Any;
        self.of_device(
            3,
            roster::Command::Enroll {
                enrollment,
                expected,
            },
        );
    }

    /// A device proves itself with whatever it has.
    fn principal(&self, place: usize) -> Option<Principal> {
        let (id, wall) = (device(place), self.times().0);
        let group = GroupSecret::new(GROUP.to_vec()).expect("a group's secret");
        let derived = Derivation::IdAsKey.derive(&group, &id);
        let own = |bytes: &[u8]| Secret::new(bytes).expect("a secret");
        let secrets = [(None, own(SECRET)), (Some("s"), derived), (None, own(OWN))];
        secrets.into_iter().find_map(|(scope, secret)| {
            let timestamp = "2027011508".parse().expect("an hour");
            let signature = SignatureType::Sha256;
            let mac = Mac::sign(signature, &timestamp, &secret);
            let evidence = Evidence::TimedMac {
                scope: scope.map(|scope: &str| scope.parse().expect("a scope")),
                id: id.clone(),
                mac: TimedMac::new(signature, timestamp, mac),
            };
            let candidates = self.machine.directory().candidates(&evidence, wall);
            candidates.iter().find_map(|candidate| {
                let open = |sealed: &SealedSecret| own(sealed.as_bytes());
                let opened: Vec<_> = candidate.secrets().map(|(_, _, one)| open(one)).collect();
                candidate.check(&evidence, &opened, Window::default(), wall)
            })
        })
    }

    fn ask(&mut self, place: usize, hold: bool) {
        let Some(principal) = self.principal(place) else {
            return;
        };
        let mut request = RegistrationRequest::new(principal);
        request.hold = hold;
        if request.principal.group().is_some() {
            request.fresh_secret = Some(sealed(OWN));
        }
        let (wall, now) = self.times();
        let operation = self.machine.handle_request(request, wall, now);
        let before = self.asked.insert(operation, self.elapsed);
        assert!(before.is_none(), "a number is given twice");
        self.drain();
    }

    /// Takes outputs over; each request and command ends once.
    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Answer { operation, .. } => {
                    assert!(self.asked.remove(&operation).is_some(), "two answers");
                }
                Output::Done { command, .. } => {
                    assert!(self.commands.remove(&command), "a command ends twice");
                }
                Output::Audit { .. } => {}
                other => self.waiting.push(other),
            }
        }
    }

    /// What concerns one device's targets is carried out in its order.
    fn take(&mut self, at: usize) -> Output {
        let of = |output: &Output| match output {
            Output::UpsertDevice { id, .. } | Output::RetireDevice { id, .. } => Some(id.clone()),
            _ => None,
        };
        let device = of(&self.waiting[at]);
        let mut all = self.waiting.iter();
        let first = all.position(|other| device.is_some() && of(other) == device);
        self.waiting.remove(first.unwrap_or(at))
    }

    fn perform(&mut self, output: Output, well: bool) {
        let (wall, now) = self.times();
        match output {
            Output::Append(append) => {
                let stream = self.journal.entry(append.stream.clone()).or_default();
                let stored = match self.applied.get(&append.id) {
                    Some(version) => Stored::Done { version: *version },
                    None if stream.len() as u64 == append.expected_version => {
                        stream.extend(append.changes);
                        let version = stream.len() as u64;
                        self.applied.insert(append.id, version);
                        Stored::Done { version }
                    }
                    None => Stored::Conflict,
                };
                let stored = if well { stored } else { Stored::Unknown };
                self.machine.handle_stored(append.id, stored, wall, now);
            }
            Output::Reload(stream) => self.load(&stream),
            Output::InvokeHook { exchange, .. } => {
                self.machine.handle_hook_reply(exchange, None, wall, now);
            }
            Output::UpsertDevice {
                exchange,
                id,
                assignment,
                ..
            } => {
                if well {
                    let point = assignment.target.access_point.to_string();
                    self.known.insert((point, id));
                }
                self.machine.handle_target_reply(exchange, well, wall, now);
            }
            Output::RetireDevice {
                exchange,
                id,
                assignment,
                ..
            } => {
                if well {
                    let point = assignment.target.access_point.to_string();
                    self.known.remove(&(point, id));
                }
                self.machine.handle_target_reply(exchange, well, wall, now);
            }
            Output::SignCsr { exchange, csr, .. } => {
                let certificate = well.then_some(csr);
                self.machine
                    .handle_issuer_reply(exchange, certificate, wall, now);
            }
            Output::Answer { .. } | Output::Done { .. } | Output::Audit { .. } => {
                unreachable!("these are taken over")
            }
        }
        self.drain();
    }

    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            if self.waiting.is_empty() {
                return;
            }
            let output = self.take(0);
            self.perform(output, true);
        }
        panic!("it does not come to rest");
    }

    fn pass(&mut self, time: Duration) {
        self.elapsed += time;
        let (wall, now) = self.times();
        self.machine.handle_timeout(wall, now);
        let deadline = self.machine.next_deadline();
        assert!(deadline.is_none_or(|at| at > now), "C5: it stays due");
        self.drain();
    }

    fn load(&mut self, stream: &StreamId) {
        let (wall, now) = self.times();
        let changes = self.journal.get(stream).cloned().unwrap_or_default();
        let version = changes.len() as u64;
        let slices = changes.iter().map(|change| &change[..]);
        let machine = &mut self.machine;
        match stream {
            StreamId::Settings(tenant) => {
                let settings = Tenant::replay(slices).expect("what was stored");
                machine.handle_loaded_tenant(tenant.clone(), settings, version, wall, now);
            }
            StreamId::Roster(tenant, shard) => {
                let roster = Roster::replay(slices).expect("what was stored");
                machine.handle_loaded_roster(tenant, *shard, roster, version, wall, now);
            }
        }
    }

    fn restart(&mut self) {
        self.runs = self.runs.wrapping_add(1);
        self.waiting.clear();
        self.asked.clear();
        self.commands.clear();
        self.machine = Registrations::new(config(), [self.runs; 32]);
        let streams: Vec<_> = self.journal.keys().cloned().collect();
        for stream in streams {
            self.load(&stream);
        }
        self.drain();
    }

    fn seen(&mut self, place: usize) {
        let (tenant, id) = (tenant_id(), device(place));
        let known = self.machine.directory().registration(&tenant, &id);
        if let Some(generation) = known.and_then(roster::Registration::current_generation) {
            let (wall, now) = self.times();
            self.machine
                .handle_target_seen(&tenant, &id, generation, wall, now);
            self.drain();
        }
    }

    /// One event of a story.
    fn play(&mut self, event: u8, argument: u8) {
        let place = usize::from(argument);
        let odd = argument & 0x10 != 0;
        match event % 16 {
            0..=2 => self.ask(place, odd),
            3..=7 => {
                if !self.waiting.is_empty() {
                    let output = self.take(place % self.waiting.len());
                    // Seven in eight go well.
                    self.perform(output, argument < 224);
                }
            }
            8 => self.seen(place),
            9 => self.pass(Duration::from_millis(
                [10, 1000, 4000, 90_000_000][place % 4],
            )),
            10 => self.lead_to(place),
            11 => match place % 4 {
                0 => self.point(1, odd),
                1 => self.enroll(odd),
                2 => self.of_device(place >> 2, roster::Command::Trigger),
                _ => self.of_device(
                    place >> 2,
                    roster::Command::Direct {
                        to: odd.then(|| target(place >> 5).access_point),
                    },
                ),
            },
            12 => match place % 8 {
                0 => self.of_device(place >> 3, roster::Command::Retire),
                1 | 2 => self.of_device(place >> 3, roster::Command::Reset),
                _ => {
                    let operation = self.asked.keys().nth(place % self.asked.len().max(1));
                    if let Some(operation) = operation.copied() {
                        self.machine.handle_subscribed(operation);
                        self.drain();
                    }
                }
            },
            13 => {
                let operation = self.asked.keys().nth(place % self.asked.len().max(1));
                if let Some(operation) = operation.copied() {
                    let (wall, now) = self.times();
                    self.machine.handle_cancel(operation, wall, now);
                    self.drain();
                }
            }
            14 if argument < 64 => self.restart(),
            _ => self.pass(Duration::from_millis(u64::from(argument))),
        }
        self.check();
    }

    fn check(&mut self) {
        let (patience, hold) = (config().patience, config().hold);
        // I19: nobody waits for ever.
        let waits = self.asked.values().map(|since| self.elapsed - *since);
        assert!(waits.into_iter().all(|waited| waited <= patience + hold));
        let mut members = 0;
        for (place, largest) in self.largest.iter_mut().enumerate() {
            let id = device(place);
            let directory = self.machine.directory();
            let Some(known) = directory.registration(&tenant_id(), &id) else {
                continue;
            };
            if let Some(current) = &known.current {
                assert!(matches!(
                    current.state,
                    AssignmentState::Committed | AssignmentState::Confirmed
                ));
                // I17: the target of what a device may be told knows it.
                let point = current.target.access_point.to_string();
                assert!(self.known.contains(&(point, id)), "I17");
                members += u32::from(current.group.is_some());
                assert!(!known.retired, "I04");
            }
            // I06: generations only rise.
            assert!(known.generation >= *largest, "I06");
            *largest = known.generation;
        }
        assert!(members <= ROOM, "I26");
    }

    /// Nothing goes wrong any more: everything comes to rest, and what is stored is what is known.
    fn end(mut self) {
        for _ in 0..6 {
            self.settle();
            self.pass(Duration::from_secs(90_000));
        }
        self.settle();
        assert_eq!(self.machine.open_operations(), 0);
        assert!(self.asked.is_empty() && self.commands.is_empty(), "C7");
        let directory = self.machine.directory();
        for (stream, changes) in &self.journal {
            let slices = changes.iter().map(|change| &change[..]);
            match stream {
                StreamId::Settings(tenant) => {
                    let replayed = Tenant::replay(slices).expect("what was stored");
                    assert_eq!(directory.tenant(tenant), Some(&replayed));
                }
                StreamId::Roster(tenant, shard) => {
                    let replayed = Roster::replay(slices).expect("what was stored");
                    assert_eq!(directory.roster(tenant, *shard), Some(&replayed));
                    let all = replayed.registrations().values();
                    assert!(all.into_iter().all(|known| known.pending.is_none()));
                }
            }
        }
    }
}

fn config() -> Config {
    let mut config = Config::default();
    (config.max_operations, config.max_waiters) = (3, 2);
    (config.max_commands, config.max_batch) = (8, 2);
    config
}

/// A story of two bytes an event.
pub fn machine(bytes: &[u8]) {
    let mut world = World::new();
    for event in bytes.chunks_exact(2).take(LONGEST / 2) {
        world.play(event[0], event[1]);
    }
    world.end();
}

/// A registration on its way between instances.
pub fn bundle(bytes: &[u8]) {
    use provisioning_proto::migration::{Bundle, Change, Plans, TransferFile};
    if let Ok(file) = TransferFile::decode(bytes) {
        assert_eq!(file.encode(), bytes);
        if let Ok(content) = file.open(|_, sealed| Ok(sealed.to_vec())) {
            let head = file.head().clone();
            let sealed = TransferFile::seal(head, &content, |_, plain| Ok(plain.to_vec()));
            let again = sealed.expect("what was opened can be sealed");
            let opened = again.open(|_, sealed| Ok(sealed.to_vec()));
            assert_eq!(opened.ok(), Some(content));
        }
    }
    if let Ok(bundle) = Bundle::decode(bytes) {
        let written = bundle.encode().expect("what was read can be written");
        assert_eq!(Bundle::decode(&written).as_ref().ok(), Some(&bundle));
        let same = bundle
            .clone()
            .resealed(|_, secret| Ok::<_, ()>(secret.clone()));
        assert_eq!(same.as_ref(), Ok(&bundle));
        let id = bundle.id.clone();
        let mut roster = Roster::default();
        let import = bundle.into_import(target(0));
        if let Ok(decision) = roster.decide(&id, import, SystemTime::UNIX_EPOCH) {
            for change in &decision.changes {
                roster.apply(change);
            }
            assert!(
                roster
                    .registration(&id)
                    .is_some_and(|known| known.current.is_some())
            );
        }
    }
    if let Ok(change) = Change::decode(bytes) {
        let mut plans = Plans::default();
        plans.apply(&change);
        let written = change.encode().expect("what was read can be written");
        assert_eq!(Change::decode(&written).ok(), Some(change));
    }
}
