//! Content formats: which there are, which a client prefers, and instances in them.

use std::collections::BTreeMap;

use super::objects::{DataType, data_type};
use super::tlv::{self, Entry, Kind};
use super::value::{Instance, Opaque, Resource, Value};
use super::{DecodeError, EncodeError, Path, senml_cbor, senml_json};

/// The content format of links, which Bootstrap-Discover answers in. (RFC 7252, 12.3)
pub const LINK_FORMAT: u16 = 40;

/// A content format that carries whole instances.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum ContentFormat {
    /// 11542, and what a client of LwM2M 1.0 has.
    #[default]
    Tlv,
    /// 1542: TLV under the number that it had before it was registered.
    TlvUnregistered,
    /// 110.
    SenmlJson,
    /// 112.
    SenmlCbor,
}

impl ContentFormat {
    /// The number in CoAP.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Tlv => 11_542,
            Self::TlvUnregistered => 1542,
            Self::SenmlJson => 110,
            Self::SenmlCbor => 112,
        }
    }

    /// The format of a number; `None` for one that carries a single value or is not known.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            11_542 => Self::Tlv,
            1542 => Self::TlvUnregistered,
            110 => Self::SenmlJson,
            112 => Self::SenmlCbor,
            _ => return None,
        })
    }

    /// Writes an instance as the payload of a Write to its path.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`], and [`EncodeError::Number`] in JSON.
    pub fn encode(self, object: u16, instance: &Instance) -> Result<Opaque, EncodeError> {
        match self {
            Self::Tlv | Self::TlvUnregistered => encode_tlv(instance),
            Self::SenmlJson => senml_json::encode(&[(object, instance.clone())]),
            Self::SenmlCbor => Ok(senml_cbor::encode(&[(object, instance.clone())])),
        }
    }

    /// Reads the instances in the answer to a Read of `path`, an object or an instance. A value whose type nobody knows comes out
    /// of TLV as [`Value::Opaque`].
    ///
    /// # Errors
    /// The kinds of [`DecodeError`]; `Path` when the answer tells of something else than what was read.
    pub fn decode(self, path: Path, payload: &[u8]) -> Result<Vec<Instance>, DecodeError> {
        let (object, wanted) = match path {
            Path::Object(object) => (object, None),
            Path::Instance(object, instance) => (object, Some(instance)),
            Path::Root | Path::Resource(..) | Path::ResourceInstance(..) => {
                return Err(DecodeError::Path);
            }
        };
        let instances = match self {
            Self::Tlv | Self::TlvUnregistered => decode_tlv(object, wanted, payload)?,
            Self::SenmlJson => of_object(object, senml_json::decode(payload)?)?,
            Self::SenmlCbor => of_object(object, senml_cbor::decode(payload)?)?,
        };
        match wanted {
            Some(wanted) if instances.iter().any(|instance| instance.id != wanted) => {
                Err(DecodeError::Path)
            }
            _ => Ok(instances),
        }
    }
}

fn of_object(object: u16, instances: Vec<(u16, Instance)>) -> Result<Vec<Instance>, DecodeError> {
    let of_it = |(of, instance)| {
        if of == object {
            Ok(instance)
        } else {
            Err(DecodeError::Path)
        }
    };
    instances.into_iter().map(of_it).collect()
}

/// The resources bare, as in a Write to an instance.
fn encode_tlv(instance: &Instance) -> Result<Opaque, EncodeError> {
    let mut out = Vec::with_capacity(instance.room());
    for (id, resource) in &instance.resources {
        match resource {
            Resource::Single(value) => tlv::write_value(&mut out, Kind::Resource, *id, value)?,
            Resource::Multiple(values) => {
                let mut inner = Vec::with_capacity(instance.room());
                for (at, value) in values {
                    tlv::write_value(&mut inner, Kind::ResourceInstance, *at, value)?;
                }
                let inner = Opaque::new(inner);
                tlv::write(&mut out, Kind::MultipleResource, *id, inner.expose())?;
            }
        }
    }
    Ok(Opaque::new(out))
}

fn decode_tlv(
    object: u16,
    wanted: Option<u16>,
    payload: &[u8],
) -> Result<Vec<Instance>, DecodeError> {
    let mut instances = BTreeMap::new();
    let mut bare = Instance::new(wanted.unwrap_or_default());
    for entry in tlv::entries(payload) {
        let entry = entry?;
        if entry.kind == Kind::ObjectInstance {
            let mut instance = Instance::new(entry.id);
            for inner in entry.entries() {
                add_resource(object, &mut instance, inner?)?;
            }
            if instances.insert(entry.id, instance).is_some() {
                return Err(DecodeError::Duplicate);
            }
        } else if wanted.is_some() {
            add_resource(object, &mut bare, entry)?;
        } else {
            return Err(DecodeError::Nesting);
        }
    }
    if !bare.resources.is_empty() {
        if !instances.is_empty() {
            return Err(DecodeError::Nesting);
        }
        return Ok(vec![bare]);
    }
    Ok(instances.into_values().collect())
}

fn add_resource(object: u16, instance: &mut Instance, entry: Entry<'_>) -> Result<(), DecodeError> {
    let kind = data_type(object, entry.id);
    let resource = match entry.kind {
        Kind::Resource => Resource::Single(value(kind, &entry)?),
        Kind::MultipleResource => {
            let mut values = BTreeMap::new();
            for inner in entry.entries() {
                let inner = inner?;
                if inner.kind != Kind::ResourceInstance {
                    return Err(DecodeError::Nesting);
                }
                if values.insert(inner.id, value(kind, &inner)?).is_some() {
                    return Err(DecodeError::Duplicate);
                }
            }
            Resource::Multiple(values)
        }
        Kind::ObjectInstance | Kind::ResourceInstance => return Err(DecodeError::Nesting),
    };
    match instance.resources.insert(entry.id, resource) {
        None => Ok(()),
        Some(_) => Err(DecodeError::Duplicate),
    }
}

fn value(kind: Option<DataType>, entry: &Entry<'_>) -> Result<Value, DecodeError> {
    Ok(match kind {
        Some(DataType::Text) => Value::Text(entry.text()?.to_owned()),
        Some(DataType::Integer) => Value::Integer(entry.integer()?),
        Some(DataType::Boolean) => Value::Boolean(entry.boolean()?),
        Some(DataType::ObjectLink) => Value::ObjectLink(entry.object_link()?),
        Some(DataType::Opaque) | None => Value::Opaque(entry.opaque()),
    })
}

#[cfg(test)]
mod tests;
