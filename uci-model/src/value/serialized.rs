//! Typed values to the tree, through ciborium's.

use alloc::{string::ToString, vec::Vec};

use serde::Serialize;

use super::{Integer, Map, Mismatch, Value};
use crate::error::{Error, ErrorKind};

pub(super) fn serialize<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    let tree = ciborium::Value::serialized(value).map_err(|error| {
        Error::with_source(ErrorKind::Encode, Mismatch::new(&error.to_string()))
    })?;
    convert(tree).map_err(|problem| Error::with_source(ErrorKind::Encode, Mismatch::new(problem)))
}

fn convert(tree: ciborium::Value) -> Result<Value, &'static str> {
    Ok(match tree {
        ciborium::Value::Null => Value::Null,
        ciborium::Value::Bool(truth) => Value::Bool(truth),
        ciborium::Value::Integer(number) => {
            Value::Integer(Integer::new(number.into()).ok_or("integer of more than 64 bits")?)
        }
        ciborium::Value::Float(number) => Value::Float(number),
        ciborium::Value::Text(text) => Value::Text(text),
        ciborium::Value::Bytes(bytes) => Value::Bytes(bytes),
        // Serde has no tags; ciborium makes them of nothing else.
        ciborium::Value::Tag(..) => return Err("integer of more than 64 bits"),
        ciborium::Value::Array(items) => Value::Array(
            items
                .into_iter()
                .map(convert)
                .collect::<Result<Vec<_>, _>>()?,
        ),
        ciborium::Value::Map(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                let name = match key {
                    ciborium::Value::Text(name) => name,
                    ciborium::Value::Integer(number) => i128::from(number).to_string(),
                    _ => return Err("map key is neither text nor an integer"),
                };
                if map.insert(name, convert(value)?).is_some() {
                    return Err("duplicate key");
                }
            }
            Value::Map(map)
        }
        _ => return Err("value of an unknown kind"),
    })
}
