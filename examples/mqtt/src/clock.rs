//! The one place of this crate that reads a clock.

use std::time::Instant;

/// Monotonic time: that of the timers.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
