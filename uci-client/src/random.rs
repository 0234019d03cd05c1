//! Everything random comes from a seed that the caller passes in.

use core::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

/// A stream of random bytes: HMAC-SHA256 of a counter under a seed.
pub(crate) struct Random {
    seed: [u8; 32],
    counter: u64,
}

impl Random {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// The next `N` bytes, at most 32 of them random.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        #[expect(
            clippy::expect_used,
            reason = "HMAC takes keys of every length (RFC 2104, 2)"
        )]
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.seed).expect("HMAC takes keys of every length");
        mac.update(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        let mut block: [u8; 32] = mac.finalize().into_bytes().into();
        let mut taken = [0; N];
        for (to, from) in taken.iter_mut().zip(&block) {
            *to = *from;
        }
        block.zeroize();
        taken
    }

    /// A duration between half of `upper` and `upper`, which is at most some years.
    pub(crate) fn jitter(&mut self, upper: Duration) -> Duration {
        let [byte] = self.bytes();
        upper.mul_f64(0.5 + f64::from(byte) / 510.0)
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        self.seed.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn another_seed_gives_other_bytes() {
        assert_ne!(
            Random::new([1; 32]).bytes::<32>(),
            Random::new([2; 32]).bytes()
        );
        assert_eq!(
            Random::new([1; 32]).bytes::<32>(),
            Random::new([1; 32]).bytes()
        );
    }
}
