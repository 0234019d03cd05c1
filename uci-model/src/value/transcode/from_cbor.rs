//! CBOR straight into JSON text.

use alloc::vec::Vec;
use core::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Serialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};

/// Writes what it reads as JSON: byte strings as base64, floats that JSON does not have as null.
pub(super) struct ToJson {
    /// How many bytes there are to read.
    pub(super) length: usize,
}

impl<'de> DeserializeSeed<'de> for ToJson {
    type Value = Vec<u8>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<u8>, D::Error> {
        // Quotes, commas and colons are what JSON has more.
        let mut out = Vec::with_capacity(self.length.saturating_add(self.length / 4));
        let item = Item {
            out: &mut out,
            follows: false,
        };
        item.deserialize(deserializer)?;
        Ok(out)
    }
}

/// Writes one value.
struct Item<'o> {
    out: &'o mut Vec<u8>,
    /// It comes behind another one.
    follows: bool,
}

impl Item<'_> {
    /// Writes what has no items of its own.
    #[inline]
    fn scalar<T: Serialize + ?Sized, E: Error>(self, value: &T) -> Result<(), E> {
        serde_json::to_writer(self.out, value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.follows {
            self.out.push(b',');
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    #[inline]
    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.scalar(&truth)
    }

    #[inline]
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(&number)
    }

    #[inline]
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(&number)
    }

    #[inline]
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.scalar(&number)
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(text)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.scalar(&STANDARD.encode(bytes))
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let out = self.out;
        out.push(b'[');
        let mut follows = false;
        while access.next_element_seed(Item { out, follows })?.is_some() {
            follows = true;
        }
        out.push(b']');
        Ok(())
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let out = self.out;
        out.push(b'{');
        let mut follows = false;
        while access.next_key_seed(Item { out, follows })?.is_some() {
            follows = true;
            out.push(b':');
            access.next_value_seed(Item {
                out,
                follows: false,
            })?;
        }
        out.push(b'}');
        Ok(())
    }
}
