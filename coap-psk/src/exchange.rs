//! The message layer of one session: both roles, over a channel that loses, repeats and reorders. (RFC 7252, 4 and 5)
//!
//! A message from the peer is one of these, in this order of judgement:
//!
//! ```text
//!  not CoAP ──────────────────▶ dropped            malformed ──▶ CON: Reset; others: dropped
//!  seen before ───────────────▶ the same reply     Empty CON ──▶ Reset (a ping)
//!  request (CON, NON) ────────▶ `inbound`: answered at once, or by the application
//!  response (ACK, CON, NON) ──▶ `outbound`: by message id and token, or by token
//!  Empty ACK, Reset ──────────▶ `sender`: ends the retransmission of what it names
//! ```

mod inbound;
mod message_ids;
mod outbound;
mod remembered;
mod sender;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;

use crate::block::Limits;
use crate::block::bodies::Bodies;
use crate::codec::{self, MessageRef, Rejection};
use crate::config::Config;
use crate::failure::Failure;
use crate::guard::Guard;
use crate::identity::DeviceName;
use crate::message::{Code, Kind, Message, Token};
use crate::observe::Observers;
use crate::random::Random;
use crate::request::{Request, Response};
use crate::time::Instant;

use inbound::Inbound;
use message_ids::MessageIds;
use outbound::Outbound;
pub(crate) use remembered::Remembered;
use sender::{Means, Purpose, Sender};

/// Machine: the exchanges of one session.
pub(crate) struct Exchanges {
    ids: MessageIds,
    sender: Sender,
    remembered: Remembered,
    next_number: u64,
    next_token: u64,
    inbound: BTreeMap<u64, Inbound>,
    outbound: BTreeMap<u64, Outbound>,
    /// Which request of ours a token belongs to. A token is never used again in its session. (RFC 9175, 4)
    tokens: BTreeMap<Token, u64>,
    bodies: Bodies,
    observers: Observers,
    /// The message that was to show whether the peer is there, until it is answered.
    probe: Option<u16>,
}

/// What the exchanges of all sessions share, and where their outputs go.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) random: &'a mut Random,
    pub(crate) actions: &'a mut VecDeque<Action>,
    /// Messages to send.
    pub(crate) out: &'a mut VecDeque<Vec<u8>>,
    /// How many bytes may be added to bodies in transfer.
    pub(crate) room: usize,
    /// Set in a session that may do nothing but activate this device.
    pub(crate) activation_of: Option<&'a DeviceName>,
    /// The command that waits for the peer, which responses name.
    pub(crate) mailbox: Option<&'a Bytes>,
    pub(crate) guard: &'a mut Guard,
    /// Where the peer is.
    pub(crate) peer: SocketAddr,
    pub(crate) now: Instant,
}

impl Context<'_> {
    fn limits(&self) -> Limits {
        self.config.body_limits(self.room)
    }
}

/// What happened; the number is that of an exchange.
#[derive(Debug)]
pub(crate) enum Action {
    Request {
        number: u64,
        request: Request,
    },
    Response {
        number: u64,
        response: Response,
    },
    Notification {
        number: u64,
        response: Response,
    },
    Failed {
        number: u64,
        failure: Failure,
    },
    /// A response that was sent on its own was acknowledged.
    Delivered,
    /// A response that was sent on its own was not.
    Undelivered {
        number: u64,
    },
    /// An observer of ours is gone.
    Unobserved {
        number: u64,
    },
    /// The peer answered a probe.
    Reached,
}

impl Exchanges {
    pub(crate) fn new(random: &mut Random, now: Instant) -> Self {
        Self {
            ids: MessageIds::new(random, now),
            sender: Sender::default(),
            remembered: Remembered::default(),
            next_number: 0,
            next_token: 0,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            tokens: BTreeMap::new(),
            bodies: Bodies::default(),
            observers: Observers::default(),
            probe: None,
        }
    }

    /// Begins where an earlier program has left the session. Which tokens it used is not known: few, from the smallest on, or as
    /// here, at a place of the large ones that chance has chosen.
    pub(crate) fn resume(&mut self, random: &mut Random) {
        self.next_token = u64::from(random.next_u32() | 1 << 31) << 32;
    }

    /// Takes one message of the peer.
    pub(crate) fn handle_datagram(&mut self, datagram: &[u8], cx: &mut Context<'_>) {
        self.sender
            .handle_sign_of_life(&mut means(&mut self.ids, cx));
        let message = match codec::parse(datagram) {
            Ok(message) => message,
            Err(Rejection::Malformed {
                kind: Kind::Confirmable,
                message_id,
            }) => {
                return reject(message_id, cx);
            }
            Err(Rejection::Malformed { .. } | Rejection::NotCoap) => return,
        };
        match (message.kind(), message.code().class(), message.code()) {
            (Kind::Acknowledgement, _, Code::EMPTY) => {
                self.handle_acknowledgement(message.message_id(), cx);
            }
            (Kind::Reset, _, Code::EMPTY) => self.handle_reset(message.message_id(), cx),
            (Kind::Confirmable, _, Code::EMPTY) => {
                send_empty(Kind::Reset, message.message_id(), cx);
            }
            (Kind::NonConfirmable, _, Code::EMPTY) | (Kind::Reset, _, _) => {}
            (Kind::Confirmable | Kind::NonConfirmable, 0, _) => self.handle_request(&message, cx),
            (Kind::Confirmable | Kind::NonConfirmable, 2 | 4 | 5, _) => {
                self.handle_separate_response(&message, cx);
            }
            (Kind::Acknowledgement, 2 | 4 | 5, _) => self.handle_piggybacked_response(&message, cx),
            // A class without a meaning, over UDP 7 as well. (RFC 7252, 4.2 and 12.1)
            (Kind::Confirmable, _, _) => reject(message.message_id(), cx),
            (Kind::NonConfirmable | Kind::Acknowledgement, _, _) => {}
        }
    }

    fn handle_acknowledgement(&mut self, message_id: u16, cx: &mut Context<'_>) {
        let acknowledged = self
            .sender
            .acknowledged(message_id, &mut means(&mut self.ids, cx));
        if let Some(Purpose::Response(number)) = acknowledged {
            self.inbound.remove(&number);
            cx.actions.push_back(Action::Delivered);
        }
    }

    fn handle_reset(&mut self, message_id: u16, cx: &mut Context<'_>) {
        if let Some(purpose) = self.sender.reset(message_id, &mut means(&mut self.ids, cx)) {
            self.give_up(purpose, Failure::Reset, cx);
        } else if self.probe.take() == Some(message_id) {
            // One that does not match was a guess, and uses the probe up as well.
            cx.actions.push_back(Action::Reached);
        }
    }

    /// An Empty message that a peer answers with a Reset if it gets it: the same until it is answered. (RFC 7252, 4.3)
    pub(crate) fn probe(&mut self, random: &mut Random) -> Option<Vec<u8>> {
        let ids = &self.ids;
        let message_id = *self.probe.get_or_insert_with(|| ids.unforeseen(random));
        codec::encode(&Message::empty(Kind::Confirmable, message_id)).ok()
    }

    /// Forgets the probe: it went to where the peer is no longer.
    pub(crate) const fn forget_probe(&mut self) {
        self.probe = None;
    }

    /// Ends what a message of ours was for that the peer refused or never acknowledged.
    fn give_up(&mut self, purpose: Purpose, failure: Failure, cx: &mut Context<'_>) {
        match purpose {
            Purpose::Request(number) => self.lose_request(number, failure, cx),
            Purpose::Response(number) => {
                self.inbound.remove(&number);
                cx.actions.push_back(Action::Undelivered { number });
            }
            // RFC 7641, 4.5: the peer is not interested any more, or gone.
            Purpose::Notification(number) => self.end_observer(number, cx),
            Purpose::Deregistration(_) => {}
        }
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, cx: &mut Context<'_>) {
        self.remembered.expire(cx.now);
        let lifetime = cx.config.transmission.exchange_lifetime();
        self.bodies.expire(lifetime, cx.now);
        for purpose in self.sender.handle_timeout(&mut means(&mut self.ids, cx)) {
            self.give_up(purpose, Failure::TimedOut, cx);
        }
        self.handle_inbound_timeout(cx);
        self.handle_outbound_timeout(cx);
    }

    pub(crate) fn next_deadline(&self, config: &Config) -> Option<Instant> {
        let lifetime = config.transmission.exchange_lifetime();
        let single = [
            self.remembered.next_deadline(),
            self.bodies.next_deadline(lifetime),
            self.sender.next_deadline(&self.ids, &config.transmission),
        ];
        let inbound = self.inbound.values().filter_map(Inbound::deadline);
        let outbound = self.outbound.values().filter_map(Outbound::deadline);
        single
            .into_iter()
            .flatten()
            .chain(inbound)
            .chain(outbound)
            .min()
    }

    /// Ends everything, because the session ended.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>) {
        for number in self.outbound.keys().copied() {
            cx.actions.push_back(Action::Failed {
                number,
                failure: Failure::Closed,
            });
        }
        for number in self.observers.numbers() {
            cx.actions.push_back(Action::Unobserved { number });
        }
    }

    /// The bytes of bodies in transfer.
    pub(crate) fn transfer_bytes(&self) -> usize {
        self.bodies.bytes()
    }

    /// What is remembered of messages that came.
    pub(crate) const fn remembered(&mut self) -> &mut Remembered {
        &mut self.remembered
    }

    fn new_number(&mut self) -> u64 {
        self.next_number = self.next_number.saturating_add(1);
        self.next_number
    }

    fn new_token(&mut self) -> Token {
        self.next_token = self.next_token.saturating_add(1);
        Token::from_number(self.next_token)
    }

    /// Notes that a new message came, so that its duplicates are known.
    fn remember(&mut self, message: &MessageRef<'_>, open: bool, cx: &mut Context<'_>) {
        let times = &cx.config.transmission;
        let lifetime = match message.kind() {
            Kind::Confirmable => times.exchange_lifetime(),
            _ => times.non_lifetime(),
        };
        let cap = cx.config.max_remembered.max(cx.config.max_inbound).max(1);
        let expires = cx.now.saturating_add(lifetime);
        if self
            .remembered
            .insert(message.message_id(), expires, open, cap)
        {
            cx.guard.handle_forgotten();
        }
    }

    /// Whether the message came before; then what it was answered with is sent again.
    fn is_duplicate(&self, message: &MessageRef<'_>, cx: &mut Context<'_>) -> bool {
        let Some(reply) = self.remembered.reply_to(message.message_id(), cx.now) else {
            return false;
        };
        if !reply.is_empty() {
            cx.out.push_back(reply.to_vec());
        }
        true
    }

    /// Answers a message with an Empty one, now and whenever it comes again.
    fn reply_empty(&mut self, kind: Kind, message_id: u16, cx: &mut Context<'_>) {
        if let Ok(datagram) = codec::encode(&Message::empty(kind, message_id)) {
            self.remembered.set_reply(message_id, &datagram);
            cx.out.push_back(datagram);
        }
    }

    /// Answers in a Non-confirmable message; without a free message id it is as good as lost.
    fn send_non(&mut self, mut message: Message, cx: &mut Context<'_>) {
        let lifetime = cx.config.transmission.exchange_lifetime();
        let Some(message_id) = self.ids.next(lifetime, cx.now) else {
            return;
        };
        message.kind = Kind::NonConfirmable;
        message.message_id = message_id;
        cx.out.extend(codec::encode(&message));
    }
}

fn means<'a>(ids: &'a mut MessageIds, cx: &'a mut Context<'_>) -> Means<'a> {
    Means {
        ids,
        random: cx.random,
        times: &cx.config.transmission,
        out: cx.out,
        now: cx.now,
    }
}

/// Refuses a message that is not in order, unless the peer sends too many of those. (RFC 7252, 4.2)
fn reject(message_id: u16, cx: &mut Context<'_>) {
    if cx.guard.admits_reset(cx.peer, cx.now) {
        send_empty(Kind::Reset, message_id, cx);
    }
}

fn send_empty(kind: Kind, message_id: u16, cx: &mut Context<'_>) {
    cx.out
        .extend(codec::encode(&Message::empty(kind, message_id)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_was_brought_back_uses_none_of_its_earlier_tokens() {
        let mut random = Random::new([1; 32]);
        let mut tokens = [false, true, true, true].map(|resumed| {
            let mut exchanges = Exchanges::new(&mut random, Instant::ZERO);
            if resumed {
                exchanges.resume(&mut random);
            }
            (0..1_000).map(|_| exchanges.new_token()).collect()
        });
        let mut all: Vec<Token> = tokens
            .iter_mut()
            .flat_map(core::mem::take::<Vec<_>>)
            .collect();
        assert!(all.iter().all(|token| !token.as_bytes().is_empty()));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 4_000);
    }
}
