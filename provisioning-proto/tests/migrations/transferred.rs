//! A device that knows nothing of provisioning goes from one instance to another with its registration.

use std::time::Duration;

use proptest::prelude::*;
use provisioning_proto::migration::{
    Alone, Bundle, FileContent, FileHead, News, Output, Purpose, Stage, TransferFile, Way,
};
use provisioning_proto::registration::{Command, CommandId};
use provisioning_proto::roster::{self, Registration};
use provisioning_proto::{Error, ErrorKind, TransferId};

use crate::harness::*;
use crate::mover::{DEVICE, Mover, SECRET};

const TRANSFER: &str = "00112233445566778899aabbccddeeff";

#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// One of an instance's outputs is done, well or not.
    Perform(bool, prop::sample::Index, bool),
    /// One of the migration machine's outputs is done, or lost.
    Move(prop::sample::Index, bool),
    /// A message arrives; it may arrive again, or is the last time that it does.
    Deliver(prop::sample::Index, bool),
    Lose(prop::sample::Index),
    /// The device's address leads to one of the instances.
    Turn(bool),
    Connect,
    Pass(u64),
    Abort,
    /// The operator ends an abort without the other instance.
    EndAlone,
    /// The operator lets a device go that both have.
    LetGo,
    Restart(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        12 => (any::<bool>(), index(), prop::bool::weighted(0.85)).prop_map(|(old, at, well)| Event::Perform(old, at, well)),
        12 => (index(), prop::bool::weighted(0.85)).prop_map(|(at, well)| Event::Move(at, well)),
        10 => (index(), prop::bool::weighted(0.7)).prop_map(|(at, last)| Event::Deliver(at, last)),
        1 => index().prop_map(Event::Lose),
        2 => any::<bool>().prop_map(Event::Turn),
        4 => Just(Event::Connect),
        3 => prop_oneof![Just(1000_u64), Just(31_000), Just(61_000), Just(3_600_000)].prop_map(Event::Pass),
        1 => Just(Event::Abort),
        1 => Just(Event::EndAlone),
        1 => Just(Event::LetGo),
        1 => any::<bool>().prop_map(Event::Restart),
    ]
}

/// What goes between the instances.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Offer(Vec<u8>),
    Ask,
    Withdraw,
    News(News),
    /// One of these in a file.
    File(Vec<u8>),
}

/// Two instances, the migrations of the old one, and the device.
pub(crate) struct Run {
    pub(crate) old: World,
    pub(crate) new: World,
    pub(crate) mover: Mover,
    pub(crate) wire: Vec<Message>,
    /// Whether the instances do not reach each other, and files are carried.
    files: bool,
    /// Commands of the new instance that are to be answered.
    taking: Vec<(CommandId, bool)>,
    /// Whether the device's address leads to the new instance.
    pub(crate) turned: bool,
}

pub(crate) fn transfer() -> TransferId {
    TRANSFER.parse().unwrap()
}

fn file(head: &FileHead, content: &FileContent) -> Message {
    let file = TransferFile::seal(head.clone(), content, seal).unwrap();
    Message::File(file.encode())
}

/// In a test the seal is what it is about, and nothing is hidden.
pub(crate) fn seal(about: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    Ok([about, plain].concat())
}

pub(crate) fn open(about: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    let plain = sealed.strip_prefix(about);
    plain
        .map(<[u8]>::to_vec)
        .ok_or_else(|| ErrorKind::Malformed.into())
}

pub(crate) fn head(purpose: Purpose) -> FileHead {
    FileHead {
        purpose,
        sender: [1; 32],
        receiver: [2; 32],
        tenant: Mover::tenant(),
        transfer: transfer(),
        device: Mover::id(),
        ends_at: 1_000,
    }
}

impl Run {
    pub(crate) fn send(&mut self, message: Message) {
        let carried = match message {
            message if !self.files => message,
            Message::Ask | Message::File(_) => panic!("{message:?} has no file"),
            Message::Offer(bytes) => {
                let bundle = Box::new(Bundle::decode(&bytes).unwrap());
                let content = FileContent::Registration(bundle);
                file(&head(Purpose::Registration), &content)
            }
            Message::Withdraw => file(&head(Purpose::Withdrawal), &FileContent::Withdrawal),
            Message::News(news) => {
                let answered = head(Purpose::Registration).receipt();
                file(&answered, &FileContent::Receipt(news))
            }
        };
        self.wire.push(carried);
    }

    pub(crate) fn new(files: bool) -> Self {
        let (mut old, new) = (World::furnished(), World::furnished());
        old.enroll(DEVICE, SECRET, |_| {}).unwrap();
        let principal = old.by_secret(DEVICE, SECRET).unwrap();
        let answer = old.register(principal).unwrap();
        old.seen(DEVICE, answer.assignment.generation);
        let mut mover = Mover::new();
        let way = Way::Transfer {
            transfer: transfer(),
            instance: "new".to_owned(),
        };
        mover.plan("a", way, 6, &old);
        Self {
            old,
            new,
            mover,
            wire: Vec::new(),
            files,
            taking: Vec::new(),
            turned: false,
        }
    }

    pub(crate) fn do_move(&mut self, output: Output, well: bool) {
        match output {
            Output::Append(append) => self.mover.store(&append, well, &self.old),
            _ if !well => {}
            Output::Look { .. } => self.mover.look(&self.old),
            // An offer that is taken in again is answered with what is true then.
            Output::Ask { transfer, id, .. } if self.files => {
                let (tenant, instance) = (Mover::tenant(), String::new());
                let offer = Output::Offer {
                    tenant,
                    id,
                    transfer,
                    instance,
                };
                self.do_move(offer, well);
            }
            Output::Offer { transfer, id, .. } => {
                // One that is done late finds nothing any more.
                let known = self.old.registration(DEVICE);
                let Some(bundle) = known.and_then(|known| Bundle::of(transfer, id, known)) else {
                    return;
                };
                let same = bundle.resealed(|_, sealed| Ok::<_, ErrorKind>(sealed.clone()));
                let bytes = same.unwrap().encode().unwrap();
                self.send(Message::Offer(bytes));
            }
            Output::Ask { .. } => self.send(Message::Ask),
            Output::Withdraw { .. } => self.send(Message::Withdraw),
            Output::Retire { .. } => self.command(true, roster::Command::Retire),
            other => panic!("{other:?}"),
        }
    }

    fn command(&mut self, old: bool, command: roster::Command) {
        let withdraws = matches!(command, roster::Command::Withdraw { .. });
        let world = if old { &mut self.old } else { &mut self.new };
        let command = Command::Registration {
            tenant: Mover::tenant(),
            id: Mover::id(),
            command,
        };
        let (wall, now) = (world.wall(), world.now());
        let id = world.machine.command(command, wall, now).unwrap();
        world.drain();
        if !old {
            self.taking.push((id, withdraws));
        }
    }

    pub(crate) fn deliver(&mut self, message: Message) {
        match message {
            Message::Offer(bytes) => {
                let bundle = Bundle::decode(&bytes).unwrap();
                self.command(false, bundle.into_import(target("b")));
                if self.files {
                    self.deliver(Message::Ask);
                }
            }
            Message::Ask => {
                let known = self.new.registration(DEVICE);
                if known.is_some_and(|known| known.was_seen_after(&transfer())) {
                    self.send(Message::News(News::Seen));
                }
            }
            Message::Withdraw => {
                let transfer = transfer();
                self.command(false, roster::Command::Withdraw { transfer });
            }
            Message::File(bytes) => {
                let file = TransferFile::decode(&bytes).unwrap();
                assert_eq!(file.encode(), bytes);
                self.deliver(match file.open(open).unwrap() {
                    FileContent::Registration(bundle) => Message::Offer(bundle.encode().unwrap()),
                    FileContent::Withdrawal => Message::Withdraw,
                    FileContent::Receipt(news) => Message::News(news),
                });
            }
            Message::News(news) => {
                let (tenant, id) = (Mover::tenant(), Mover::id());
                let (wall, now) = (self.old.wall(), self.old.now());
                let machine = &mut self.mover.machine;
                machine.handle_news(&tenant, &id, &transfer(), news, wall, now);
                self.mover.drain();
            }
        }
    }

    /// What came of the new instance's commands is said to the old one.
    pub(crate) fn tell(&mut self) {
        let new = &mut self.new;
        let mut told = Vec::new();
        self.taking.retain(|(id, withdraws)| {
            let Some(result) = new.done.remove(id) else {
                return true;
            };
            let news = match (withdraws, result) {
                (false, Ok(_)) => Some(News::Accepted),
                (false, Err(ErrorKind::Exists)) => Some(News::Refused),
                (true, Ok(_)) => Some(News::Withdrawn),
                (true, Err(ErrorKind::InUse)) => Some(News::Seen),
                (_, Err(_)) => None,
            };
            told.extend(news.map(Message::News));
            false
        });
        for news in told {
            self.send(news);
        }
    }

    fn connect(&mut self) {
        let (world, name) = match self.turned {
            true => (&mut self.new, "b"),
            false => (&mut self.old, "a"),
        };
        let generation = world
            .registration(DEVICE)
            .and_then(Registration::current_generation);
        if let Some(generation) = generation
            && world.knows(name, DEVICE)
        {
            let (wall, now) = (world.wall(), world.now());
            let (tenant, id) = (Mover::tenant(), Mover::id());
            world
                .machine
                .handle_target_seen(&tenant, &id, generation, wall, now);
            world.drain();
        }
    }

    pub(crate) fn step(&mut self, event: &Event) {
        match event {
            Event::Perform(old, at, well) => {
                let world = if *old { &mut self.old } else { &mut self.new };
                if !world.waiting.is_empty() {
                    let output = world.take(at.index(world.waiting.len()));
                    world.perform(output, *well);
                }
            }
            Event::Move(at, well) => {
                if !self.mover.waiting.is_empty() {
                    let at = at.index(self.mover.waiting.len());
                    let output = self.mover.waiting.remove(at);
                    self.do_move(output, *well);
                }
            }
            Event::Deliver(at, last) => {
                if !self.wire.is_empty() {
                    let at = at.index(self.wire.len());
                    let message = match last {
                        true => self.wire.remove(at),
                        false => self.wire[at].clone(),
                    };
                    self.deliver(message);
                }
            }
            Event::Lose(at) => {
                if !self.wire.is_empty() {
                    let at = at.index(self.wire.len());
                    self.wire.remove(at);
                }
            }
            Event::Turn(turned) => self.turned = *turned,
            Event::Connect => self.connect(),
            Event::Pass(millis) => {
                let time = Duration::from_millis(*millis);
                self.old.pass(time);
                self.new.pass(time);
                self.mover.pass(&self.old);
            }
            Event::Abort => self.mover.abort(&self.old),
            Event::EndAlone => self.mover.end_alone("new", &self.old),
            Event::LetGo => self.mover.let_go(&self.old),
            Event::Restart(true) => {
                self.old.restart();
                self.mover.restart(&self.old);
            }
            Event::Restart(false) => {
                self.new.restart();
                self.taking.clear();
            }
        }
        self.tell();
        self.check();
    }

    /// I45, whatever crashed and whatever was lost.
    fn check(&self) {
        let (old, new) = (self.old.knows("a", DEVICE), self.new.knows("b", DEVICE));
        match self.mover.stage() {
            Some(Stage::Prepared) => assert!(old && new),
            Some(Stage::Confirmed | Stage::Finished) => assert!(new),
            _ => assert!(old),
        }
        let secret = sealed(SECRET.as_bytes());
        for (world, name, known) in [(&self.old, "a", old), (&self.new, "b", new)] {
            if known {
                let place = (point(name), Mover::id());
                assert_eq!(world.secrets[&place].as_ref(), Some(&secret));
            }
        }
    }

    /// Nothing is lost any more, and the operator turns the address to where the device belongs. An operator who has ended an abort
    /// without the other instance takes the device back there when that can be asked again, and lets it go if it was seen there.
    fn end(mut self) {
        self.rest();
        if self.mover.alone() == Some(Alone::Unheard) {
            self.send(Message::Withdraw);
            self.rest();
            assert_ne!(self.mover.alone(), Some(Alone::Unheard));
        }
        let knows = |run: &Self| (run.old.knows("a", DEVICE), run.new.knows("b", DEVICE));
        if self.mover.stage() == Some(Stage::Aborted) && self.mover.alone() == Some(Alone::Seen) {
            assert_eq!(knows(&self), (true, true));
            self.mover.let_go(&self.old);
            self.rest();
            assert_eq!(self.mover.stage(), Some(Stage::Finished));
        }
        self.mover.check_journal();
        match self.mover.stage().unwrap() {
            Stage::Finished => assert_eq!(knows(&self), (false, true)),
            Stage::Aborted => assert_eq!(knows(&self), (true, false)),
            open => panic!("it ends {open:?}"),
        }
    }

    fn rest(&mut self) {
        for _ in 0..80 {
            self.old.settle();
            self.new.settle();
            self.tell();
            if let Some(stage) = self.mover.stage() {
                self.turned = matches!(stage, Stage::Prepared | Stage::Confirmed | Stage::Finished);
            }
            while !self.mover.waiting.is_empty() {
                let output = self.mover.waiting.remove(0);
                self.do_move(output, true);
            }
            while !self.wire.is_empty() {
                let message = self.wire.remove(0);
                self.deliver(message);
                self.new.settle();
                self.tell();
            }
            self.step(&Event::Connect);
            self.step(&Event::Pass(61_000));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn a_device_that_is_transferred_is_reachable_in_every_interleaving(
        files in any::<bool>(),
        events in prop::collection::vec(event(), 0..150),
    ) {
        let mut run = Run::new(files);
        for event in &events {
            run.step(event);
        }
        run.end();
    }

    /// The same inputs give the same outputs.
    #[test]
    fn migrations_are_a_function_of_their_inputs(
        events in prop::collection::vec(event(), 0..60),
    ) {
        let logs: Vec<_> = (0..2).map(|_| {
            let mut run = Run::new(false);
            for event in &events {
                run.step(event);
            }
            (run.mover.waiting, run.mover.stages, run.old.log, run.new.log)
        }).collect();
        prop_assert_eq!(&logs[0], &logs[1]);
    }
}

impl Run {
    /// The new instance knows the device, and the old one knows that it does.
    pub(crate) fn prepared() -> Self {
        let mut run = Self::new(false);
        run.reach(Stage::Prepared);
        run
    }

    /// Does all that is asked for, and delivers all that is said, until the migration is there.
    pub(crate) fn reach(&mut self, stage: Stage) {
        while self.mover.stage() != Some(stage) {
            self.round();
        }
    }

    pub(crate) fn end_as(mut self, stage: Stage) {
        for _ in 0..40 {
            self.round();
            self.step(&Event::Pass(61_000));
        }
        assert_eq!(self.mover.stage(), Some(stage));
    }

    fn round(&mut self) {
        while let Some(output) = self.mover.waiting.pop() {
            self.do_move(output, true);
            self.old.settle();
        }
        while let Some(message) = self.wire.pop() {
            self.deliver(message);
            self.new.settle();
            self.tell();
        }
    }
}
