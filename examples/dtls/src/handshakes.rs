//! How handshakes ended, for whoever operates the endpoint.

use std::sync::atomic::{AtomicU64, Ordering};

use coap_psk::dtls::CloseReason;

/// Counts of ended handshakes. One of an address that never returned its cookie does not count: anybody can send that.
#[derive(Debug, Default)]
pub struct Handshakes {
    established: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
}

impl Handshakes {
    /// Those that became a session.
    #[must_use]
    pub fn established(&self) -> u64 {
        self.established.load(Ordering::Relaxed)
    }

    /// Those that failed or gave way to a newer one.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Those that were not complete in time. A wrong key shows up here: the peer's Finished cannot be read.
    #[must_use]
    pub fn timed_out(&self) -> u64 {
        self.timed_out.load(Ordering::Relaxed)
    }

    pub(crate) fn succeeded(&self) {
        self.established.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, reason: CloseReason) {
        let count = match reason {
            CloseReason::HandshakeTimeout => &self.timed_out,
            _ => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
