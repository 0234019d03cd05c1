//! The bounded reader.

use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ciborium_ll::{Decoder, Header, simple, tag};

use super::{
    super::{Budget, Integer, Map, Mismatch, Value},
    bignum,
};
use crate::{error::Error, limits::Limits};

type Problem = &'static str;

pub(in super::super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Value, Error> {
    let budget = Budget::new(limits);
    let mut reader = Reader {
        rest: bytes,
        budget: &budget,
    };
    reader
        .item(Some(limits.depth()), ByteText::None)
        .and_then(|value| {
            if reader.rest.is_empty() {
                Ok(value)
            } else {
                Err("bytes after the item")
            }
        })
        .map_err(|problem| budget.error(Mismatch::new(problem)))
}

/// The text that an enclosing tag wants byte strings to become (RFC 8949, 3.4.5.2).
#[derive(Clone, Copy)]
enum ByteText {
    None,
    Base64Url,
    Base64,
    Base16,
}

struct Reader<'a> {
    rest: &'a [u8],
    budget: &'a Budget,
}

impl<'a> Reader<'a> {
    fn item(&mut self, depth_left: Option<usize>, text: ByteText) -> Result<Value, Problem> {
        let header = self.header()?;
        self.item_after(header, depth_left, text)
    }

    fn item_after(
        &mut self,
        header: Header,
        depth_left: Option<usize>,
        text: ByteText,
    ) -> Result<Value, Problem> {
        if !self.budget.pay(depth_left) {
            return Err("limit exceeded");
        }
        let inside = depth_left.and_then(|left| left.checked_sub(1));
        Ok(match header {
            Header::Positive(number) => number.into(),
            Header::Negative(complement) => negative(complement),
            Header::Float(number) => Value::Float(number),
            Header::Simple(simple::FALSE) => Value::Bool(false),
            Header::Simple(simple::TRUE) => Value::Bool(true),
            // Null, undefined, and what has no meaning yet.
            Header::Simple(_) => Value::Null,
            Header::Bytes(length) => byte_string(self.bytes(length)?, text),
            Header::Text(length) => Value::Text(self.text(length)?),
            Header::Array(length) => Value::Array(self.array(length, inside, text)?),
            Header::Map(length) => Value::Map(self.map(length, inside, text)?),
            Header::Tag(number) => self.tagged(number, inside, text)?,
            Header::Break => return Err("break outside an indefinite length"),
        })
    }

    fn header(&mut self) -> Result<Header, Problem> {
        let mut decoder = Decoder::from(self.rest);
        let header = decoder.pull().map_err(|_| "not a CBOR item")?;
        let length = decoder.offset();
        // RFC 8949, 3.3: a simple value below 32 has no two-byte form.
        if length == 2 && matches!(header, Header::Simple(..32)) {
            return Err("not a CBOR item");
        }
        self.rest = self.rest.get(length..).ok_or("not a CBOR item")?;
        Ok(header)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Problem> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or("string ends early")?;
        self.rest = rest;
        Ok(taken)
    }

    fn bytes(&mut self, length: Option<usize>) -> Result<Vec<u8>, Problem> {
        if let Some(length) = length {
            return self.take(length).map(<[u8]>::to_vec);
        }
        let mut all = Vec::new();
        loop {
            match self.header()? {
                Header::Bytes(Some(length)) => all.extend_from_slice(self.take(length)?),
                Header::Break => return Ok(all),
                _ => return Err("chunk of another kind"),
            }
        }
    }

    fn text(&mut self, length: Option<usize>) -> Result<String, Problem> {
        if let Some(length) = length {
            return self.text_chunk(length).map(String::from);
        }
        let mut all = String::new();
        loop {
            match self.header()? {
                // RFC 8949, 3.2.3: a character is never split between chunks.
                Header::Text(Some(length)) => all.push_str(self.text_chunk(length)?),
                Header::Break => return Ok(all),
                _ => return Err("chunk of another kind"),
            }
        }
    }

    fn text_chunk(&mut self, length: usize) -> Result<&'a str, Problem> {
        core::str::from_utf8(self.take(length)?).map_err(|_| "text is not UTF-8")
    }

    /// The header of the next element, or `None` at the end of the array or map.
    fn next(&mut self, left: &mut Option<usize>) -> Result<Option<Header>, Problem> {
        match left {
            Some(0) => Ok(None),
            Some(count) => {
                *count = count.saturating_sub(1);
                self.header().map(Some)
            }
            None => match self.header()? {
                Header::Break => Ok(None),
                header => Ok(Some(header)),
            },
        }
    }

    fn array(
        &mut self,
        mut left: Option<usize>,
        inside: Option<usize>,
        text: ByteText,
    ) -> Result<Vec<Value>, Problem> {
        // The announced length is the peer's word; memory follows the items that come.
        let mut items = Vec::new();
        while let Some(header) = self.next(&mut left)? {
            items.push(self.item_after(header, inside, text)?);
        }
        Ok(items)
    }

    fn map(
        &mut self,
        mut left: Option<usize>,
        inside: Option<usize>,
        text: ByteText,
    ) -> Result<Map, Problem> {
        let mut map = Map::new();
        while let Some(header) = self.next(&mut left)? {
            let name = match header {
                Header::Text(length) => self.text(length)?,
                Header::Positive(number) => number.to_string(),
                Header::Negative(complement) => below_zero(complement).to_string(),
                _ => return Err("map key is neither text nor an integer"),
            };
            if map.insert(name, self.item(inside, text)?).is_some() {
                return Err("duplicate key");
            }
        }
        Ok(map)
    }

    fn tagged(
        &mut self,
        number: u64,
        inside: Option<usize>,
        text: ByteText,
    ) -> Result<Value, Problem> {
        match number {
            tag::BIGPOS | tag::BIGNEG => match self.header()? {
                Header::Bytes(length) => {
                    bignum::convert(&self.bytes(length)?, number == tag::BIGNEG)
                }
                _ => Err("bignum is no byte string"),
            },
            21 => self.item(inside, ByteText::Base64Url),
            22 => self.item(inside, ByteText::Base64),
            23 => self.item(inside, ByteText::Base16),
            _ => self.item(inside, text),
        }
    }
}

/// The number that CBOR holds as its complement.
fn below_zero(complement: u64) -> i128 {
    !i128::from(complement)
}

fn negative(complement: u64) -> Value {
    let number = below_zero(complement);
    match Integer::new(number) {
        Some(number) => Value::Integer(number),
        // Below 64 bits; treated as the bignum of the same value.
        None => Value::Text(number.to_string()),
    }
}

fn byte_string(bytes: Vec<u8>, text: ByteText) -> Value {
    match text {
        ByteText::None => Value::Bytes(bytes),
        ByteText::Base64Url => Value::Text(URL_SAFE_NO_PAD.encode(&bytes)),
        ByteText::Base64 => Value::Text(STANDARD.encode(&bytes)),
        ByteText::Base16 => Value::Text(crate::hex::encode_upper(&bytes)),
    }
}
