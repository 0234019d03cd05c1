use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use crate::secret::SecretBytes;
use crate::server::output::Output;
use crate::stream::AppendId;

/// What every stream needs of the machine around it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) now: Instant,
    pub(crate) timeout: Duration,
    pub(crate) retry: Duration,
    seed: SecretBytes,
    appends: u64,
}

impl Desk {
    pub(crate) fn new(seed: [u8; 32], now: Instant, timeout: Duration, retry: Duration) -> Self {
        Self {
            outputs: VecDeque::new(),
            now,
            timeout,
            retry,
            seed: SecretBytes::new(seed),
            appends: 0,
        }
    }

    pub(super) fn next_append(&mut self) -> AppendId {
        self.appends = self.appends.wrapping_add(1);
        AppendId::derive(&self.seed, self.appends)
    }

    /// `now` and a while; a time that cannot be told is now.
    pub(crate) fn after(&self, time: Duration) -> Instant {
        self.now.checked_add(time).unwrap_or(self.now)
    }
}
