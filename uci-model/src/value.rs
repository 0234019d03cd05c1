//! The tree that JSON and CBOR have in common.
//!
//! Integers and floats are kept apart, because devices do: a thermostat that wants the float 21.0 does not find
//! the integer 21. Maps have text keys and no key twice. Reading is bounded by [`Limits`].
//!
//! What becomes of CBOR that JSON does not have, on reading: integer keys become their decimal text; a bignum
//! becomes an integer where it fits 64 bits and its decimal text otherwise; a byte string under tag 21, 22 or 23
//! becomes the text that the tag asks for (RFC 8949, 3.4.5.2); other tags are dropped; undefined and unassigned
//! simple values become null. On writing JSON: byte strings become standard base64 with padding, NaN and
//! infinities become null.

mod cbor;
mod de;
mod json;
mod names;
mod serialized;
#[cfg(test)]
mod tests;
mod transcode;

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{cell::Cell, fmt, marker::PhantomData};

use serde::de::DeserializeOwned;

pub(crate) use cbor::array as cbor_array;
pub use de::Mismatch;
pub(crate) use json::{array as json_array, encode as to_json};
pub(crate) use transcode::{Receiver, cbor_for_device, cbor_to_json, check, json_to_cbor};

use crate::{
    error::{Error, ErrorKind},
    limits::Limits,
};

/// A JSON or CBOR value.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the data model of JSON and CBOR will not grow"
)]
pub enum Value {
    /// Nothing is known or set.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number of 64 bits.
    Integer(Integer),
    /// A 64-bit float, also when its value is whole.
    Float(f64),
    /// UTF-8 text.
    Text(String),
    /// A byte string. CBOR only; JSON has it as text.
    Bytes(Vec<u8>),
    /// Values in order.
    Array(Vec<Self>),
    /// Values by name.
    Map(Map),
}

/// Values by name, no name twice, sorted.
pub type Map = BTreeMap<String, Value>;

/// A whole number from -2^63 to 2^64 - 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Integer(i128);

impl Integer {
    /// The number, when it is one of `i64`.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.0.try_into().ok()
    }

    /// The number, when it is one of `u64`.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        self.0.try_into().ok()
    }

    /// The nearest float. Exact up to 2^53 either side of zero.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64
    }

    fn new(number: i128) -> Option<Self> {
        let fits = number >= i128::from(i64::MIN) && number <= i128::from(u64::MAX);
        fits.then_some(Self(number))
    }
}

impl From<i64> for Integer {
    fn from(number: i64) -> Self {
        Self(number.into())
    }
}

impl From<u64> for Integer {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Value {
    /// Reads JSON (RFC 8259).
    ///
    /// A whole number beyond 64 bits reads as a float.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] for what is not exactly one JSON value or repeats a key,
    /// [`ErrorKind::LimitExceeded`].
    pub fn from_json(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        check_length(bytes, limits)?;
        json::decode(bytes, limits)
    }

    /// Reads CBOR (RFC 8949), lengths definite or not.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] for what is not exactly one CBOR item, repeats a key, or has a key that is
    /// neither text nor an integer; [`ErrorKind::LimitExceeded`].
    pub fn from_cbor(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        check_length(bytes, limits)?;
        cbor::read(bytes, limits, json::Tree::bounded_by_source())
    }

    /// Writes JSON.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`]; no value is known that gives it.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        to_json(self)
    }

    /// Writes CBOR: definite lengths, shortest integers, sorted keys, floats of 64 bits.
    ///
    /// Floats are not shortened, because a receiver that hands them on to a device must not (see
    /// [`to_device_cbor`](Self::to_device_cbor)).
    #[must_use]
    pub fn to_cbor(&self) -> Vec<u8> {
        cbor::encode(self, cbor::Arrays::AsTheyAre)
    }

    /// Writes CBOR that constrained OCF devices understand.
    ///
    /// As [`to_cbor`](Self::to_cbor), and all numbers of an array that has a float become floats: devices in
    /// the field take 64-bit floats only, and arrays of one kind only.
    #[must_use]
    pub fn to_device_cbor(&self) -> Vec<u8> {
        cbor::encode(self, cbor::Arrays::OneKindOfNumber)
    }

    /// The tree that a serializable value becomes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] when it has a map key that is neither text nor an integer, a key twice, or an
    /// integer of more than 64 bits.
    pub fn serialized<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serialized::serialize(value)
    }

    /// Reads CBOR as a typed value, without a tree unless something is wrong.
    ///
    /// # Errors
    ///
    /// Those of [`from_cbor`](Self::from_cbor), and [`ErrorKind::Invalid`].
    pub(crate) fn typed_from_cbor<T: DeserializeOwned>(
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<T, Error> {
        check_length(bytes, limits)?;
        // What is malformed behind a mismatch is malformed: only the whole message tells which error it is.
        cbor::read(bytes, limits, PhantomData)
            .or_else(|_| Self::from_cbor(bytes, limits)?.deserialized())
    }

    /// Reads this tree as a typed value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when it does not fit; the cause names what was expected, never what was there.
    pub fn deserialized<T: DeserializeOwned>(self) -> Result<T, Error> {
        T::deserialize(self).map_err(|mismatch| Error::with_source(ErrorKind::Invalid, mismatch))
    }

    /// The value of this name, when this is a map that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_map()?.get(name)
    }

    /// The map, when this is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The items, when this is an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text, when this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, when this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The whole number, when this is one.
    #[must_use]
    pub fn as_integer(&self) -> Option<Integer> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The number as a float, when this is an integer or a float.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(number.to_f64()),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Integer(number.into())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl<N: Into<String>, V: Into<Self>, const LEN: usize> From<[(N, V); LEN]> for Value {
    /// A map; of a name given twice the last value stays.
    fn from(entries: [(N, V); LEN]) -> Self {
        Self::Map(
            entries
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

fn check_length(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    if bytes.len() > limits.max_length {
        return Err(Error::with_source(
            ErrorKind::LimitExceeded,
            Mismatch::new("message is too long"),
        ));
    }
    Ok(())
}

/// What a message may still cost while it is read.
#[derive(Debug)]
struct Budget {
    items: Cell<usize>,
    exceeded: Cell<bool>,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Self {
            items: Cell::new(limits.max_items),
            exceeded: Cell::new(false),
        }
    }

    /// Pays for one value inside `depth` more levels; false when that is over a limit.
    #[inline]
    fn pay(&self, depth_left: Option<usize>) -> bool {
        let items_left = self.items.get().checked_sub(1);
        self.items.set(items_left.unwrap_or(0));
        let paid = items_left.is_some() && depth_left.is_some();
        self.exceeded.set(self.exceeded.get() || !paid);
        paid
    }

    fn error(&self, source: impl core::error::Error + Send + Sync + 'static) -> Error {
        let kind = if self.exceeded.get() {
            ErrorKind::LimitExceeded
        } else {
            ErrorKind::Malformed
        };
        Error::with_source(kind, source)
    }
}
