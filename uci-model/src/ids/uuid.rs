//! The 8-4-4-4-12 text form of 16 bytes.

use crate::hex;

/// How long the text is.
const LENGTH: usize = 36;

/// Where each byte's two digits begin.
const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
/// Where the hyphens are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

/// Sets the version and variant bits of RFC 9562, 5.4.
pub(super) const fn version_4(entropy: [u8; 16]) -> [u8; 16] {
    let bits = u128::from_be_bytes(entropy);
    let version = 0xf << 76;
    let variant = 0x3 << 62;
    ((bits & !version & !variant) | (0x4 << 76) | (0x2 << 62)).to_be_bytes()
}

pub(super) fn parse(text: &str) -> Option<[u8; 16]> {
    let text: &[u8; LENGTH] = text.as_bytes().try_into().ok()?;
    if HYPHENS.iter().any(|at| text.get(*at) != Some(&b'-')) {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, at) in bytes.iter_mut().zip(PLACES) {
        *byte = hex::byte(*text.get(at..)?.first_chunk()?)?;
    }
    Some(bytes)
}

/// The text form, in lower case.
pub(super) struct Text([u8; LENGTH]);

impl Text {
    pub(super) fn new(bytes: &[u8; 16]) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |value: u8| DIGITS.get(usize::from(value & 0xf)).copied();
        let mut text = [b'-'; LENGTH];
        for (byte, at) in bytes.iter().zip(PLACES) {
            if let Some([high, low]) = text.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *high = digit(byte >> 4).unwrap_or(b'0');
                *low = digit(*byte).unwrap_or(b'0');
            }
        }
        Self(text)
    }

    pub(super) fn as_str(&self) -> &str {
        // Nothing but ASCII was written.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_form_is_read() {
        let text = "53080a4f-5e3e-4291-802f-3436238232d2";
        let bytes = parse(text).unwrap();
        assert_eq!(Text::new(&bytes).as_str(), text);
        assert_eq!(parse(&text.to_uppercase()), Some(bytes));
        for wrong in [
            "",
            "53080a4f5e3e4291802f3436238232d2",
            "53080a4f-5e3e-4291-802f-3436238232d",
            "53080a4f-5e3e-4291-802f-3436238232d22",
            "53080a4f-5e3e-4291-802f-3436238232dg",
            "+3080a4f-5e3e-4291-802f-3436238232d2",
            "53080a4f-5e3e-4291-802f-3436238232-2",
            "53080a4f05e3e-4291-802f-3436238232d2",
            "53080a4f-5e3e-4291-802f-3436238232é",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
