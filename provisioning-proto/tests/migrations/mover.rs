//! The machine of migrations with a journal in memory.

use std::time::Duration;

use bytes::Bytes;
use provisioning_proto::migration::*;
use provisioning_proto::registration::{AppendId, Stored};
use provisioning_proto::{AccessPointId, ErrorKind, RegistrationId, TenantId};

use crate::harness::*;

/// The device that is moved.
pub(crate) const DEVICE: &str = "dev-1";
pub(crate) const SECRET: &str = "12345678";

/// What the machine runs with.
pub(crate) struct Mover {
    pub(crate) machine: Migrations,
    config: Config,
    journal: Vec<Bytes>,
    applied: Vec<AppendId>,
    runs: u8,
    /// Outputs that wait to be done; appends among them.
    pub(crate) waiting: Vec<Output>,
    pub(crate) done: Vec<Result<(), ErrorKind>>,
    pub(crate) stages: Vec<Stage>,
}

impl Mover {
    pub(crate) fn new() -> Self {
        let mut config = Config::default();
        config.longest_retry = Duration::from_secs(60);
        Self {
            machine: Migrations::new(config.clone(), [0; 32]),
            config,
            journal: Vec::new(),
            applied: Vec::new(),
            runs: 0,
            waiting: Vec::new(),
            done: Vec::new(),
            stages: Vec::new(),
        }
    }

    pub(crate) fn tenant() -> TenantId {
        tenant_id("t")
    }

    pub(crate) fn id() -> RegistrationId {
        device(DEVICE)
    }

    pub(crate) fn migration(&self) -> Option<&Migration> {
        self.machine.plans(&Self::tenant())?.migration(&Self::id())
    }

    pub(crate) fn stage(&self) -> Option<Stage> {
        self.migration().map(|migration| migration.stage)
    }

    pub(crate) fn plan(&mut self, from: &str, way: Way, hours: u64, world: &World) {
        let from: AccessPointId = point(from);
        let mut plan = Plan::new(from, way);
        plan.patience = Duration::from_secs(hours * 3600);
        let (tenant, id) = (Self::tenant(), Self::id());
        let planned = self
            .machine
            .plan(&tenant, &id, plan, world.wall(), world.now());
        planned.unwrap();
        self.drain();
        let Output::Append(append) = self.waiting.remove(0) else {
            panic!("it is stored first");
        };
        self.store(&append, true, world);
    }

    pub(crate) fn abort(&mut self, world: &World) {
        let (tenant, id) = (Self::tenant(), Self::id());
        let begun = self.machine.abort(&tenant, &id, world.wall(), world.now());
        begun.unwrap();
        self.drain();
    }

    pub(crate) fn alone(&self) -> Option<Alone> {
        self.migration()?.alone
    }

    /// Where the next append waits.
    pub(crate) fn appends(&self) -> Option<usize> {
        let mut waiting = self.waiting.iter();
        waiting.position(|output| matches!(output, Output::Append(_)))
    }

    pub(crate) fn end_alone(&mut self, without: &str, world: &World) {
        let (tenant, id, without) = (Self::tenant(), Self::id(), without.to_owned());
        let (wall, now) = (world.wall(), world.now());
        let begun = self.machine.end_alone(&tenant, &id, without, wall, now);
        begun.unwrap();
        self.drain();
    }

    pub(crate) fn let_go(&mut self, world: &World) {
        let (tenant, id) = (Self::tenant(), Self::id());
        let begun = self.machine.let_go(&tenant, &id, world.wall(), world.now());
        begun.unwrap();
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Done { result, .. } => self.done.push(result),
                Output::Moved { stage, .. } => self.stages.push(stage),
                Output::Reload(_) => panic!("nobody else writes"),
                other => self.waiting.push(other),
            }
        }
    }

    /// The journal takes an append, and says so or not.
    pub(crate) fn store(&mut self, append: &Append, told: bool, world: &World) {
        assert_eq!(append.stream(), "provisioning/t/migrations");
        if !self.applied.contains(&append.id) {
            assert_eq!(append.expected_version, self.journal.len() as u64);
            self.applied.push(append.id);
            self.journal.extend(append.changes.iter().cloned());
        }
        let version = self.journal.len() as u64;
        let stored = match told {
            true => Stored::Done { version },
            false => Stored::Unknown,
        };
        let (wall, now) = (world.wall(), world.now());
        self.machine.handle_stored(append.id, stored, wall, now);
        self.drain();
    }

    pub(crate) fn look(&mut self, world: &World) {
        let registration = world.registration(DEVICE);
        let (tenant, id) = (Self::tenant(), Self::id());
        let (wall, now) = (world.wall(), world.now());
        self.machine
            .handle_registration(&tenant, &id, registration, wall, now);
        self.drain();
    }

    pub(crate) fn pass(&mut self, world: &World) {
        let (wall, now) = (world.wall(), world.now());
        self.machine.handle_timeout(wall, now);
        assert!(self.machine.next_deadline().is_none_or(|at| at > now));
        self.drain();
    }

    /// The program ends and begins again with what is in the journal.
    pub(crate) fn restart(&mut self, world: &World) {
        self.runs += 1;
        self.waiting.clear();
        self.machine = Migrations::new(self.config.clone(), [self.runs; 32]);
        let slices = self.journal.iter().map(|change| &change[..]);
        let plans = Plans::replay(slices).unwrap();
        let restored = Plans::restore(SNAPSHOT_FORMAT, &plans.snapshot().unwrap()).unwrap();
        let version = self.journal.len() as u64;
        let (wall, now) = (world.wall(), world.now());
        self.machine
            .handle_loaded(&Self::tenant(), restored, version, wall, now);
        self.drain();
    }

    /// What is known is what is stored.
    pub(crate) fn check_journal(&self) {
        let slices = self.journal.iter().map(|change| &change[..]);
        let replayed = Plans::replay(slices).unwrap();
        assert_eq!(self.machine.plans(&Self::tenant()), Some(&replayed));
    }
}
