//! The contract of a machine, C2 to C8, under arbitrary steps.
#![cfg(feature = "dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/machine.rs"]
mod machine;
#[path = "support/plain.rs"]
mod plain;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::dtls::{HandshakeId, SessionId};
use coap_psk::{
    Code, Config, DeviceSecret, Endpoint, Event, ExchangeId, Instant, KeyBytes, Method,
    OfflineReason, Output, PskIdentity, PskKey, Request, Response,
};
use proptest::prelude::*;

use machine::Machine;
use plain::Plain;

#[derive(Clone, Debug)]
enum Step {
    Connect(u8),
    Datagram {
        from: u8,
        kind: u8,
        nonce: u8,
        body: Vec<u8>,
    },
    Message {
        session: u8,
        first: u8,
        code: u8,
        id: u8,
        tail: Vec<u8>,
    },
    Key {
        handshake: u8,
        known: bool,
    },
    Request {
        session: u8,
        len: u16,
        confirmable: bool,
        observe: bool,
    },
    Respond {
        exchange: usize,
        len: u16,
        observable: bool,
    },
    Cancel {
        exchange: usize,
    },
    Notify {
        session: u8,
        len: u16,
    },
    Announce {
        waiting: bool,
    },
    Close {
        session: u8,
    },
    Wait {
        millis: u32,
    },
    Back {
        millis: u32,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    let step = prop_oneof![
        1 => any::<u8>().prop_map(|peer| Step::Connect(peer % 3)),
        2 => (0..4_u8, 1..7_u8, 0..5_u8, bytes()).prop_map(|(from, kind, nonce, body)| Step::Datagram { from, kind, nonce, body }),
        6 => (1..5_u8, any::<u8>(), prop_oneof![0..8_u8, Just(0x44), Just(0x45), Just(0x5f), Just(0x80), any::<u8>()], 0..4_u8, bytes())
            .prop_map(|(session, first, code, id, tail)| Step::Message { session, first, code, id, tail }),
        2 => (1..5_u8, any::<bool>()).prop_map(|(handshake, known)| Step::Key { handshake, known }),
        3 => (1..5_u8, 0..3_000_u16, any::<bool>(), any::<bool>())
            .prop_map(|(session, len, confirmable, observe)| Step::Request { session, len, confirmable, observe }),
        3 => (0..8_usize, 0..3_000_u16, any::<bool>()).prop_map(|(exchange, len, observable)| Step::Respond { exchange, len, observable }),
        1 => (0..8_usize).prop_map(|exchange| Step::Cancel { exchange }),
        1 => (1..5_u8, 0..3_000_u16).prop_map(|(session, len)| Step::Notify { session, len }),
        1 => any::<bool>().prop_map(|waiting| Step::Announce { waiting }),
        1 => (1..5_u8).prop_map(|session| Step::Close { session }),
        3 => (0..120_000_u32).prop_map(|millis| Step::Wait { millis }),
        1 => (0..5_000_u32).prop_map(|millis| Step::Back { millis }),
    ];
    proptest::collection::vec(step, 0..60)
}

fn key() -> PskKey {
    DeviceSecret::new("M3yy874uGY8INjEGddTR")
        .unwrap()
        .key(KeyBytes::FromOne)
}

fn address(port: u8) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 1_000 + u16::from(port)).into()
}

struct Run {
    endpoint: Endpoint<Plain>,
    now: Instant,
    outputs: Vec<String>,
    begun: Vec<ExchangeId>,
    asked: Vec<ExchangeId>,
    ends: BTreeMap<ExchangeId, u32>,
    /// How often a session came online less how often it ended.
    online: BTreeMap<SessionId, i32>,
    silent: BTreeSet<SessionId>,
}

impl Run {
    fn new() -> Self {
        Self {
            endpoint: Endpoint::new(Config::default(), Plain::new(9), [5; 32]),
            now: Instant::from_micros(1),
            outputs: Vec::new(),
            begun: Vec::new(),
            asked: Vec::new(),
            ends: BTreeMap::new(),
            online: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    /// An endpoint with an accepted session (1) that handshakes in clear.
    fn online() -> Self {
        let mut run = Self::new();
        let identity = b"product,device,2,300";
        run.datagram(1, 1, 0, identity);
        run.endpoint
            .provide_key(HandshakeId(1), Some(key()), run.now);
        run.datagram(1, 3, 0, &[]);
        run.drain();
        run
    }

    fn datagram(&mut self, from: u8, kind: u8, nonce: u8, body: &[u8]) {
        let datagram = [&[kind][..], &u64::from(nonce).to_be_bytes(), body].concat();
        self.endpoint
            .handle_datagram(address(from), &datagram, self.now);
    }
}

impl Machine for Run {
    type Step = Step;

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Connect(peer) => {
                let identity: PskIdentity = format!("product,device-{peer},2,60").parse().unwrap();
                let _ = self.endpoint.connect(address(*peer), &identity, key(), now);
            }
            Step::Datagram {
                from,
                kind,
                nonce,
                body,
            } => self.datagram(*from, *kind, *nonce, body),
            Step::Message {
                session,
                first,
                code,
                id,
                tail,
            } => {
                let first = 0x40 | (first & 0x30) | ((first & 0xf).min(9) % 3);
                let message = [&[first, *code, 0, *id][..], tail].concat();
                self.datagram(1, 4, session - 1, &message);
            }
            Step::Key { handshake, known } => {
                self.endpoint
                    .provide_key(HandshakeId(u64::from(*handshake)), known.then(key), now);
            }
            Step::Request {
                session,
                len,
                confirmable,
                observe,
            } => {
                let mut request = Request::new(Method::Get, "/a")
                    .unwrap()
                    .with_payload(0, vec![1; usize::from(*len)]);
                request.confirmable = *confirmable;
                let session = SessionId(u64::from(*session));
                let begun = if *observe {
                    self.endpoint.observe(session, request, now)
                } else {
                    self.endpoint.request(session, request, now)
                };
                self.begun.extend(begun.ok());
            }
            Step::Respond {
                exchange,
                len,
                observable,
            } => {
                let Some(exchange) = self.asked.get(*exchange).copied() else {
                    return;
                };
                let mut response =
                    Response::new(Code::CONTENT).with_payload(0, vec![1; usize::from(*len)]);
                response.observable = *observable;
                self.endpoint.respond(exchange, response, now).unwrap();
            }
            Step::Cancel { exchange } => {
                if let Some(exchange) = self.begun.get(*exchange).copied() {
                    self.endpoint.cancel(exchange, now);
                }
            }
            Step::Notify { session, len } => {
                let response =
                    Response::new(Code::CONTENT).with_payload(0, vec![1; usize::from(*len)]);
                self.endpoint
                    .notify(SessionId(u64::from(*session)), "/", &response, now)
                    .unwrap();
            }
            Step::Announce { waiting } => {
                let identity: PskIdentity = "product,device,2,300".parse().unwrap();
                let command = waiting.then_some("/topic/sys/product/device/thing/service/x");
                // Without a session nothing can wait.
                let _ = self.endpoint.announce(identity.device(), command);
            }
            Step::Close { session } => self.endpoint.close(SessionId(u64::from(*session)), now),
            Step::Wait { millis } => {
                self.now = now.saturating_add(Duration::from_millis(u64::from(*millis)));
                self.endpoint.handle_timeout(self.now);
            }
            Step::Back { millis } => {
                let back = now.as_micros().saturating_sub(u64::from(*millis) * 1_000);
                self.endpoint.handle_timeout(Instant::from_micros(back));
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            self.outputs.push(format!("{output:?}"));
            match output {
                Output::Request { exchange, .. } => self.asked.push(exchange),
                Output::Event(
                    Event::Response { exchange, .. } | Event::Failed { exchange, .. },
                ) => {
                    *self.ends.entry(exchange).or_default() += 1;
                }
                Output::Event(Event::Online {
                    session, replaced, ..
                }) => {
                    if !self.silent.remove(&session) {
                        *self.online.entry(session).or_default() += 1;
                    }
                    if let Some(replaced) = replaced {
                        self.online.remove(&replaced);
                    }
                }
                Output::Event(Event::Offline {
                    session,
                    why: OfflineReason::Silent,
                    ..
                }) => assert!(self.silent.insert(session)),
                Output::Event(Event::Offline { session, .. }) => {
                    *self.online.entry(session).or_default() -= 1;
                }
                _ => {}
            }
        }
    }

    fn is_drained(&mut self) -> bool {
        self.endpoint.poll_output().is_none()
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.endpoint.next_deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
    }

    fn go_on_to(&mut self, now: Instant) {
        self.now = now;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// C2 and C4.
    #[test]
    fn the_same_steps_give_the_same_outputs(steps in steps()) {
        machine::same_steps_same_outputs(Run::online, &steps)?;
    }

    /// C3: draining late gives the same outputs in the same order.
    #[test]
    fn draining_late_is_correct(mut steps in steps()) {
        // An answer needs the id that only a drained output has.
        steps.retain(|step| !matches!(step, Step::Respond { .. }));
        let (mut eager, mut late) = (Run::online(), Run::online());
        for step in &steps {
            eager.take(step);
            eager.drain();
            late.take(step);
        }
        late.drain();
        prop_assert_eq!(eager.outputs, late.outputs);
    }

    /// C5.
    #[test]
    fn timeouts_make_progress(steps in steps()) {
        machine::timeouts_make_progress(Run::online(), &steps)?;
    }

    /// C6 and C7: with a driver that answers nothing more, every exchange of ours ends, once, and every session that came
    /// online goes offline.
    #[test]
    fn everything_ends_once(steps in steps()) {
        let mut run = machine::take_all(Run::online(), &steps);
        for session in 0..100 {
            run.endpoint.close(SessionId(session), run.now);
        }
        machine::run_out(&mut run, 10_000);
        prop_assert_eq!(run.endpoint.next_deadline(), None);
        for exchange in &run.begun {
            prop_assert_eq!(run.ends.get(exchange), Some(&1), "{:?}", exchange);
        }
        prop_assert_eq!(run.ends.len(), run.begun.len());
        // Offline alone is how a connection ends that was never established.
        prop_assert!(run.online.values().all(|balance| matches!(balance, 0 | -1)), "{:?}", run.online);
    }

    /// C6 without the sessions ending: requests that nobody answers fail by themselves.
    #[test]
    fn requests_fail_by_their_own_deadline(steps in steps()) {
        let mut run = Run::online();
        for step in &steps {
            // An observation goes on until its session ends.
            if !matches!(step, Step::Request { observe: true, .. } | Step::Message { .. }) {
                run.take(step);
                run.drain();
            }
        }
        machine::run_out(&mut run, 10_000);
        for exchange in &run.begun {
            prop_assert_eq!(run.ends.get(exchange), Some(&1), "{:?}", exchange);
        }
    }

    /// C8: answers that are late, repeated or about nothing are ignored.
    #[test]
    fn answers_about_nothing_change_nothing(steps in steps(), session in 50_u64..60) {
        let mut run = machine::take_all(Run::online(), &steps);
        let deadline = run.endpoint.next_deadline();
        run.endpoint.provide_key(HandshakeId(session), Some(key()), run.now);
        run.endpoint.close(SessionId(session), run.now);
        for exchange in run.begun.iter().filter(|exchange| run.ends.contains_key(exchange)) {
            run.endpoint.cancel(*exchange, run.now);
            run.endpoint.respond(*exchange, Response::new(Code::CONTENT), run.now).unwrap();
        }
        prop_assert!(run.endpoint.poll_output().is_none());
        prop_assert_eq!(run.endpoint.next_deadline(), deadline);
    }
}
