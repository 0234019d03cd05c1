//! Registrations of new devices through the machine with a durable journal, and the same appends to the journal alone.
//!
//! 64 devices of a group ask at a time; what the machine wants stored at a moment becomes one commit, as a driver does it.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use journal::{Append, AppendId, Appended, Embedded, Journal as _, StreamAppend};
use provisioning_proto::allocation::AccessPoint;
use provisioning_proto::directory::{Evidence, Principal};
use provisioning_proto::model::{EnrollmentGroup, Entry, Expected, GroupAttestation, IdRule};
use provisioning_proto::mqtt::{Derivation, GroupSecret, Mac, SignatureType, TimedMac, Window};
use provisioning_proto::registration::{
    self, Command, Config, Output, RegistrationRequest, Registrations, Stored,
};
use provisioning_proto::{RegistrationId, SealedSecret, Secret, TenantId, tenant};

/// How many devices ask at a time.
const WAVE: u64 = 64;
const GROUP_SECRET: [u8; 32] = [7; 32];

/// What is stored in one commit: streams, and their changes.
type Commit = Vec<(String, Vec<Bytes>)>;

/// A machine on a journal of this folder, with one tenant and its group.
struct Cloud {
    machine: Registrations,
    store: Embedded,
    devices: u64,
    answered: u64,
    /// What was stored since it was emptied.
    commits: Vec<Commit>,
}

impl Cloud {
    fn new(path: &Path) -> Self {
        let mut cloud = Self {
            machine: Registrations::new(Config::default(), [3; 32]),
            store: Embedded::open(path).expect("a store"),
            devices: 0,
            answered: 0,
            commits: Vec::new(),
        };
        let point = AccessPoint::new("there".parse().expect("id"), "There");
        let mut entry = Entry::enabled();
        entry.access_point = Some(point.id.clone());
        let attestation = GroupAttestation::GroupKey {
            primary: sealed(&GROUP_SECRET),
            secondary: None,
            derivation: Derivation::IdAsKey,
        };
        let scope: provisioning_proto::ScopeId = "scope".parse().expect("id");
        let name = "Group".to_owned();
        let mut value = EnrollmentGroup::new(name, scope.clone(), attestation, entry);
        value.ids = IdRule::any();
        let (group, expected) = ("group".parse().expect("id"), Expected::Any);
        for command in [
            tenant::Command::Create {
                name: "Tenant".to_owned(),
            },
            tenant::Command::SetAccessPoint { point, expected },
            tenant::Command::AddScope(scope),
            tenant::Command::SetGroup {
                group,
                value,
                expected,
            },
        ] {
            let tenant = tenant_id();
            let command = Command::Settings { tenant, command };
            let taken = cloud.machine.command(command, wall(), Instant::now());
            taken.expect("the command is taken");
            cloud.settle();
        }
        cloud
    }

    /// As many devices as a wave has come for the first time.
    fn wave(&mut self) {
        self.commits.clear();
        let until = self.answered + WAVE;
        for _ in 0..WAVE {
            self.devices += 1;
            let id = format!("device-{:09}", self.devices);
            let principal = self.prove(&id.parse().expect("id"));
            let mut request = RegistrationRequest::new(principal);
            request.fresh_secret = Some(sealed(b"a secret of the device's own"));
            self.machine.handle_request(request, wall(), Instant::now());
        }
        self.settle();
        assert_eq!(self.answered, until, "everyone is assigned");
    }

    fn prove(&self, id: &RegistrationId) -> Principal {
        let group = GroupSecret::new(GROUP_SECRET.to_vec()).expect("a secret");
        let secret = Derivation::IdAsKey.derive(&group, id);
        let timestamp = "2027011508".parse().expect("a timestamp");
        let signature = SignatureType::Sha256;
        let mac = TimedMac::new(
            signature,
            timestamp,
            Mac::sign(signature, &timestamp, &secret),
        );
        let evidence = Evidence::TimedMac {
            scope: Some("scope".parse().expect("id")),
            id: id.clone(),
            mac,
        };
        let candidates = self.machine.directory().candidates(&evidence, wall());
        let proved = candidates.iter().find_map(|candidate| {
            let open = |sealed: &SealedSecret| Secret::new(sealed.as_bytes()).expect("a secret");
            let opened: Vec<_> = candidate.secrets().map(|(_, _, one)| open(one)).collect();
            candidate.check(&evidence, &opened, Window::default(), wall())
        });
        proved.expect("the device is let in")
    }

    /// Does what the machine asks for until it asks for nothing.
    fn settle(&mut self) {
        loop {
            let (mut appends, mut told) = (Vec::new(), false);
            while let Some(output) = self.machine.poll_output() {
                match output {
                    Output::Append(append) => appends.push(append),
                    Output::UpsertDevice { exchange, .. } => {
                        told = true;
                        let now = Instant::now();
                        self.machine
                            .handle_target_reply(exchange, true, wall(), now);
                    }
                    Output::Answer { result, .. } => {
                        result.expect("the device is assigned");
                        self.answered += 1;
                    }
                    Output::Done { result, .. } => drop(result.expect("the command is done")),
                    Output::Audit { .. } => {}
                    other => panic!("{other:?} is not expected"),
                }
            }
            if appends.is_empty() && !told {
                return;
            }
            self.store(&appends);
        }
    }

    fn store(&mut self, appends: &[registration::Append]) {
        if appends.is_empty() {
            return;
        }
        let part = |one: &registration::Append| {
            let part =
                StreamAppend::new(one.stream.name(), one.expected_version, one.changes.clone());
            Append::new(AppendId::new(one.id.to_bytes()), vec![part])
        };
        let batch: Vec<_> = appends.iter().map(part).collect();
        let stored = self.store.append_batch(&batch);
        for (append, stored) in appends.iter().zip(stored) {
            let Ok(Appended::Done { versions }) = stored else {
                panic!("{stored:?}");
            };
            let version = *versions.first().expect("one stream");
            let (stored, now) = (Stored::Done { version }, Instant::now());
            self.machine.handle_stored(append.id, stored, wall(), now);
        }
        let commit = appends
            .iter()
            .map(|one| (one.stream.name(), one.changes.clone()));
        self.commits.push(commit.collect());
    }
}

/// The journal alone, to which the appends of the last wave are made again.
struct Alone {
    store: Embedded,
    versions: BTreeMap<String, u64>,
    made: u128,
}

impl Alone {
    fn new(path: &Path) -> Self {
        Self {
            store: Embedded::open(path).expect("a store"),
            versions: BTreeMap::new(),
            made: 0,
        }
    }

    fn wave(&mut self, commits: &[Commit]) {
        for commit in commits {
            let batch: Vec<_> = commit
                .iter()
                .map(|(stream, changes)| {
                    self.made += 1;
                    // As random as an id of entropy, so that it falls anywhere in its tree.
                    let id = self
                        .made
                        .wrapping_mul(0xd134_2543_de82_ef95_0000_0000_0000_0001);
                    let version = self.versions.entry(stream.clone()).or_default();
                    let part = StreamAppend::new(stream, *version, changes.clone());
                    *version += changes.len() as u64;
                    Append::new(AppendId::new(id.to_be_bytes()), vec![part])
                })
                .collect();
            for stored in self.store.append_batch(&batch) {
                assert!(matches!(stored, Ok(Appended::Done { .. })), "{stored:?}");
            }
        }
    }
}

fn tenant_id() -> TenantId {
    "tenant".parse().expect("id")
}

fn sealed(bytes: &[u8]) -> SealedSecret {
    SealedSecret::new(bytes.to_vec()).expect("a secret")
}

/// 15 January 2027, 08:00, in whose hour the devices sign.
fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A folder on the disk of the build, not in memory as the system's temporary folder may be.
fn folder() -> PathBuf {
    let name = format!("registrations-bench-{}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn registrations(c: &mut Criterion) {
    let folder = folder();
    let mut cloud = Cloud::new(&folder.join("cloud.redb"));
    let mut alone = Alone::new(&folder.join("alone.redb"));
    cloud.wave();
    let commits = cloud.commits.clone();
    let changes: usize = commits
        .iter()
        .flatten()
        .map(|(_, changes)| changes.len())
        .sum();
    eprintln!(
        "{WAVE} registrations are {changes} changes in {} commits",
        commits.len()
    );
    let mut group = c.benchmark_group("registrations");
    group.sample_size(20);
    group.throughput(Throughput::Elements(WAVE));
    group.bench_function("machine and journal", |b| b.iter(|| cloud.wave()));
    group.bench_function("journal alone", |b| b.iter(|| alone.wave(&commits)));
    group.finish();
    let (ours, theirs) = in_turns(|| cloud.wave(), || alone.wave(&commits));
    let rate = |cost: Duration| WAVE as f64 / cost.as_secs_f64();
    eprintln!(
        "registrations: {:.0}/s; the journal alone: {:.0}/s; ratio {:.2}",
        rate(ours),
        rate(theirs),
        rate(ours) / rate(theirs),
    );
    drop((cloud, alone));
    fs::remove_dir_all(folder).expect("the folder goes");
}

/// The medians of both, each measured in turns.
fn in_turns(mut one: impl FnMut(), mut other: impl FnMut()) -> (Duration, Duration) {
    let time = |work: &mut dyn FnMut()| {
        let begun = Instant::now();
        work();
        begun.elapsed()
    };
    let mut times: Vec<_> = (0..25)
        .map(|_| (time(&mut one), time(&mut other)))
        .collect();
    times.sort_unstable_by_key(|(ours, _)| *ours);
    let ours = times.get(12).map(|(ours, _)| *ours).unwrap_or_default();
    times.sort_unstable_by_key(|(_, theirs)| *theirs);
    let theirs = times.get(12).map(|(_, theirs)| *theirs).unwrap_or_default();
    (ours, theirs)
}

criterion_group!(machine, registrations);
criterion_main!(machine);
