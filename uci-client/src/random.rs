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

    /// A secret of exactly 32 characters, six random bits each.
    pub(crate) fn secret(&mut self) -> String {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bytes = self.bytes();
        let secret = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 0x3f))).map(|c| char::from(*c)).collect();
        bytes.zeroize();
        secret
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
    fn secrets_are_32_characters_and_never_repeat() {
        let mut random = Random::new([7; 32]);
        let (one, other) = (random.secret(), random.secret());
        assert_eq!((one.len(), other.len()), (32, 32));
        assert_ne!(one, other);
    }

    #[test]
    fn another_seed_gives_other_bytes() {
        assert_ne!(Random::new([1; 32]).bytes(), Random::new([2; 32]).bytes());
        assert_eq!(Random::new([1; 32]).bytes(), Random::new([1; 32]).bytes());
    }
}
