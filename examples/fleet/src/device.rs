//! What a fleet keeps of one device.

use coap_psk::dtls::SessionId;
use coap_psk::{ExchangeId, Instant};

use crate::member::Member;

/// Where a device is on its way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// It has no session.
    Away,
    /// In a handshake.
    Connecting(SessionId),
    /// It asks for its own secret.
    Activating(SessionId, ExchangeId),
    /// It has nothing under way.
    Idle(SessionId),
    /// It waits for an answer.
    Asking(SessionId, ExchangeId),
}

/// When it is a device's turn to do the next thing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// It waits for the cloud, or has nothing left to do.
    None,
    At(Instant),
    /// As soon as there is room for one more at once.
    Now,
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) member: Member,
    pub(crate) state: State,
    pub(crate) turn: Turn,
    /// When what is under way began.
    pub(crate) began: Instant,
    /// Attempts at a session that failed since the last one that did not.
    pub(crate) failed: u32,
    /// Requests that it has sent.
    pub(crate) asked: u32,
    pub(crate) arrived: bool,
    /// Whether it has done all that it was to do, or has given up.
    pub(crate) settled: bool,
}

impl Device {
    pub(crate) const fn new(member: Member) -> Self {
        Self {
            member,
            state: State::Away,
            turn: Turn::None,
            began: Instant::ZERO,
            failed: 0,
            asked: 0,
            arrived: false,
            settled: false,
        }
    }

    /// Whether it takes one of the places of those that may have something under way.
    pub(crate) const fn is_under_way(&self) -> bool {
        !matches!(self.state, State::Away | State::Idle(_))
    }

    /// Whether this exchange is the one it waits for.
    pub(crate) fn awaits(&self, exchange: ExchangeId) -> bool {
        matches!(self.state, State::Activating(_, it) | State::Asking(_, it) if it == exchange)
    }
}
