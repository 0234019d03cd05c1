//! How a connection ends.

use alloc::string::String;
use core::mem;

use super::connection::Connection;
use super::frame::Frames;
use super::outbound::Outbound;
use super::output::{CloseReason, Event, ExchangeId, Output, Release, Violation};
use super::signal::Signal;
use crate::block::bodies::Bodies;
use crate::error::{Error, ErrorKind};
use crate::failure::Failure;
use crate::message::Token;
use crate::time::Instant;

/// How far the connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
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

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whether a request may be begun.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Releasing { .. } | Phase::Released { .. } => Err(ErrorKind::Refused.into()),
            Phase::Closed => Err(ErrorKind::UnknownSession.into()),
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

    /// Aborts the connection because of what the peer did. (RFC 8323, 5.6)
    pub(super) fn abort(&mut self, violation: Violation, bad_csm_option: Option<u16>) {
        let abort = Signal::Abort {
            bad_csm_option,
            diagnostic: String::from(violation.diagnostic()),
        };
        self.signal(&abort, Token::default());
        self.hang_up(CloseReason::Violation(violation));
    }

    /// Closes the stream and ends the connection.
    pub(super) fn hang_up(&mut self, why: CloseReason) {
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
}
