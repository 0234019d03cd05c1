//! The contract that every machine keeps: C2 to C8.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    dead_code,
    unreachable_pub,
    missing_docs
)]

#[path = "support/world.rs"]
mod world;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use proptest::prelude::*;
use uci_client::{Appended, Client, Event, Loaded, Output, SubscribeId, Target, TransportFailure};
use uci_model::api::{AccessToken, BatchFormat, retrieve_devices};
use uci_model::{EventTypes, SubscriptionLevel};
use world::{Turned, World, config, json, status};

/// Something that happens to the machine.
#[derive(Clone, Debug)]
enum Step {
    Call,
    Subscribe,
    Unsubscribe(usize),
    Resync,
    /// The next notification of a subscription, or one with a number too high.
    Notify(usize, u8),
    /// Whatever bytes as a notification.
    Noise(Vec<u8>),
    /// Answer the oldest open output well or badly.
    Answer(u8),
    /// Answer one that is long answered.
    Stale,
    Pass(u64),
    Back,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Call),
        2 => Just(Step::Subscribe),
        1 => (0..4_usize).prop_map(Step::Unsubscribe),
        1 => Just(Step::Resync),
        4 => (0..4_usize, 0..3_u8).prop_map(|(index, gap)| Step::Notify(index, gap)),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Step::Noise),
        12 => any::<u8>().prop_map(Step::Answer),
        1 => Just(Step::Stale),
        3 => (0..40_000_u64).prop_map(Step::Pass),
        1 => Just(Step::Back),
    ]
}

/// Drives one machine by steps and keeps a transcript of its outputs.
struct Run {
    world: World,
    open: VecDeque<Output>,
    answered: Vec<uci_client::ExchangeId>,
    transcript: Vec<String>,
    subscribed: Vec<SubscribeId>,
    calls: usize,
    start: Instant,
}

impl Run {
    fn new(start: Instant) -> Self {
        let mut world = World::with(config(), BTreeMap::new(), 1);
        world.client = Client::new(
            config(),
            "link/1",
            [1; 32],
            [2; 32],
            Arc::new(Turned),
            start,
        );
        world.now = start;
        let (open, answered, transcript) = (VecDeque::new(), Vec::new(), Vec::new());
        Self {
            world,
            open,
            answered,
            transcript,
            subscribed: Vec::new(),
            calls: 0,
            start,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.world.client.poll_output() {
            let whole = match &output {
                Output::Send { request, .. } => format!("{request:?}"),
                Output::Respond { response, .. } => format!("{response:?}"),
                _ => String::new(),
            };
            self.transcript.push(format!("{output:?} {whole}"));
            match output {
                Output::Event(event) => self.world.events.push(event),
                Output::Respond { .. } | Output::SaveSnapshot { .. } => {}
                output => self.open.push_back(output),
            }
        }
    }

    fn apply(&mut self, step: &Step) {
        let now = self.world.now;
        match step {
            Step::Call => {
                let request = retrieve_devices::Request::new(BatchFormat::Base);
                self.calls += usize::from(self.world.client.call(request, now).is_ok());
            }
            Step::Subscribe => {
                let types = EventTypes::all(SubscriptionLevel::Devices);
                self.subscribed.extend(
                    self.world
                        .client
                        .subscribe(Target::Devices, &types, now)
                        .ok(),
                );
            }
            Step::Unsubscribe(index) => {
                if let Some(id) = self.subscribed.get(*index) {
                    let _ = self.world.client.unsubscribe(*id, now);
                }
            }
            Step::Resync => self.world.client.resync(now),
            Step::Notify(index, gap) => {
                if let Some(kept) = self.world.cloud.subscriptions.get_mut(*index) {
                    kept.sequence += u64::from(*gap);
                    let request = self.world.signed(*index, "devices_online", Some("[]"));
                    self.world.cloud.subscriptions[*index].sequence += 1;
                    self.world
                        .client
                        .handle_request(&request, self.world.wall, now);
                }
            }
            Step::Noise(bytes) => {
                let request = Request::post("/")
                    .body(Bytes::copy_from_slice(bytes))
                    .unwrap();
                self.world
                    .client
                    .handle_request(&request, self.world.wall, now);
            }
            Step::Answer(how) => self.answer(*how),
            Step::Stale => {
                self.drain();
                for exchange in &self.answered {
                    self.world
                        .client
                        .handle_response(*exchange, &status(401), now);
                    self.world
                        .client
                        .handle_failure(*exchange, TransportFailure::NotSent, now);
                }
                let id = uci_client::AppendId::new([9; 16]);
                self.world
                    .client
                    .handle_appended(id, &Appended::Fenced, now);
                self.world
                    .client
                    .handle_loaded("other", &Loaded::default(), now);
                assert!(
                    self.world.client.poll_output().is_none(),
                    "a stale answer was heard"
                );
            }
            Step::Pass(millis) => {
                self.world.now += Duration::from_millis(*millis);
                self.timeout();
            }
            Step::Back => {
                let before = self.world.now.checked_sub(Duration::from_secs(3)).unwrap();
                self.world.client.handle_timeout(before);
                self.timeout();
            }
        }
    }

    /// C5: after a timeout nothing is due any more.
    fn timeout(&mut self) {
        let now = self.world.now;
        self.world.client.handle_timeout(now);
        assert!(
            self.world
                .client
                .next_deadline()
                .is_none_or(|deadline| deadline > now)
        );
        let outputs = self.world.client.next_deadline();
        self.world.client.handle_timeout(now);
        assert_eq!(
            self.world.client.next_deadline(),
            outputs,
            "an early timeout changed something"
        );
    }

    fn answer(&mut self, how: u8) {
        self.drain();
        let now = self.world.now;
        match self.open.pop_front() {
            Some(Output::Send { exchange, request }) => {
                self.answered.push(exchange);
                match how % 10 {
                    0 => self.world.client.handle_failure(
                        exchange,
                        TransportFailure::Interrupted,
                        now,
                    ),
                    1 => self
                        .world
                        .client
                        .handle_response(exchange, &status(401), now),
                    2 => self
                        .world
                        .client
                        .handle_response(exchange, &status(503), now),
                    3 => self
                        .world
                        .client
                        .handle_response(exchange, &json(200, "{"), now),
                    // As of a peer that does not support what it is asked for.
                    4 => self
                        .world
                        .client
                        .handle_response(exchange, &status(400), now),
                    5 => self
                        .world
                        .client
                        .handle_response(exchange, &status(405), now),
                    _ => {
                        let response = self.respond(&request);
                        self.world.client.handle_response(exchange, &response, now);
                    }
                }
            }
            Some(Output::NeedToken { .. }) if how.is_multiple_of(8) => {
                self.world.client.handle_token_failed(now);
            }
            Some(Output::NeedToken { .. }) => {
                let token = AccessToken::try_from("token".to_owned()).unwrap();
                self.world.client.handle_token(token, None, now);
            }
            Some(Output::Load { stream }) if how.is_multiple_of(8) => {
                self.world.client.handle_load_failed(&stream, now);
            }
            Some(Output::Load { stream }) => {
                let loaded = self.world.loaded(&stream);
                self.world.client.handle_loaded(&stream, &loaded, now);
            }
            Some(Output::Append(append)) => {
                let appended = match how % 8 {
                    0 => Appended::Unknown,
                    // As if another writer had come first and then taken its change back.
                    1 if !self.world.appended.iter().any(|(id, _)| *id == append.id) => {
                        let conflict = Appended::Conflict {
                            stream: "link/1".into(),
                        };
                        self.world.appended.push((append.id, conflict.clone()));
                        conflict
                    }
                    _ => self.world.append(&append),
                };
                self.world.client.handle_appended(append.id, &appended, now);
            }
            _ => {}
        }
    }

    fn respond(&mut self, request: &Request<Bytes>) -> Response<Bytes> {
        match request.method().as_str() {
            "POST" => {
                let id = self.world.cloud.keep(request);
                json(201, &format!(r#"{{"subscriptionId":"{id}"}}"#))
            }
            "DELETE" => status(202),
            _ => json(200, "[]"),
        }
    }
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "virtual time begins somewhere")]
    Instant::now()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn c2_the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 0..80)) {
        let start = start();
        let transcripts = [(); 2].map(|()| {
            let mut run = Run::new(start);
            for step in &steps {
                run.apply(step);
            }
            run.drain();
            run.transcript
        });
        prop_assert_eq!(&transcripts[0], &transcripts[1]);
    }

    #[test]
    fn c3_c4_draining_late_and_looking_often_change_nothing(
        before in prop::collection::vec(step(), 0..60),
        inputs in prop::collection::vec(step(), 0..20),
    ) {
        let start = start();
        let mut transcripts = Vec::new();
        for late in [false, true] {
            let mut run = Run::new(start);
            for step in &before {
                run.apply(step);
            }
            run.drain();
            run.transcript.clear();
            // An answer needs the output that it answers, and a stale one needs an empty queue.
            for step in inputs.iter().filter(|step| !matches!(step, Step::Answer(_) | Step::Stale)) {
                run.apply(step);
                if !late {
                    run.drain();
                    let _ = (run.world.client.next_deadline(), run.world.client.poll_output().is_none());
                }
            }
            run.drain();
            transcripts.push(run.transcript);
        }
        prop_assert_eq!(&transcripts[0], &transcripts[1]);
    }

    #[test]
    fn c5_c7_c8_every_command_ends_once_whatever_happens(steps in prop::collection::vec(step(), 0..120)) {
        let mut run = Run::new(start());
        for step in &steps {
            run.apply(step);
        }
        // From now on the world works, and the caller gives everything up.
        for _ in 0..2_000 {
            let _ = run.world.client.unsubscribe_all(run.world.now);
            run.drain();
            if run.open.is_empty() {
                let Some(deadline) = run.world.client.next_deadline() else { break };
                run.world.now = deadline;
                run.timeout();
            } else {
                run.answer(7);
            }
        }
        run.drain();
        prop_assert!(run.open.is_empty());
        let ended = |id: &SubscribeId| {
            let is = |event: &&Event| matches!(event, Event::Ended { id: over, .. } if over == id);
            run.world.events.iter().filter(is).count()
        };
        for id in &run.subscribed {
            prop_assert_eq!(ended(id), 1);
        }
        let mut calls = BTreeMap::<_, usize>::new();
        for event in &run.world.events {
            if let Event::Answered { call, .. } = event {
                *calls.entry(*call).or_default() += 1;
            }
        }
        prop_assert_eq!(calls.len(), run.calls);
        prop_assert!(calls.values().all(|count| *count == 1));
    }
}

#[test]
fn c6_a_driver_that_never_answers_leaks_nothing() {
    let mut run = Run::new(start());
    run.answer(7);
    for _ in 0..100 {
        run.apply(&Step::Call);
    }
    // Not one answer: neither token nor response.
    for _ in 0..400 {
        run.drain();
        run.open.clear();
        if let Some(deadline) = run.world.client.next_deadline() {
            run.world.now = deadline;
            run.timeout();
        }
    }
    let answered = |event: &&Event| matches!(event, Event::Answered { result: Err(_), .. });
    assert_eq!(run.world.events.iter().filter(answered).count(), 100);
    assert!(run.world.client.next_deadline().is_none());
}

#[test]
fn c9_limits_refuse_and_change_nothing() {
    let mut config = config();
    config.max_calls = 1;
    config.max_subscriptions = 1;
    let mut world = World::with(config, BTreeMap::new(), 1);
    world.wall = SystemTime::UNIX_EPOCH;
    world.cloud.script.extend([None, None]);
    let types = EventTypes::all(SubscriptionLevel::Devices);
    let request = || retrieve_devices::Request::new(BatchFormat::Base);
    world.client.call(request(), world.now).unwrap();
    world
        .client
        .subscribe(Target::Devices, &types, world.now)
        .unwrap();
    world.run();
    let changes = world.streams["link/1"].changes.len();
    let full = uci_client::ErrorKind::Full;
    assert_eq!(
        world.client.call(request(), world.now).unwrap_err().kind(),
        full
    );
    assert_eq!(
        world
            .client
            .subscribe(Target::Devices, &types, world.now)
            .unwrap_err()
            .kind(),
        full
    );
    world.run();
    assert_eq!(world.streams["link/1"].changes.len(), changes);
}
