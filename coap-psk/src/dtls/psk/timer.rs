//! When a flight is sent again, and when a handshake is given up. (RFC 6347, 4.2.4.1)

use core::time::Duration;

use super::config::PskConfig;
use crate::time::Instant;

/// No time is shorter: a deadline must lie in the future.
const SHORTEST: Duration = Duration::from_millis(1);

/// What is due of a handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    Nothing,
    /// The flight must be sent again.
    Repetition,
    /// The handshake took too long.
    End,
}

/// When the present flight is sent again, and when the handshake is given up.
pub(super) struct Timer {
    next: Option<Instant>,
    interval: Duration,
    sent: Instant,
    end: Instant,
}

impl Timer {
    /// For a handshake that begins now.
    pub(super) fn new(config: &PskConfig, now: Instant) -> Self {
        Self {
            next: None,
            interval: Duration::ZERO,
            sent: now,
            end: now.saturating_add(config.handshake_timeout.max(SHORTEST)),
        }
    }

    /// A flight is being sent for the first time.
    pub(super) fn start(&mut self, config: &PskConfig, now: Instant) {
        self.interval = config.initial_timeout.max(SHORTEST);
        self.sent = now;
        self.next = Some(now.saturating_add(self.interval));
    }

    /// The peer answered; no flight of ours is under way.
    pub(super) const fn stop(&mut self) {
        self.next = None;
    }

    /// Whether the flight may be sent again because the peer repeats its own; not for a copy of what was just answered.
    pub(super) fn take_repetition(&mut self, config: &PskConfig, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.sent);
        let allowed = since.saturating_mul(2) >= config.initial_timeout;
        if allowed {
            self.sent = now;
        }
        allowed
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next.map_or(self.end, |next| next.min(self.end))
    }

    /// What is due; the time to the next repetition doubles. (RFC 6347, 4.2.4.1)
    pub(super) fn handle_timeout(&mut self, config: &PskConfig, now: Instant) -> Due {
        if self.end <= now {
            return Due::End;
        }
        if self.next.is_none_or(|next| next > now) {
            return Due::Nothing;
        }
        let longest = config.max_timeout.max(SHORTEST);
        self.interval = self.interval.saturating_mul(2).min(longest);
        self.sent = now;
        self.next = Some(now.saturating_add(self.interval));
        Due::Repetition
    }
}
