//! Values of attributes, command fields and properties: the tree that JSON has.

use core::fmt;
use std::collections::BTreeMap;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A value of either data model.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// Nothing, `null` in JSON.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text.
    Text(String),
    /// Several values, in order.
    List(Vec<Self>),
    /// Values by their names.
    Object(BTreeMap<String, Self>),
}

impl Value {
    /// Reads JSON; an object that has a name twice is refused, and so is anything after the value.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The truth value, also of the numbers 0 and 1 and of the words.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            Self::Integer(0) => Some(false),
            Self::Integer(1) => Some(true),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The number, also of a text that is one: an example of the documentation has `"3"`.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        let number = match self {
            #[expect(clippy::cast_precision_loss, reason = "nothing measured has 16 digits")]
            Self::Integer(number) => *number as f64,
            Self::Number(number) => *number,
            Self::Text(text) => text.parse().ok()?,
            _ => return None,
        };
        number.is_finite().then_some(number)
    }

    /// The text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// A number as a whole one where it is, so that 50 is not written as 50.0.
    #[must_use]
    pub fn from_number(number: f64) -> Self {
        // 2^53: up to here every whole number is its own.
        if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
            #[expect(clippy::cast_possible_truncation, reason = "whole and within range")]
            return Self::Integer(number as i64);
        }
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::from_number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "nothing measured has 16 digits")]
        let large = number as f64;
        Ok(i64::try_from(number).map_or(Value::Number(large), Value::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            // Two readers of such an object may see two different ones.
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a name twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_read_whole_and_without_repeated_names() {
        let value = Value::from_json(br#"{"a":[null,true,-1,1.5,"x"]}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&value).unwrap(),
            r#"{"a":[null,true,-1,1.5,"x"]}"#
        );
        for bytes in [&br#"{"a":1,"a":1}"#[..], b"1 2", b"", b"{", b"\xff"] {
            assert_eq!(Value::from_json(bytes), None);
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(Value::from_json(deep.as_bytes()), None);
    }

    #[test]
    fn numbers_are_read_from_texts_and_written_whole_where_they_are() {
        assert_eq!(Value::from("3").as_number(), Some(3.0));
        assert_eq!(Value::from("inf").as_number(), None);
        assert_eq!(Value::from(50.0), Value::Integer(50));
        assert_eq!(Value::from(21.5), Value::Number(21.5));
        assert_eq!(
            Value::from_json(b"18446744073709551615")
                .unwrap()
                .as_number(),
            Some(18_446_744_073_709_551_615.0)
        );
    }
}
