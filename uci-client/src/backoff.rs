//! How long to wait before the next try.

use core::time::Duration;

use crate::random::Random;

/// A schedule of delays that double from the first to the longest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

    /// Makes a schedule; delays are at least a millisecond and at most a week.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        let first = first.clamp(Self::SHORTEST, Self::LONGEST);
        Self {
            first,
            longest: longest.clamp(first, Self::LONGEST),
        }
    }

    /// The delay after `failures` failures, between half and the whole of the step, never below what the peer asked for.
    ///
    /// What the peer asks for counts up to `longest`, so that it cannot put a subscription to sleep for years.
    pub(crate) fn delay(
        self,
        failures: u32,
        retry_after: Option<Duration>,
        random: &mut Random,
    ) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let step = self.first.saturating_mul(1 << doublings).min(self.longest);
        random
            .jitter(step)
            .max(retry_after.unwrap_or_default().min(self.longest))
            .max(Self::SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::Backoff;
    use crate::random::Random;

    #[test]
    fn delays_double_with_jitter_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut random = Random::new([1; 32]);
        for (failures, upper) in [
            (1, 1),
            (2, 2),
            (3, 4),
            (6, 32),
            (7, 60),
            (4_000_000_000, 60),
        ] {
            let delay = backoff.delay(failures, None, &mut random);
            let upper = Duration::from_secs(upper);
            assert!(
                delay >= upper / 2 && delay <= upper,
                "{failures}: {delay:?}"
            );
        }
    }

    #[test]
    fn the_peer_is_given_the_time_it_asks_for_up_to_the_longest_delay() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut random = Random::new([1; 32]);
        assert_eq!(
            backoff.delay(1, Some(Duration::from_secs(30)), &mut random),
            Duration::from_secs(30)
        );
        assert_eq!(
            backoff.delay(1, Some(Duration::MAX), &mut random),
            Duration::from_secs(60)
        );
    }

    #[test]
    fn a_schedule_of_zero_still_waits() {
        assert!(
            !Backoff::new(Duration::ZERO, Duration::ZERO)
                .delay(1, None, &mut Random::new([1; 32]))
                .is_zero()
        );
    }
}
