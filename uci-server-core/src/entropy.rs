//! Ids, nonces and jitter from one seed: HMAC-SHA256 with a counter.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// A source of numbers that repeats exactly when its seed does.
pub(crate) struct Entropy {
    /// The seed as a key that is prepared once; wiped on drop.
    key: Option<Hmac<Sha256>>,
    counter: u64,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        // A 32-byte key is never refused: HMAC takes any length.
        let key = Hmac::new_from_slice(&seed).ok();
        Self { key, counter: 0 }
    }

    /// The next 32 bytes.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.counter = self.counter.wrapping_add(1);
        let Some(mut mac) = self.key.clone() else {
            return [0; 32];
        };
        mac.update(&self.counter.to_be_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The next 16 bytes.
    pub(crate) fn draw_16(&mut self) -> [u8; 16] {
        let mut drawn = [0; 16];
        drawn.copy_from_slice(self.draw().split_at(16).0);
        drawn
    }

    /// The next number.
    pub(crate) fn draw_u64(&mut self) -> u64 {
        let mut drawn = [0; 8];
        drawn.copy_from_slice(self.draw().split_at(8).0);
        u64::from_be_bytes(drawn)
    }
}
