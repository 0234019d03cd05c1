//! JSON text straight into CBOR bytes.

use alloc::vec::Vec;
use core::{fmt, ops::Range};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::super::{
    Budget, Value,
    cbor::{self, Arrays, Major},
    names,
};
use crate::{error::Error, limits::Limits};

/// Whom the CBOR is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receiver {
    /// Another cloud, or whoever reads CBOR as it is.
    Peer,
    /// A constrained device: see [`Value::to_device_cbor`].
    Device,
}

pub(super) fn convert(bytes: &[u8], receiver: Receiver, limits: &Limits) -> Result<Vec<u8>, Error> {
    let budget = Budget::new(limits);
    let mut output = Output {
        bytes: Vec::with_capacity(bytes.len()),
        names: Vec::new(),
        receiver,
        budget: &budget,
    };
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let item = Item {
        output: &mut output,
        depth_left: Some(limits.depth()),
    };
    item.deserialize(&mut reader)
        .and_then(|_| reader.end())
        .map_err(|error| budget.error(error))?;
    Ok(output.bytes)
}

/// What was written so far.
struct Output<'b> {
    bytes: Vec<u8>,
    /// Where the names of all maps around the present place are, the innermost last.
    names: Vec<Range<usize>>,
    receiver: Receiver,
    budget: &'b Budget,
}

/// What an array must know of its items.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Integer,
    Float,
    Other,
}

impl Output<'_> {
    #[inline]
    fn text(&mut self, text: &str) {
        cbor::write_text(text, &mut self.bytes);
    }

    /// Begins an array or map whose length is not known yet, and says where.
    #[inline]
    fn begin(&mut self, major: Major) -> usize {
        let start = self.bytes.len();
        cbor::write_head(major, 0, &mut self.bytes);
        start
    }

    /// Makes every number of the array that began at `start` a float.
    fn unify(&mut self, start: usize) -> Result<(), Error> {
        let mut limits = Limits::default();
        (limits.max_items, limits.max_length) = (usize::MAX, usize::MAX);
        limits.max_depth = usize::MAX;
        let array = Value::from_cbor(self.bytes.get(start..).unwrap_or_default(), &limits)?;
        self.bytes.truncate(start);
        cbor::write(&array, Arrays::OneKindOfNumber, &mut self.bytes);
        Ok(())
    }

    /// Forgets the names of the innermost map, which begin at `first`; false when one came twice.
    #[inline]
    fn end_names(&mut self, first: usize) -> bool {
        let names = self.names.get(first..).unwrap_or_default();
        let text = |name: &Range<usize>| self.bytes.get(name.clone());
        let unique = names::are_unique(names.iter().map(text));
        self.names.truncate(first);
        unique
    }
}

/// Writes one value, paying for it.
struct Item<'o, 'b> {
    output: &'o mut Output<'b>,
    depth_left: Option<usize>,
}

impl Item<'_, '_> {
    fn inside(&self) -> Option<usize> {
        self.depth_left.and_then(|left| left.checked_sub(1))
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_, '_> {
    type Value = Kind;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Kind, D::Error> {
        if !self.output.budget.pay(self.depth_left) {
            return Err(D::Error::custom("limit exceeded"));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_, '_> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_unit<E>(self) -> Result<Kind, E> {
        cbor::write_null(&mut self.output.bytes);
        Ok(Kind::Other)
    }

    #[inline]
    fn visit_bool<E>(self, truth: bool) -> Result<Kind, E> {
        cbor::write_bool(truth, &mut self.output.bytes);
        Ok(Kind::Other)
    }

    #[inline]
    fn visit_i64<E>(self, number: i64) -> Result<Kind, E> {
        cbor::write_integer(number.into(), &mut self.output.bytes);
        Ok(Kind::Integer)
    }

    #[inline]
    fn visit_u64<E>(self, number: u64) -> Result<Kind, E> {
        cbor::write_integer(number.into(), &mut self.output.bytes);
        Ok(Kind::Integer)
    }

    #[inline]
    fn visit_f64<E>(self, number: f64) -> Result<Kind, E> {
        cbor::write_float(number, &mut self.output.bytes);
        Ok(Kind::Float)
    }

    #[inline]
    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        self.output.text(text);
        Ok(Kind::Other)
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let inside = self.inside();
        let output = self.output;
        let start = output.begin(Major::Array);
        let (mut length, mut integers, mut floats) = (0_usize, false, false);
        while let Some(kind) = access.next_element_seed(Item {
            output: &mut *output,
            depth_left: inside,
        })? {
            length = length.saturating_add(1);
            integers |= kind == Kind::Integer;
            floats |= kind == Kind::Float;
        }
        cbor::set_length(Major::Array, start, length, &mut output.bytes);
        if integers && floats && output.receiver == Receiver::Device {
            output.unify(start).map_err(A::Error::custom)?;
        }
        Ok(Kind::Other)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Kind, A::Error> {
        let inside = self.inside();
        let output = self.output;
        let start = output.begin(Major::Map);
        let first_name = output.names.len();
        while access.next_key_seed(Name(&mut *output))?.is_some() {
            access.next_value_seed(Item {
                output: &mut *output,
                depth_left: inside,
            })?;
        }
        let length = output.names.len().saturating_sub(first_name);
        if !output.end_names(first_name) {
            return Err(A::Error::custom("duplicate key"));
        }
        cbor::set_length(Major::Map, start, length, &mut output.bytes);
        Ok(Kind::Other)
    }
}

/// Writes the name of a member and remembers where.
struct Name<'o, 'b>(&'o mut Output<'b>);

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    #[inline]
    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.text(name);
        let end = self.0.bytes.len();
        self.0.names.push(end.saturating_sub(name.len())..end);
        Ok(())
    }
}
