//! What an endpoint refuses to sources that ask too much of it.
//!
//! | what | whose | over the rate |
//! | --- | --- | --- |
//! | ClientHello | anybody's | dropped before the engine sees it |
//! | handshake that names an identity | who gets what we send, given back when it is verified | goes on as with a wrong key, nobody is asked; ClientHellos are dropped |
//! | message that breaks the format | a verified peer's | no Reset |
//! | message | of one session | dropped, as if it were lost |
//!
//! A record of an established session counts against that session alone, once it is authentic: nobody can spend what another one
//! needs.

use core::net::SocketAddr;
use core::time::Duration;

use crate::limit::{Allowance, Prefixes, Rate, SourceLimiter};
use crate::time::Instant;

/// How much one network may ask of an [`Endpoint`](crate::Endpoint) before it is refused.
///
/// Thousands of devices can be behind one address of a mobile network, and come back at the same time: rates that are too
/// low keep those out.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// ClientHellos; default 10,000 a second. Those beyond are dropped, and a device repeats its own. Their source can be
    /// forged: whoever sends that many in the name of a network keeps its devices from new sessions, not from those they have.
    pub hellos: Rate,
    /// Handshakes that named an identity and have not been verified; default 10,000 at once and 100 a second. Those beyond
    /// fail as with a wrong key, and no further ClientHello of their network is taken.
    pub handshakes: Rate,
    /// Resets for messages that break the format; default 100 at once and one a second. Those beyond are not sent.
    pub format_errors: Rate,
    /// Messages of one session; default 10,000 a second. Those beyond are dropped as if they were lost, so that a device that sends as
    /// fast as it can takes no more than its part from others.
    pub messages: Rate,
    /// What counts as one network.
    pub prefixes: Prefixes,
    /// Networks that are remembered for each of the rates; default 10,000.
    pub max_networks: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hellos: Rate::new(10_000, Duration::from_secs(1)),
            handshakes: Rate::new(10_000, Duration::from_secs(100)),
            format_errors: Rate::new(100, Duration::from_secs(100)),
            messages: Rate::new(10_000, Duration::from_secs(1)),
            prefixes: Prefixes::default(),
            max_networks: 10_000,
        }
    }
}

/// What an [`Endpoint`](crate::Endpoint) has refused or forgotten since it began, for whoever watches it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// ClientHellos that were dropped because of their network's rates.
    pub hellos_dropped: u64,
    /// Handshakes that went on as with a wrong key because of their network's rate.
    pub handshakes_refused: u64,
    /// Messages that break the format and got no Reset because of their network's rate.
    pub resets_withheld: u64,
    /// Messages that were dropped because of their session's rate.
    pub messages_dropped: u64,
    /// Messages whose duplicates are not recognized any more, for lack of memory.
    pub remembered_dropped: u64,
    /// Sessions that were closed as soon as they were verified, because there was no place for them.
    pub sessions_refused: u64,
    /// Sessions of silent devices that gave their place to others.
    pub sessions_evicted: u64,
    /// Datagrams that a driver dropped, because more came than it could take; see
    /// [`Endpoint::is_expendable`](crate::Endpoint::is_expendable).
    pub overload_dropped: u64,
}

impl Counters {
    /// These and those of another endpoint.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            hellos_dropped: self.hellos_dropped.saturating_add(other.hellos_dropped),
            handshakes_refused: self
                .handshakes_refused
                .saturating_add(other.handshakes_refused),
            resets_withheld: self.resets_withheld.saturating_add(other.resets_withheld),
            messages_dropped: self.messages_dropped.saturating_add(other.messages_dropped),
            remembered_dropped: self
                .remembered_dropped
                .saturating_add(other.remembered_dropped),
            sessions_refused: self.sessions_refused.saturating_add(other.sessions_refused),
            sessions_evicted: self.sessions_evicted.saturating_add(other.sessions_evicted),
            overload_dropped: self.overload_dropped.saturating_add(other.overload_dropped),
        }
    }
}

/// The rates of all networks, and what came of them.
pub(crate) struct Guard {
    hellos: SourceLimiter,
    handshakes: SourceLimiter,
    format_errors: SourceLimiter,
    messages: Rate,
    pub(crate) counters: Counters,
}

impl Guard {
    pub(crate) fn new(limits: &Limits) -> Self {
        let limiter = |rate| SourceLimiter::new(rate, limits.prefixes, limits.max_networks);
        Self {
            hellos: limiter(limits.hellos),
            handshakes: limiter(limits.handshakes),
            format_errors: limiter(limits.format_errors),
            messages: limits.messages,
            counters: Counters::default(),
        }
    }

    /// Whether a ClientHello is taken.
    pub(crate) fn admits_hello(&mut self, source: SocketAddr, now: Instant) -> bool {
        let source = source.ip();
        let admitted = self.handshakes.would_admit(source, now) && self.hellos.admit(source, now);
        count_unless(admitted, &mut self.counters.hellos_dropped)
    }

    /// Whether the key of a handshake is looked for.
    pub(crate) fn admits_handshake(&mut self, source: SocketAddr, now: Instant) -> bool {
        let admitted = self.handshakes.admit(source.ip(), now);
        count_unless(admitted, &mut self.counters.handshakes_refused)
    }

    /// Notes that a handshake was verified: it was no attempt on us.
    pub(crate) fn handle_verified(&mut self, source: SocketAddr, now: Instant) {
        self.handshakes.give_back(source.ip(), now);
    }

    /// Whether [`admits_message`](Self::admits_message) would.
    pub(crate) fn would_admit_message(&self, left: &Allowance, now: Instant) -> bool {
        left.would_admit(self.messages, now)
    }

    /// Whether a message of the session is taken that has this left.
    pub(crate) fn admits_message(&mut self, left: &mut Allowance, now: Instant) -> bool {
        let admitted = left.admit(self.messages, now);
        count_unless(admitted, &mut self.counters.messages_dropped)
    }

    /// Notes that a message was forgotten before its time.
    pub(crate) const fn handle_forgotten(&mut self) {
        self.counters.remembered_dropped = self.counters.remembered_dropped.saturating_add(1);
    }

    /// Notes that a session found no place.
    pub(crate) const fn handle_session_refused(&mut self) {
        self.counters.sessions_refused = self.counters.sessions_refused.saturating_add(1);
    }

    /// Notes that a session lost its place.
    pub(crate) const fn handle_session_evicted(&mut self) {
        self.counters.sessions_evicted = self.counters.sessions_evicted.saturating_add(1);
    }

    /// Notes that a datagram was dropped before it was looked at.
    pub(crate) const fn handle_overload(&mut self) {
        self.counters.overload_dropped = self.counters.overload_dropped.saturating_add(1);
    }

    /// Whether a message that breaks the format gets its Reset.
    pub(crate) fn admits_reset(&mut self, source: SocketAddr, now: Instant) -> bool {
        let admitted = self.format_errors.admit(source.ip(), now);
        count_unless(admitted, &mut self.counters.resets_withheld)
    }
}

fn count_unless(admitted: bool, refused: &mut u64) -> bool {
    if !admitted {
        *refused = refused.saturating_add(1);
    }
    admitted
}
