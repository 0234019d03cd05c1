//! The two clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What the wall clock shows, carried on by the monotonic one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) wall: u64,
    pub(super) now: Instant,
}

impl Clock {
    pub(super) fn new(wall: SystemTime, now: Instant) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            wall: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            now,
        }
    }

    /// Moves on to `now`; a clock that goes back stands still.
    pub(super) fn pass(&mut self, now: Instant) -> Instant {
        // Only whole milliseconds are taken over, so that the fractions are not lost.
        let passed =
            u64::try_from(now.saturating_duration_since(self.now).as_millis()).unwrap_or(u64::MAX);
        if let Some(at) = self.now.checked_add(Duration::from_millis(passed)) {
            self.now = at;
            self.wall = self.wall.saturating_add(passed);
        }
        now.max(self.now)
    }

    /// When the wall clock will show `wall`; now, if it has already.
    pub(super) fn instant(self, wall: u64) -> Option<Instant> {
        self.now
            .checked_add(Duration::from_millis(wall.saturating_sub(self.wall)))
    }
}
