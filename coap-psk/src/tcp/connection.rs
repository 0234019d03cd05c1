//! A connection: what arrives, and what time brings.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;
use core::{fmt, mem};

use super::config::Config;
use super::ending::Phase;
use super::frame::{self, Frames};
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::output::{CloseReason, Event, Output, Violation};
use super::peer::Peer;
use super::signal::{CSM, Signal, UnknownOption};
use crate::block::bodies::Bodies;
use crate::codec::MessageRef;
use crate::message::{Message, Token};
use crate::observe::Observers;
use crate::time::Instant;

/// Keeps intervals configured as zero from asking for signs of life without end.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Machine: one connection over a reliable transport, client and server at once.
///
/// Moments must not go back; one that does counts as the latest.
pub struct Connection {
    pub(super) config: Config,
    pub(super) frames: Frames,
    pub(super) peer: Peer,
    pub(super) phase: Phase,
    latest: Instant,
    /// When the peer's CSM must have come, as long as that matters.
    csm_due: Option<Instant>,
    /// When the peer was heard last.
    heard: Instant,
    /// When it must be heard again, because it was asked for a sign of life.
    pong_due: Option<Instant>,
    /// Pings that are to be answered when all requests up to a number are, oldest first.
    pub(super) custody: VecDeque<(u64, Token)>,
    next_number: u64,
    next_token: u64,
    pub(super) inbound: BTreeMap<u64, Inbound>,
    pub(super) outbound: BTreeMap<u64, Outbound>,
    /// Which request of ours a token belongs to. A token is never used again on its connection. (RFC 9175, 4)
    pub(super) tokens: BTreeMap<Token, u64>,
    pub(super) bodies: Bodies,
    pub(super) observers: Observers,
    pub(super) outputs: VecDeque<Output>,
}

impl Connection {
    /// A connection that has just been established, by either side.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let csm_due = config.csm_timeout.map(|it| now.saturating_add(it));
        let csm = Signal::Csm {
            max_message_size: Some(u32::try_from(config.message_limit()).unwrap_or(u32::MAX)),
            block_wise: true,
        };
        let mut connection = Self {
            config,
            frames: Frames::default(),
            peer: Peer::default(),
            phase: Phase::Open,
            latest: now,
            csm_due,
            heard: now,
            pong_due: None,
            custody: VecDeque::new(),
            next_number: 0,
            next_token: 0,
            inbound: BTreeMap::new(),
            outbound: BTreeMap::new(),
            tokens: BTreeMap::new(),
            bodies: Bodies::default(),
            observers: Observers::default(),
            outputs: VecDeque::new(),
        };
        connection.signal(&csm, Token::default());
        connection
    }

    /// Takes bytes that the stream brought, in pieces of any size.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        let now = self.advance(now);
        if self.is_closed() || bytes.is_empty() {
            return;
        }
        self.heard = now;
        self.pong_due = None;
        let mut frames = mem::take(&mut self.frames);
        let mut rest = bytes;
        while !self.is_closed() {
            match frames.next(&mut rest, self.config.message_limit()) {
                Ok(Some(message)) => {
                    self.handle_message(&message, now);
                    self.settle();
                }
                Ok(None) => {
                    self.frames = frames;
                    return;
                }
                Err(error) => self.abort(error.into(), None),
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        let is_due = |due: Instant| due <= now;
        match self.phase {
            Phase::Closed => return,
            Phase::Releasing { until } if is_due(until) => {
                return self.hang_up(CloseReason::Local);
            }
            Phase::Released { until } if is_due(until) => {
                return self.hang_up(CloseReason::Released);
            }
            _ => {}
        }
        if self.csm_due.is_some_and(is_due) {
            return self.abort(Violation::NoCsm, None);
        }
        if self.pong_due.is_some_and(is_due) {
            return self.hang_up(CloseReason::Silent);
        }
        if self.ping_due().is_some_and(is_due) {
            let token = self.new_token();
            let patience = self.config.pong_timeout.max(SHORTEST_INTERVAL);
            self.pong_due = Some(now.saturating_add(patience));
            self.signal(&Signal::Ping { custody: false }, token);
        }
        self.bodies.expire(self.config.transfer_timeout, now);
        self.handle_inbound_timeout(now);
        self.handle_outbound_timeout(now);
        self.settle();
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.phase {
            Phase::Open => None,
            Phase::Releasing { until } | Phase::Released { until } => Some(until),
            Phase::Closed => return None,
        };
        [
            phase,
            self.csm_due,
            self.pong_due,
            self.ping_due(),
            self.bodies.next_deadline(self.config.transfer_timeout),
        ]
        .into_iter()
        .flatten()
        .chain(self.inbound.values().map(Inbound::deadline))
        .chain(self.outbound.values().filter_map(Outbound::deadline))
        .min()
    }

    fn handle_message(&mut self, message: &MessageRef<'_>, now: Instant) {
        if self.csm_due.is_some() && message.code() != CSM {
            return self.abort(Violation::NoCsm, None);
        }
        match message.code().class() {
            0 => self.handle_request(message, now),
            2 | 4 | 5 => self.handle_response(message, now),
            7 => match Signal::read(message) {
                Ok(Some(signal)) => self.handle_signal(signal, message.token(), now),
                Ok(None) => {}
                Err(UnknownOption(number)) => {
                    let bad_csm_option = (message.code() == CSM).then_some(number);
                    self.abort(Violation::UnknownOption(number), bad_csm_option);
                }
            },
            // A class without a meaning is rejected. (RFC 7252, 4.2 and 12.1; RFC 8323, 5.6)
            _ => self.abort(Violation::Malformed, None),
        }
    }

    fn handle_signal(&mut self, signal: Signal, token: Token, now: Instant) {
        match signal {
            Signal::Csm {
                max_message_size,
                block_wise,
            } => {
                self.csm_due = None;
                self.peer.learn(max_message_size, block_wise);
            }
            // RFC 8323, 5.4.1: with custody, after all that came before is processed.
            Signal::Ping { custody: true } if self.custody.len() < self.config.max_inbound => {
                self.custody.push_back((self.next_number, token));
            }
            Signal::Ping { .. } => self.signal(&Signal::Pong { custody: false }, token),
            // Whatever arrives is a sign of life.
            Signal::Pong { .. } => {}
            Signal::Release(release) => {
                if !matches!(self.phase, Phase::Released { .. }) {
                    let until = now.saturating_add(self.config.release_timeout);
                    self.phase = Phase::Released { until };
                    self.event(Event::Released(release));
                }
            }
            Signal::Abort {
                bad_csm_option,
                diagnostic,
            } => self.hang_up(CloseReason::Aborted {
                bad_csm_option,
                diagnostic,
            }),
        }
    }

    /// Sends a message; `false` when the peer does not take one that long.
    pub(super) fn send(&mut self, message: &Message) -> bool {
        // Requests and responses were checked when they came; a message that does not encode is not of those.
        let Ok(bytes) = frame::encode(message) else {
            return false;
        };
        let fits = self.peer.takes(bytes.len());
        if fits {
            self.outputs.push_back(Output::Send(bytes));
        }
        fits
    }

    /// Sends a signal, which is short enough for every peer.
    pub(super) fn signal(&mut self, signal: &Signal, token: Token) {
        let encoded = frame::encode(&signal.to_message(token));
        self.outputs.extend(encoded.ok().map(Output::Send));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(super) fn new_number(&mut self) -> u64 {
        self.next_number = self.next_number.saturating_add(1);
        self.next_number
    }

    /// Numbers in a row will do: a guessed token is of use only to who can write into the stream. (RFC 9175, 4.2)
    pub(super) fn new_token(&mut self) -> Token {
        self.next_token = self.next_token.saturating_add(1);
        Token::from_number(self.next_token)
    }

    /// When the peer is asked for a sign of life, unless it gives one before.
    fn ping_due(&self) -> Option<Instant> {
        let keepalive = self.config.keepalive.filter(|_| self.pong_due.is_none())?;
        Some(self.heard.saturating_add(keepalive.max(SHORTEST_INTERVAL)))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("phase", &self.phase)
            .field("inbound", &self.inbound.len())
            .field("outbound", &self.outbound.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

/// The numbers of those that are due.
pub(super) fn due<T>(
    entries: &BTreeMap<u64, T>,
    deadline: impl Fn(&T) -> Option<Instant>,
    now: Instant,
) -> Vec<u64> {
    entries
        .iter()
        .filter(|(_, entry)| deadline(entry).is_some_and(|deadline| deadline <= now))
        .map(|(number, _)| *number)
        .collect()
}
