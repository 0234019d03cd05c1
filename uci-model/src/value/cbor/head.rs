//! Heads of CBOR items (RFC 8949, 3): what kind an item is of, and its argument.

use alloc::vec::Vec;

/// The head of one item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Head {
    Unsigned(u64),
    /// -1 - n, as its complement n.
    Negative(u64),
    /// A length of bytes; `None` when chunks follow.
    Bytes(Option<u64>),
    /// As `Bytes`, of UTF-8.
    Text(Option<u64>),
    /// So many items; `None` when they end with a break.
    Array(Option<u64>),
    /// So many pairs; `None` when they end with a break.
    Map(Option<u64>),
    Tag(u64),
    Bool(bool),
    /// Null, undefined, and simple values without a meaning.
    Simple,
    Float(f64),
    Break,
}

impl Head {
    /// Takes a head off the front; `None` when the bytes are not one.
    #[inline]
    pub(super) fn read(rest: &mut &[u8]) -> Option<Self> {
        let (first, mut after) = rest.split_first()?;
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24 => Some(u64::from(u8::from_be_bytes(take(&mut after)?))),
            25 => Some(u64::from(u16::from_be_bytes(take(&mut after)?))),
            26 => Some(u64::from(u32::from_be_bytes(take(&mut after)?))),
            27 => Some(u64::from_be_bytes(take(&mut after)?)),
            31 => None,
            _ => return None,
        };
        *rest = after;
        Some(match major {
            0 => Self::Unsigned(argument?),
            1 => Self::Negative(argument?),
            2 => Self::Bytes(argument),
            3 => Self::Text(argument),
            4 => Self::Array(argument),
            5 => Self::Map(argument),
            6 => Self::Tag(argument?),
            _ => match (info, argument) {
                (20, _) => Self::Bool(false),
                (21, _) => Self::Bool(true),
                // RFC 8949, 3.3: a simple value below 32 has no two-byte form.
                (24, Some(..32)) => return None,
                (..=24, _) => Self::Simple,
                (25, Some(bits)) => Self::Float(half(u16::try_from(bits).ok()?)),
                (26, Some(bits)) => Self::Float(f32::from_bits(u32::try_from(bits).ok()?).into()),
                (_, Some(bits)) => Self::Float(f64::from_bits(bits)),
                (_, None) => Self::Break,
            },
        })
    }
}

#[inline]
fn take<const LEN: usize>(rest: &mut &[u8]) -> Option<[u8; LEN]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

/// RFC 8949, appendix D.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, mantissa) = ((bits >> 10) & 0x1f, bits & 0x3ff);
    let magnitude = match exponent {
        0 => f64::from(mantissa) / f64::from(1_u32 << 24),
        31 if mantissa == 0 => f64::INFINITY,
        31 => f64::NAN,
        // (1024 + m) * 2^(e - 25)
        _ => f64::from(mantissa | 0x400) * f64::from(1_u32 << exponent) / f64::from(1_u32 << 25),
    };
    magnitude * sign
}

/// The kinds that have a number or a length as their argument.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(in super::super) enum Major {
    Unsigned = 0x00,
    Negative = 0x20,
    Bytes = 0x40,
    Text = 0x60,
    Array = 0x80,
    Map = 0xa0,
}

/// Writes a head, the argument as short as it can be.
#[inline]
pub(in super::super) fn write(major: Major, argument: u64, out: &mut Vec<u8>) {
    let bytes = argument.to_be_bytes();
    let (info, skipped) = match argument {
        0..=23 => return out.push(major as u8 | bytes[7]),
        24..=0xff => (24, 7),
        0x100..=0xffff => (25, 6),
        0x1_0000..=0xffff_ffff => (26, 4),
        _ => (27, 0),
    };
    out.push(major as u8 | info);
    out.extend(bytes.iter().skip(skipped));
}

/// Gives the head at `start`, which was written for no items, its length.
#[inline]
pub(in super::super) fn set_length(major: Major, start: usize, length: usize, out: &mut Vec<u8>) {
    match (length, out.get_mut(start)) {
        (..=23, Some(head)) => *head |= u8::try_from(length).unwrap_or(0),
        _ => {
            let mut head = Vec::with_capacity(9);
            write(major, super::length(length), &mut head);
            out.splice(start..=start, head);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_what_the_standard_says() {
        // RFC 8949, appendix A.
        for (bits, number) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0x3e00, 1.5),
            (0x7bff, 65_504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 0.000_061_035_156_25),
            (0xc400, -4.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), number, "{bits:04x}");
        }
        assert!(half(0x8000).is_sign_negative());
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn arguments_are_as_short_as_they_can_be() {
        for (argument, length) in [
            (0, 1),
            (23, 1),
            (24, 2),
            (0xff, 2),
            (0x100, 3),
            (0xffff, 3),
            (0x1_0000, 5),
            (0xffff_ffff, 5),
            (0x1_0000_0000, 9),
            (u64::MAX, 9),
        ] {
            let mut out = Vec::new();
            write(Major::Unsigned, argument, &mut out);
            assert_eq!(out.len(), length, "{argument}");
            let mut rest = out.as_slice();
            assert_eq!(Head::read(&mut rest), Some(Head::Unsigned(argument)));
            assert!(rest.is_empty());
        }
    }
}
