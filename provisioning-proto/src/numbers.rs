//! The numbers that a machine gives out.

use crate::registration::AppendId;

/// Consecutive numbers, and ids of appends that are those of no other machine and run.
#[derive(Debug)]
pub(crate) struct Numbers {
    prefix: u64,
    last: u64,
}

impl Numbers {
    /// The seed makes the ids of appends different from those of all others.
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = seed;
        Self {
            prefix: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            last: 0,
        }
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    pub(crate) fn append_id(&mut self) -> AppendId {
        let number = u128::from(self.prefix) << 64 | u128::from(self.next());
        AppendId(number.to_be_bytes())
    }
}
