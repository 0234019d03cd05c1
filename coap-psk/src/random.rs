//! Pseudo-random numbers and bytes from a seed.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// HMAC-SHA256 of a counter under the seed.
pub(crate) struct Random {
    /// Under the seed, which is in it and is wiped with it.
    keyed: Hmac<Sha256>,
    counter: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let seed = Zeroizing::new(seed);
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let keyed = Hmac::new_from_slice(seed.as_slice()).expect("HMAC takes keys of every length");
        Self { keyed, counter: 0 }
    }

    pub(crate) fn next_u32(&mut self) -> u32 {
        self.block()
            .iter()
            .take(4)
            .fold(0, |number, byte| (number << 8) | u32::from(*byte))
    }

    pub(crate) fn next_u16(&mut self) -> u16 {
        let [_, _, high, low] = self.next_u32().to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// Fills `bytes`, for nonces and keys.
    #[cfg(feature = "psk-dtls")]
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            for (to, from) in chunk.iter_mut().zip(self.block().iter()) {
                *to = *from;
            }
        }
    }

    /// A number in `0..=max`.
    pub(crate) fn up_to(&mut self, max: u64) -> u64 {
        let scaled =
            u128::from(self.next_u32()).saturating_mul(u128::from(max).saturating_add(1)) >> 32;
        u64::try_from(scaled).unwrap_or(max)
    }

    fn block(&mut self) -> Zeroizing<[u8; 32]> {
        self.counter = self.counter.wrapping_add(1);
        let mut mac = self.keyed.clone();
        mac.update(&self.counter.to_be_bytes());
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

impl core::fmt::Debug for Random {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_seed_others() {
        let draw = |seed| {
            let mut random = Random::new([seed; 32]);
            core::array::from_fn::<u32, 8, _>(|_| random.next_u32())
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn a_range_is_reached_to_both_ends_and_not_left() {
        let mut random = Random::new([7; 32]);
        let mut hits = [0_u32; 4];
        for _ in 0..400 {
            hits[usize::try_from(random.up_to(3)).unwrap()] += 1;
        }
        assert!(hits.iter().all(|count| *count > 50), "{hits:?}");
    }
}
