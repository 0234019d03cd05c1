//! How long to wait before the next try: longer after each failure, and not in step with other devices.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// Failures since the last success.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure; the wait is between half of the present bound and all of it, as `entropy` has it.
    pub(crate) fn next(&mut self, entropy: [u8; 2]) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let bound = FIRST.saturating_mul(factor).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let part = f64::from(u16::from_le_bytes(entropy)) / f64::from(u16::MAX);
        bound.mul_f64(0.5 + part / 2.0)
    }

    /// Notes a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_minute_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        let longest = |backoff: &mut Backoff| backoff.next([255, 255]).as_millis();
        let waits: Vec<_> = (0..8).map(|_| longest(&mut backoff)).collect();
        let expected = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
        assert_eq!(waits, expected);
        for _ in 0..100 {
            assert_eq!(backoff.next([0, 0]), Duration::from_secs(15));
        }
        backoff.reset();
        assert_eq!(backoff.next([0, 0]), Duration::from_millis(250));
    }
}
