//! What a device says when it asks where it belongs.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// The longest payload that is looked into, in bytes.
pub const MAX_UP: usize = 4096;
/// The longest keyword, in bytes.
pub const MAX_KEYWORD: usize = 256;

/// The payload of `bootstrap/up`: empty, or a JSON object that may hold a keyword for the tenant's static policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Up {
    /// `baseStrategyKeyword`, 1 to [`MAX_KEYWORD`] bytes.
    pub keyword: Option<String>,
}

impl Up {
    /// Reads a payload. Whatever is not a JSON object, is longer than [`MAX_UP`], or holds a keyword twice or one that is none, says
    /// nothing: the device still asks, and the policies decide without a keyword.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Self {
        if payload.len() > MAX_UP {
            return Self::default();
        }
        serde_json::from_slice(payload).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Up {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A derived one would take an array for an object.
        deserializer.deserialize_map(UpVisitor)
    }
}

struct UpVisitor;

impl<'de> Visitor<'de> for UpVisitor {
    type Value = Up;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Up, A::Error> {
        let mut keywords = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "baseStrategyKeyword" {
                keywords.push(map.next_value::<Value>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let keyword = match <[Value; 1]>::try_from(keywords) {
            Ok([Value::String(text)]) if (1..=MAX_KEYWORD).contains(&text.len()) => Some(text),
            _ => None,
        };
        Ok(Up { keyword })
    }
}
