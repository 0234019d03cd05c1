//! Numbers of tags 2 and 3 (RFC 8949, 3.4.3).

use alloc::{string::String, vec::Vec};
use core::fmt::Write;

use super::super::{Integer, Value};

// Writing n bytes in decimal costs n squared; 128 bytes are RSA-sized and still nothing.
const MAX_LENGTH: usize = 128;

/// An integer when it fits 64 bits, otherwise its decimal text.
pub(super) fn convert(bytes: &[u8], negative: bool) -> Result<Value, &'static str> {
    let start = bytes.iter().position(|byte| *byte != 0);
    let magnitude = start.and_then(|start| bytes.get(start..)).unwrap_or(&[]);
    if magnitude.len() > MAX_LENGTH {
        return Err("bignum is too long");
    }
    if magnitude.len() <= 8 {
        let number = magnitude
            .iter()
            .fold(0_i128, |number, byte| (number << 8) | i128::from(*byte));
        let number = if negative { !number } else { number };
        if let Some(integer) = Integer::new(number) {
            return Ok(Value::Integer(integer));
        }
    }
    let mut digits = magnitude.to_vec();
    if negative {
        increment(&mut digits);
    }
    Ok(Value::Text(decimal(digits, negative)))
}

/// Tag 3 means -1 - n, so its digits are those of n + 1.
fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        let (sum, carry) = digit.overflowing_add(1);
        *digit = sum;
        if !carry {
            return;
        }
    }
    digits.insert(0, 1);
}

fn decimal(mut digits: Vec<u8>, negative: bool) -> String {
    // Nine decimal digits at a time, least significant group first.
    const GROUP: u64 = 1_000_000_000;
    let mut groups = Vec::new();
    while digits.iter().any(|digit| *digit != 0) {
        let mut remainder: u64 = 0;
        for digit in &mut digits {
            let dividend = (remainder << 8) | u64::from(*digit);
            *digit = u8::try_from(dividend / GROUP).unwrap_or(u8::MAX);
            remainder = dividend % GROUP;
        }
        groups.push(remainder);
    }
    let mut text = String::new();
    if negative {
        text.push('-');
    }
    for (index, group) in groups.iter().rev().enumerate() {
        // Writing to a `String` cannot fail.
        let _ = if index == 0 {
            write!(text, "{group}")
        } else {
            write!(text, "{group:09}")
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_64_bits_is_an_integer() {
        assert_eq!(convert(&[], false), Ok(Value::from(0_u64)));
        assert_eq!(convert(&[0, 0, 1, 0], false), Ok(Value::from(256_u64)));
        assert_eq!(convert(&[0xff; 8], false), Ok(Value::from(u64::MAX)));
        assert_eq!(
            convert(&i64::MAX.to_be_bytes(), true),
            Ok(Value::from(i64::MIN))
        );
    }

    #[test]
    fn what_does_not_fit_is_decimal_text() {
        let number = |bytes: &[u8], negative| match convert(bytes, negative) {
            Ok(Value::Text(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            number(&[1, 0, 0, 0, 0, 0, 0, 0, 0], false),
            "18446744073709551616"
        );
        assert_eq!(number(&[0xff; 8], true), "-18446744073709551616");
        assert_eq!(
            number(&[0x80, 0, 0, 0, 0, 0, 0, 0], true),
            "-9223372036854775809"
        );
        // 10^18 + 10^27, so that a group of zeros lies inside.
        let big = 1_000_000_001_000_000_000_000_000_000_u128.to_be_bytes();
        assert_eq!(number(&big, false), "1000000001000000000000000000");
        assert!(convert(&[1; 129], false).is_err());
    }
}
