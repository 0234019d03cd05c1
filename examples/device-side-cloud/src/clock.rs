//! The one place of this program that reads the machine's clocks and its entropy.
#![expect(
    clippy::disallowed_methods,
    reason = "everything else in the program takes time as an argument; this is where it comes from"
)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::Error;

/// Monotonic time.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Wall time.
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// Wall time in milliseconds since 1970; 0 before.
pub(crate) fn unix_millis() -> u64 {
    let since = wall().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Fresh bytes of the operating system's generator.
///
/// # Errors
/// When the operating system has none to give, which no part of the program can go on without.
pub(crate) fn entropy<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|source| Error::new("the operating system gave no random bytes", source))?;
    Ok(bytes)
}
