//! The objects that a bootstrap writes, as typed values: Security, Server, Access Control and OSCORE. (OMA LwM2M registry)

mod access_control;
mod oscore;
mod security;
mod server;

use super::DecodeError;
use super::value::{Instance, ObjectLink, Opaque, Resource, Value};

pub use access_control::AccessControl;
pub use oscore::Oscore;
pub use security::{Security, SecurityMode};
pub use server::Server;

/// The Security object.
pub const SECURITY: u16 = 0;
/// The Server object.
pub const SERVER: u16 = 1;
/// The Access Control object.
pub const ACCESS_CONTROL: u16 = 2;
/// The OSCORE object.
pub const OSCORE: u16 = 21;

/// The type of a resource's values. TLV does not say it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DataType {
    Text,
    Integer,
    Boolean,
    Opaque,
    ObjectLink,
}

/// The type of a resource, if it is one of these objects.
pub(crate) const fn data_type(object: u16, resource: u16) -> Option<DataType> {
    Some(match (object, resource) {
        (SECURITY, 0 | 9 | 14) | (SERVER, 7 | 10 | 22) => DataType::Text,
        (SECURITY, 1) | (SERVER, 6 | 15 | 16 | 21 | 23) => DataType::Boolean,
        (SECURITY, 2 | 6 | 10..=13 | 15 | 16)
        | (SERVER, 0..=3 | 5 | 11..=14 | 17..=20)
        | (ACCESS_CONTROL, 0..=3)
        | (OSCORE, 3 | 4) => DataType::Integer,
        (SECURITY, 3..=5 | 7 | 8) | (OSCORE, 0..=2 | 5 | 6) => DataType::Opaque,
        (SECURITY, 17) => DataType::ObjectLink,
        _ => return None,
    })
}

/// Reads typed members out of an instance.
struct Members<'a>(&'a Instance);

impl Members<'_> {
    fn single<T>(
        &self,
        id: u16,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, DecodeError> {
        match self.0.resources.get(&id) {
            None => Ok(None),
            Some(Resource::Single(value)) => read(value).map(Some).ok_or(DecodeError::Type),
            Some(Resource::Multiple(_)) => Err(DecodeError::Type),
        }
    }

    fn text(&self, id: u16) -> Result<Option<String>, DecodeError> {
        self.single(id, |value| value.as_text().map(str::to_owned))
    }

    fn boolean(&self, id: u16) -> Result<Option<bool>, DecodeError> {
        self.single(id, Value::as_boolean)
    }

    fn opaque(&self, id: u16) -> Result<Option<Opaque>, DecodeError> {
        self.single(id, |value| value.as_opaque().cloned())
    }

    fn object_link(&self, id: u16) -> Result<Option<ObjectLink>, DecodeError> {
        self.single(id, Value::as_object_link)
    }

    fn number<T: TryFrom<i64>>(&self, id: u16) -> Result<Option<T>, DecodeError> {
        self.single(id, |value| T::try_from(value.as_integer()?).ok())
    }

    fn numbers<T: TryFrom<i64>>(&self, id: u16) -> Result<Vec<(u16, T)>, DecodeError> {
        let read = |value: &Value| {
            let number = value
                .as_integer()
                .and_then(|number| T::try_from(number).ok());
            number.ok_or(DecodeError::Type)
        };
        match self.0.resources.get(&id) {
            None => Ok(Vec::new()),
            Some(Resource::Single(_)) => Err(DecodeError::Type),
            Some(Resource::Multiple(values)) => values
                .iter()
                .map(|(at, value)| Ok((*at, read(value)?)))
                .collect(),
        }
    }
}

/// Writes members that are there.
trait Put {
    fn put(&mut self, id: u16, value: Option<Value>);
    fn put_number<T: Into<i64>>(&mut self, id: u16, number: Option<T>);
    fn put_numbers<T: Into<i64>>(&mut self, id: u16, numbers: impl IntoIterator<Item = (u16, T)>);
}

impl Put for Instance {
    fn put(&mut self, id: u16, value: Option<Value>) {
        let single = value.map(|value| (id, Resource::Single(value)));
        self.resources.extend(single);
    }

    fn put_number<T: Into<i64>>(&mut self, id: u16, number: Option<T>) {
        self.put(id, number.map(|number| Value::Integer(number.into())));
    }

    fn put_numbers<T: Into<i64>>(&mut self, id: u16, numbers: impl IntoIterator<Item = (u16, T)>) {
        let numbers = numbers.into_iter();
        let values = numbers.map(|(at, number)| (at, Value::Integer(number.into())));
        self.resources
            .insert(id, Resource::Multiple(values.collect()));
    }
}

#[cfg(test)]
mod tests;
