//! What holds under every order of requests, replies, failures, restarts and time.

use std::time::Duration;

use proptest::prelude::*;
use provisioning_proto::model::*;
use provisioning_proto::registration::*;
use provisioning_proto::roster::{self, Roster};

use crate::harness::*;

/// Devices of the group, and one that is enrolled.
const DEVICES: [&str; 4] = ["sn-1", "sn-2", "sn-3", "dev-1"];

#[derive(Clone, Debug)]
enum Event {
    /// A device asks.
    Ask(usize),
    /// One of the open outputs is answered, well or not.
    Perform(prop::sample::Index, bool),
    /// The connection of a device goes away.
    Cancel(prop::sample::Index),
    /// The device is seen at its target.
    Seen(usize),
    Pass(u64),
    LeadTo(bool),
    Open(bool),
    Disable(bool),
    Retire(usize),
    Reset(usize),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let device = || 0..DEVICES.len();
    prop_oneof![
        6 => device().prop_map(Event::Ask),
        20 => (any::<prop::sample::Index>(), prop::bool::weighted(0.85)).prop_map(|(at, well)| Event::Perform(at, well)),
        1 => any::<prop::sample::Index>().prop_map(Event::Cancel),
        3 => device().prop_map(Event::Seen),
        3 => prop_oneof![Just(10_u64), Just(1000), Just(4000), Just(90_000_000)].prop_map(Event::Pass),
        2 => any::<bool>().prop_map(Event::LeadTo),
        1 => any::<bool>().prop_map(Event::Open),
        1 => any::<bool>().prop_map(Event::Disable),
        1 => device().prop_map(Event::Retire),
        1 => device().prop_map(Event::Reset),
        1 => Just(Event::Restart),
    ]
}

/// The world and what was asked of it.
struct Run {
    world: World,
    asked: Vec<(OperationId, Duration)>,
    answered: usize,
    largest: [u64; DEVICES.len()],
}

impl Run {
    fn new() -> Self {
        let mut world = World::furnished();
        world
            .set_group(|group| group.ids.max_devices = Some(2))
            .unwrap();
        world.enroll("dev-1", "12345678", |_| {}).unwrap();
        Self {
            world,
            asked: Vec::new(),
            answered: 0,
            largest: [0; DEVICES.len()],
        }
    }

    fn step(&mut self, event: &Event) {
        let world = &mut self.world;
        match event {
            Event::Ask(device) => {
                let id = DEVICES[*device];
                let principal = world
                    .by_secret(id, "12345678")
                    .or_else(|| world.by_group(id))
                    .or_else(|| world.by_secret(id, "a secret of its own"));
                if let Some(principal) = principal {
                    let operation = world.request(principal);
                    self.asked.push((operation, world.elapsed));
                }
            }
            Event::Perform(at, well) => {
                if !world.waiting.is_empty() {
                    let output = world.waiting.remove(at.index(world.waiting.len()));
                    world.perform(output, *well);
                }
            }
            Event::Cancel(at) => {
                if !self.asked.is_empty() {
                    let (operation, _) = self.asked[at.index(self.asked.len())];
                    let (wall, now) = (world.wall(), world.now());
                    world.machine.handle_cancel(operation, wall, now);
                    world.drain();
                }
            }
            Event::Seen(device) => {
                let id = DEVICES[*device];
                let generation = world
                    .registration(id)
                    .and_then(roster::Registration::current_generation);
                if let Some(generation) = generation {
                    let (wall, now) = (world.wall(), world.now());
                    let tenant = tenant_id("t");
                    world.machine.handle_target_seen(
                        &tenant,
                        &super::harness::device(id),
                        generation,
                        wall,
                        now,
                    );
                    world.drain();
                }
            }
            Event::Pass(millis) => world.pass(Duration::from_millis(*millis)),
            Event::LeadTo(a) => self.operator(&settings_lead(if *a { "a" } else { "b" })),
            Event::Open(open) => self.operator(&settings_point("b", *open)),
            Event::Disable(disabled) => {
                let mut entry = Entry::enabled();
                entry.enabled = !disabled;
                self.operator(&registration("dev-1", enroll(entry)));
            }
            Event::Retire(device) => {
                self.operator(&registration(DEVICES[*device], roster::Command::Retire));
            }
            Event::Reset(device) => {
                self.operator(&registration(DEVICES[*device], roster::Command::Reset));
            }
            Event::Restart => {
                world.restart();
                // Whoever waited is gone with the program.
                self.asked.clear();
                world.answers.clear();
                self.answered = 0;
            }
        }
        self.check();
    }

    fn operator(&mut self, command: &Command) {
        let (wall, now) = (self.world.wall(), self.world.now());
        let machine = &mut self.world.machine;
        machine.command(command.clone(), wall, now).unwrap();
        self.world.drain();
    }

    fn check(&mut self) {
        let world = &self.world;
        // I19, I20: nobody waits beyond the patience (a held answer is not asked for here).
        for (operation, since) in &self.asked {
            let waited = world.elapsed - *since;
            assert!(
                world.answers.contains_key(operation) || waited < world.config.patience,
                "{operation:?} waits since {waited:?}"
            );
        }
        let mut members = 0;
        for (place, id) in DEVICES.iter().enumerate() {
            let Some(known) = world.registration(id) else {
                continue;
            };
            // I05: one assignment, and a pending one only above it.
            if let Some(current) = &known.current {
                assert!(matches!(
                    current.state,
                    AssignmentState::Committed | AssignmentState::Confirmed
                ));
                // I17: the target of what a device may be told knows it.
                let point = current.target.access_point.as_str();
                assert!(
                    world.knows(point, id),
                    "{id} is told of {point}, which does not know it"
                );
                members += u32::from(current.group.is_some());
            }
            // I06: generations only rise.
            assert!(known.generation >= self.largest[place]);
            self.largest[place] = known.generation;
            assert!(known.previous.iter().all(|one| {
                known
                    .current
                    .as_ref()
                    .is_none_or(|current| current.target != one.target)
            }));
            assert!(
                !known.retired || known.current.is_none(),
                "I04: {id} is out of service"
            );
            assert!(known.records.len() <= 16);
        }
        // I26: the quota of the group.
        assert!(
            members <= 2,
            "{members} devices came in through a group of two"
        );
    }

    /// Nothing goes wrong any more: everything comes to rest, and what is stored is what is known.
    fn end(mut self) {
        for _ in 0..6 {
            self.world.settle();
            self.world.pass(Duration::from_secs(90_000));
        }
        self.world.settle();
        let world = &mut self.world;
        assert_eq!(world.machine.open_operations(), 0);
        for id in DEVICES {
            let Some(known) = world.registration(id) else {
                continue;
            };
            assert!(known.pending.is_none(), "{id} is left half-way");
            assert!(
                known.previous.is_empty(),
                "a former target of {id} was never told"
            );
            for point in ["a", "b"] {
                let belongs = known
                    .current
                    .as_ref()
                    .is_some_and(|current| current.target.access_point.as_str() == point);
                assert_eq!(world.knows(point, id), belongs, "{id} at {point}");
            }
        }
        // I44: what is stored gives what is known, byte for byte.
        for (stream, changes) in &world.journal {
            let slices = changes.iter().map(|change| &change[..]);
            let directory = world.machine.directory();
            match stream {
                StreamId::Roster(tenant, shard) => {
                    let replayed = Roster::replay(slices).unwrap().snapshot().unwrap();
                    let known = directory.roster(tenant, *shard).unwrap();
                    assert_eq!(replayed, known.snapshot().unwrap());
                    let restored = Roster::restore(roster::SNAPSHOT_FORMAT, &replayed).unwrap();
                    assert_eq!(&restored, known);
                }
                StreamId::Settings(tenant) => {
                    use provisioning_proto::tenant::{SNAPSHOT_FORMAT, Tenant};
                    let replayed = Tenant::replay(slices).unwrap().snapshot().unwrap();
                    let known = directory.tenant(tenant).unwrap();
                    assert_eq!(replayed, known.snapshot().unwrap());
                    assert_eq!(&Tenant::restore(SNAPSHOT_FORMAT, &replayed).unwrap(), known);
                }
            }
        }
    }
}

fn settings_lead(name: &str) -> Command {
    use provisioning_proto::allocation::{AllocationPolicy, Rule};
    let rule = Rule::Fixed {
        target: target(name),
    };
    Command::Settings {
        tenant: tenant_id("t"),
        command: provisioning_proto::tenant::Command::SetPolicy {
            policy: AllocationPolicy::new("p".parse().unwrap(), 0, rule),
            expected: Expected::Any,
        },
    }
}

fn settings_point(name: &str, accepts_new: bool) -> Command {
    let mut access_point = provisioning_proto::allocation::AccessPoint::new(point(name), name);
    access_point.accepts_new = accepts_new;
    Command::Settings {
        tenant: tenant_id("t"),
        command: provisioning_proto::tenant::Command::SetAccessPoint {
            point: access_point,
            expected: Expected::Any,
        },
    }
}

fn enroll(entry: Entry) -> roster::Command {
    let attestation = Attestation::SymmetricKey {
        primary: sealed(b"12345678"),
        secondary: None,
    };
    roster::Command::Enroll {
        enrollment: Enrollment::new(attestation, entry),
        expected: Expected::Any,
    }
}

fn registration(id: &str, command: roster::Command) -> Command {
    Command::Registration {
        tenant: tenant_id("t"),
        id: device(id),
        command,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_interleaving_keeps_the_invariants_and_comes_to_rest(
        events in prop::collection::vec(event(), 0..120),
    ) {
        let mut run = Run::new();
        for event in &events {
            run.step(event);
        }
        run.end();
    }

    /// The same inputs give the same outputs, also when they are drained late.
    #[test]
    fn the_machine_is_a_function_of_its_inputs(
        events in prop::collection::vec(event(), 0..60),
    ) {
        let logs: Vec<_> = (0..2).map(|_| {
            let mut run = Run::new();
            for event in &events {
                run.step(event);
            }
            (run.world.log, run.world.journal)
        }).collect();
        prop_assert_eq!(&logs[0].1, &logs[1].1);
        prop_assert_eq!(&logs[0].0, &logs[1].0);
    }
}
