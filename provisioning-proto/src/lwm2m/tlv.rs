//! TLV, content format 11542. (LwM2M 1.0, 6.4.3; LwM2M 1.1 Core, 7.4.3)
//!
//! ```text
//! type   7 6  kind: 00 object instance, 01 resource instance, 10 multiple resource, 11 resource
//!        5    the id has 8 or 16 bits
//!        4 3  length of the length: 00 none, 2..0 hold it; 01 8 bits, 10 16 bits, 11 24 bits
//! id, length (both big-endian), value
//! ```
//!
//! ```
//! use provisioning_proto::lwm2m::tlv::{Entry, Kind, entries};
//!
//! let entry = entries(b"\xc1\x0a\x65").next().ok_or("nothing there")??;
//! assert_eq!(entry, Entry { kind: Kind::Resource, id: 10, value: b"\x65" });
//! assert_eq!(entry.integer()?, 101);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use super::value::{ObjectLink, Opaque, Value};
use super::{DecodeError, EncodeError};

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "two bits on the wire")]
pub enum Kind {
    /// An object instance: its value holds resources.
    ObjectInstance,
    /// An instance of a multiple resource.
    ResourceInstance,
    /// A multiple resource: its value holds instances.
    MultipleResource,
    /// A resource with one value.
    Resource,
}

impl Kind {
    const fn bits(self) -> u8 {
        match self {
            Self::ObjectInstance => 0b0000_0000,
            Self::ResourceInstance => 0b0100_0000,
            Self::MultipleResource => 0b1000_0000,
            Self::Resource => 0b1100_0000,
        }
    }

    const fn of(head: u8) -> Self {
        match head >> 6 {
            0 => Self::ObjectInstance,
            1 => Self::ResourceInstance,
            2 => Self::MultipleResource,
            _ => Self::Resource,
        }
    }
}

/// One entry, borrowed from the payload.
#[derive(Clone, Copy, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what the format holds")]
pub struct Entry<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its id.
    pub id: u16,
    /// Its value; for an object instance or a multiple resource the entries within.
    pub value: &'a [u8],
}

impl std::fmt::Debug for Entry<'_> {
    /// Leaves the value out: it may be a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .field("id", &self.id)
            .field("len", &self.value.len())
            .finish()
    }
}

impl<'a> Entry<'a> {
    /// The entries within.
    #[must_use]
    pub const fn entries(&self) -> Entries<'a> {
        entries(self.value)
    }

    /// The value as an integer or a time: two's complement in 1, 2, 4 or 8 bytes.
    ///
    /// # Errors
    /// [`DecodeError::Type`] for another number of bytes.
    pub fn integer(&self) -> Result<i64, DecodeError> {
        match *self.value {
            [a] => Ok(i64::from(i8::from_be_bytes([a]))),
            [a, b] => Ok(i64::from(i16::from_be_bytes([a, b]))),
            [a, b, c, d] => Ok(i64::from(i32::from_be_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Ok(i64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => Err(DecodeError::Type),
        }
    }

    /// The value as a float: 4 or 8 bytes of IEEE 754.
    ///
    /// # Errors
    /// [`DecodeError::Type`] for another number of bytes.
    pub fn float(&self) -> Result<f64, DecodeError> {
        match *self.value {
            [a, b, c, d] => Ok(f64::from(f32::from_be_bytes([a, b, c, d]))),
            [a, b, c, d, e, f, g, h] => Ok(f64::from_be_bytes([a, b, c, d, e, f, g, h])),
            _ => Err(DecodeError::Type),
        }
    }

    /// The value as a boolean: one byte, 0 or 1.
    ///
    /// # Errors
    /// [`DecodeError::Type`] for anything else.
    pub const fn boolean(&self) -> Result<bool, DecodeError> {
        match self.value {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(DecodeError::Type),
        }
    }

    /// The value as a string: UTF-8 without NUL.
    ///
    /// # Errors
    /// [`DecodeError::Type`] for anything else.
    pub fn text(&self) -> Result<&'a str, DecodeError> {
        let text = std::str::from_utf8(self.value).map_err(|_| DecodeError::Type)?;
        if text.contains('\0') {
            return Err(DecodeError::Type);
        }
        Ok(text)
    }

    /// The value as a reference to an object instance: two numbers of 16 bits.
    ///
    /// # Errors
    /// [`DecodeError::Type`] for anything else.
    pub const fn object_link(&self) -> Result<ObjectLink, DecodeError> {
        match *self.value {
            [a, b, c, d] => Ok(ObjectLink {
                object: u16::from_be_bytes([a, b]),
                instance: u16::from_be_bytes([c, d]),
            }),
            _ => Err(DecodeError::Type),
        }
    }

    pub(crate) fn opaque(&self) -> Opaque {
        self.value.into()
    }
}

/// The entries of a payload, or of a value that holds entries.
#[must_use]
pub const fn entries(bytes: &[u8]) -> Entries<'_> {
    Entries { rest: bytes }
}

/// Reads entries one by one; after an error there is no other.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(match split(self.rest) {
            Some((entry, rest)) => {
                self.rest = rest;
                Ok(entry)
            }
            None => {
                self.rest = &[];
                Err(DecodeError::Length)
            }
        })
    }
}

fn split(bytes: &[u8]) -> Option<(Entry<'_>, &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    let (id, rest) = if head & 0b0010_0000 == 0 {
        let (&id, rest) = rest.split_first()?;
        (u16::from(id), rest)
    } else {
        let (&id, rest) = rest.split_first_chunk()?;
        (u16::from_be_bytes(id), rest)
    };
    let (length, rest) = match (head >> 3) & 0b11 {
        0 => (usize::from(head & 0b111), rest),
        1 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        2 => {
            let (&length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(length)), rest)
        }
        _ => {
            let (&[high, middle, low], rest) = rest.split_first_chunk()?;
            let length = u32::from_be_bytes([0, high, middle, low]);
            (usize::try_from(length).ok()?, rest)
        }
    };
    let (value, rest) = rest.split_at_checked(length)?;
    let kind = Kind::of(head);
    Some((Entry { kind, id, value }, rest))
}

/// Appends an entry, its id and length as short as they go.
///
/// # Errors
/// [`EncodeError::TooLong`] when the value has more than 2^24 - 1 bytes; then nothing was appended.
pub fn write(out: &mut Vec<u8>, kind: Kind, id: u16, value: &[u8]) -> Result<(), EncodeError> {
    let length = u32::try_from(value.len()).map_err(|_| EncodeError::TooLong)?;
    let [top, high, middle, low] = length.to_be_bytes();
    if top != 0 {
        return Err(EncodeError::TooLong);
    }
    let [id_high, id_low] = id.to_be_bytes();
    let wide = if id_high == 0 { 0 } else { 0b0010_0000 };
    let of_length = match (high, middle, low) {
        (0, 0, 0..=7) => low,
        (0, 0, _) => 0b0000_1000,
        (0, _, _) => 0b0001_0000,
        _ => 0b0001_1000,
    };
    out.push(kind.bits() | wide | of_length);
    if wide != 0 {
        out.push(id_high);
    }
    out.push(id_low);
    match of_length {
        0b0000_1000 => out.push(low),
        0b0001_0000 => out.extend([middle, low]),
        0b0001_1000 => out.extend([high, middle, low]),
        _ => {}
    }
    out.extend_from_slice(value);
    Ok(())
}

/// Appends an entry that holds a value.
///
/// # Errors
/// [`EncodeError::TooLong`] as [`write()`].
pub fn write_value(
    out: &mut Vec<u8>,
    kind: Kind,
    id: u16,
    value: &Value,
) -> Result<(), EncodeError> {
    match value {
        Value::Text(text) => write(out, kind, id, text.as_bytes()),
        Value::Opaque(bytes) => write(out, kind, id, bytes.expose()),
        Value::Boolean(value) => write(out, kind, id, &[u8::from(*value)]),
        Value::Float(number) => write(out, kind, id, &number.to_be_bytes()),
        Value::ObjectLink(link) => {
            let ([a, b], [c, d]) = (link.object.to_be_bytes(), link.instance.to_be_bytes());
            write(out, kind, id, &[a, b, c, d])
        }
        Value::Integer(number) => {
            if let Ok(number) = i8::try_from(*number) {
                write(out, kind, id, &number.to_be_bytes())
            } else if let Ok(number) = i16::try_from(*number) {
                write(out, kind, id, &number.to_be_bytes())
            } else if let Ok(number) = i32::try_from(*number) {
                write(out, kind, id, &number.to_be_bytes())
            } else {
                write(out, kind, id, &number.to_be_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests;
