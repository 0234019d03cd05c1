//! The rules of a machine, and what no interleaving of a device, a server and time may break.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing
)]

#[path = "support/mqtt.rs"]
#[allow(dead_code)]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use provisioning_proto::mqtt::session::{
    Authentication, Connect, Output, Publish, QoS, RequestId, Session, SessionConfig,
};
use support::{DOWN, EVENTS, UP, connect, kinds, payload};

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Judge(Authentication),
    Subscribe(bool),
    Unsubscribe,
    Ask {
        packet_id: Option<u16>,
        duplicate: bool,
    },
    Report,
    Stray,
    Ping,
    /// Answers one of the requests made so far, or none that was.
    Answer(usize),
    Wait(u64),
    Disconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Connect),
        3 => prop_oneof![
            8 => Just(Authentication::Accepted),
            1 => Just(Authentication::Refused),
            1 => Just(Authentication::Unavailable),
        ].prop_map(Step::Judge),
        3 => any::<bool>().prop_map(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
        5 => (prop::option::of(1_u16..4), any::<bool>()).prop_map(|(packet_id, duplicate)| Step::Ask { packet_id, duplicate }),
        1 => Just(Step::Report),
        1 => Just(Step::Ping),
        4 => (0_usize..4).prop_map(Step::Answer),
        5 => prop_oneof![0_u64..50, 900_u64..1100, 3_900_u64..5_100].prop_map(Step::Wait),
        1 => prop_oneof![10 => Just(Step::Ping), 1 => Just(Step::Stray), 1 => Just(Step::Disconnect)],
    ]
}

/// Sessions get this far nearly always.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..60).prop_map(|rest| {
        let mut steps = vec![Step::Connect, Step::Judge(Authentication::Accepted)];
        steps.extend(rest);
        steps
    })
}

struct Player {
    session: Session,
    now: Instant,
    requests: Vec<RequestId>,
    seen: Vec<(Instant, Output)>,
}

impl Player {
    fn new(begin: Instant) -> Self {
        let session = Session::new(SessionConfig::default(), begin);
        Self {
            session,
            now: begin,
            requests: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            if let Output::Register { request, .. } = output {
                self.requests.push(request);
            }
            self.seen.push((self.now, output));
        }
    }

    fn play(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Connect => {
                if self.seen.is_empty() {
                    self.session.handle_connect(&connect(), now);
                }
            }
            Step::Judge(verdict) => self.session.handle_authentication(*verdict, now),
            Step::Subscribe(own) => {
                let filter = if *own { DOWN } else { "#" };
                self.session.handle_subscribe(9, [filter], now);
            }
            Step::Unsubscribe => self.session.handle_unsubscribe(9, [DOWN], now),
            Step::Ask {
                packet_id,
                duplicate,
            } => {
                let qos = packet_id.map_or(QoS::AtMostOnce, QoS::AtLeastOnce);
                let mut publish = Publish::new(UP, qos, b"");
                publish.duplicate = *duplicate;
                self.session.handle_publish(&publish, now);
            }
            Step::Report => self
                .session
                .handle_publish(&Publish::new(EVENTS, QoS::AtMostOnce, b""), now),
            Step::Stray => self
                .session
                .handle_publish(&Publish::new("x", QoS::AtMostOnce, b""), now),
            Step::Ping => self.session.handle_ping(now),
            Step::Answer(which) => {
                if let Some(request) = self.requests.get(*which) {
                    self.session
                        .handle_answer(*request, payload(&format!("of {request:?}")), now);
                }
            }
            Step::Wait(millis) => self.wait(*millis),
            Step::Disconnect => self.session.handle_disconnect(now),
        }
    }

    fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.session.next_deadline()
            && at <= end
        {
            self.now = self.now.max(at);
            self.session.handle_timeout(self.now);
            // C5: what is due was done.
            assert!(
                self.session
                    .next_deadline()
                    .is_none_or(|next| next > self.now)
            );
            self.drain();
        }
        self.now = end;
        self.session.handle_timeout(end);
    }

    /// C4: asking changes nothing.
    fn look(&self) -> (bool, bool, Option<Instant>) {
        (
            self.session.wants_packets(),
            self.session.is_closed(),
            self.session.next_deadline(),
        )
    }
}

fn texts(player: &Player) -> Vec<String> {
    player
        .seen
        .iter()
        .map(|(at, output)| format!("{:?} {}", *at, kinds(std::slice::from_ref(output))))
        .collect()
}

#[allow(clippy::disallowed_methods, reason = "some instant to begin with")]
fn begin() -> Instant {
    Instant::now()
}

proptest! {
    #[test]
    fn nothing_is_told_before_it_is_listened_for_and_no_request_twice(steps in steps()) {
        let mut player = Player::new(begin());
        let (mut listening, mut asked_at, mut told) = (false, BTreeMap::new(), 0_usize);
        let mut accepted = false;
        for step in &steps {
            let closed = player.session.is_closed();
            let from = player.seen.len();
            player.play(step);
            prop_assert_eq!(player.look(), player.look());
            player.drain();
            prop_assert!(!closed || player.seen.len() == from, "something after the end");
            for (at, output) in &player.seen[from..] {
                match output {
                    Output::ConnAck(code) => accepted |= code.value() == 0,
                    Output::SubAck { granted, .. } => listening |= granted.contains(&true),
                    Output::UnsubAck { .. } => listening = false,
                    Output::Register { request, .. } => {
                        prop_assert!(accepted);
                        prop_assert!(asked_at.insert(*request, *at).is_none(), "registered twice");
                    }
                    Output::Publish { topic, .. } => {
                        told += 1;
                        prop_assert!(listening, "told before it listened");
                        prop_assert_eq!(topic.as_str(), DOWN);
                        prop_assert!(told <= asked_at.len(), "told more often than asked");
                        let asked = asked_at.values().next_back().unwrap();
                        prop_assert!(*at <= *asked + Duration::from_secs(5), "told too late");
                    }
                    _ => {}
                }
            }
        }
        prop_assert!(asked_at.len() <= 8);
        // C6: a caller that says nothing more leaves nothing behind.
        player.wait(200_000);
        prop_assert!(player.session.is_closed());
        prop_assert_eq!(player.session.next_deadline(), None);
    }

    #[test]
    fn a_listening_device_hears_something_within_four_seconds(before in any::<bool>(), millis in 0_u64..6_000) {
        let mut player = Player::new(begin());
        player.play(&Step::Connect);
        player.play(&Step::Judge(Authentication::Accepted));
        if before {
            player.play(&Step::Subscribe(true));
        }
        player.play(&Step::Ask { packet_id: Some(1), duplicate: false });
        if !before {
            player.play(&Step::Subscribe(true));
        }
        player.drain();
        let asked = player.now;
        player.wait(millis);
        player.play(&Step::Answer(0));
        player.drain();
        player.wait(4_000);
        player.drain();
        let told: Vec<_> = player.seen.iter().filter(|(_, output)| matches!(output, Output::Publish { .. })).collect();
        prop_assert_eq!(told.len(), 1);
        prop_assert_eq!(told[0].0, asked + Duration::from_millis(millis.min(4_000)));
    }

    /// I38: who it was, what it showed and how long it took to judge that makes no difference.
    #[test]
    fn who_is_refused_sees_the_same_at_the_same_time(
        id in "[a-z0-9]{1,12}",
        scope in prop::option::of("[0-9a-f]{12}"),
        password in "[0-9a-f]{64}",
        certificate: bool,
        judged in 0_u64..1_000,
    ) {
        let begin = begin();
        let mut session = Session::new(SessionConfig::default(), begin);
        let scope = scope.map(|scope| format!("_{scope}")).unwrap_or_default();
        let client_id = match certificate {
            true => format!("{id}_0{scope}"),
            false => format!("{id}_0{scope}_1_2019122614"),
        };
        // Without a scope, a certificate comes with a time.
        let client_id = if certificate && scope.is_empty() { format!("{id}_0_1_2019122614") } else { client_id };
        let mut connect = Connect::new(&client_id);
        connect.user_name = Some(&id);
        connect.password = (!certificate).then_some(password.as_bytes());
        connect.has_certificate = certificate;
        session.handle_connect(&connect, begin);
        prop_assert!(matches!(session.poll_output(), Some(Output::Authenticate(_))));
        prop_assert!(session.poll_output().is_none());
        session.handle_authentication(Authentication::Refused, begin + Duration::from_millis(judged));
        prop_assert!(session.poll_output().is_none(), "it was told at once");
        let told = begin + Duration::from_secs(1);
        prop_assert_eq!(session.next_deadline(), Some(told));
        session.handle_timeout(told);
        let outputs: Vec<_> = std::iter::from_fn(|| session.poll_output()).collect();
        let expected = "ConnAck(BadUserNameOrPassword) Close(Refused(BadUserNameOrPassword))";
        prop_assert_eq!(kinds(&outputs), expected);
    }

    #[test]
    fn the_same_steps_give_the_same_outputs_and_draining_late_changes_none(steps in steps()) {
        let begin = begin();
        let run = |late: bool| {
            let mut player = Player::new(begin);
            for step in &steps {
                player.play(step);
                // Answers need the requests, and a CONNECT looks at what was seen.
                if !late || matches!(step, Step::Connect | Step::Ask { .. } | Step::Wait(_)) {
                    player.drain();
                }
            }
            player.drain();
            player.seen.iter().map(|(_, output)| kinds(std::slice::from_ref(output))).collect::<Vec<_>>()
        };
        prop_assert_eq!(run(false), run(false));
        prop_assert_eq!(run(false), run(true));
    }

    #[test]
    fn a_clock_that_steps_back_changes_nothing(steps in steps(), back in 1_u64..100) {
        let begin = begin() + Duration::from_secs(1000);
        let (mut steady, mut stepping) = (Player::new(begin), Player::new(begin));
        for step in &steps {
            steady.play(step);
            steady.drain();
            stepping.play(step);
            stepping.session.handle_timeout(stepping.now - Duration::from_secs(back));
            stepping.drain();
        }
        prop_assert_eq!(texts(&steady), texts(&stepping));
    }
}
