//! CBOR as a serde data source, bounded: nothing is built that the receiving type does not want.

use alloc::{
    borrow::Cow,
    string::{String, ToString},
    vec::Vec,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::{
    de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor},
    forward_to_deserialize_any,
};

use super::{
    super::{Budget, Integer, Mismatch, names},
    bignum,
    head::Head,
};
use crate::{error::Error, limits::Limits};

type Problem = &'static str;

/// Reads exactly one item.
pub(in super::super) fn read<'de, S: DeserializeSeed<'de>>(
    bytes: &'de [u8],
    limits: &Limits,
    seed: S,
) -> Result<S::Value, Error> {
    let budget = Budget::new(limits);
    let mut reader = Reader {
        rest: bytes,
        budget: &budget,
        names: Vec::new(),
    };
    let item = Item {
        reader: &mut reader,
        head: None,
        depth_left: Some(limits.depth()),
        text: ByteText::None,
    };
    seed.deserialize(item)
        .and_then(|value| {
            if reader.rest.is_empty() {
                Ok(value)
            } else {
                Err(Mismatch::new("bytes after the item"))
            }
        })
        .map_err(|problem| budget.error(problem))
}

/// The text that an enclosing tag wants byte strings to become (RFC 8949, 3.4.5.2).
#[derive(Clone, Copy)]
enum ByteText {
    None,
    Base64Url,
    Base64,
    Base16,
}

struct Reader<'de, 'b> {
    rest: &'de [u8],
    budget: &'b Budget,
    /// The names of all maps around the present place, the innermost last.
    names: Vec<Cow<'de, str>>,
}

impl<'de> Reader<'de, '_> {
    #[inline]
    fn head(&mut self) -> Result<Head, Problem> {
        Head::read(&mut self.rest).ok_or("not a CBOR item")
    }

    /// The head of the next element, or `None` at the end of the array or map.
    #[inline]
    fn next(&mut self, left: &mut Option<u64>) -> Result<Option<Head>, Problem> {
        match left {
            Some(0) => Ok(None),
            Some(count) => {
                *count = count.saturating_sub(1);
                self.head().map(Some)
            }
            None => match self.head()? {
                Head::Break => Ok(None),
                head => Ok(Some(head)),
            },
        }
    }

    #[inline]
    fn take(&mut self, length: u64) -> Result<&'de [u8], Problem> {
        let length = usize::try_from(length).ok();
        let (taken, rest) = length
            .and_then(|length| self.rest.split_at_checked(length))
            .ok_or("string ends early")?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn text_chunk(&mut self, length: u64) -> Result<&'de str, Problem> {
        core::str::from_utf8(self.take(length)?).map_err(|_| "text is not UTF-8")
    }

    #[inline]
    fn text(&mut self, length: Option<u64>) -> Result<Cow<'de, str>, Problem> {
        match length {
            Some(length) => self.text_chunk(length).map(Cow::Borrowed),
            None => self.text_of_chunks().map(Cow::Owned),
        }
    }

    #[cold]
    fn text_of_chunks(&mut self) -> Result<String, Problem> {
        let mut all = String::new();
        loop {
            match self.head()? {
                // RFC 8949, 3.2.3: a character is never split between chunks.
                Head::Text(Some(length)) => all.push_str(self.text_chunk(length)?),
                Head::Break => return Ok(all),
                _ => return Err("chunk of another kind"),
            }
        }
    }

    fn bytes(&mut self, length: Option<u64>) -> Result<Cow<'de, [u8]>, Problem> {
        if let Some(length) = length {
            return self.take(length).map(Cow::Borrowed);
        }
        let mut all = Vec::new();
        loop {
            match self.head()? {
                Head::Bytes(Some(length)) => all.extend_from_slice(self.take(length)?),
                Head::Break => return Ok(Cow::Owned(all)),
                _ => return Err("chunk of another kind"),
            }
        }
    }

    #[inline]
    fn name(&mut self, head: Head) -> Result<Cow<'de, str>, Problem> {
        match head {
            Head::Text(length) => self.text(length),
            Head::Unsigned(number) => Ok(Cow::Owned(number.to_string())),
            Head::Negative(complement) => Ok(Cow::Owned(below_zero(complement).to_string())),
            _ => Err("map key is neither text nor an integer"),
        }
    }

    /// Forgets the names of the innermost map, which begin at `first`; false when one came twice.
    #[inline]
    fn end_names(&mut self, first: usize) -> bool {
        let names = self.names.get(first..).unwrap_or_default();
        let unique = names::are_unique(names.iter().map(|name| name.as_bytes()));
        self.names.truncate(first);
        unique
    }
}

/// One item that is still to be read.
struct Item<'r, 'de, 'b> {
    reader: &'r mut Reader<'de, 'b>,
    /// Its head, when that had to be looked at.
    head: Option<Head>,
    depth_left: Option<usize>,
    text: ByteText,
}

impl<'de> Item<'_, 'de, '_> {
    #[inline]
    fn visit<V: Visitor<'de>>(self, head: Head, visitor: V) -> Result<V::Value, Mismatch> {
        let reader = self.reader;
        if !reader.budget.pay(self.depth_left) {
            return Err(Mismatch::new("limit exceeded"));
        }
        let inside = self.depth_left.and_then(|left| left.checked_sub(1));
        match head {
            Head::Unsigned(number) => visitor.visit_u64(number),
            Head::Negative(complement) => visit_negative(complement, visitor),
            Head::Float(number) => visitor.visit_f64(number),
            Head::Bool(truth) => visitor.visit_bool(truth),
            Head::Simple => visitor.visit_unit(),
            Head::Text(Some(length)) => {
                let text = reader.text_chunk(length).map_err(Mismatch::new)?;
                visitor.visit_borrowed_str(text)
            }
            Head::Text(None) => {
                let text = reader.text_of_chunks().map_err(Mismatch::new)?;
                visitor.visit_string(text)
            }
            Head::Bytes(length) => {
                let bytes = reader.bytes(length).map_err(Mismatch::new)?;
                visit_bytes(bytes, self.text, visitor)
            }
            Head::Array(left) => {
                let mut items = Items {
                    reader,
                    left,
                    inside,
                    text: self.text,
                };
                let value = visitor.visit_seq(&mut items)?;
                items.end().map(|()| value)
            }
            Head::Map(left) => {
                let mut members = Members {
                    first_name: reader.names.len(),
                    reader,
                    left,
                    inside,
                    text: self.text,
                };
                let value = visitor.visit_map(&mut members)?;
                members.end().map(|()| value)
            }
            Head::Tag(number) => {
                let item = Item {
                    reader,
                    head: None,
                    depth_left: inside,
                    text: self.text,
                };
                item.visit_tagged(number, visitor)
            }
            Head::Break => Err(Mismatch::new("break outside an indefinite length")),
        }
    }

    fn visit_tagged<V: Visitor<'de>>(mut self, tag: u64, visitor: V) -> Result<V::Value, Mismatch> {
        self.text = match tag {
            // RFC 8949, 3.4.3.
            2 | 3 => return self.visit_bignum(tag == 3, visitor),
            21 => ByteText::Base64Url,
            22 => ByteText::Base64,
            23 => ByteText::Base16,
            _ => self.text,
        };
        let head = self.reader.head().map_err(Mismatch::new)?;
        self.visit(head, visitor)
    }

    fn visit_bignum<V: Visitor<'de>>(
        self,
        negative: bool,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let bytes = match self.reader.head() {
            Ok(Head::Bytes(length)) => self.reader.bytes(length),
            Ok(_) => Err("bignum is no byte string"),
            Err(problem) => Err(problem),
        };
        let number = bytes.and_then(|bytes| bignum::convert(&bytes, negative));
        number.map_err(Mismatch::new)?.deserialize_any(visitor)
    }

    #[inline]
    fn take_head(&mut self) -> Result<Head, Mismatch> {
        match self.head.take() {
            Some(head) => Ok(head),
            None => self.reader.head().map_err(Mismatch::new),
        }
    }
}

impl<'de> Deserializer<'de> for Item<'_, 'de, '_> {
    type Error = Mismatch;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Mismatch> {
        let head = self.take_head()?;
        self.visit(head, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.take_head()? {
            Head::Simple if self.reader.budget.pay(self.depth_left) => visitor.visit_none(),
            head => {
                self.head = Some(head);
                visitor.visit_some(self)
            }
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.take_head()? {
            Head::Text(length) if self.reader.budget.pay(self.depth_left) => {
                let variant = self.reader.text(length).map_err(Mismatch::new)?;
                visitor.visit_enum(variant.into_deserializer())
            }
            _ => Err(Mismatch::new("expected the name of a variant")),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The items of an array.
struct Items<'r, 'de, 'b> {
    reader: &'r mut Reader<'de, 'b>,
    left: Option<u64>,
    inside: Option<usize>,
    text: ByteText,
}

impl Items<'_, '_, '_> {
    /// The visitor must have taken all of them; of a definite length that is seen at once.
    fn end(self) -> Result<(), Mismatch> {
        match self.left {
            Some(0) => Ok(()),
            _ => Err(Mismatch::new("expected fewer items")),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de, '_> {
    type Error = Mismatch;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mismatch> {
        let Some(head) = self.reader.next(&mut self.left).map_err(Mismatch::new)? else {
            self.left = Some(0);
            return Ok(None);
        };
        let item = Item {
            reader: self.reader,
            head: Some(head),
            depth_left: self.inside,
            text: self.text,
        };
        seed.deserialize(item).map(Some)
    }

    /// What is announced, but never more than the message has bytes for.
    fn size_hint(&self) -> Option<usize> {
        let announced = usize::try_from(self.left?).unwrap_or(usize::MAX);
        Some(announced.min(self.reader.rest.len()))
    }
}

/// The members of a map.
struct Members<'r, 'de, 'b> {
    reader: &'r mut Reader<'de, 'b>,
    left: Option<u64>,
    inside: Option<usize>,
    text: ByteText,
    /// Where its names begin.
    first_name: usize,
}

impl Members<'_, '_, '_> {
    /// As [`Items::end`]; and no name may have come twice.
    fn end(self) -> Result<(), Mismatch> {
        if self.left != Some(0) {
            return Err(Mismatch::new("expected fewer members"));
        }
        if !self.reader.end_names(self.first_name) {
            return Err(Mismatch::new("duplicate key"));
        }
        Ok(())
    }
}

impl<'de> MapAccess<'de> for &mut Members<'_, 'de, '_> {
    type Error = Mismatch;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Mismatch> {
        let Some(head) = self.reader.next(&mut self.left).map_err(Mismatch::new)? else {
            self.left = Some(0);
            return Ok(None);
        };
        let name = self.reader.name(head).map_err(Mismatch::new)?;
        self.reader.names.push(name.clone());
        match name {
            Cow::Borrowed(name) => seed.deserialize(Name(name)).map(Some),
            Cow::Owned(name) => seed.deserialize(name.into_deserializer()).map(Some),
        }
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        seed.deserialize(Item {
            reader: self.reader,
            head: None,
            depth_left: self.inside,
            text: self.text,
        })
    }
}

/// The name of a member, lent from the message.
struct Name<'de>(&'de str);

impl<'de> Deserializer<'de> for Name<'de> {
    type Error = Mismatch;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_borrowed_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// The number that CBOR holds as its complement.
fn below_zero(complement: u64) -> i128 {
    !i128::from(complement)
}

fn visit_negative<'de, V: Visitor<'de>>(complement: u64, visitor: V) -> Result<V::Value, Mismatch> {
    let number = below_zero(complement);
    match Integer::new(number).and_then(Integer::as_i64) {
        Some(number) => visitor.visit_i64(number),
        // Below 64 bits; treated as the bignum of the same value.
        None => visitor.visit_string(number.to_string()),
    }
}

fn visit_bytes<'de, V: Visitor<'de>>(
    bytes: Cow<'de, [u8]>,
    text: ByteText,
    visitor: V,
) -> Result<V::Value, Mismatch> {
    match text {
        ByteText::None => match bytes {
            Cow::Borrowed(bytes) => visitor.visit_borrowed_bytes(bytes),
            Cow::Owned(bytes) => visitor.visit_byte_buf(bytes),
        },
        ByteText::Base64Url => visitor.visit_string(URL_SAFE_NO_PAD.encode(&bytes)),
        ByteText::Base64 => visitor.visit_string(STANDARD.encode(&bytes)),
        ByteText::Base16 => visitor.visit_string(crate::hex::encode_upper(&bytes)),
    }
}
