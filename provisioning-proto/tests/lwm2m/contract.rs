//! The contract that every machine keeps: C2 to C9, and invariants I41 to I43 over any sequence of steps.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use provisioning_proto::lwm2m::{
    BootstrapId, Bootstraps, Code, Config, ContentFormat, Event, ExchangeId, Incoming, Method,
    Missing, Output, PeerId, Request, RequestId, Response, TransportFailure,
};

use super::client::Client;
use super::world::{configuration, name};

#[derive(Clone, Debug)]
enum Step {
    /// A client asks; again when the flag says so.
    Ask {
        peer: u64,
        anew: bool,
        pack: bool,
    },
    /// The oldest question for a configuration is answered.
    Configure(bool),
    /// The oldest request is answered by the client, by a code, or not.
    Answer,
    AnswerWith(u8),
    Fail,
    /// One that was answered is answered again.
    Stale,
    Gone(u64),
    Pass(u64),
    Back,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u64, any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(peer, anew, pack)| Step::Ask { peer, anew, pack }),
        4 => prop::bool::weighted(0.9).prop_map(Step::Configure),
        12 => Just(Step::Answer),
        1 => any::<u8>().prop_map(Step::AnswerWith),
        1 => Just(Step::Fail),
        1 => Just(Step::Stale),
        1 => (0..3_u64).prop_map(Step::Gone),
        2 => (0..120_u64).prop_map(Step::Pass),
        1 => Just(Step::Back),
    ]
}

struct Run {
    machine: Bootstraps,
    now: Instant,
    clients: BTreeMap<PeerId, Client>,
    requests: u64,
    questions: VecDeque<BootstrapId>,
    open: VecDeque<(ExchangeId, PeerId, Request)>,
    answered: Vec<ExchangeId>,
    transcript: Vec<String>,
    begun: BTreeSet<BootstrapId>,
    ended: Vec<BootstrapId>,
    finishes: usize,
    finished: usize,
    /// Whose last bootstrap had a Write or Delete refused.
    refused: BTreeSet<PeerId>,
    confidential: bool,
    /// Whether outputs are taken at once.
    eager: bool,
}

impl Run {
    fn new(start: Instant, eager: bool, confidential: bool) -> Self {
        let mut config = Config::default();
        config.max_bootstraps = 2;
        config.packs = true;
        let client = |at| Client::new("1.1", ContentFormat::Tlv, at);
        Self {
            machine: Bootstraps::new(config),
            now: start,
            clients: (0..3)
                .map(|at| (PeerId(at), client(u16::try_from(at).unwrap())))
                .collect(),
            requests: 0,
            questions: VecDeque::new(),
            open: VecDeque::new(),
            answered: Vec::new(),
            transcript: Vec::new(),
            begun: BTreeSet::new(),
            ended: Vec::new(),
            finishes: 0,
            finished: 0,
            refused: BTreeSet::new(),
            confidential,
            eager,
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask { peer, anew, pack } => {
                let peer = PeerId(*peer);
                let mut request = self.clients[&peer].asks("client");
                if *pack {
                    request = Request::new(Method::Get, &["bspack"]);
                }
                self.requests += u64::from(*anew);
                let client = name(&format!("t{}", peer.0), "client");
                let incoming = Incoming {
                    id: RequestId(self.requests),
                    peer,
                    client,
                    confidential: self.confidential,
                    request: &request,
                };
                self.machine.handle_request(incoming, self.now);
            }
            Step::Configure(known) => {
                self.drain();
                if let Some(bootstrap) = self.questions.pop_front() {
                    self.machine.handle_configuration(
                        bootstrap,
                        known.then(configuration).ok_or(Missing::NotNow),
                        self.now,
                    );
                }
            }
            Step::Answer | Step::AnswerWith(_) | Step::Fail => {
                self.drain();
                let Some((exchange, peer, request)) = self.open.pop_front() else {
                    return;
                };
                let response = match step {
                    Step::AnswerWith(code) => Response::new(Code::from_byte(*code)),
                    _ => self.clients.get_mut(&peer).unwrap().answer(&request),
                };
                let writes = matches!(request.method, Method::Put | Method::Delete);
                if writes && (matches!(step, Step::Fail) || !response.code.is_success()) {
                    self.refused.insert(peer);
                }
                if matches!(step, Step::Fail) {
                    self.machine
                        .handle_failure(exchange, TransportFailure::TimedOut, self.now);
                } else {
                    self.machine.handle_response(exchange, &response, self.now);
                }
                self.answered.push(exchange);
            }
            Step::Stale => {
                if let Some(exchange) = self.answered.last().copied() {
                    // Nothing may come of it.
                    self.drain();
                    self.machine
                        .handle_response(exchange, &Response::new(Code::CHANGED), self.now);
                    assert!(self.machine.poll_output().is_none());
                }
            }
            Step::Gone(peer) => self.machine.handle_gone(PeerId(*peer), self.now),
            Step::Pass(seconds) => {
                self.now += Duration::from_secs(*seconds);
                self.machine.handle_timeout(self.now);
                // C5.
                assert!(
                    self.machine
                        .next_deadline()
                        .is_none_or(|deadline| deadline > self.now)
                );
            }
            Step::Back => self
                .machine
                .handle_timeout(self.now - Duration::from_secs(60)),
        }
        if self.eager {
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.machine.poll_output() {
            self.transcript.push(format!("{output:?}"));
            match output {
                Output::Configure {
                    bootstrap, client, ..
                } => {
                    // Its client is `client` of the tenant `t0`, `t1` or `t2`.
                    self.refused
                        .retain(|peer| name(&format!("t{}", peer.0), "client") != client);
                    self.questions.push_back(bootstrap);
                    assert!(self.begun.insert(bootstrap));
                }
                Output::Send {
                    exchange,
                    peer,
                    request,
                } => {
                    // I43: here everything to be written holds a key.
                    assert!(self.confidential);
                    self.finishes += usize::from(request.path == ["bs"]);
                    // I41: after that there is nothing more to be asked, least of all to finish.
                    assert!(!self.refused.contains(&peer), "{request:?}");
                    self.open.push_back((exchange, peer, request));
                }
                Output::Cancel { exchange } => {
                    self.open.retain(|(it, ..)| *it != exchange);
                    self.answered.push(exchange);
                }
                Output::Event(Event::Finished { bootstrap, .. }) => {
                    self.finished += 1;
                    self.ended.push(bootstrap);
                }
                Output::Event(
                    Event::Packed { bootstrap, .. } | Event::Failed { bootstrap, .. },
                ) => self.ended.push(bootstrap),
                Output::Event(_) | Output::Respond { .. } => {}
            }
        }
        // C9: one request of ours at a time for each.
        assert!(self.open.len() <= self.machine.len() && self.machine.len() <= 2);
    }

    /// C6 and C7: nobody answers any more, and everything ends once.
    fn end(mut self) -> Vec<String> {
        self.drain();
        while let Some(deadline) = self.machine.next_deadline() {
            self.now = self.now.max(deadline);
            self.machine.handle_timeout(self.now);
            self.drain();
        }
        assert!(self.machine.is_empty());
        assert_eq!(self.ended.len(), self.begun.len());
        assert_eq!(self.ended.into_iter().collect::<BTreeSet<_>>(), self.begun);
        assert!(self.finished <= self.finishes);
        for client in self.clients.values() {
            assert!(client.keeps_its_bootstrap_account());
        }
        self.transcript
    }
}

fn run(steps: &[Step], start: Instant, eager: bool, confidential: bool) -> Vec<String> {
    let mut run = Run::new(start, eager, confidential);
    for step in steps {
        run.take(step);
    }
    run.end()
}

proptest! {
    #[test]
    fn the_same_inputs_give_the_same_outputs_and_everything_ends_once(steps in prop::collection::vec(step(), 0..80), confidential: bool) {
        let start = Instant::now() + Duration::from_secs(3600);
        let first = run(&steps, start, true, confidential);
        // C2.
        prop_assert_eq!(&run(&steps, start, true, confidential), &first);
    }

    #[test]
    fn draining_late_changes_nothing(asks in prop::collection::vec((0..3_u64, any::<bool>(), 0..30_u64), 0..30)) {
        // Steps that do not depend on what came out before.
        let steps: Vec<_> = asks.iter().flat_map(|(peer, anew, pass)| [Step::Ask { peer: *peer, anew: *anew, pack: false }, Step::Pass(*pass)]).collect();
        let start = Instant::now() + Duration::from_secs(3600);
        prop_assert_eq!(run(&steps, start, false, true), run(&steps, start, true, true));
    }
}
