//! The contract of a machine, C2 to C8, for a connection over TCP under arbitrary steps.
#![cfg(feature = "tcp")]
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

use std::collections::BTreeMap;
use std::time::Duration;

use coap_psk::message::{Kind, Message, Token};
use coap_psk::tcp::{Config, Connection, Event, ExchangeId, Output, Release, frame};
use coap_psk::{CoapOption, Code, Instant, Method, Request, Response, option};
use proptest::prelude::*;

use machine::Machine;

#[derive(Clone, Debug)]
enum Step {
    Bytes(Vec<u8>),
    Message {
        code: u8,
        token: u8,
        option: Option<(u16, u8)>,
        len: u16,
    },
    Request {
        len: u16,
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
        len: u16,
        good: bool,
    },
    Release,
    Close,
    Ended,
    Wait {
        millis: u32,
    },
    Back {
        millis: u32,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..40);
    let code = prop_oneof![
        6 => Just(1_u8),
        2 => 2..8_u8,
        6 => prop_oneof![Just(0x45), Just(0x44), Just(0x5f), Just(0x8d)],
        3 => 0xe1..0xe4_u8,
        1 => any::<u8>(),
    ];
    let number = prop_oneof![
        Just(option::OBSERVE),
        Just(option::BLOCK1),
        Just(option::BLOCK2),
        Just(2),
        Just(4),
    ];
    let option = proptest::option::of((number, any::<u8>()));
    let step = prop_oneof![
        1 => bytes.prop_map(Step::Bytes),
        12 => (code, 0..6_u8, option, 0..3_000_u16)
            .prop_map(|(code, token, option, len)| Step::Message { code, token, option, len }),
        4 => (0..9_000_u16, any::<bool>()).prop_map(|(len, observe)| Step::Request { len, observe }),
        5 => (0..8_usize, 0..9_000_u16, any::<bool>())
            .prop_map(|(exchange, len, observable)| Step::Respond { exchange, len, observable }),
        2 => (0..8_usize).prop_map(|exchange| Step::Cancel { exchange }),
        2 => (0..9_000_u16, any::<bool>()).prop_map(|(len, good)| Step::Notify { len, good }),
        1 => prop_oneof![3 => Just(Step::Release), 1 => Just(Step::Close), 1 => Just(Step::Ended)],
        3 => (0..60_000_u32).prop_map(|millis| Step::Wait { millis }),
        1 => (0..5_000_u32).prop_map(|millis| Step::Back { millis }),
    ];
    proptest::collection::vec(step, 0..60)
}

struct Run {
    connection: Connection,
    now: Instant,
    outputs: Vec<String>,
    begun: Vec<ExchangeId>,
    asked: Vec<ExchangeId>,
    ends: BTreeMap<ExchangeId, u32>,
    closed: u32,
}

impl Run {
    fn new() -> Self {
        let mut config = Config::default();
        config.keepalive = Some(Duration::from_secs(100));
        config.max_message_size = 4_096;
        let mut run = Self {
            connection: Connection::new(config, Instant::from_micros(1)),
            now: Instant::from_micros(1),
            outputs: Vec::new(),
            begun: Vec::new(),
            asked: Vec::new(),
            ends: BTreeMap::new(),
            closed: 0,
        };
        run.drain();
        run
    }
}

impl Machine for Run {
    type Step = Step;

    fn take(&mut self, step: &Step) {
        let (connection, now) = (&mut self.connection, self.now);
        let response = |len: u16| Response::new(Code::CONTENT).with_payload(0, vec![1; len.into()]);
        match step {
            Step::Bytes(bytes) => connection.handle_bytes(bytes, now),
            Step::Message {
                code,
                token,
                option,
                len,
            } => {
                // Small numbers are the tokens of our own requests.
                let token = Token::new(&[*token][..usize::from(*token > 0)]).unwrap();
                let code = Code::from_byte(*code);
                let mut message = Message::new(Kind::Confirmable, code, 0, token);
                message.options = option
                    .iter()
                    .map(|(number, value)| CoapOption::new(*number, vec![*value]))
                    .collect();
                message.payload = vec![2; usize::from(*len)].into();
                connection.handle_bytes(&frame::encode(&message).unwrap(), now);
            }
            Step::Request { len, observe } => {
                let request = Request::new(Method::Get, "/a").unwrap();
                let request = request.with_payload(0, vec![1; usize::from(*len)]);
                let begun = if *observe {
                    connection.observe(request, now)
                } else {
                    connection.request(request, now)
                };
                self.begun.extend(begun.ok());
            }
            Step::Respond {
                exchange,
                len,
                observable,
            } => {
                if let Some(exchange) = self.asked.get(*exchange).copied() {
                    let mut response = response(*len);
                    response.observable = *observable;
                    connection.respond(exchange, response, now).unwrap();
                }
            }
            Step::Cancel { exchange } => {
                if let Some(exchange) = self.begun.get(*exchange).copied() {
                    connection.cancel(exchange, now);
                }
            }
            Step::Notify { len, good } => {
                let mut state = response(*len);
                if !good {
                    state.code = Code::NOT_FOUND;
                }
                connection.notify("/", &state, now).unwrap();
            }
            Step::Release => {
                let _ = connection.release(Release::new(), now);
            }
            Step::Close => connection.close(now),
            Step::Ended => connection.handle_closed(now),
            Step::Wait { millis } => {
                self.now = now.saturating_add(Duration::from_millis(u64::from(*millis)));
                connection.handle_timeout(self.now);
            }
            Step::Back { millis } => {
                let back = now.as_micros().saturating_sub(u64::from(*millis) * 1_000);
                connection.handle_timeout(Instant::from_micros(back));
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.connection.poll_output() {
            self.outputs.push(match &output {
                Output::Send(bytes) => format!("{bytes:x?}"),
                other => format!("{other:?}"),
            });
            assert!(self.closed == 0, "behind the last event: {output:?}");
            match output {
                Output::Request { exchange, .. } => self.asked.push(exchange),
                Output::Event(
                    Event::Response { exchange, .. } | Event::Failed { exchange, .. },
                ) => {
                    *self.ends.entry(exchange).or_default() += 1;
                }
                Output::Event(Event::Closed { .. }) => self.closed += 1,
                _ => {}
            }
        }
    }

    fn is_drained(&mut self) -> bool {
        self.connection.poll_output().is_none()
    }

    fn outputs(&self) -> &[String] {
        &self.outputs
    }

    fn now(&self) -> Instant {
        self.now
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.connection.next_deadline()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
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
        machine::same_steps_same_outputs(Run::new, &steps)?;
    }

    /// C3: draining late gives the same outputs in the same order. And so do bytes that come one by one.
    #[test]
    fn draining_late_and_reading_byte_by_byte_are_correct(mut steps in steps()) {
        // An answer needs the id that only a drained output has.
        steps.retain(|step| !matches!(step, Step::Respond { .. }));
        let (mut eager, mut late, mut slow) = (Run::new(), Run::new(), Run::new());
        for step in &steps {
            eager.take(step);
            eager.drain();
            late.take(step);
            match step {
                Step::Bytes(bytes) => bytes.iter().for_each(|byte| slow.take(&Step::Bytes(vec![*byte]))),
                other => slow.take(other),
            }
        }
        late.drain();
        slow.drain();
        prop_assert_eq!(&eager.outputs, &late.outputs);
        prop_assert_eq!(&eager.outputs, &slow.outputs);
    }

    /// C5.
    #[test]
    fn timeouts_make_progress(steps in steps()) {
        machine::timeouts_make_progress(Run::new(), &steps)?;
    }

    /// C6 and C7: with a driver that answers nothing more, every exchange of ours ends, once, and so does the connection.
    #[test]
    fn everything_ends_once(steps in steps()) {
        let mut run = machine::take_all(Run::new(), &steps);
        // The peer is silent from here on, which the keepalive finds out.
        machine::run_out(&mut run, 1_000);
        prop_assert!(run.connection.is_closed());
        prop_assert_eq!((run.connection.next_deadline(), run.closed), (None, 1));
        for exchange in &run.begun {
            prop_assert_eq!(run.ends.get(exchange), Some(&1), "{:?}", exchange);
        }
        prop_assert_eq!(run.ends.len(), run.begun.len());
    }

    /// C8: answers that are late, repeated or about nothing are ignored.
    #[test]
    fn answers_about_nothing_change_nothing(steps in steps()) {
        let mut run = machine::take_all(Run::new(), &steps);
        let deadline = run.connection.next_deadline();
        for exchange in run.begun.iter().filter(|exchange| run.ends.contains_key(exchange)) {
            run.connection.cancel(*exchange, run.now);
            run.connection.respond(*exchange, Response::new(Code::CONTENT), run.now).unwrap();
        }
        prop_assert!(run.connection.poll_output().is_none());
        prop_assert_eq!(run.connection.next_deadline(), deadline);
    }
}
