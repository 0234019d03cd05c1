//! CBOR straight into JSON text.

use alloc::vec::Vec;
use core::fmt::{self, Write as _};

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
    /// Writes what is long or seldom enough to be made elsewhere first.
    fn made<T: Serialize + ?Sized, E: Error>(self, value: &T) -> Result<(), E> {
        let made = serde_json::to_vec(value).map_err(E::custom)?;
        self.out.extend_from_slice(&made);
        Ok(())
    }

    #[inline]
    fn number<E>(self, number: impl fmt::Display) -> Result<(), E> {
        // Writing to a `Vec` cannot fail.
        let _ = write!(Text(self.out), "{number}");
        Ok(())
    }
}

/// JSON as text that numbers are formatted into.
struct Text<'o>(&'o mut Vec<u8>);

impl fmt::Write for Text<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Whether a text stands in JSON as it is (RFC 8259, 7).
#[inline]
fn is_plain(text: &str) -> bool {
    // Without a way out in the middle, many bytes are looked at together.
    text.bytes().fold(true, |plain, byte| {
        plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\')
    })
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
    fn visit_bool<E>(self, truth: bool) -> Result<(), E> {
        let text: &[u8] = if truth { b"true" } else { b"false" };
        self.out.extend_from_slice(text);
        Ok(())
    }

    #[inline]
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.number(number)
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.made(&number)
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        if !is_plain(text) {
            return self.made(text);
        }
        self.out.push(b'"');
        self.out.extend_from_slice(text.as_bytes());
        self.out.push(b'"');
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        self.visit_str(&STANDARD.encode(bytes))
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
