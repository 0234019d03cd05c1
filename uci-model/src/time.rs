//! Wall time as the wire has it.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::ParseIdError;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// The time `seconds` after the epoch.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(seconds)
    }

    /// Seconds after the epoch.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// How many seconds lie between the two, whichever is earlier.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> u64 {
        self.0.abs_diff(other.0)
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UnixSeconds {
    type Err = ParseIdError;

    /// Reads a canonical decimal: digits only, no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        parse_decimal(text).map(Self).ok_or(ParseIdError::new(
            "time",
            "is not a canonical decimal number",
        ))
    }
}

#[cfg(feature = "std")]
impl From<std::time::SystemTime> for UnixSeconds {
    /// A time before the epoch counts as the epoch.
    fn from(time: std::time::SystemTime) -> Self {
        Self(
            time.duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        )
    }
}

/// A canonical unsigned decimal; anything else (`007`, `+5`, empty) is `None`.
///
/// Peers re-format these numbers before they hash them, so another spelling would never verify.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0"
        || (!text.starts_with('0') && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_decimal_is_read() {
        assert_eq!(parse_decimal("0"), Some(0));
        assert_eq!(parse_decimal("18446744073709551615"), Some(u64::MAX));
        for text in [
            "",
            "00",
            "007",
            "+5",
            "-1",
            " 1",
            "1 ",
            "18446744073709551616",
            "1e3",
        ] {
            assert_eq!(parse_decimal(text), None, "{text:?}");
        }
    }
}
