//! The Access Control object, `/2`.

use std::collections::BTreeMap;

use super::{Instance, Members, Put as _, Value};
use crate::lwm2m::DecodeError;

/// An instance of the Access Control object: which servers may do what with an object instance.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "the object has these four resources"
)]
pub struct AccessControl {
    /// Resource 0: the object.
    pub object: u16,
    /// Resource 1: its instance; 65535 for making new ones.
    pub instance: u16,
    /// Resource 2: the rights of each short server id, as bits; 0 stands for all servers that are not named.
    pub rights: BTreeMap<u16, u16>,
    /// Resource 3: the short server id of who may change this.
    pub owner: u16,
}

impl AccessControl {
    /// The instance as resources.
    #[must_use]
    pub fn to_instance(&self, id: u16) -> Instance {
        let mut instance = Instance::new(id)
            .with(0, Value::Integer(self.object.into()))
            .with(1, Value::Integer(self.instance.into()))
            .with(3, Value::Integer(self.owner.into()));
        if !self.rights.is_empty() {
            instance.put_numbers(2, self.rights.iter().map(|(id, rights)| (*id, *rights)));
        }
        instance
    }

    /// The rights that resources tell of.
    ///
    /// # Errors
    /// [`DecodeError::Type`] when one has not its type or range, or a mandatory one is missing.
    pub fn from_instance(instance: &Instance) -> Result<Self, DecodeError> {
        let members = Members(instance);
        Ok(Self {
            object: members.number(0)?.ok_or(DecodeError::Type)?,
            instance: members.number(1)?.ok_or(DecodeError::Type)?,
            rights: members.numbers(2)?.into_iter().collect(),
            owner: members.number(3)?.ok_or(DecodeError::Type)?,
        })
    }
}
