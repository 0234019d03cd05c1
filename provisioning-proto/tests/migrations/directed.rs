//! A device that knows provisioning is moved from one access point to another.

use std::time::Duration;

use proptest::prelude::*;
use provisioning_proto::migration::{Output, Stage, Way};
use provisioning_proto::model::*;
use provisioning_proto::registration::{self, OperationId};
use provisioning_proto::roster;

use crate::harness::*;
use crate::mover::{DEVICE, Mover, SECRET};

#[derive(Clone, Debug)]
enum Event {
    /// One of the registration machine's outputs is done, well or not.
    Perform(prop::sample::Index, bool),
    /// One of the migration machine's outputs is done, or lost.
    Move(prop::sample::Index, bool),
    /// The device registers of its own accord.
    Ask,
    /// The device connects to where it believes it belongs.
    Connect,
    Pass(u64),
    Abort,
    Open(bool),
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        16 => (index(), prop::bool::weighted(0.85)).prop_map(|(at, well)| Event::Perform(at, well)),
        12 => (index(), prop::bool::weighted(0.85)).prop_map(|(at, well)| Event::Move(at, well)),
        1 => Just(Event::Ask),
        3 => Just(Event::Connect),
        4 => prop_oneof![Just(10_u64), Just(1000), Just(4000), Just(61_000), Just(1_000_000)].prop_map(Event::Pass),
        1 => Just(Event::Abort),
        1 => any::<bool>().prop_map(Event::Open),
        1 => Just(Event::Restart),
    ]
}

/// A cloud, its migrations and the device.
struct Run {
    world: World,
    mover: Mover,
    asked: Vec<OperationId>,
    /// Where the device believes that it belongs.
    belongs: String,
}

impl Run {
    fn new() -> Self {
        let mut config = registration::Config::default();
        config.grace = Duration::from_secs(100_000_000);
        let mut world = World::with(config);
        world.furnish();
        let never = |entry: &mut Entry| entry.reprovisioning = ReprovisioningPolicy::Never;
        world.enroll(DEVICE, SECRET, never).unwrap();
        let principal = world.by_secret(DEVICE, SECRET).unwrap();
        let answer = world.register(principal).unwrap();
        world.seen(DEVICE, answer.assignment.generation);
        let mut mover = Mover::new();
        mover.plan("a", Way::Direct { to: point("b") }, 2, &world);
        Self {
            world,
            mover,
            asked: Vec::new(),
            belongs: "a".to_owned(),
        }
    }

    fn ask(&mut self) {
        if let Some(principal) = self.world.by_secret(DEVICE, SECRET) {
            let operation = self.world.request(principal);
            self.asked.push(operation);
        }
    }

    fn connect(&mut self) {
        let known = self.world.registration(DEVICE);
        let current = known.and_then(|known| known.current.as_ref());
        let here = current.filter(|one| one.target.access_point.as_str() == self.belongs);
        if let Some(generation) = here.map(|one| one.generation)
            && self.world.knows(&self.belongs, DEVICE)
        {
            let (wall, now) = (self.world.wall(), self.world.now());
            let (tenant, id) = (Mover::tenant(), Mover::id());
            let machine = &mut self.world.machine;
            machine.handle_target_seen(&tenant, &id, generation, wall, now);
            self.world.drain();
        }
    }

    /// An output of the migration machine, but directions in their order: the last one counts.
    fn take(&mut self, at: usize) -> Output {
        let waiting = &mut self.mover.waiting;
        let directs = |output: &Output| matches!(output, Output::Direct { .. });
        let first = waiting.iter().position(directs);
        let at = first.filter(|_| directs(&waiting[at])).unwrap_or(at);
        waiting.remove(at)
    }

    fn do_move(&mut self, output: Output, well: bool) {
        match output {
            Output::Append(append) => self.mover.store(&append, well, &self.world),
            Output::Look { .. } if well => self.mover.look(&self.world),
            Output::Direct { tenant, id, to } if well => {
                let command = roster::Command::Direct { to: Some(to) };
                let command = registration::Command::Registration {
                    tenant,
                    id,
                    command,
                };
                let (wall, now) = (self.world.wall(), self.world.now());
                self.world.machine.command(command, wall, now).unwrap();
                self.world.drain();
            }
            Output::Trigger { .. } if well => self.ask(),
            Output::Look { .. } | Output::Direct { .. } | Output::Trigger { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn step(&mut self, event: &Event) {
        match event {
            Event::Perform(at, well) => {
                if !self.world.waiting.is_empty() {
                    let output = self.world.take(at.index(self.world.waiting.len()));
                    self.world.perform(output, *well);
                }
            }
            Event::Move(at, well) => {
                if !self.mover.waiting.is_empty() {
                    let output = self.take(at.index(self.mover.waiting.len()));
                    self.do_move(output, *well);
                }
            }
            Event::Ask => self.ask(),
            Event::Connect => self.connect(),
            Event::Pass(millis) => {
                self.world.pass(Duration::from_millis(*millis));
                self.mover.pass(&self.world);
            }
            Event::Abort => self.mover.abort(&self.world),
            Event::Open(open) => {
                let mut access_point =
                    provisioning_proto::allocation::AccessPoint::new(point("b"), "b");
                access_point.accepts_new = *open;
                let command = provisioning_proto::tenant::Command::SetAccessPoint {
                    point: access_point,
                    expected: Expected::Any,
                };
                let tenant = Mover::tenant();
                let command = registration::Command::Settings { tenant, command };
                let (wall, now) = (self.world.wall(), self.world.now());
                self.world.machine.command(command, wall, now).unwrap();
                self.world.drain();
            }
            Event::Restart => {
                self.world.restart();
                self.mover.restart(&self.world);
                self.asked.clear();
            }
        }
        for operation in &self.asked {
            if let Some(Ok(answer)) = self.world.answers.remove(operation) {
                self.belongs = answer.assignment.target.access_point.to_string();
            }
        }
        self.check();
    }

    /// I45: the device is reachable, and not only somewhere but where it believes that it belongs.
    fn check(&self) {
        assert!(
            self.world.knows(&self.belongs, DEVICE),
            "{} does not know the device, which is at {:?}",
            self.belongs,
            self.mover.stage()
        );
        let stage = self.mover.stage();
        let (a, b) = (self.world.knows("a", DEVICE), self.world.knows("b", DEVICE));
        match stage {
            Some(Stage::Prepared | Stage::Confirmed | Stage::Finished) => assert!(b),
            _ => assert!(a || b),
        }
        let secret = provisioning_proto::SealedSecret::new(SECRET.as_bytes().to_vec()).unwrap();
        let place = (point(&self.belongs), Mover::id());
        assert_eq!(self.world.secrets[&place], Some(secret));
    }

    /// Nothing goes wrong any more.
    fn end(mut self) {
        self.step(&Event::Open(true));
        for _ in 0..60 {
            self.world.settle();
            while !self.mover.waiting.is_empty() {
                let output = self.mover.waiting.remove(0);
                self.do_move(output, true);
                self.world.settle();
                self.step(&Event::Connect);
            }
            self.step(&Event::Connect);
            self.step(&Event::Pass(61_000));
        }
        self.mover.check_journal();
        let known = self.world.registration(DEVICE).unwrap();
        let current = known.current.as_ref().unwrap();
        let at = current.target.access_point.as_str();
        match self.mover.stage().unwrap() {
            Stage::Finished => {
                assert_eq!((at, self.belongs.as_str()), ("b", "b"));
                assert!(!self.world.knows("a", DEVICE));
            }
            Stage::Aborted => {
                assert_eq!((at, self.belongs.as_str()), ("a", "a"));
                assert!(!self.world.knows("b", DEVICE));
            }
            open => panic!("it ends {open:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_device_that_is_directed_is_reachable_in_every_interleaving(
        events in prop::collection::vec(event(), 0..120),
    ) {
        let mut run = Run::new();
        for event in &events {
            run.step(event);
        }
        run.end();
    }
}

#[test]
fn a_directed_device_is_triggered_and_its_old_target_forgets_it_last() {
    let mut run = Run::new();
    run.world.log.clear();
    let stages = {
        while !run.mover.waiting.is_empty() {
            let output = run.mover.waiting.remove(0);
            run.do_move(output, true);
            run.world.settle();
            run.step(&Event::Ask);
            run.world.settle();
            run.step(&Event::Connect);
            run.world.settle();
            run.step(&Event::Pass(31_000));
        }
        run.mover.stages.clone()
    };
    use Stage::{Begun, Confirmed, Finished, Planned, Prepared};
    assert!(stages.starts_with(&[Planned, Begun]));
    assert!(stages.ends_with(&[Confirmed, Finished]));
    assert!(stages.len() == 4 || stages[2] == Prepared);
    let place = |what: &str| run.world.log.iter().position(|line| line == what);
    let (told, retired) = (
        place("answer dev-1 b").unwrap(),
        place("retire dev-1 a").unwrap(),
    );
    assert!(place("upsert dev-1 b").unwrap() < told && told < retired);
    // Another policy moves it no more: an explicit migration outlasts them.
    run.world.lead_to("a");
    let principal = run.world.by_secret(DEVICE, SECRET).unwrap();
    let answer = run.world.register(principal).unwrap();
    assert_eq!(answer.assignment.target.access_point.as_str(), "b");
}

#[test]
fn a_migration_whose_time_is_over_brings_the_device_back() {
    let mut run = Run::new();
    // Its commitment is durable, but the device is not seen any more.
    while run.mover.stage() != Some(Stage::Prepared) {
        if run.mover.waiting.is_empty() {
            run.step(&Event::Pass(31_000));
        }
        let output = run.mover.waiting.remove(0);
        run.do_move(output, true);
        run.world.settle();
    }
    run.step(&Event::Pass(2 * 3600 * 1000));
    run.end();
}

#[test]
fn an_abort_lasts_until_the_device_that_was_told_of_the_new_place_is_back() {
    let mut run = Run::new();
    while run.belongs != "b" {
        if run.mover.waiting.is_empty() {
            run.step(&Event::Pass(31_000));
        }
        let output = run.mover.waiting.remove(0);
        run.do_move(output, true);
        run.world.settle();
        run.step(&Event::Pass(1));
    }
    run.step(&Event::Abort);
    while run.world.registration(DEVICE).unwrap().directed != Some(point("a")) {
        if run.mover.waiting.is_empty() {
            run.step(&Event::Pass(31_000));
        }
        let output = run.mover.waiting.remove(0);
        run.do_move(output, true);
        run.world.settle();
    }
    // It is called back, and the answer is lost with the program.
    run.ask();
    run.world.settle();
    run.step(&Event::Restart);
    run.mover.look(&run.world);
    assert_eq!(run.mover.stage(), Some(Stage::Aborting));
    assert_eq!(run.belongs, "b");
    run.end();
}
