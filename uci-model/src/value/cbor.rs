//! CBOR bytes to and from the tree.
//!
//! Heads are read and written by `ciborium-ll`; what they mean, and every bound, is here.

mod bignum;
mod reader;

use alloc::vec::Vec;

use ciborium_ll::{Encoder, Header, simple};

use super::{Integer, Value};

pub(super) use reader::decode;

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

fn write(value: &Value, arrays: Arrays, out: &mut Vec<u8>) {
    match value {
        Value::Null => head(Header::Simple(simple::NULL), out),
        Value::Bool(true) => head(Header::Simple(simple::TRUE), out),
        Value::Bool(false) => head(Header::Simple(simple::FALSE), out),
        Value::Integer(number) => write_integer(*number, out),
        Value::Float(number) => write_float(*number, out),
        Value::Text(text) => {
            head(Header::Text(Some(text.len())), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            head(Header::Bytes(Some(bytes.len())), out);
            out.extend_from_slice(bytes);
        }
        Value::Array(items) => {
            head(Header::Array(Some(items.len())), out);
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
            head(Header::Map(Some(map.len())), out);
            for (name, value) in map {
                head(Header::Text(Some(name.len())), out);
                out.extend_from_slice(name.as_bytes());
                write(value, arrays, out);
            }
        }
    }
}

fn write_integer(number: Integer, out: &mut Vec<u8>) {
    match number.as_u64() {
        Some(number) => head(Header::Positive(number), out),
        // CBOR holds -1 - n, which is the complement.
        None => head(
            Header::Negative(number.as_i64().map_or(0, |number| !number.cast_unsigned())),
            out,
        ),
    }
}

/// Always 64 bits: devices in the field drop shorter floats silently.
fn write_float(number: f64, out: &mut Vec<u8>) {
    out.push(0xfb);
    out.extend_from_slice(&number.to_be_bytes());
}

fn head(header: Header, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = Encoder::from(out).push(header);
}
