//! What a measurement point reads, and what a property holds.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use core::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes of a text that a measurement point reads. (EnOS, data types of models)
pub const MAX_TEXT_LEN: usize = 1024;

/// One value. It does not print: it is a payload.
#[derive(Clone, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "JSON has no other values that are neither null nor made of others"
)]
pub enum Scalar {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number, never infinite.
    Number(f64),
    /// A text of at most [`MAX_TEXT_LEN`] bytes.
    Text(String),
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean(_) => "Boolean(..)",
            Self::Integer(_) => "Integer(..)",
            Self::Number(_) => "Number(..)",
            Self::Text(_) => "Text(..)",
        })
    }
}

/// A value as JSON has it.
pub(super) struct Written<T>(pub(super) T);

impl Serialize for Written<&Scalar> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Scalar::Boolean(value) => serializer.serialize_bool(*value),
            Scalar::Integer(value) => serializer.serialize_i64(*value),
            Scalar::Number(value) => serializer.serialize_f64(*value),
            Scalar::Text(value) => serializer.serialize_str(value),
        }
    }
}

impl<'de> Deserialize<'de> for Written<Scalar> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor).map(Self)
    }
}

/// Reads what is a value at once; whoever reads something more hands the rest on to it.
pub(super) struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a number or a text")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Boolean(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Scalar, E> {
        // What is beyond the whole numbers is still a number.
        Ok(i64::try_from(value).map_or(Scalar::Number(value as f64), Scalar::Integer))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Scalar, E> {
        if value.len() > MAX_TEXT_LEN {
            return Err(E::invalid_length(value.len(), &self));
        }
        Ok(Scalar::Text(value.to_owned()))
    }
}
