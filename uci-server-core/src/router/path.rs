//! A request target's path, split and percent-decoded.

use std::borrow::Cow;

/// A path cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A `%` without two hexadecimal digits.
    #[error("a percent sign is not followed by two hexadecimal digits")]
    Percent,
    /// The decoded text is not UTF-8.
    #[error("the path is not UTF-8")]
    Utf8,
    /// A control character.
    #[error("the path holds a control character")]
    Control,
    /// A segment `.` or `..`, plain or encoded.
    #[error("the path holds a dot segment")]
    Dot,
    /// Longer than 2048 bytes.
    #[error("the path is too long")]
    TooLong,
}

/// Longest path, in bytes as sent.
pub(super) const MAX_PATH: usize = 2048;

/// A segment as it was sent and as it was meant. An href is read from the former, because it decodes by itself.
#[derive(Debug)]
pub(super) struct Segment<'a> {
    pub(super) raw: &'a str,
    pub(super) text: Cow<'a, str>,
}

/// The path with its encoded slashes decoded.
///
/// They split like plain ones, because an href is all slashes and peers send it both ways.
pub(super) fn with_plain_slashes(path: &str) -> Cow<'_, str> {
    if path.contains('%') {
        Cow::Owned(path.replace("%2F", "/").replace("%2f", "/"))
    } else {
        Cow::Borrowed(path)
    }
}

/// The segments of a path [with plain slashes](with_plain_slashes); empty ones are left out.
pub(super) fn segments(path: &str) -> Result<Vec<Segment<'_>>, PathError> {
    let mut segments = Vec::new();
    for raw in path.split('/').filter(|raw| !raw.is_empty()) {
        let text = decode(raw)?;
        if text == "." || text == ".." {
            return Err(PathError::Dot);
        }
        segments.push(Segment { raw, text });
    }
    Ok(segments)
}

/// RFC 3986, 2.1.
fn decode(raw: &str) -> Result<Cow<'_, str>, PathError> {
    let text = if raw.contains('%') {
        Cow::Owned(percent_decoded(raw)?)
    } else {
        Cow::Borrowed(raw)
    };
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    Ok(text)
}

fn percent_decoded(raw: &str) -> Result<String, PathError> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(PathError::Percent);
        };
        bytes.push(u8::try_from(high << 4 | low).map_err(|_| PathError::Percent)?);
    }
    String::from_utf8(bytes).map_err(|_| PathError::Utf8)
}
