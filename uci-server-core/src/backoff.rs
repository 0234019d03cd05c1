//! How long to wait before a delivery is tried again.

use std::time::Duration;

/// Exponential delays with jitter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The mean delay after the first failure.
    pub first: Duration,
    /// The longest delay of our own choice.
    pub longest: Duration,
    /// The longest delay that a peer may ask for.
    pub longest_asked: Duration,
}

impl Backoff {
    /// Delays from `first`, doubling up to `longest`; a peer may ask for an hour.
    #[must_use]
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            longest_asked: Duration::from_secs(3600),
        }
    }

    /// The delay after the `failures`-th failure in a row (1 is the first): between half of it and all of it, chosen by
    /// `jitter`, and never less than the peer asked for with `retry_after`, up to `longest_asked`.
    #[must_use]
    pub fn delay(&self, failures: u32, jitter: u64, retry_after: Option<Duration>) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self
            .first
            .saturating_mul(1_u32 << doublings)
            .min(self.longest);
        // 1024 steps are jitter enough, and need no wide arithmetic.
        let steps = u32::try_from(jitter % 1025)
            .unwrap_or(0)
            .saturating_add(1024);
        let step = whole.checked_div(2048).unwrap_or_default();
        let jittered = step.saturating_mul(steps);
        jittered.max(retry_after.unwrap_or_default().min(self.longest_asked))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::new(Duration::from_secs(1), Duration::from_secs(300))
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_stay_within_half() {
        let backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
        for (failures, whole) in [(1, 2), (2, 4), (3, 8), (5, 32), (6, 60), (400, 60)] {
            for jitter in [0, 1, 512, 1024, u64::MAX] {
                let delay = backoff.delay(failures, jitter, None);
                assert!(
                    delay <= Duration::from_secs(whole),
                    "{failures} {jitter} {delay:?}"
                );
                // The division into steps rounds down.
                let half = Duration::from_secs(whole) / 2 - Duration::from_micros(2);
                assert!(delay >= half, "{failures} {jitter} {delay:?}");
            }
        }
    }

    #[test]
    fn retry_after_is_honored_and_capped() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let asked = |seconds| backoff.delay(1, 0, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(30), Duration::from_secs(30));
        assert!(asked(0) < Duration::from_millis(501));
        assert_eq!(asked(3_000), Duration::from_secs(3_000));
        assert_eq!(asked(86_400), Duration::from_secs(3_600));
    }
}
