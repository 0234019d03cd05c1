//! A cloud with one machine, a journal in memory, and targets that remember whom they know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use provisioning_proto::allocation::{AccessPoint, AllocationPolicy, Rule, Target};
use provisioning_proto::directory::{Evidence, Principal};
use provisioning_proto::model::*;
use provisioning_proto::mqtt::{Derivation, GroupSecret, Mac, SignatureType, TimedMac, Window};
use provisioning_proto::registration::*;
use provisioning_proto::roster::{self, Roster};
use provisioning_proto::tenant::{self, Tenant};
use provisioning_proto::{
    AccessPointId, ErrorKind, RegistrationId, SealedSecret, Secret, TenantId,
};

pub(crate) const GROUP_SECRET: [u8; 32] = [7; 32];

pub(crate) fn tenant_id(text: &str) -> TenantId {
    text.parse().unwrap()
}

pub(crate) fn device(text: &str) -> RegistrationId {
    text.parse().unwrap()
}

pub(crate) fn point(text: &str) -> AccessPointId {
    text.parse().unwrap()
}

pub(crate) fn target(text: &str) -> Target {
    Target::new(point(text), None)
}

pub(crate) fn sealed(bytes: &[u8]) -> SealedSecret {
    SealedSecret::new(bytes.to_vec()).unwrap()
}

/// One cloud.
pub(crate) struct World {
    pub(crate) machine: Registrations,
    pub(crate) config: Config,
    pub(crate) journal: BTreeMap<StreamId, Vec<Bytes>>,
    start: Instant,
    pub(crate) elapsed: Duration,
    /// Outputs that wait for an answer.
    pub(crate) waiting: Vec<Output>,
    pub(crate) answers: BTreeMap<OperationId, Result<Box<Answer>, Cause>>,
    pub(crate) done: BTreeMap<CommandId, Result<Reply, ErrorKind>>,
    pub(crate) records: Vec<(RegistrationId, Record)>,
    /// Which devices each access point knows.
    pub(crate) known: BTreeMap<AccessPointId, BTreeSet<RegistrationId>>,
    /// With which secret, as it was told last.
    pub(crate) secrets: BTreeMap<(AccessPointId, RegistrationId), Option<SealedSecret>>,
    /// What happened outside, in order.
    pub(crate) log: Vec<String>,
    applied: BTreeSet<AppendId>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    #[allow(clippy::disallowed_methods)]
    pub(crate) fn with(config: Config) -> Self {
        Self {
            machine: Registrations::new(config.clone(), [3; 32]),
            config,
            journal: BTreeMap::new(),
            start: Instant::now(),
            elapsed: Duration::ZERO,
            waiting: Vec::new(),
            answers: BTreeMap::new(),
            done: BTreeMap::new(),
            records: Vec::new(),
            known: BTreeMap::new(),
            secrets: BTreeMap::new(),
            log: Vec::new(),
            applied: BTreeSet::new(),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.start + self.elapsed
    }

    pub(crate) fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.elapsed
    }

    /// Takes outputs over; those that end something are kept by what they end.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Answer { operation, result } => {
                    self.log.push(match &result {
                        Ok(answer) => format!(
                            "answer {} {}",
                            answer.id, answer.assignment.target.access_point
                        ),
                        Err(cause) => format!("refusal {cause:?}"),
                    });
                    let before = self.answers.insert(operation, result);
                    assert!(before.is_none(), "two answers to one request");
                }
                Output::Done { command, result } => {
                    let before = self.done.insert(command, result);
                    assert!(before.is_none(), "a command ended twice");
                }
                Output::Audit { id, record, .. } => self.records.push((id, record)),
                other => self.waiting.push(other),
            }
        }
    }

    /// Takes one output; of those for a device's targets the oldest, because they are carried out in order.
    pub(crate) fn take(&mut self, at: usize) -> Output {
        let of = |output: &Output| match output {
            Output::UpsertDevice { id, .. } | Output::RetireDevice { id, .. } => Some(id.clone()),
            _ => None,
        };
        let device = of(&self.waiting[at]);
        let at = match device {
            Some(_) => self
                .waiting
                .iter()
                .position(|other| of(other) == device)
                .unwrap(),
            None => at,
        };
        self.waiting.remove(at)
    }

    /// Does what one output asks, and tells the machine.
    pub(crate) fn perform(&mut self, output: Output, well: bool) {
        let (wall, now) = (self.wall(), self.now());
        match output {
            Output::Append(append) => {
                let stream = self.journal.entry(append.stream.clone()).or_default();
                let version = stream.len() as u64;
                let stored = if self.applied.contains(&append.id) {
                    Stored::Done { version }
                } else if version == append.expected_version {
                    self.applied.insert(append.id);
                    stream.extend(append.changes);
                    let version = stream.len() as u64;
                    Stored::Done { version }
                } else {
                    Stored::Conflict
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
                secret,
                ..
            } => {
                let point = assignment.target.access_point.clone();
                if well {
                    self.log.push(format!("upsert {id} {point}"));
                    let secret = secret.map(|secret| secret.sealed);
                    self.secrets.insert((point.clone(), id.clone()), secret);
                    self.known.entry(point).or_default().insert(id);
                }
                self.machine.handle_target_reply(exchange, well, wall, now);
            }
            Output::RetireDevice {
                exchange,
                id,
                assignment,
                ..
            } => {
                let point = assignment.target.access_point.clone();
                if well {
                    self.log.push(format!("retire {id} {point}"));
                    self.known.entry(point).or_default().remove(&id);
                }
                self.machine.handle_target_reply(exchange, well, wall, now);
            }
            Output::SignCsr { exchange, csr, .. } => {
                let certificate = well.then_some(csr);
                self.machine
                    .handle_issuer_reply(exchange, certificate, wall, now);
            }
            Output::Answer { .. } | Output::Done { .. } | Output::Audit { .. } => unreachable!(),
        }
        self.drain();
    }

    /// Everything goes well until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        self.drain();
        while !self.waiting.is_empty() {
            let output = self.waiting.remove(0);
            self.perform(output, true);
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.elapsed += time;
        self.machine.handle_timeout(self.wall(), self.now());
        assert!(
            self.machine
                .next_deadline()
                .is_none_or(|at| at > self.now()),
            "a deadline was left behind"
        );
        self.drain();
    }

    pub(crate) fn load(&mut self, stream: &StreamId) {
        let (wall, now) = (self.wall(), self.now());
        let changes = self.journal.get(stream).cloned().unwrap_or_default();
        let version = changes.len() as u64;
        let slices = changes.iter().map(|change| &change[..]);
        match stream {
            StreamId::Settings(tenant) => {
                let settings = Tenant::replay(slices).unwrap();
                self.machine
                    .handle_loaded_tenant(tenant.clone(), settings, version, wall, now);
            }
            StreamId::Roster(tenant, shard) => {
                let roster = Roster::replay(slices).unwrap();
                self.machine
                    .handle_loaded_roster(tenant, *shard, roster, version, wall, now);
            }
        }
    }

    /// The program ends and begins again with what is in the journal.
    pub(crate) fn restart(&mut self) {
        self.waiting.clear();
        // Their numbers begin anew.
        self.answers.clear();
        self.done.clear();
        self.machine = Registrations::new(
            self.config.clone(),
            [u8::try_from(self.applied.len() % 251).unwrap(); 32],
        );
        let streams: Vec<_> = self.journal.keys().cloned().collect();
        for stream in streams {
            self.load(&stream);
        }
        self.drain();
    }

    pub(crate) fn command(&mut self, command: Command) -> Result<Reply, ErrorKind> {
        let id = self.machine.command(command, self.wall(), self.now())?;
        self.settle();
        self.done.remove(&id).expect("it ends")
    }

    pub(crate) fn settings(
        &mut self,
        tenant: &str,
        command: tenant::Command,
    ) -> Result<Reply, ErrorKind> {
        self.command(Command::Settings {
            tenant: tenant_id(tenant),
            command,
        })
    }

    pub(crate) fn of_device(
        &mut self,
        id: &str,
        command: roster::Command,
    ) -> Result<Reply, ErrorKind> {
        self.command(Command::Registration {
            tenant: tenant_id("t"),
            id: device(id),
            command,
        })
    }

    /// A tenant `t` with the access points `a` and `b`, a policy `p` that leads to `a`, and a group `g` in the scope `s`.
    pub(crate) fn furnished() -> Self {
        let mut world = Self::new();
        world.furnish();
        world
    }

    pub(crate) fn furnish(&mut self) {
        let create = tenant::Command::Create {
            name: "Tenant".to_owned(),
        };
        self.settings("t", create).unwrap();
        for name in ["a", "b"] {
            self.set_point(name, true);
        }
        let scope = tenant::Command::AddScope("s".parse().unwrap());
        self.settings("t", scope).unwrap();
        self.lead_to("a");
        self.set_group(|_| {}).unwrap();
    }

    pub(crate) fn set_point(&mut self, name: &str, accepts_new: bool) {
        let mut access_point = AccessPoint::new(point(name), name);
        access_point.accepts_new = accepts_new;
        let set = tenant::Command::SetAccessPoint {
            point: access_point,
            expected: Expected::Any,
        };
        self.settings("t", set).unwrap();
    }

    /// The tenant's one policy leads there from now on.
    pub(crate) fn lead_to(&mut self, name: &str) {
        let rule = Rule::Fixed {
            target: target(name),
        };
        let set = tenant::Command::SetPolicy {
            policy: AllocationPolicy::new("p".parse().unwrap(), 0, rule),
            expected: Expected::Any,
        };
        self.settings("t", set).unwrap();
    }

    pub(crate) fn set_group(
        &mut self,
        edit: impl FnOnce(&mut EnrollmentGroup),
    ) -> Result<Reply, ErrorKind> {
        let attestation = GroupAttestation::GroupKey {
            primary: sealed(&GROUP_SECRET),
            secondary: None,
            derivation: Derivation::IdAsKey,
        };
        let mut group = EnrollmentGroup::new(
            "Group".to_owned(),
            "s".parse().unwrap(),
            attestation,
            Entry::enabled(),
        );
        group.ids = IdRule::any();
        group.rebind = Rebind::Allow;
        edit(&mut group);
        let set = tenant::Command::SetGroup {
            group: "g".parse().unwrap(),
            value: group,
            expected: Expected::Any,
        };
        self.settings("t", set)
    }

    pub(crate) fn enroll(
        &mut self,
        id: &str,
        secret: &str,
        edit: impl FnOnce(&mut Entry),
    ) -> Result<Reply, ErrorKind> {
        let mut entry = Entry::enabled();
        edit(&mut entry);
        let attestation = Attestation::SymmetricKey {
            primary: sealed(secret.as_bytes()),
            secondary: None,
        };
        let enroll = roster::Command::Enroll {
            enrollment: Enrollment::new(attestation, entry),
            expected: Expected::Any,
        };
        self.of_device(id, enroll)
    }

    /// What a device with this secret presents.
    fn evidence(&self, scope: Option<&str>, id: &str, secret: &Secret) -> Evidence {
        let timestamp = "2027011508".parse().unwrap();
        let signature = SignatureType::Sha256;
        let mac = Mac::sign(signature, &timestamp, secret);
        Evidence::TimedMac {
            scope: scope.map(|scope| scope.parse().unwrap()),
            id: device(id),
            mac: TimedMac::new(signature, timestamp, mac),
        }
    }

    pub(crate) fn by_group(&self, id: &str) -> Option<Principal> {
        let group = GroupSecret::new(GROUP_SECRET.to_vec()).unwrap();
        let secret = Derivation::IdAsKey.derive(&group, &device(id));
        self.prove(&self.evidence(Some("s"), id, &secret))
    }

    pub(crate) fn by_secret(&self, id: &str, secret: &str) -> Option<Principal> {
        let secret = Secret::new(secret.as_bytes()).unwrap();
        self.prove(&self.evidence(None, id, &secret))
    }

    /// Opens the sealed secrets, which are not really sealed here, and checks.
    pub(crate) fn prove(&self, evidence: &Evidence) -> Option<Principal> {
        let wall = self.wall();
        let candidates = self.machine.directory().candidates(evidence, wall);
        candidates.iter().find_map(|candidate| {
            let open = |secret: &SealedSecret| Secret::new(secret.as_bytes()).unwrap();
            let opened: Vec<_> = candidate
                .secrets()
                .map(|(_, _, secret)| open(secret))
                .collect();
            candidate.check(evidence, &opened, Window::default(), wall)
        })
    }

    pub(crate) fn request(&mut self, principal: Principal) -> OperationId {
        let mut request = RegistrationRequest::new(principal);
        if request.principal.group().is_some() {
            request.fresh_secret = Some(sealed(b"a secret of its own"));
        }
        let (wall, now) = (self.wall(), self.now());
        let operation = self.machine.handle_request(request, wall, now);
        self.drain();
        operation
    }

    /// A whole registration in which everything goes well.
    pub(crate) fn register(&mut self, principal: Principal) -> Result<Box<Answer>, Cause> {
        let operation = self.request(principal);
        self.settle();
        self.answers.remove(&operation).expect("it is answered")
    }

    pub(crate) fn seen(&mut self, id: &str, generation: u64) {
        let (wall, now) = (self.wall(), self.now());
        self.machine
            .handle_target_seen(&tenant_id("t"), &device(id), generation, wall, now);
        self.settle();
    }

    pub(crate) fn registration(&self, id: &str) -> Option<&roster::Registration> {
        self.machine
            .directory()
            .registration(&tenant_id("t"), &device(id))
    }

    pub(crate) fn knows(&self, name: &str, id: &str) -> bool {
        let known = self.known.get(&point(name));
        known.is_some_and(|known| known.contains(&device(id)))
    }
}
