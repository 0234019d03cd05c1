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

    /// The next 32 bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.seed).expect("HMAC takes a key of any length");
        mac.update(&self.counter.to_be_bytes());
        self.counter = self.counter.wrapping_add(1);
        mac.finalize().into_bytes().into()
    }

    /// The next 16 bytes.
    pub(crate) fn id(&mut self) -> [u8; 16] {
        let [first, ..] = self.bytes().as_chunks::<16>().0 else {
            return [0; 16];
        };
        *first
    }

    /// The next 20 bytes, for a signing secret.
    pub(crate) fn secret(&mut self) -> [u8; 20] {
        let mut secret = [0; 20];
        let mut bytes = self.bytes();
        for (to, from) in secret.iter_mut().zip(&bytes) {
            *to = *from;
        }
        bytes.zeroize();
        secret
    }

    /// The next number.
    pub(crate) fn number(&mut self) -> u64 {
        let [first, ..] = self.bytes().as_chunks::<8>().0 else {
            return 0;
        };
        u64::from_be_bytes(*first)
    }

    /// A duration between half of `upper` and `upper`.
    pub(crate) fn jitter(&mut self, upper: Duration) -> Duration {
        let [byte, ..] = self.bytes();
        let half = upper / 2;
        half.saturating_add(half.mul_f64(f64::from(byte) / 255.0))
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
        assert_ne!(Random::new([1; 32]).bytes(), Random::new([2; 32]).bytes());
        assert_eq!(Random::new([1; 32]).bytes(), Random::new([1; 32]).bytes());
    }
}
