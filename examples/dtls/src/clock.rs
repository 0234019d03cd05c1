//! Time as `dimpl` wants it, and back.

use std::time::Duration;

use coap_psk::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// The moment that `Instant` zero of coap-psk stands for.
    pub(crate) origin: std::time::Instant,
}

impl Clock {
    pub(crate) fn of_engine(self, now: Instant) -> std::time::Instant {
        self.origin
            .checked_add(Duration::from_micros(now.as_micros()))
            .unwrap_or(self.origin)
    }

    pub(crate) fn of_family(self, at: std::time::Instant) -> Instant {
        let since = at.saturating_duration_since(self.origin);
        Instant::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }
}
