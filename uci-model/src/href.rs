//! Where a resource is: the `href` of a link.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, fmt::Write, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};

use crate::{error::ParseIdError, ids::DeviceId};

/// The path of a resource: `/light/1` on its device, `/{deviceId}/light/1` in a cloud's link.
///
/// Kept in one canonical spelling, so that equal resources are equal values: one slash between segments, none
/// at the end, and exactly those characters percent-encoded that a path segment must encode (RFC 3986, 3.3). It
/// can therefore be appended to a URL as it is. `.` and `..` segments, control characters, a query and a
/// fragment are refused.
///
/// ```
/// use uci_model::Href;
///
/// let href: Href = "//light%2F1/".parse()?;
/// assert_eq!(href.as_str(), "/light/1");
/// # Ok::<(), uci_model::ParseIdError>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[serde(try_from = "String")]
pub struct Href(String);

impl Href {
    // The link schema's limit, and what a cloud's `/{deviceId}` before it adds.
    const MAX_LENGTH: usize = 256;
    const DEVICE_LENGTH: usize = 37;

    /// The canonical, percent-encoded text; begins with a slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, percent-decoded, as CoAP's Uri-Path options have them.
    pub fn segments(&self) -> impl Iterator<Item = String> + '_ {
        self.0
            .split('/')
            .skip(1)
            // What is stored was decoded once; it decodes again.
            .filter_map(decode_segment)
    }

    /// The same resource as a cloud names it in its links: `/{deviceId}` before it.
    #[must_use]
    pub fn with_device(&self, device: DeviceId) -> Self {
        Self(format!("/{device}{}", self.0))
    }

    /// The same resource as its device names it: without `/{deviceId}` when that is before it.
    #[must_use]
    pub fn without_device(&self, device: DeviceId) -> Self {
        let tail = self.0.strip_prefix('/').and_then(|path| {
            let (first, _) = path.split_once('/')?;
            let ours = first.parse::<DeviceId>().ok()? == device;
            if ours { path.strip_prefix(first) } else { None }
        });
        tail.map_or_else(|| self.clone(), |tail| Self(tail.into()))
    }
}

impl TryFrom<String> for Href {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        if is_canonical(&text) {
            return Ok(Self(text));
        }
        text.parse()
    }
}

impl FromStr for Href {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let error = |problem| ParseIdError::new("href", problem);
        if !text.starts_with('/') {
            return Err(error("does not begin with a slash"));
        }
        // Percent-encoding at most triples a text; beyond that nothing can fit.
        let longest = Self::MAX_LENGTH.saturating_add(Self::DEVICE_LENGTH);
        if text.len() > longest.saturating_mul(3) {
            return Err(error("is too long"));
        }
        let mut canonical = String::with_capacity(text.len());
        for raw in text.split('/') {
            let decoded =
                decode_segment(raw).ok_or_else(|| error("has a malformed percent-encoding"))?;
            if raw.contains(['?', '#']) {
                return Err(error("has a query or a fragment"));
            }
            // An encoded slash separates too: the field has clients that encode the whole href.
            for segment in decoded.split('/').filter(|segment| !segment.is_empty()) {
                if segment == "." || segment == ".." {
                    return Err(error("has a dot segment"));
                }
                if segment.chars().any(char::is_control) {
                    return Err(error("holds a control character"));
                }
                canonical.push('/');
                encode_segment(segment, &mut canonical);
            }
        }
        if canonical.is_empty() {
            Err(error("is empty"))
        } else if canonical.len() > longest
            || (canonical.len() > Self::MAX_LENGTH && !begins_with_device(&canonical))
        {
            Err(error("is too long"))
        } else {
            Ok(Self(canonical))
        }
    }
}

impl Serialize for Href {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl From<Href> for String {
    fn from(href: Href) -> Self {
        href.0
    }
}

impl fmt::Display for Href {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is certainly what it would be parsed into. Most are: nothing encoded, nothing to remove.
fn is_canonical(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() > Href::MAX_LENGTH || bytes.first() != Some(&b'/') {
        return false;
    }
    let mut begins_segment = false;
    for byte in bytes {
        // A segment that is empty goes, and one that begins with a dot may be refused.
        if !is_in_path(*byte) || (begins_segment && matches!(byte, b'/' | b'.')) {
            return false;
        }
        begins_segment = *byte == b'/';
    }
    !begins_segment
}

fn begins_with_device(path: &str) -> bool {
    path.split('/')
        .nth(1)
        .is_some_and(|first| first.parse::<DeviceId>().is_ok())
}

pub(crate) fn decode_segment(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from((high << 4) | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// Whether a byte stands for itself in a segment: `pchar` (RFC 3986, 3.3).
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
                | b':'
                | b'@'
        )
}

/// What may be in a path as it is: looked up, because every href of a list is looked through.
const IN_PATH: [bool; 256] = in_path();

#[expect(
    clippy::indexing_slicing,
    reason = "the table has a place for every byte"
)]
const fn in_path() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = u8::MIN;
    while byte < u8::MAX {
        table[byte as usize] = byte == b'/' || is_plain(byte);
        byte = byte.wrapping_add(1);
    }
    table
}

#[inline]
fn is_in_path(byte: u8) -> bool {
    IN_PATH.get(usize::from(byte)).copied().unwrap_or(false)
}

/// Percent-encodes all but `pchar` (RFC 3986, 3.3).
pub(crate) fn encode_segment(segment: &str, out: &mut String) {
    for byte in segment.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn href(text: &str) -> Href {
        text.parse().unwrap()
    }

    #[test]
    fn spellings_of_one_resource_are_equal() {
        for text in [
            "/light/1/",
            "//light//1",
            "/light%2F1",
            "/light%2f1",
            "/%6Cight/1",
        ] {
            assert_eq!(href(text), href("/light/1"), "{text}");
        }
        assert_eq!(href("/a b").as_str(), "/a%20b");
        assert_eq!(href("/k%C3%BCche"), href("/küche"));
        assert_eq!(href("/a%3Fb").as_str(), "/a%3Fb");
        assert_eq!(href("/a%3Fb").segments().collect::<Vec<_>>(), ["a?b"]);
    }

    #[test]
    fn hrefs_that_could_mislead_are_refused() {
        for text in [
            "",
            "/",
            "//",
            "light",
            "/..",
            "/a/../b",
            "/a/%2e%2e/b",
            "/.",
            "/a?b",
            "/a#b",
            "/a\u{0}b",
            "/a%00b",
            "/a%0Ab",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%ff",
        ] {
            assert!(text.parse::<Href>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_kept_is_what_it_parses_into() {
        for text in [
            "/light/1",
            "/",
            "//light",
            "/light/",
            "/a/./b",
            "/a/../b",
            "/%6Cight",
            "/k\u{fc}che",
            "/a?b",
            "/a:b;c=1",
            "light",
        ] {
            assert_eq!(
                Href::try_from(String::from(text)),
                text.parse::<Href>(),
                "{text}"
            );
        }
    }

    #[test]
    fn the_longest_href_still_fits_with_its_device_before_it() {
        let longest = href(&format!("/{}", "a".repeat(255)));
        let prefixed = longest.with_device(DeviceId::from_bytes([7; 16]));
        assert_eq!(href(prefixed.as_str()), prefixed);
        assert!(format!("/{}", "a".repeat(256)).parse::<Href>().is_err());
        assert!(format!("{prefixed}a").parse::<Href>().is_err());
    }

    #[test]
    fn the_device_prefix_comes_and_goes() {
        let device: DeviceId = "53080a4f-5e3e-4291-802f-3436238232d2".parse().unwrap();
        let other = DeviceId::from_bytes([7; 16]);
        let plain = href("/light/1");
        let prefixed = plain.with_device(device);
        assert_eq!(
            prefixed.as_str(),
            "/53080a4f-5e3e-4291-802f-3436238232d2/light/1"
        );
        assert_eq!(prefixed.without_device(device), plain);
        assert_eq!(prefixed.without_device(other), prefixed);
        assert_eq!(plain.without_device(device), plain);
        let upper = href("/53080A4F-5E3E-4291-802F-3436238232D2/light/1");
        assert_eq!(upper.without_device(device), plain);
    }
}
