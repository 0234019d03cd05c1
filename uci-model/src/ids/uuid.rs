//! The 8-4-4-4-12 text form of 16 bytes.

use core::fmt::{self, Write};

/// Sets the version and variant bits of RFC 9562, 5.4.
pub(super) const fn version_4(entropy: [u8; 16]) -> [u8; 16] {
    let bits = u128::from_be_bytes(entropy);
    let version = 0xf << 76;
    let variant = 0x3 << 62;
    ((bits & !version & !variant) | (0x4 << 76) | (0x2 << 62)).to_be_bytes()
}

pub(super) fn parse(text: &str) -> Option<[u8; 16]> {
    let mut groups = text.split('-');
    let mut bits: u128 = 0;
    for length in [8_u32, 4, 4, 4, 12] {
        let group = groups.next()?;
        // `from_str_radix` alone would take a sign.
        if group.len() != length as usize || !group.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let value = u64::from_str_radix(group, 16).ok()?;
        bits = (bits << length.saturating_mul(4)) | u128::from(value);
    }
    groups.next().is_none().then(|| bits.to_be_bytes())
}

pub(super) fn write(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            f.write_char('-')?;
        }
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}
