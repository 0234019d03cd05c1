//! A deserializer that is drained into a serializer.

use alloc::{string::String, vec::Vec};
use core::{cell::Cell, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Serialize, Serializer,
    de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
    ser::{self, SerializeMap, SerializeSeq},
};

/// Writes what it reads as JSON: byte strings as base64, floats that JSON does not have as null.
pub(super) struct ToJson;

impl<'de> DeserializeSeed<'de> for ToJson {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        serde_json::to_vec(&Drain::new(deserializer)).map_err(de::Error::custom)
    }
}

/// Serializes as the one value that its deserializer has.
struct Drain<D>(Cell<Option<D>>);

impl<D> Drain<D> {
    fn new(deserializer: D) -> Self {
        Self(Cell::new(Some(deserializer)))
    }
}

impl<'de, D: Deserializer<'de>> Serialize for Drain<D> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(deserializer) = self.0.take() else {
            return Err(ser::Error::custom("a value was written twice"));
        };
        deserializer
            .deserialize_any(Writer(serializer))
            .map_err(ser::Error::custom)
    }
}

struct Writer<S>(S);

impl<'de, S: Serializer> Visitor<'de> for Writer<S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_unit<E: de::Error>(self) -> Result<S::Ok, E> {
        self.0.serialize_unit().map_err(E::custom)
    }

    #[inline]
    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<S::Ok, E> {
        self.0.serialize_bool(truth).map_err(E::custom)
    }

    #[inline]
    fn visit_i64<E: de::Error>(self, number: i64) -> Result<S::Ok, E> {
        self.0.serialize_i64(number).map_err(E::custom)
    }

    #[inline]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<S::Ok, E> {
        self.0.serialize_u64(number).map_err(E::custom)
    }

    #[inline]
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<S::Ok, E> {
        self.0.serialize_f64(number).map_err(E::custom)
    }

    #[inline]
    fn visit_str<E: de::Error>(self, text: &str) -> Result<S::Ok, E> {
        self.0.serialize_str(text).map_err(E::custom)
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<S::Ok, E> {
        self.visit_str(&text)
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<S::Ok, E> {
        self.visit_str(&STANDARD.encode(bytes))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<S::Ok, A::Error> {
        let mut items = self.0.serialize_seq(None).map_err(de::Error::custom)?;
        while access.next_element_seed(ItemOf(&mut items))?.is_some() {}
        items.end().map_err(de::Error::custom)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<S::Ok, A::Error> {
        let mut members = self.0.serialize_map(None).map_err(de::Error::custom)?;
        while access.next_key_seed(NameOf(&mut members))?.is_some() {
            access.next_value_seed(MemberOf(&mut members))?;
        }
        members.end().map_err(de::Error::custom)
    }
}

/// Writes the next item of an array.
struct ItemOf<'w, S>(&'w mut S);

impl<'de, S: SerializeSeq> DeserializeSeed<'de> for ItemOf<'_, S> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let item = Drain::new(deserializer);
        self.0.serialize_element(&item).map_err(de::Error::custom)
    }
}

/// Writes the name of the next member of a map.
struct NameOf<'w, S>(&'w mut S);

impl<'de, S: SerializeMap> DeserializeSeed<'de> for NameOf<'_, S> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let name = Drain::new(deserializer);
        self.0.serialize_key(&name).map_err(de::Error::custom)
    }
}

/// Writes the value of the member whose name was written last.
struct MemberOf<'w, S>(&'w mut S);

impl<'de, S: SerializeMap> DeserializeSeed<'de> for MemberOf<'_, S> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let value = Drain::new(deserializer);
        self.0.serialize_value(&value).map_err(de::Error::custom)
    }
}
