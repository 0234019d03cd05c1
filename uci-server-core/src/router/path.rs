//! A request target's path, split and percent-decoded.

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
const MAX_PATH: usize = 2048;

/// A segment as it was sent and as it was meant. An href is read from the former, because it decodes by itself.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) raw: String,
    pub(super) text: String,
}

/// The segments; empty ones are left out.
///
/// An encoded slash splits like a plain one, because an href is all slashes and peers send it both ways.
pub(super) fn segments(path: &str) -> Result<Vec<Segment>, PathError> {
    if path.len() > MAX_PATH {
        return Err(PathError::TooLong);
    }
    let path = path.replace("%2F", "/").replace("%2f", "/");
    let mut segments = Vec::new();
    for raw in path.split('/').filter(|raw| !raw.is_empty()) {
        let text = decode(raw)?;
        if text == "." || text == ".." {
            return Err(PathError::Dot);
        }
        let raw = raw.to_owned();
        segments.push(Segment { raw, text });
    }
    Ok(segments)
}

/// RFC 3986, 2.1.
fn decode(raw: &str) -> Result<String, PathError> {
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
    let text = String::from_utf8(bytes).map_err(|_| PathError::Utf8)?;
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    Ok(text)
}
