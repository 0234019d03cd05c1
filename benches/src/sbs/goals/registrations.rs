//! Registrations of devices with a durable journal, beside the journal alone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Instant, SystemTime};

use journal::{Appended, Embedded, Journal, StreamAppend, Writer, WriterConfig};
use provisioning_proto::allocation::{AccessPoint, AllocationPolicy, Rule, Target};
use provisioning_proto::directory::Evidence;
use provisioning_proto::model::{EnrollmentGroup, Entry, Expected, GroupAttestation, IdRule};
use provisioning_proto::mqtt::{Derivation, GroupSecret, Mac, SignatureType, TimedMac, Window};
use provisioning_proto::registration::{
    AppendId, Command, Config, Output, RegistrationRequest, Registrations, Stored,
};
use provisioning_proto::tenant;
use provisioning_proto::{RegistrationId, SealedSecret, Secret, TenantId};

use super::journal::Folder;
use crate::durable::{appenders, ours};
use crate::sbs::world::wall;
use bench_harness::clock;
use bench_harness::{Limit, Run};

/// How many devices, and appenders, wait at a time.
const MANY: usize = 64;
/// How many appends a first registration makes one after the other: what is proposed, and what is committed.
const APPENDS: f64 = 2.0;
const GROUP_SECRET: [u8; 32] = [7; 32];

pub(super) fn durable(run: &mut Run) {
    let folder = Folder::new();
    let count = run.scaled(20 * MANY, 4);
    let (store, mut source) = ours(&folder.file("alone"), run.scaled(20_000, 100));
    let store = Arc::new(store);
    let mut service = Service::new(&folder);
    let [registrations, appends] = run.medians([
        Box::new(|| service.register(count)),
        Box::new(|| appenders(&store, &mut source, MANY, count).rate),
    ]);
    // Two appends one after the other: half the journal's own rate is all there is.
    run.row(
        "first registrations of a group's devices, 64 at a time, and half of the journal's appends of 64 appenders",
        "/s",
        (registrations, appends / APPENDS),
        Limit::AtLeast(0.8),
    );
}

/// What the journal answered.
type Told = (AppendId, Stored);

/// The machine and its journal.
struct Service {
    machine: Registrations,
    writer: Writer,
    tell: Sender<Told>,
    told: Receiver<Told>,
    began: Instant,
    tenant: TenantId,
    devices: usize,
    under_way: usize,
    commanded: bool,
}

impl Service {
    fn new(folder: &Folder) -> Self {
        let store = Embedded::open(folder.file("provisioning")).expect("a store");
        let journal: Arc<dyn Journal> = Arc::new(store);
        let (tell, told) = channel();
        let mut service = Self {
            machine: Registrations::new(Config::default(), [3; 32]),
            writer: Writer::start(journal, WriterConfig::default()).expect("a writer"),
            tell,
            told,
            began: tokio::time::Instant::now().into_std(),
            tenant: "factory".parse().expect("a tenant"),
            devices: 0,
            under_way: 0,
            commanded: false,
        };
        service.furnish();
        service
    }

    /// A tenant with an access point, a policy that leads to it, and a group whose devices nobody listed.
    fn furnish(&mut self) {
        let point: provisioning_proto::AccessPointId = "here".parse().expect("an access point");
        let target = Target::new(point.clone(), None);
        let attestation = GroupAttestation::GroupKey {
            primary: SealedSecret::new(GROUP_SECRET.to_vec()).expect("a secret"),
            secondary: None,
            derivation: Derivation::default(),
        };
        let scope: provisioning_proto::ScopeId = "scope".parse().expect("a scope");
        let mut group = EnrollmentGroup::new(
            "Group".to_owned(),
            scope.clone(),
            attestation,
            Entry::enabled(),
        );
        group.ids = IdRule::any();
        for command in [
            tenant::Command::Create {
                name: "Factory".to_owned(),
            },
            tenant::Command::SetAccessPoint {
                point: AccessPoint::new(point, "Here"),
                expected: Expected::Any,
            },
            tenant::Command::AddScope(scope),
            tenant::Command::SetPolicy {
                policy: AllocationPolicy::new(
                    "policy".parse().expect("a policy"),
                    0,
                    Rule::Fixed { target },
                ),
                expected: Expected::Any,
            },
            tenant::Command::SetGroup {
                group: "group".parse().expect("a group"),
                value: group,
                expected: Expected::Any,
            },
        ] {
            let tenant = self.tenant.clone();
            let command = Command::Settings { tenant, command };
            let (wall, now) = self.moment();
            self.machine.command(command, wall, now).expect("a command");
            self.commanded = false;
            while !self.commanded {
                self.step();
            }
        }
    }

    fn moment(&self) -> (SystemTime, Instant) {
        let now = tokio::time::Instant::now().into_std();
        (wall() + now.duration_since(self.began), now)
    }

    /// First registrations in a second.
    fn register(&mut self, count: usize) -> f64 {
        let began = clock::wall();
        let mut left = count;
        while left > 0 || self.under_way > 0 {
            if left > 0 && self.under_way < MANY {
                left -= 1;
                self.ask();
            } else {
                self.step();
            }
        }
        count as f64 / (clock::wall() - began) as f64 * 1e9
    }

    /// One more device proves that it is of the group, and asks.
    fn ask(&mut self) {
        let (wall, now) = self.moment();
        self.devices += 1;
        let id: RegistrationId = format!("device-{:08}", self.devices)
            .parse()
            .expect("an id");
        let group = GroupSecret::new(GROUP_SECRET.to_vec()).expect("a secret");
        let secret = Derivation::default().derive(&group, &id);
        let (signature, timestamp) = (SignatureType::Sha256, "2027011508".parse().expect("a time"));
        let mac = Mac::sign(signature, &timestamp, &secret);
        let evidence = Evidence::TimedMac {
            scope: Some("scope".parse().expect("a scope")),
            id,
            mac: TimedMac::new(signature, timestamp, mac),
        };
        let candidates = self.machine.directory().candidates(&evidence, wall);
        let candidate = candidates.first().expect("a candidate");
        let opened: Vec<_> = candidate
            .secrets()
            .map(|(_, _, secret)| Secret::new(secret.as_bytes()).expect("a secret"))
            .collect();
        let principal = candidate
            .check(&evidence, &opened, Window::default(), wall)
            .expect("the right secret");
        let mut request = RegistrationRequest::new(principal);
        let own = SealedSecret::new(b"a secret of its own".to_vec());
        request.fresh_secret = Some(own.expect("a secret"));
        self.machine.handle_request(request, wall, now);
        self.under_way += 1;
    }

    /// Carries out what the machine asks for, and waits for the journal when there is nothing.
    fn step(&mut self) {
        let (wall, now) = self.moment();
        let Some(output) = self.machine.poll_output() else {
            let (append, stored) = self.told.recv().expect("an answer");
            return self.machine.handle_stored(append, stored, wall, now);
        };
        match output {
            Output::Append(append) => {
                let (id, tell) = (append.id, self.tell.clone());
                let part = StreamAppend::new(
                    append.stream.name(),
                    append.expected_version,
                    append.changes,
                );
                let named = journal::AppendId::new(id.to_bytes());
                let append = journal::Append::new(named, vec![part]);
                self.writer.append(append, move |answer| {
                    let Ok(Appended::Done { versions }) = answer else {
                        panic!("{answer:?}")
                    };
                    let version = *versions.first().expect("a version");
                    // The bench may have ended.
                    let _ = tell.send((id, Stored::Done { version }));
                });
            }
            Output::UpsertDevice { exchange, .. } | Output::RetireDevice { exchange, .. } => {
                self.machine.handle_target_reply(exchange, true, wall, now);
            }
            Output::Answer { result, .. } => {
                result.expect("an answer");
                self.under_way -= 1;
            }
            Output::Done { result, .. } => {
                result.expect("it is done");
                self.commanded = true;
            }
            Output::Audit { .. } => {}
            other => panic!("nothing asks for {other:?}"),
        }
    }
}
