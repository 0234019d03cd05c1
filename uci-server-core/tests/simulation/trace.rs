//! What happened, as one number, and as text for whoever replays a seed.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// FNV-1a over every line and every byte that crossed a border.
pub struct Trace {
    hash: u64,
    prints: bool,
}

impl Trace {
    pub fn new(prints: bool) -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            prints,
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn line(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        self.bytes(&at.as_micros().to_le_bytes());
        // The writer below never fails.
        let _ = self.write_fmt(what);
        self.detail(at, what);
    }

    /// What follows from the lines, and is too long to be put into the number.
    pub fn detail(&mut self, at: Duration, what: fmt::Arguments<'_>) {
        if self.prints {
            println!("{:>12.3} {what}", at.as_secs_f64());
        }
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

impl fmt::Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}
