//! The hour in a client id, `YYYYMMDDHH` in UTC, and which hours are near enough.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

const SECONDS_OF_AN_HOUR: u64 = 3600;
/// Proleptic Gregorian days from 1 March of the year 0 to 1 January 1970.
const DAYS_BEFORE_1970: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// Ten digits that name an hour in UTC, `YYYYMMDDHH`, and are the key of the password beside them.
///
/// Any ten digits are one: a device without a clock makes some up, and signature type 0 allows it. Whether they are an hour of the
/// calendar is asked with [`hours_since_1970`](Self::hours_since_1970).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp([u8; 10]);

/// A text that is not ten digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a timestamp (YYYYMMDDHH)")]
#[non_exhaustive]
pub struct ParseTimestampError;

impl Timestamp {
    /// The hour of a wall time; `None` before 1970 and after the year 9999.
    #[must_use]
    pub fn at(wall: SystemTime) -> Option<Self> {
        let hours = hours_of(wall)?;
        let (year, month, day) = civil(hours.checked_div(24)?)?;
        let hour = hours.checked_rem(24)?;
        let text = format!("{year:04}{month:02}{day:02}{hour:02}");
        text.parse().ok()
    }

    /// The digits: the key of the password.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 10] {
        &self.0
    }

    /// The hour as a count since 1970; `None` when the digits are no hour of the calendar, or one before.
    #[must_use]
    pub fn hours_since_1970(&self) -> Option<u64> {
        let [y1, y2, y3, y4, m1, m2, d1, d2, h1, h2] = self.0;
        let number = |digits: &[u8]| {
            digits.iter().try_fold(0_u64, |number, digit| {
                number
                    .checked_mul(10)?
                    .checked_add(digit.checked_sub(b'0')?.into())
            })
        };
        let (year, month) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?);
        let (day, hour) = (number(&[d1, d2])?, number(&[h1, h2])?);
        if hour > 23 {
            return None;
        }
        let days = days(year, month, day)?;
        // What is no day of its month comes back as another one.
        if civil(days)? != (year, month, day) {
            return None;
        }
        days.checked_mul(24)?.checked_add(hour)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        let digits: [u8; 10] = text
            .as_bytes()
            .try_into()
            .map_err(|_| ParseTimestampError)?;
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(ParseTimestampError)
        }
    }
}

impl TryFrom<String> for Timestamp {
    type Error = ParseTimestampError;

    fn try_from(text: String) -> Result<Self, ParseTimestampError> {
        text.parse()
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|digit| write!(f, "{}", char::from(*digit)))
    }
}

/// How far the hour of a password may lie from the hour of now, in whole hours.
///
/// The vendor does not publish its own; by default one hour either way, because both clocks are cut to the hour.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// Hours before the present one.
    pub past: u32,
    /// Hours after the present one.
    pub future: u32,
}

impl Window {
    /// A window of this many hours before and after.
    #[must_use]
    pub fn new(past: u32, future: u32) -> Self {
        Self { past, future }
    }

    /// Whether a timestamp lies in the window around a wall time; one that is no hour of the calendar never does.
    #[must_use]
    pub fn contains(&self, timestamp: &Timestamp, wall: SystemTime) -> bool {
        let (Some(then), Some(now)) = (timestamp.hours_since_1970(), hours_of(wall)) else {
            return false;
        };
        let earliest = now.saturating_sub(self.past.into());
        let latest = now.saturating_add(self.future.into());
        (earliest..=latest).contains(&then)
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new(1, 1)
    }
}

fn hours_of(wall: SystemTime) -> Option<u64> {
    let since: Duration = wall.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    since.as_secs().checked_div(SECONDS_OF_AN_HOUR)
}

/// Days from 1970 to a date of the Gregorian calendar, whose year begins in March here, so that a leap day ends it; some number for
/// what is no date.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = match month {
        1 | 2 => (year.checked_sub(1)?, month.checked_add(9)?),
        _ => (year, month.checked_sub(3)?),
    };
    let leaps = (year / 4)
        .checked_sub(year / 100)?
        .checked_add(year / 400)?;
    let of_year = month.checked_mul(153)?.checked_add(2)? / 5;
    year.checked_mul(365)?
        .checked_add(leaps)?
        .checked_add(of_year)?
        .checked_add(day)?
        .checked_sub(1)?
        .checked_sub(DAYS_BEFORE_1970)
}

/// Year, month and day of a count of days since 1970; `None` after the year 9999.
fn civil(days: u64) -> Option<(u64, u64, u64)> {
    let days = days.checked_add(DAYS_BEFORE_1970)?;
    let (eras, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    // Every 4, 100 and 400 years have a day less or more; the last day of an era belongs to its last year.
    let year = day
        .checked_sub(day / 1460)?
        .checked_add(day / 36_524)?
        .checked_sub(day / (DAYS_OF_400_YEARS - 1))?
        / 365;
    let begins = year
        .checked_mul(365)?
        .checked_add(year / 4)?
        .checked_sub(year / 100)?;
    let day = day.checked_sub(begins)?;
    let month = day.checked_mul(5)?.checked_add(2)? / 153;
    let day = day
        .checked_sub(month.checked_mul(153)?.checked_add(2)? / 5)?
        .checked_add(1)?;
    let (month, carry) = if month < 10 {
        (month.checked_add(3)?, 0)
    } else {
        (month.checked_sub(9)?, 1)
    };
    let year = eras
        .checked_mul(400)?
        .checked_add(year)?
        .checked_add(carry)?;
    (year <= 9999).then_some((year, month, day))
}
