//! CBOR bytes to and from the tree.

mod bignum;
mod device;
mod head;
mod reader;

use alloc::vec::Vec;

use super::{Integer, Value};

pub(super) use device::is_for_devices;
pub(super) use head::{Major, set_length, write as write_head};
pub(super) use reader::read;

/// How the encoder treats arrays of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Arrays {
    /// Every number stays what it is.
    AsTheyAre,
    /// An array that has a float has no integer.
    OneKindOfNumber,
}

pub(super) fn encode(value: &Value, arrays: Arrays) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, arrays, &mut out);
    out
}

/// An array of items that are CBOR each.
pub(crate) fn array<'a>(items: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Vec<u8> {
    let content: usize = items.clone().map(<[u8]>::len).sum();
    // The longest head has nine bytes.
    let mut out = Vec::with_capacity(content.saturating_add(9));
    write_head(Major::Array, length(items.len()), &mut out);
    for item in items {
        out.extend_from_slice(item);
    }
    out
}

pub(super) fn write(value: &Value, arrays: Arrays, out: &mut Vec<u8>) {
    match value {
        Value::Null => write_null(out),
        Value::Bool(truth) => write_bool(*truth, out),
        Value::Integer(number) => write_integer(*number, out),
        Value::Float(number) => write_float(*number, out),
        Value::Text(text) => write_text(text, out),
        Value::Bytes(bytes) => {
            write_head(Major::Bytes, length(bytes.len()), out);
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            write_head(Major::Array, length(items.len()), out);
            let floats = arrays == Arrays::OneKindOfNumber
                && items.iter().any(|item| matches!(item, Value::Float(_)));
            for item in items {
                match item {
                    Value::Integer(number) if floats => write_float(number.to_f64(), out),
                    _ => write(item, arrays, out),
                }
            }
        }
        Value::Map(map) => {
            write_head(Major::Map, length(map.len()), out);
            for (name, value) in map {
                write_text(name, out);
                write(value, arrays, out);
            }
        }
    }
}

pub(super) fn write_null(out: &mut Vec<u8>) {
    out.push(0xf6);
}

pub(super) fn write_bool(truth: bool, out: &mut Vec<u8>) {
    out.push(if truth { 0xf5 } else { 0xf4 });
}

#[inline]
pub(super) fn write_integer(number: Integer, out: &mut Vec<u8>) {
    match number.as_u64() {
        Some(number) => write_head(Major::Unsigned, number, out),
        // CBOR holds -1 - n, which is the complement.
        None => write_head(
            Major::Negative,
            number.as_i64().map_or(0, |number| !number.cast_unsigned()),
            out,
        ),
    }
}

/// Always 64 bits: devices in the field drop shorter floats silently.
#[inline]
pub(super) fn write_float(number: f64, out: &mut Vec<u8>) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}

#[inline]
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    write_head(Major::Text, length(text.len()), out);
    out.extend_from_slice(text.as_bytes());
}

/// A length as the argument of a head.
#[inline]
pub(super) fn length(length: usize) -> u64 {
    // There is no machine with longer ones.
    u64::try_from(length).unwrap_or(u64::MAX)
}
