use std::time::{Duration, SystemTime};

/// Wall time as ledgers hold it; before 1970 it is 0.
pub(crate) fn unix_millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, millis)
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
