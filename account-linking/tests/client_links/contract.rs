//! The machine contract: deterministic, drained at any time, always getting on, one end for every command, bounded,
//! and not to be upset by late, repeated or unknown answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use account_linking::client::{
    Config, Event, ExchangeId, Links, OperationId, Output, Start, TransportFailure,
};
use account_linking::{AccessToken, Append, AppendId, Appended, ErrorKind, Loaded, SecretBytes};
use bytes::Bytes;
use proptest::prelude::*;

use crate::world::{
    Disk, ISSUER, REDIRECT, TestSealer, browser, cloud, cloud_id, json, jwt, tokens, user,
};

/// Something that is told to the machine.
#[derive(Clone, Debug)]
enum Input {
    Start(&'static str, u8),
    Callback(&'static str, String),
    Token(&'static str, Option<AccessToken>),
    Unlink(&'static str),
    List(&'static str),
    Wake(String),
    Response(ExchangeId, http::Response<Bytes>),
    Failure(ExchangeId),
    Appended(AppendId, Appended),
    Loaded(String, Loaded),
    LoadFailed(String),
    Timeout,
}

fn machine(config: &Config, start: Instant) -> Links {
    let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    Links::new(
        config.clone(),
        [cloud()],
        Arc::new(TestSealer),
        SecretBytes::new([7; 32]),
        wall,
        start,
    )
    .unwrap()
}

fn tell(links: &mut Links, input: Input, now: Instant) -> Option<OperationId> {
    match input {
        Input::Start(name, entropy) => {
            let start = Start::new(user(name), cloud_id(), browser(1), "home");
            links
                .start(start, [entropy; 32], [entropy ^ 0xff; 32], now)
                .ok()
        }
        Input::Callback(name, query) => links
            .callback(&user(name), &browser(1), REDIRECT, &query, now)
            .ok(),
        Input::Token(name, rejected) => links.token(&user(name), &cloud_id(), rejected, now).ok(),
        Input::Unlink(name) => links.unlink(&user(name), &cloud_id(), now).ok(),
        Input::List(name) => links.list(&user(name), now).ok(),
        Input::Wake(stream) => {
            let _ = links.wake(&stream, now);
            None
        }
        Input::Response(exchange, response) => {
            links.handle_response(exchange, &response, now);
            None
        }
        Input::Failure(exchange) => {
            links.handle_failure(exchange, TransportFailure::Unknown, now);
            None
        }
        Input::Appended(id, appended) => {
            links.handle_appended(id, &appended, now);
            None
        }
        Input::Loaded(stream, loaded) => {
            links.handle_loaded(&stream, &loaded, now);
            None
        }
        Input::LoadFailed(stream) => {
            links.handle_load_failed(&stream, now);
            None
        }
        Input::Timeout => {
            links.handle_timeout(now);
            assert!(
                links.next_deadline().is_none_or(|next| next > now),
                "C5: no progress"
            );
            None
        }
    }
}

/// One run: a random world that answers, or does not, and what was told when.
struct Run {
    links: Links,
    disk: Disk,
    now: Instant,
    script: Vec<(Input, Instant)>,
    outputs: Vec<String>,
    sends: VecDeque<(ExchangeId, String)>,
    appends: VecDeque<Append>,
    loads: VecDeque<String>,
    states: Vec<String>,
    open: BTreeMap<OperationId, u32>,
    answered: Vec<Input>,
    tokens: u32,
    starts: u8,
}

impl Run {
    fn new(config: &Config, start: Instant) -> Self {
        Self {
            links: machine(config, start),
            disk: Disk::default(),
            now: start,
            script: Vec::new(),
            outputs: Vec::new(),
            sends: VecDeque::new(),
            appends: VecDeque::new(),
            loads: VecDeque::new(),
            states: Vec::new(),
            open: BTreeMap::new(),
            answered: Vec::new(),
            tokens: 0,
            starts: 0,
        }
    }

    fn tell(&mut self, input: Input) {
        self.script.push((input.clone(), self.now));
        if let Some(operation) = tell(&mut self.links, input, self.now) {
            self.open.insert(operation, 0);
        }
        while let Some(output) = self.links.poll_output() {
            self.outputs.push(whole(&output));
            match output {
                Output::Send { exchange, request } => self
                    .sends
                    .push_back((exchange, request.uri().path().to_owned())),
                Output::Append(append) => self.appends.push_back(append),
                Output::Load { stream } => self.loads.push_back(stream),
                Output::Snapshot { stream, snapshot } => {
                    self.disk.streams.get_mut(&stream).unwrap().snapshot = Some(snapshot);
                }
                Output::Event(event) => self.heard(&event),
            }
        }
        let deadline = self.links.next_deadline();
        assert!(self.links.poll_output().is_none());
        assert_eq!(
            self.links.next_deadline(),
            deadline,
            "C4: looking changes nothing"
        );
    }

    fn heard(&mut self, event: &Event) {
        if let Some(operation) = event.operation() {
            let ends = self
                .open
                .get_mut(&operation)
                .expect("C7: an end without a beginning");
            *ends += 1;
            assert_eq!(*ends, 1, "C7: a command ends once: {event:?}");
        }
        if let Event::Redirect { location, .. } = event {
            let state = location
                .url()
                .query_pairs()
                .find(|(name, _)| name == "state")
                .unwrap()
                .1
                .into_owned();
            self.states.push(state);
        }
    }

    fn step(&mut self, choice: u8, detail: u8) {
        let name = ["ann", "bob"][usize::from(detail & 1)];
        let input = match choice {
            0 => {
                self.starts = self.starts.wrapping_add(1);
                Some(Input::Start(name, self.starts))
            }
            1 | 2 => self
                .states
                .get(usize::from(detail) % self.states.len().max(1))
                .map(|state| Input::Callback(name, format!("code=c&state={state}&iss={ISSUER}"))),
            3 => {
                let rejected =
                    (detail & 2 == 0).then(|| AccessToken::new(jwt("u-1", self.tokens)).unwrap());
                Some(Input::Token(name, rejected))
            }
            4 if detail < 60 => Some(Input::Unlink(name)),
            4 => Some(Input::List(name)),
            5 => Some(Input::Wake(format!("links/{name}"))),
            6 | 7 => self
                .sends
                .pop_front()
                .map(|(exchange, path)| self.response(exchange, &path, detail)),
            8..=10 => self.appends.pop_front().map(|append| {
                let appended = match detail {
                    0..20 => Appended::Unknown,
                    20..30 => Appended::Fenced,
                    30..40 => Appended::Conflict {
                        stream: append.streams[0].stream.clone(),
                    },
                    _ => self.disk.append(&append),
                };
                Input::Appended(append.id, appended)
            }),
            11..=13 => self.loads.pop_front().map(|stream| match detail {
                0..20 => Input::LoadFailed(stream),
                _ => Input::Loaded(stream.clone(), self.disk.load(&stream)),
            }),
            14 => self
                .answered
                .get(usize::from(detail) % self.answered.len().max(1))
                .cloned(),
            _ => {
                self.now += Duration::from_secs(u64::from(detail) * u64::from(detail) / 8);
                Some(Input::Timeout)
            }
        };
        let Some(input) = input else {
            return;
        };
        if matches!(
            input,
            Input::Response(..) | Input::Failure(_) | Input::Appended(..) | Input::LoadFailed(_)
        ) {
            self.answered.push(input.clone());
        }
        self.tell(input);
    }

    fn response(&mut self, exchange: ExchangeId, path: &str, detail: u8) -> Input {
        self.tokens += 1;
        match (path, detail) {
            (_, 0..20) => Input::Failure(exchange),
            (_, 20..40) => Input::Response(exchange, json(503, "busy")),
            ("/token", 40..60) => {
                Input::Response(exchange, json(400, r#"{"error":"invalid_grant"}"#))
            }
            ("/token", _) => Input::Response(
                exchange,
                tokens(["u-1", "u-2"][usize::from(detail & 1)], self.tokens),
            ),
            _ => Input::Response(exchange, json(200, "{}")),
        }
    }
}

fn config() -> Config {
    let mut config = Config::new("home");
    config.snapshot_every = 3;
    config.max_attempts = 3;
    config
}

#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

/// All of an output; its `Debug` leaves the secrets out.
fn whole(output: &Output) -> String {
    match output {
        Output::Send { request, .. } => format!("{output:?} {request:?}"),
        Output::Event(Event::Redirect { location, .. }) => {
            format!("{output:?} {}", location.url())
        }
        other => format!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_run_keeps_the_contract(steps in prop::collection::vec((0_u8..16, any::<u8>()), 0..160)) {
        let begin = start();
        let mut run = Run::new(&config(), begin);
        for (choice, detail) in steps {
            run.step(choice, detail);
        }
        // C6 and C7: nobody answers any more, and still every command ends.
        for _ in 0..400 {
            let Some(at) = run.links.next_deadline() else { break };
            run.now = run.now.max(at);
            run.tell(Input::Timeout);
        }
        prop_assert!(run.open.values().all(|ends| *ends == 1), "a command without an end");
        let left = format!("{:?}", run.links);
        // Links go on being refreshed, so that requests may be under way; commands may not.
        prop_assert!(left.contains("operations: 0,"), "something leaks: {left}");

        // C2 and C3: the same inputs to another machine, drained only at the very end, give the same outputs.
        let mut other = machine(&config(), begin);
        for (input, at) in run.script {
            tell(&mut other, input, at);
        }
        let mut outputs = Vec::new();
        while let Some(output) = other.poll_output() {
            outputs.push(whole(&output));
        }
        prop_assert_eq!(run.outputs, outputs);
    }

    #[test]
    fn any_stored_change_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = account_linking::client::check_change(&bytes);
    }
}

#[test]
fn unknown_and_repeated_answers_are_ignored() {
    let begin = start();
    let mut run = Run::new(&config(), begin);
    run.tell(Input::Start("ann", 1));
    let stream = run.loads.pop_front().unwrap();
    let loaded = Input::Loaded(stream, Loaded::default());
    run.tell(loaded.clone());
    let append = run.appends.pop_front().unwrap();
    let done = Input::Appended(append.id, run.disk.append(&append));
    run.tell(done.clone());
    let outputs = run.outputs.len();
    for input in [
        done,
        loaded,
        Input::LoadFailed("links/ann".to_owned()),
        Input::LoadFailed("links/nobody".to_owned()),
    ] {
        run.tell(input);
    }
    assert_eq!(run.outputs.len(), outputs);
}

#[test]
fn time_that_goes_back_is_no_time() {
    let begin = start() + Duration::from_secs(1_000);
    let mut run = Run::new(&config(), begin);
    run.tell(Input::Start("ann", 1));
    run.now = begin.checked_sub(Duration::from_secs(500)).unwrap();
    run.tell(Input::Timeout);
    run.now = begin;
    assert_eq!(run.open.values().sum::<u32>(), 0, "nothing has timed out");
}

#[test]
fn what_is_over_a_cap_is_refused_and_changes_nothing() {
    let mut small = config();
    small.max_operations = 2;
    small.max_streams = 1;
    let now = start();
    let mut links = machine(&small, now);
    links.list(&user("ann"), now).unwrap();
    assert_eq!(
        links.list(&user("bob"), now).unwrap_err().kind(),
        ErrorKind::Full
    );
    links.list(&user("ann"), now).unwrap();
    assert_eq!(
        links.list(&user("ann"), now).unwrap_err().kind(),
        ErrorKind::Full
    );
    assert!(matches!(links.poll_output(), Some(Output::Load { .. })));
    assert!(links.poll_output().is_none());
}

#[test]
fn idle_users_make_room_for_others() {
    let mut small = config();
    small.max_streams = 3;
    let now = start();
    let mut links = machine(&small, now);
    for number in 0..50 {
        let name = user(&format!("user-{number}"));
        links.list(&name, now).unwrap();
        links.handle_loaded(&format!("links/{name}"), &Loaded::default(), now);
    }
    let mut listed = 0;
    while let Some(output) = links.poll_output() {
        listed += usize::from(matches!(output, Output::Event(Event::Links { .. })));
    }
    assert_eq!(listed, 50);
}

#[test]
fn a_wall_clock_that_is_set_back_revives_nothing() {
    let mut world = crate::world::World::new(crate::world::friendly("u-1"));
    let state = world.begin("ann");
    world.pass(Duration::from_secs(601));
    world.links.handle_clock(SystemTime::UNIX_EPOCH, world.now);
    world.agree("ann", &state);
    assert!(
        matches!(world.last(), Event::NotLinked { .. }),
        "{:?}",
        world.last()
    );
}
