//! The envelope as JSON has it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MessageId, Reading};
use crate::measurepoint::object::{Named, Object};
use crate::measurepoint::value::{Scalar, ScalarVisitor, Written};

/// The best quality a reading can have.
const MAX_QUALITY: u8 = 9;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Envelope {
    #[serde(default)]
    pub(super) id: Option<Id>,
    pub(super) version: String,
    pub(super) method: String,
    pub(super) params: Object<Params>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    #[serde(rename = "measurepoints")]
    pub(super) points: Named<Read>,
    #[serde(default)]
    pub(super) time: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct EnvelopeRef<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Written<&'a MessageId>>,
    pub(super) version: &'static str,
    pub(super) method: &'static str,
    pub(super) params: ParamsRef<'a>,
}

#[derive(Serialize)]
pub(super) struct ParamsRef<'a> {
    #[serde(rename = "measurepoints")]
    pub(super) points: PointsRef<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<u64>,
}

#[derive(Serialize)]
pub(super) struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<Written<&'a MessageId>>,
    pub(super) code: u16,
    pub(super) data: Nothing,
}

#[derive(Serialize)]
pub(super) struct Nothing {}

/// An id as it comes.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl From<Id> for MessageId {
    fn from(id: Id) -> Self {
        match id {
            Id::Number(number) => Self::Number(number),
            Id::Text(text) => Self::Text(text),
        }
    }
}

impl Serialize for Written<&MessageId> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            MessageId::Number(number) => serializer.serialize_i64(*number),
            MessageId::Text(text) => serializer.serialize_str(text),
        }
    }
}

pub(super) struct PointsRef<'a>(pub(super) &'a BTreeMap<String, Reading>);

impl Serialize for PointsRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, reading) in self.0 {
            let value = Written(&reading.value);
            match reading.quality {
                None => map.serialize_entry(name, &value)?,
                Some(quality) => map.serialize_entry(name, &QualifiedRef { value, quality })?,
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct QualifiedRef<'a> {
    value: Written<&'a Scalar>,
    quality: u8,
}

/// A reading as it comes: a value, or an object of a value and its quality.
pub(super) struct Read(pub(super) Reading);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ReadVisitor).map(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Qualified {
    value: Written<Scalar>,
    #[serde(default)]
    quality: Option<u8>,
}

struct ReadVisitor;

impl<'de> Visitor<'de> for ReadVisitor {
    type Value = Reading;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or a value and its quality")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Reading, E> {
        ScalarVisitor.visit_bool(value).map(Reading::new)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Reading, E> {
        ScalarVisitor.visit_i64(value).map(Reading::new)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Reading, E> {
        ScalarVisitor.visit_u64(value).map(Reading::new)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Reading, E> {
        ScalarVisitor.visit_f64(value).map(Reading::new)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Reading, E> {
        ScalarVisitor.visit_str(value).map(Reading::new)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reading, A::Error> {
        let Qualified { value, quality } = Qualified::deserialize(MapAccessDeserializer::new(map))?;
        if quality.is_some_and(|quality| quality > MAX_QUALITY) {
            return Err(de::Error::custom("a quality is 0 to 9"));
        }
        Ok(Reading {
            value: value.0,
            quality,
        })
    }
}
