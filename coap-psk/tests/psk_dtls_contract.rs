//! The contract of a machine, C2 to C8, for our DTLS engine under arbitrary steps.
#![cfg(feature = "psk-dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/machine.rs"]
mod machine;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, HandshakeId, SessionId};
use coap_psk::{Instant, PskKey};
use proptest::prelude::*;

use machine::Machine;

/// What is done to an endpoint and to three peers of the same kind, whose datagrams wait until they are delivered.
#[derive(Clone, Debug)]
enum Step {
    Connect {
        peer: u8,
        by_us: bool,
    },
    /// Passes on the datagrams that wait between the endpoint and a peer, those at places of the mask altered.
    Pass {
        peer: u8,
        rounds: u8,
        mask: u8,
        at: u16,
        change: u8,
    },
    Raw {
        peer: u8,
        bytes: Vec<u8>,
    },
    Key {
        handshake: u8,
        known: bool,
    },
    Send {
        session: u8,
        len: u8,
    },
    Close {
        session: u8,
    },
    PeerCloses {
        peer: u8,
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
    let record = (
        20..24_u8,
        0..3_u8,
        any::<u8>(),
        proptest::collection::vec(any::<u8>(), 0..40),
    );
    let raw = record.prop_map(|(kind, epoch, sequence, body)| {
        let len = u8::try_from(body.len()).unwrap();
        let mut bytes = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, sequence, 0, len];
        bytes.extend(body);
        bytes
    });
    let step = prop_oneof![
        3 => (0..3_u8, any::<bool>()).prop_map(|(peer, by_us)| Step::Connect { peer, by_us }),
        8 => (0..3_u8, 1..4_u8, prop_oneof![3 => Just(0), 1 => any::<u8>()], any::<u16>(), any::<u8>())
            .prop_map(|(peer, rounds, mask, at, change)| Step::Pass { peer, rounds, mask, at, change }),
        1 => (0..3_u8, raw).prop_map(|(peer, bytes)| Step::Raw { peer, bytes }),
        3 => (0..8_u8, any::<bool>()).prop_map(|(handshake, known)| Step::Key { handshake, known }),
        2 => (0..8_u8, any::<u8>()).prop_map(|(session, len)| Step::Send { session, len }),
        1 => (0..8_u8).prop_map(|session| Step::Close { session }),
        1 => (0..3_u8, 0..3_u8).prop_map(|(peer, session)| Step::PeerCloses { peer, session }),
        2 => (0..40_000_u32).prop_map(|millis| Step::Wait { millis }),
        1 => (0..5_000_u32).prop_map(|millis| Step::Back { millis }),
    ];
    proptest::collection::vec(step, 0..60)
}

fn key() -> PskKey {
    PskKey::new([7; 16])
}

fn address(peer: u8) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 1_000 + u16::from(peer)).into()
}

fn our_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 5_684).into()
}

struct Run {
    endpoint: PskEndpoint,
    peers: [PskEndpoint; 3],
    /// Datagrams to the peers, as far as they were drained.
    to_peers: [VecDeque<Vec<u8>>; 3],
    now: Instant,
    outputs: Vec<String>,
    wanted: Vec<HandshakeId>,
    begun: Vec<SessionId>,
    /// How often a session was established, and how often it ended.
    balance: BTreeMap<SessionId, (u32, u32)>,
}

impl Run {
    fn new() -> Self {
        let mut config = PskConfig::default();
        config.max_sessions = 3;
        config.max_handshakes = 2;
        config.max_rejected = 20;
        Self {
            endpoint: PskEndpoint::new(config, [1; 32]),
            peers: [2, 3, 4].map(|seed| PskEndpoint::new(PskConfig::default(), [seed; 32])),
            to_peers: Default::default(),
            now: Instant::from_micros(1),
            outputs: Vec::new(),
            wanted: Vec::new(),
            begun: Vec::new(),
            balance: BTreeMap::new(),
        }
    }

    /// What waits for a peer goes to it, and its answers come back. Only what was drained can go.
    fn pass(&mut self, number: u8, at: usize, change: u8) {
        let peer = &mut self.peers[usize::from(number)];
        for datagram in self.to_peers[usize::from(number)].drain(..) {
            peer.handle_datagram(our_address(), &datagram, self.now);
        }
        while let Some(event) = peer.poll_event() {
            if let DtlsEvent::NeedKey { handshake, .. } = event {
                peer.provide_key(handshake, Some(key()), self.now);
            }
        }
        while let Some(mut out) = peer.poll_transmit() {
            let place = at % out.datagram.len();
            out.datagram[place] ^= change;
            self.endpoint
                .handle_datagram(address(number), &out.datagram, self.now);
        }
    }
}

impl Machine for Run {
    type Step = Step;

    fn take(&mut self, step: &Step) {
        let now = self.now;
        match step {
            Step::Connect { peer, by_us: true } => {
                let begun = self.endpoint.connect(address(*peer), b"we", key(), now);
                self.begun.extend(begun.ok());
            }
            Step::Connect { peer, by_us: false } => {
                let peer = &mut self.peers[usize::from(*peer)];
                peer.connect(our_address(), b"it", key(), now).unwrap();
            }
            Step::Pass {
                peer,
                rounds,
                mask,
                at,
                change,
            } => {
                for round in 0..*rounds {
                    let change = if mask >> round & 1 == 1 { *change } else { 0 };
                    self.pass(*peer, usize::from(*at), change);
                }
            }
            Step::Raw { peer, bytes } => {
                self.endpoint.handle_datagram(address(*peer), bytes, now);
            }
            Step::Key { handshake, known } => {
                let handshake = HandshakeId(u64::from(*handshake));
                self.endpoint.provide_key(handshake, known.then(key), now);
            }
            Step::Send { session, len } => {
                let data = vec![1; usize::from(*len)];
                let _ = self
                    .endpoint
                    .send(SessionId(u64::from(*session)), &data, now);
            }
            Step::Close { session } => self.endpoint.close(SessionId(u64::from(*session)), now),
            Step::PeerCloses { peer, session } => {
                let session = SessionId(u64::from(*session));
                self.peers[usize::from(*peer)].close(session, now);
            }
            Step::Wait { millis } => {
                self.now = now.saturating_add(Duration::from_millis(u64::from(*millis)));
                self.endpoint.handle_timeout(self.now);
                for peer in &mut self.peers {
                    peer.handle_timeout(self.now);
                }
            }
            Step::Back { millis } => {
                let back = now.as_micros().saturating_sub(u64::from(*millis) * 1_000);
                self.endpoint.handle_timeout(Instant::from_micros(back));
            }
        }
    }

    fn drain(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            self.outputs.push(format!("{event:?}"));
            match event {
                DtlsEvent::NeedKey { handshake, .. } => {
                    assert!(!self.wanted.contains(&handshake), "asked once");
                    self.wanted.push(handshake);
                }
                DtlsEvent::Established { session, .. } => {
                    self.balance.entry(session).or_default().0 += 1;
                }
                DtlsEvent::Closed { session, .. } => {
                    self.balance.entry(session).or_default().1 += 1;
                }
                DtlsEvent::Data { session, .. } => {
                    assert_eq!(self.balance.get(&session), Some(&(1, 0)), "while it lives");
                }
                DtlsEvent::Moved { .. } => {}
            }
        }
        while let Some(out) = self.endpoint.poll_transmit() {
            self.outputs.push(format!("{:02x?}", out.datagram));
            let peer = usize::from(out.to.port() - 1_000);
            self.to_peers[peer].push_back(out.datagram);
        }
    }

    fn is_drained(&mut self) -> bool {
        self.endpoint.poll_event().is_none() && self.endpoint.poll_transmit().is_none()
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
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// C2 and C4.
    #[test]
    fn the_same_steps_give_the_same_outputs(steps in steps()) {
        machine::same_steps_same_outputs(Run::new, &steps)?;
    }

    /// C3: draining late gives the same events and the same datagrams, each in the same order.
    #[test]
    fn draining_late_is_correct(steps in steps()) {
        let (mut eager, mut late) = (Run::new(), Run::new());
        let mut waiting = Vec::new();
        for step in &steps {
            eager.take(step);
            // What a peer gets depends on what was drained, so the late one drains where something is passed on.
            if matches!(step, Step::Pass { .. }) {
                waiting.push(step);
                late.drain();
                late.take(step);
                late.drain();
            } else {
                late.take(step);
            }
            eager.drain();
        }
        late.drain();
        let order = |mut run: Run| {
            run.outputs.sort_by_key(|output| output.starts_with('['));
            run.outputs
        };
        prop_assert_eq!(order(eager), order(late));
    }

    /// C5.
    #[test]
    fn timeouts_make_progress(steps in steps()) {
        machine::timeouts_make_progress(Run::new(), &steps)?;
    }

    /// C6 and C7: with a driver that answers nothing more, every handshake ends by itself, every session that we began ends
    /// once, and no session ends that was neither begun nor established.
    #[test]
    fn everything_ends_once(steps in steps()) {
        let mut run = machine::take_all(Run::new(), &steps);
        machine::run_out(&mut run, 1_000);
        prop_assert_eq!(run.endpoint.next_deadline(), None);
        for session in 0..100 {
            run.endpoint.close(SessionId(session), run.now);
        }
        run.drain();
        prop_assert_eq!(run.endpoint.sessions(), 0);
        for session in &run.begun {
            prop_assert!(run.balance.contains_key(session), "{:?}", session);
        }
        for (session, (established, ended)) in &run.balance {
            prop_assert_eq!(*ended, 1, "{:?}", session);
            prop_assert!(*established == 1 || run.begun.contains(session), "{:?}", session);
        }
    }

    /// C8: answers that are late, repeated or about nothing are ignored.
    #[test]
    fn answers_about_nothing_change_nothing(steps in steps(), unknown in 50_u64..60) {
        let mut run = machine::take_all(Run::new(), &steps);
        let deadline = run.endpoint.next_deadline();
        run.endpoint.provide_key(HandshakeId(unknown), Some(key()), run.now);
        run.endpoint.close(SessionId(unknown), run.now);
        prop_assert!(run.endpoint.send(SessionId(unknown), b"", run.now).is_err());
        prop_assert!(run.endpoint.poll_event().is_none());
        prop_assert!(run.endpoint.poll_transmit().is_none());
        prop_assert_eq!(run.endpoint.next_deadline(), deadline);
    }

    /// C9: the caps hold after every step.
    #[test]
    fn the_caps_hold(steps in steps()) {
        let mut run = Run::new();
        for step in &steps {
            run.take(step);
            run.drain();
            prop_assert!(run.endpoint.sessions() <= 3);
        }
    }
}
