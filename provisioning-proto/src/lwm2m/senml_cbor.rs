//! SenML CBOR, content format 112. (RFC 8428, 6)

use std::borrow::Cow;

use super::DecodeError;
use super::cbor::{Item, Reader, write_bytes, write_head, write_integer, write_text};
use super::senml::{self, Pack, Record, lines, may_skip, object_link, object_link_text};
use super::value::{Instance, Opaque, Value};

/// The version of SenML whose records are understood. (RFC 8428, 4.4)
const VERSION: i64 = 10;

const BASE_VERSION: i64 = -1;
const BASE_NAME: i64 = -2;
const BASE_VALUE: i64 = -5;
const BASE_SUM: i64 = -6;
const NAME: i64 = 0;
const VALUE: i64 = 2;
const TEXT_VALUE: i64 = 3;
const BOOLEAN_VALUE: i64 = 4;
const SUM: i64 = 5;
const DATA_VALUE: i64 = 8;

/// Reads the instances that a payload tells of, in the order of objects and instances.
///
/// # Errors
/// The kinds of [`DecodeError`] but `Format` and `Nesting`.
pub fn decode(payload: &[u8]) -> Result<Vec<(u16, Instance)>, DecodeError> {
    let mut reader = Reader::new(payload);
    let Item::Array(mut left) = reader.next()? else {
        return Err(DecodeError::Syntax);
    };
    let mut pack = Pack::default();
    while left != Some(0) {
        match reader.next()? {
            Item::Map(pairs) => pack.add(record(&mut reader, pairs)?)?,
            Item::Break if left.is_none() => break,
            _ => return Err(DecodeError::Syntax),
        }
        left = left.map(|left| left.saturating_sub(1));
    }
    if !reader.is_at_end() {
        return Err(DecodeError::Length);
    }
    Ok(pack.finish())
}

fn record<'a>(reader: &mut Reader<'a>, pairs: Option<usize>) -> Result<Record<'a>, DecodeError> {
    let mut record = Record::default();
    let mut left = pairs;
    while left != Some(0) {
        let label = reader.next()?;
        if label == Item::Break && left.is_none() {
            break;
        }
        let value = reader.next()?;
        match (label, value) {
            (Item::Integer(BASE_NAME), Item::Text(name)) => {
                record.set_base_name(Cow::Borrowed(name))?;
            }
            (Item::Integer(NAME), Item::Text(name)) => record.set_name(Cow::Borrowed(name))?,
            (Item::Integer(VALUE), Item::Integer(number)) => {
                record.set_value(Value::Integer(number))?;
            }
            (Item::Integer(VALUE), Item::Float(number)) => {
                record.set_value(Value::Float(number))?;
            }
            (Item::Integer(TEXT_VALUE), Item::Text(text)) => {
                record.set_value(Value::Text(text.to_owned()))?;
            }
            (Item::Integer(BOOLEAN_VALUE), Item::Boolean(value)) => {
                record.set_value(Value::Boolean(value))?;
            }
            (Item::Integer(DATA_VALUE), Item::Bytes(bytes)) => {
                record.set_value(Value::Opaque(bytes.into()))?;
            }
            (Item::Text("vlo"), Item::Text(text)) => {
                record.set_value(Value::ObjectLink(object_link(text)?))?;
            }
            (Item::Integer(BASE_VERSION), Item::Integer(version)) if version <= VERSION => {}
            (Item::Integer(BASE_VERSION | BASE_VALUE | BASE_SUM | SUM), _) => {
                return Err(DecodeError::Unsupported);
            }
            (
                Item::Integer(BASE_NAME | NAME | VALUE | TEXT_VALUE | BOOLEAN_VALUE | DATA_VALUE)
                | Item::Text("vlo"),
                _,
            ) => return Err(DecodeError::Type),
            (Item::Integer(_), value) => reader.skip(value)?,
            (Item::Text(label), value) if may_skip(label) => reader.skip(value)?,
            (Item::Text(_), _) => return Err(DecodeError::Unsupported),
            _ => return Err(DecodeError::Syntax),
        }
        left = left.map(|left| left.saturating_sub(1));
    }
    Ok(record)
}

/// Writes instances of objects.
#[must_use]
pub fn encode(instances: &[(u16, Instance)]) -> Opaque {
    let room = instances.iter().map(|(_, instance)| instance.room());
    let mut out = Vec::with_capacity(room.fold(16, usize::saturating_add));
    let lines = lines(instances);
    write_head(&mut out, 4, u64::try_from(lines.len()).unwrap_or(u64::MAX));
    for line in lines {
        write_head(&mut out, 5, if line.base_name.is_some() { 3 } else { 2 });
        if let Some(name) = &line.base_name {
            write_integer(&mut out, BASE_NAME);
            write_text(&mut out, name);
        }
        write_integer(&mut out, NAME);
        write_text(&mut out, &line.name);
        match line.value {
            Value::Text(text) => {
                write_integer(&mut out, TEXT_VALUE);
                write_text(&mut out, text);
            }
            Value::Integer(number) => {
                write_integer(&mut out, VALUE);
                write_integer(&mut out, *number);
            }
            Value::Float(number) => {
                write_integer(&mut out, VALUE);
                out.push(0xfb);
                out.extend(number.to_be_bytes());
            }
            Value::Boolean(value) => {
                write_integer(&mut out, BOOLEAN_VALUE);
                out.push(if *value { 0xf5 } else { 0xf4 });
            }
            Value::Opaque(bytes) => {
                write_integer(&mut out, DATA_VALUE);
                write_bytes(&mut out, bytes.expose());
            }
            Value::ObjectLink(link) => {
                write_text(&mut out, "vlo");
                write_text(&mut out, &object_link_text(*link));
            }
        }
    }
    senml::payload(out)
}
