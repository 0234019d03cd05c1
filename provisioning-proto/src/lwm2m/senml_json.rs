//! SenML JSON, content format 110. (RFC 8428, 5)

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use serde::de::{
    self, DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use super::senml::{self, Line, Pack, Record, lines, may_skip, object_link, object_link_text};
use super::value::{Instance, Opaque, Value};
use super::{DecodeError, EncodeError};

/// The version of SenML whose records are understood. (RFC 8428, 4.4)
const VERSION: u64 = 10;

/// The standard's alphabet without padding (RFC 8428, 5); clients that pad are understood.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads the instances that a payload tells of, in the order of objects and instances.
///
/// # Errors
/// The kinds of [`DecodeError`] but `Format` and `Nesting`.
pub fn decode(payload: &[u8]) -> Result<Vec<(u16, Instance)>, DecodeError> {
    let mut json = serde_json::Deserializer::from_slice(payload);
    let mut failure = None;
    let mut pack = Pack::default();
    let records = Records {
        pack: &mut pack,
        failure: &mut failure,
    };
    let read = json.deserialize_seq(records);
    if let Some(failure) = failure {
        return Err(failure);
    }
    read.map_err(|error| match error.classify() {
        serde_json::error::Category::Eof => DecodeError::Length,
        _ => DecodeError::Syntax,
    })?;
    json.end().map_err(|_| DecodeError::Length)?;
    Ok(pack.finish())
}

/// Reads records one by one. What is wrong with one is kept aside: serde's errors are texts.
struct Records<'p> {
    pack: &'p mut Pack,
    failure: &'p mut Option<DecodeError>,
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(record) = seq.next_element_seed(OneRecord {
            failure: self.failure,
        })? {
            if let Err(failure) = self.pack.add(record) {
                *self.failure = Some(failure);
                return Err(de::Error::custom("record"));
            }
        }
        Ok(())
    }
}

struct OneRecord<'f> {
    failure: &'f mut Option<DecodeError>,
}

impl<'de> DeserializeSeed<'de> for OneRecord<'_> {
    type Value = Record<'de>;

    fn deserialize<D: de::Deserializer<'de>>(self, json: D) -> Result<Record<'de>, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneRecord<'_> {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let mut record = Record::default();
        let mut fail = |failure| {
            *self.failure = Some(failure);
            de::Error::custom("record")
        };
        while let Some(Text(label)) = map.next_key()? {
            let done = match &*label {
                "bn" => record.set_base_name(map.next_value::<Text<'de>>()?.0),
                "n" => record.set_name(map.next_value::<Text<'de>>()?.0),
                "v" => record.set_value(map.next_value::<Number>()?.0),
                "vb" => record.set_value(Value::Boolean(map.next_value()?)),
                "vs" => {
                    let Text(text) = map.next_value()?;
                    record.set_value(Value::Text(text.into_owned()))
                }
                "vd" => {
                    let Text(text) = map.next_value()?;
                    // A text with escapes was copied, which base64 needs none of: no copy of a key stays behind.
                    let Cow::Borrowed(text) = text else {
                        return Err(fail(DecodeError::Type));
                    };
                    let bytes = BASE64.decode(text).map_err(|_| DecodeError::Type);
                    bytes.and_then(|bytes| record.set_value(Value::Opaque(Opaque::new(bytes))))
                }
                "vlo" => object_link(&map.next_value::<Text<'de>>()?.0)
                    .and_then(|link| record.set_value(Value::ObjectLink(link))),
                "bver" if map.next_value::<u64>()? <= VERSION => Ok(()),
                label if label != "bver" && may_skip(label) => {
                    map.next_value::<IgnoredAny>()?;
                    Ok(())
                }
                _ => Err(DecodeError::Unsupported),
            };
            done.map_err(&mut fail)?;
        }
        Ok(record)
    }
}

/// A text, borrowed unless it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> de::Deserialize<'de> for Text<'de> {
    fn deserialize<D: de::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
}

struct Number(Value);

impl<'de> de::Deserialize<'de> for Number {
    fn deserialize<D: de::Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_f64(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number(Value::Integer(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
        let number = i64::try_from(number).map_err(|_| E::custom("number"))?;
        Ok(Number(Value::Integer(number)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number(Value::Float(number)))
    }
}

/// Writes instances of objects.
///
/// # Errors
/// [`EncodeError::Number`] for a float that JSON has no form for.
pub fn encode(instances: &[(u16, Instance)]) -> Result<Opaque, EncodeError> {
    let room = instances.iter().map(|(_, instance)| instance.room());
    let mut out = Vec::with_capacity(room.fold(16, usize::saturating_add));
    let lines = lines(instances);
    let is_finite = |value: &Value| !matches!(value, Value::Float(number) if !number.is_finite());
    if !lines.iter().all(|line| is_finite(line.value)) {
        return Err(EncodeError::Number);
    }
    let written = serde_json::to_writer(&mut out, &lines);
    written.map_err(|_| EncodeError::Number)?;
    Ok(senml::payload(out))
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(name) = &self.base_name {
            map.serialize_entry("bn", name)?;
        }
        map.serialize_entry("n", &self.name)?;
        match self.value {
            Value::Text(text) => map.serialize_entry("vs", text)?,
            Value::Integer(number) => map.serialize_entry("v", number)?,
            Value::Float(number) => map.serialize_entry("v", number)?,
            Value::Boolean(value) => map.serialize_entry("vb", value)?,
            Value::Opaque(bytes) => {
                let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.expose()));
                map.serialize_entry("vd", &**text)?;
            }
            Value::ObjectLink(link) => map.serialize_entry("vlo", &object_link_text(*link))?,
        }
        map.end()
    }
}
