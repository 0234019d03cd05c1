//! Objects of a request, whose members are taken out by any of their possible names.

use std::collections::BTreeMap;

use zeroize::Zeroize as _;

use crate::managed_integrations::request::Refusal;
use crate::managed_integrations::value::Value;

/// The members of an object; of one that is not there, none. What is left is wiped, since a token may be in it.
#[derive(Default)]
pub(super) struct Members(BTreeMap<String, Value>);

impl Members {
    pub(super) fn read(payload: &[u8]) -> Result<Self, Refusal> {
        let value = match Value::from_json(payload) {
            // "A JSON string payload" can be understood as this, too.
            Some(Value::Text(mut inner)) => {
                let value = Value::from_json(inner.as_bytes());
                inner.zeroize();
                value
            }
            value => value,
        };
        match value {
            Some(Value::Object(members)) => Ok(Self(members)),
            _ => Err(Refusal::NotJson),
        }
    }

    pub(super) fn of(value: Value) -> Option<Self> {
        match value {
            Value::Object(members) => Some(Self(members)),
            _ => None,
        }
    }

    /// Takes the first of `names` that is there; upper and lower case are the same.
    pub(super) fn take(&mut self, names: &[&str]) -> Option<Value> {
        names.iter().find_map(|name| {
            let known = self.0.keys().find(|key| key.eq_ignore_ascii_case(name));
            let known = known.cloned()?;
            self.0.remove(&known)
        })
    }

    pub(super) fn text(&mut self, names: &[&str]) -> Option<String> {
        match self.take(names)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn object(&mut self, names: &[&str]) -> Self {
        self.take(names).and_then(Self::of).unwrap_or_default()
    }

    /// What has not been taken.
    pub(super) fn rest(mut self) -> BTreeMap<String, Value> {
        core::mem::take(&mut self.0)
    }
}

impl Drop for Members {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::Text(text) => text.zeroize(),
        Value::List(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Number(_) => {}
    }
}
