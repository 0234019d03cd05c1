//! Values of resources.

use std::collections::BTreeMap;
use std::fmt;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// Bytes that may be a key: they do not print, compare in constant time and are wiped when dropped.
#[derive(Clone, Default)]
pub struct Opaque(Vec<u8>);

impl Opaque {
    /// Takes the bytes.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&[u8]> for Opaque {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Drop for Opaque {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Opaque {}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opaque({} bytes)", self.0.len())
    }
}

/// A reference to an object instance. (LwM2M 1.1 Core, appendix C: Objlnk)
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "four bytes on the wire")]
pub struct ObjectLink {
    /// The object.
    pub object: u16,
    /// Its instance.
    pub instance: u16,
}

/// A value of a resource, or of an instance of one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// String.
    Text(String),
    /// Integer, unsigned integer or time.
    Integer(i64),
    /// Float.
    Float(f64),
    /// Boolean.
    Boolean(bool),
    /// Opaque.
    Opaque(Opaque),
    /// Objlnk.
    ObjectLink(ObjectLink),
}

impl Value {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// JSON does not tell 3.0 from 3.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            #[expect(clippy::cast_possible_truncation, reason = "whole, and within 53 bits")]
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    pub(crate) const fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) const fn as_opaque(&self) -> Option<&Opaque> {
        match self {
            Self::Opaque(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) const fn as_object_link(&self) -> Option<ObjectLink> {
        match self {
            Self::ObjectLink(link) => Some(*link),
            _ => None,
        }
    }
}

/// What a resource holds.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a resource is single or multiple")]
pub enum Resource {
    /// One value.
    Single(Value),
    /// Instances, by their ids.
    Multiple(BTreeMap<u16, Value>),
}

/// An object instance with resources, by their ids.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "an instance is nothing but this")]
pub struct Instance {
    /// Its id within its object.
    pub id: u16,
    /// Its resources.
    pub resources: BTreeMap<u16, Resource>,
}

impl Instance {
    /// An instance without resources.
    #[must_use]
    pub const fn new(id: u16) -> Self {
        Self {
            id,
            resources: BTreeMap::new(),
        }
    }

    /// This instance with a single resource.
    #[must_use]
    pub fn with(mut self, resource: u16, value: Value) -> Self {
        self.resources.insert(resource, Resource::Single(value));
        self
    }

    /// The value of a single resource.
    #[must_use]
    pub fn single(&self, resource: u16) -> Option<&Value> {
        match self.resources.get(&resource) {
            Some(Resource::Single(value)) => Some(value),
            Some(Resource::Multiple(_)) | None => None,
        }
    }

    /// Room for the instance in any of the formats, so that a buffer with a key in it is never moved and left behind unwiped.
    pub(crate) fn room(&self) -> usize {
        let of = |value: &Value| match value {
            Value::Text(text) => text.len().saturating_mul(6),
            Value::Opaque(bytes) => bytes.len().saturating_mul(2),
            _ => 0,
        };
        let lengths = self.resources.values().flat_map(|resource| match resource {
            Resource::Single(value) => vec![of(value)],
            Resource::Multiple(values) => values.values().map(of).collect(),
        });
        lengths.fold(64, |sum, length| {
            sum.saturating_add(length).saturating_add(64)
        })
    }
}
