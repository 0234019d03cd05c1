//! The one place that reads the clocks and the operating system's entropy.

use std::time::{Instant, SystemTime};

/// The wall clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place of this program that reads it"
)]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock as Unix milliseconds.
pub(crate) fn unix_milliseconds() -> u64 {
    let since = wall()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The monotonic clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// 32 fresh bytes.
///
/// # Errors
///
/// When the operating system has none to give.
pub(crate) fn entropy() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
