use crate::mqtt::civil;

/// Unix milliseconds as `yyyyMMdd'T'HHmmss'Z'`.
pub(super) fn stamp(millis: u64) -> String {
    let seconds = millis / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // After the year 9999 there is nothing to write.
    let (year, month, day) = civil(days).unwrap_or((9999, 12, 31));
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::stamp;

    #[test]
    fn times_are_written_as_documented() {
        for (millis, written) in [
            (0, "19700101T000000Z"),
            (951_782_399_999, "20000228T235959Z"),
            (951_782_400_000, "20000229T000000Z"),
            (1_532_454_980_000, "20180724T175620Z"),
            (4_107_542_400_000, "21000301T000000Z"),
            (1_735_689_599_000, "20241231T235959Z"),
        ] {
            assert_eq!(stamp(millis), written);
        }
    }
}
