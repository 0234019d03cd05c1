//! How long things took, in memory that does not grow with how many they were.

use std::time::Duration;

use coap_psk::Instant;

/// Each power of two is cut into so many buckets, so that a figure is at most one part in 16 too high.
const PARTS: u64 = 16;
/// Those of `u64`.
const BUCKETS: usize = 976;

/// A histogram of durations, and from when to when they were.
#[derive(Clone, Debug)]
pub struct Latencies {
    buckets: Vec<u64>,
    count: u64,
    span: Option<(Instant, Instant)>,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            count: 0,
            span: None,
        }
    }
}

impl Latencies {
    /// Notes something that began and ended at these moments.
    pub fn note(&mut self, began: Instant, ended: Instant) {
        let micros = ended.as_micros().saturating_sub(began.as_micros());
        if let Some(bucket) = self.buckets.get_mut(bucket_of(micros)) {
            *bucket = bucket.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        let (first, last) = self.span.unwrap_or((began, ended));
        self.span = Some((first.min(began), last.max(ended)));
    }

    /// How many were noted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// How many there were in a second, from when the first began until the last ended.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let Some((first, last)) = self.span else {
            return 0.0;
        };
        let seconds = last.saturating_duration_since(first).as_secs_f64();
        if seconds > 0.0 {
            self.count as f64 / seconds
        } else {
            0.0
        }
    }

    /// The time that this share of them did not exceed, at most one part in 16 too high; zero when there were none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = self.count as f64 * share;
        let mut below = 0_u64;
        for (index, bucket) in self.buckets.iter().enumerate() {
            below = below.saturating_add(*bucket);
            if *bucket > 0 && below as f64 >= wanted {
                return Duration::from_micros(longest_in(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket_of(micros: u64) -> usize {
    let shift = shift_of(micros);
    let bucket = u64::from(shift)
        .saturating_mul(PARTS)
        .saturating_add(micros >> shift);
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// How many of the last bits do not count.
fn shift_of(micros: u64) -> u32 {
    let bits = u64::BITS.saturating_sub(micros.leading_zeros());
    bits.saturating_sub(PARTS.ilog2().saturating_add(1))
}

/// The longest time that goes into a bucket.
fn longest_in(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    // The leading bit counts as one more run of parts.
    let shift = (bucket / PARTS).saturating_sub(1);
    let leading = bucket.saturating_sub(shift.saturating_mul(PARTS));
    let after = u128::from(leading.saturating_add(1)) << shift;
    u64::try_from(after.saturating_sub(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_it_says_and_its_width_is_a_sixteenth() {
        let samples = (0..4_096).chain((12..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + power / 3, power | (power - 1)]
        }));
        for micros in samples {
            let bucket = bucket_of(micros);
            assert!(bucket < BUCKETS, "{micros}");
            let longest = longest_in(bucket);
            assert!(longest >= micros, "{micros} is in a bucket up to {longest}");
            assert!(
                longest - micros <= micros / 16,
                "{micros} counts as {longest}"
            );
            assert!(bucket == 0 || longest_in(bucket - 1) < micros, "{micros}");
        }
    }

    #[test]
    fn quantiles_and_rates_are_those_of_what_was_noted() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), Duration::ZERO);
        for number in 1..=100 {
            let began = Instant::from_micros(number * 10_000);
            latencies.note(began, began.saturating_add(Duration::from_millis(number)));
        }
        let (half, most) = (latencies.quantile(0.5), latencies.quantile(0.99));
        assert!((50..=54).contains(&half.as_millis()), "{half:?}");
        assert!((99..=106).contains(&most.as_millis()), "{most:?}");
        // From 10 ms to 1.1 s.
        assert!((latencies.per_second() - 100.0 / 1.09).abs() < 0.01);
    }
}
