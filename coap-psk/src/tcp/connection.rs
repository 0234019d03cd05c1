//! A connection from its first byte to its last: signals, time, the end.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use core::{fmt, mem};

use super::config::Config;
use super::frame::{self, Frames};
use super::inbound::Inbound;
use super::outbound::Outbound;
use super::output::{CloseReason, Event, ExchangeId, Output, Release, Violation};
use super::peer::Peer;
use super::signal::{CSM, Signal};
use crate::block::bodies::Bodies;
use crate::codec::MessageRef;
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::message::{Code, Message, Token};
use crate::observe::Observers;
use crate::time::Instant;

/// Keeps intervals configured as zero from asking for signs of life without end.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);

/// Machine: one connection over a reliable transport, client and server at once.
///
/// Moments must not go back; one that does counts as the latest.
pub struct Connection {
    pub(super) config: Config,
    frames: Frames,
    pub(super) peer: Peer,
    phase: Phase,
    latest: Instant,
    /// When the peer's CSM must have come, as long as that matters.
    csm_due: Option<Instant>,
    /// When the peer was heard last.
    heard: Instant,
    /// When it must be heard again, because it was asked for a sign of life.
    pong_due: Option<Instant>,
    /// Pings that are to be answered when all requests up to a number are, oldest first.
    custody: VecDeque<(u64, Token)>,
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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Open,
    /// We have released the connection.
    Releasing {
        until: Instant,
    },
    /// The peer has.
    Released {
        until: Instant,
    },
    Closed,
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

    /// Ends the connection in good order: the peer is told, answers what it is still to answer, and closes the stream. No
    /// request of ours follows. [`Closed`](Event::Closed) comes when it has, or when it takes too long.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownSession`] when the connection is over; [`ErrorKind::Refused`] when it was released already;
    /// [`ErrorKind::Path`] when options cannot carry what `release` says; [`ErrorKind::TooLarge`] when the peer does not
    /// take a message that long.
    pub fn release(&mut self, release: Release, now: Instant) -> Result<(), Error> {
        self.check_open()?;
        if !release.fits() {
            return Err(ErrorKind::Path.into());
        }
        let message = Signal::Release(release).to_message(Token::default());
        if !self.send(&message) {
            return Err(ErrorKind::TooLarge.into());
        }
        let now = self.advance(now);
        self.phase = Phase::Releasing {
            until: now.saturating_add(self.config.release_timeout),
        };
        Ok(())
    }

    /// Closes the connection at once: requests of ours fail, those of the peer stay unanswered. A closed one is left as it
    /// is.
    pub fn close(&mut self, now: Instant) {
        self.advance(now);
        self.hang_up(CloseReason::Local);
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
                Err(error) => self.abort(error.into()),
            }
        }
    }

    /// Takes note that the stream has ended or broken; nothing more arrives, and nothing can be sent.
    pub fn handle_closed(&mut self, now: Instant) {
        self.advance(now);
        let why = match self.phase {
            Phase::Open => CloseReason::Ended,
            Phase::Releasing { .. } => CloseReason::Local,
            Phase::Released { .. } => CloseReason::Released,
            Phase::Closed => return,
        };
        self.end(why);
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
            return self.abort(Violation::NoCsm);
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

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn handle_message(&mut self, message: &MessageRef<'_>, now: Instant) {
        if self.csm_due.is_some() && message.code() != CSM {
            return self.abort(Violation::NoCsm);
        }
        match message.code().class() {
            0 => self.handle_request(message, now),
            2 | 4 | 5 => self.handle_response(message, now),
            7 => match Signal::read(message) {
                Ok(Some(signal)) => self.handle_signal(signal, message.token(), now),
                Ok(None) => {}
                Err(unknown) => self.abort_for(unknown.0, message.code()),
            },
            // A class without a meaning is rejected. (RFC 7252, 4.2 and 12.1; RFC 8323, 5.6)
            _ => self.abort(Violation::Malformed),
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

    /// Does what waited for requests to be answered.
    pub(super) fn settle(&mut self) {
        let oldest = self.inbound.first_key_value().map(|(number, _)| *number);
        while let Some((up_to, token)) = self.custody.front().copied() {
            if oldest.is_some_and(|oldest| oldest <= up_to) {
                break;
            }
            self.custody.pop_front();
            self.signal(&Signal::Pong { custody: true }, token);
        }
        // RFC 8323, 5.5: what is on its way is still processed. Observations have no end of their own.
        if matches!(self.phase, Phase::Released { .. })
            && self.inbound.is_empty()
            && self.outbound.values().all(Outbound::is_resting)
        {
            self.hang_up(CloseReason::Released);
        }
    }

    /// Aborts the connection because of what the peer did.
    fn abort(&mut self, violation: Violation) {
        self.abort_with(violation, None);
    }

    /// Aborts the connection because of a critical option in a signal with this code. (RFC 8323, 5.2 and 5.6)
    fn abort_for(&mut self, option: u16, code: Code) {
        let bad_csm_option = (code == CSM).then_some(option);
        self.abort_with(Violation::UnknownOption(option), bad_csm_option);
    }

    fn abort_with(&mut self, violation: Violation, bad_csm_option: Option<u16>) {
        let abort = Signal::Abort {
            bad_csm_option,
            diagnostic: String::from(violation.diagnostic()),
        };
        self.signal(&abort, Token::default());
        self.hang_up(CloseReason::Violation(violation));
    }

    /// Closes the stream and ends the connection.
    fn hang_up(&mut self, why: CloseReason) {
        if !self.is_closed() {
            self.outputs.push_back(Output::Close);
            self.end(why);
        }
    }

    /// Ends everything on the connection. (RFC 8323, 3.4)
    fn end(&mut self, why: CloseReason) {
        self.phase = Phase::Closed;
        self.frames = Frames::default();
        self.custody.clear();
        self.tokens.clear();
        self.inbound.clear();
        self.bodies = Bodies::default();
        for number in mem::take(&mut self.outbound).into_keys() {
            self.event(Event::Failed {
                exchange: ExchangeId(number),
                failure: Failure::Closed,
            });
        }
        for number in mem::take(&mut self.observers).numbers() {
            self.event(Event::Unobserved {
                exchange: ExchangeId(number),
            });
        }
        self.event(Event::Closed { why });
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
    fn signal(&mut self, signal: &Signal, token: Token) {
        let encoded = frame::encode(&signal.to_message(token));
        self.outputs.extend(encoded.ok().map(Output::Send));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Whether a request may be begun.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Releasing { .. } | Phase::Released { .. } => Err(ErrorKind::Refused.into()),
            Phase::Closed => Err(ErrorKind::UnknownSession.into()),
        }
    }

    pub(super) fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(super) fn new_number(&mut self) -> u64 {
        self.next_number = self.next_number.saturating_add(1);
        self.next_number
    }

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
