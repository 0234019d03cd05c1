//! A clock for ages that a step of the wall clock does not upset.

use std::time::{Duration, Instant};

use crate::time::UnixMillis;

/// By how much wall time may run away from monotonic time before it counts as a step.
const STEP: Duration = Duration::from_secs(60);

/// Wall time that never decreases, and takes a step forward only after a while.
///
/// When the wall clock is set forward, everything that waits would seem old at once, and promises would be given up that
/// nobody has broken. So the step counts only after everything that waited at its time has really grown old.
#[derive(Debug, Default)]
pub(super) struct SteadyClock {
    /// What it showed, and when.
    base: Option<(UnixMillis, Instant)>,
    /// Since when the wall clock is ahead.
    ahead_since: Option<Instant>,
}

impl SteadyClock {
    /// Notes what the wall clock shows; a step forward is believed after `settle_after`.
    pub(super) fn note(&mut self, wall: UnixMillis, now: Instant, settle_after: Duration) {
        let Some(steady) = self.at(now) else {
            self.base = Some((wall, now));
            return;
        };
        if wall.since(steady) <= STEP {
            self.ahead_since = None;
            // Slow drift is followed; backwards it stands still at most.
            if wall > steady {
                self.base = Some((wall, now));
            }
            return;
        }
        let ahead_since = *self.ahead_since.get_or_insert(now);
        if now.saturating_duration_since(ahead_since) >= settle_after {
            self.base = Some((wall, now));
            self.ahead_since = None;
        }
    }

    /// How long ago something was, by what was noted last.
    pub(super) fn age(&self, since: UnixMillis, now: Instant) -> Duration {
        self.at(now)
            .map_or(Duration::ZERO, |steady| steady.since(since))
    }

    fn at(&self, now: Instant) -> Option<UnixMillis> {
        let (wall, then) = self.base?;
        Some(wall.after(now.saturating_duration_since(then)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> (SteadyClock, UnixMillis, Instant) {
        let (wall, now) = (UnixMillis(1_800_000_000_000), Instant::now());
        let mut clock = SteadyClock::default();
        clock.note(wall, now, DAY);
        (clock, wall, now)
    }

    #[test]
    fn it_follows_time_that_passes() {
        let (mut clock, wall, now) = start();
        let drift = Duration::from_secs(5);
        clock.note(wall.after(HOUR + drift), now + HOUR, DAY);
        assert_eq!(clock.age(wall, now + HOUR), HOUR + drift);
        assert_eq!(clock.age(wall, now + 2 * HOUR), 2 * HOUR + drift);
    }

    #[test]
    fn a_step_forward_makes_nothing_old_before_its_time() {
        let (mut clock, wall, now) = start();
        clock.note(wall.after(30 * DAY), now, DAY);
        clock.note(wall.after(30 * DAY + HOUR), now + HOUR, DAY);
        assert_eq!(clock.age(wall, now + HOUR), HOUR);
        // What comes after the step is new, and grows old by the new time once that is believed.
        let since = wall.after(30 * DAY + HOUR);
        assert_eq!(clock.age(since, now + 2 * HOUR), Duration::ZERO);
        clock.note(wall.after(31 * DAY), now + DAY, DAY);
        assert_eq!(clock.age(since, now + DAY), DAY - HOUR);
    }

    #[test]
    fn a_step_back_stops_no_time() {
        let (mut clock, wall, now) = start();
        clock.note(UnixMillis(0), now + HOUR, DAY);
        assert_eq!(clock.age(wall, now + 2 * HOUR), 2 * HOUR);
    }
}
