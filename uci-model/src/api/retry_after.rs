//! When a peer wants to be asked again.

use core::time::Duration;

use http::{HeaderMap, header};

/// The delay that an answer asks for with `Retry-After`, in seconds or as a date (RFC 9110, 10.2.3).
///
/// A date is compared with the `Date` of the same answer: the peer means its own clock.
#[must_use]
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let asked = text(header::RETRY_AFTER)?.trim();
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are still a delay.
        return Some(asked.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let until = httpdate::parse_http_date(asked).ok()?;
    let sent = httpdate::parse_http_date(text(header::DATE)?).ok()?;
    // A date that has passed asks for no delay.
    Some(until.duration_since(sent).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn asked(retry: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        headers.insert(header::RETRY_AFTER, value(retry));
        headers.extend(date.map(|date| (header::DATE, value(date))));
        retry_after(&headers).as_ref().map(Duration::as_secs)
    }

    #[test]
    fn it_is_read_in_every_form() {
        let date = Some("Sun, 22 Nov 2026 04:15:00 GMT");
        for (text, date, expected) in [
            ("120", None, Some(120)),
            (" 0", date, Some(0)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("Sun, 22 Nov 2026 04:17:00 GMT", date, Some(120)),
            ("Sunday, 22-Nov-26 04:17:00 GMT", date, Some(120)),
            ("Sun Nov 22 04:17:00 2026", date, Some(120)),
            ("Sun, 22 Nov 2026 04:14:00 GMT", date, Some(0)),
            ("Sun, 22 Nov 2026 04:17:00 GMT", None, None),
            ("Sun, 22 Nov 2026 04:17:00 GMT", Some("now"), None),
            ("-1", date, None),
            ("+5", date, None),
            ("1.5", date, None),
            ("", date, None),
            ("soon", date, None),
        ] {
            assert_eq!(asked(text, date), expected, "{text:?} at {date:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
