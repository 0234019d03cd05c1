//! Base 16 (RFC 4648, 8).

use alloc::string::String;
use core::fmt::Write;

/// Upper case, as tag 23 of RFC 8949 wants it.
pub(crate) fn encode_upper(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// No digit has such a value, also not together with one that is.
const NO_DIGIT: u8 = 0xff;

/// What each character is worth, in either case: looked up, because every device id in a list is 32 digits.
const VALUES: [u8; 256] = values();

#[expect(
    clippy::indexing_slicing,
    reason = "the table has a place for every byte"
)]
const fn values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value = value.wrapping_add(1);
    }
    values
}

/// The byte of two digits of either case.
#[inline]
pub(crate) fn byte([high, low]: [u8; 2]) -> Option<u8> {
    let value = |digit: u8| VALUES.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT);
    let (high, low) = (value(high), value(low));
    ((high | low) < 16).then_some((high << 4) | low)
}

/// Exactly `N` bytes from hexadecimal of either case.
pub(crate) fn decode<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let (pairs, odd) = text.as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (decoded, pair) in bytes.iter_mut().zip(pairs) {
        *decoded = byte(*pair)?;
    }
    Some(bytes)
}
