//! The OSCORE object, `/21`.

use super::{Instance, Members, Opaque, Put as _, Value};
use crate::lwm2m::DecodeError;

/// An instance of the OSCORE object: a security context. (RFC 8613, 3)
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Oscore {
    /// Resource 0.
    pub master_secret: Opaque,
    /// Resource 1.
    pub sender_id: Opaque,
    /// Resource 2.
    pub recipient_id: Opaque,
    /// Resource 3: a number of COSE; 10, AES-CCM-16-64-128, when it is not there.
    pub aead_algorithm: Option<i32>,
    /// Resource 4: a number of COSE; -10, HKDF with SHA-256, when it is not there.
    pub hmac_algorithm: Option<i32>,
    /// Resource 5.
    pub master_salt: Option<Opaque>,
    /// Resource 6.
    pub id_context: Option<Opaque>,
}

impl Oscore {
    /// A context with the algorithms that everybody has.
    #[must_use]
    pub fn new(master_secret: Opaque, sender_id: &[u8], recipient_id: &[u8]) -> Self {
        Self {
            master_secret,
            sender_id: sender_id.into(),
            recipient_id: recipient_id.into(),
            aead_algorithm: None,
            hmac_algorithm: None,
            master_salt: None,
            id_context: None,
        }
    }

    /// The instance as resources.
    #[must_use]
    pub fn to_instance(&self, id: u16) -> Instance {
        let mut instance = Instance::new(id)
            .with(0, Value::Opaque(self.master_secret.clone()))
            .with(1, Value::Opaque(self.sender_id.clone()))
            .with(2, Value::Opaque(self.recipient_id.clone()));
        instance.put_number(3, self.aead_algorithm);
        instance.put_number(4, self.hmac_algorithm);
        instance.put(5, self.master_salt.clone().map(Value::Opaque));
        instance.put(6, self.id_context.clone().map(Value::Opaque));
        instance
    }

    /// The context that resources tell of.
    ///
    /// # Errors
    /// [`DecodeError::Type`] when one has not its type or range, or a mandatory one is missing.
    pub fn from_instance(instance: &Instance) -> Result<Self, DecodeError> {
        let members = Members(instance);
        Ok(Self {
            master_secret: members.opaque(0)?.ok_or(DecodeError::Type)?,
            sender_id: members.opaque(1)?.ok_or(DecodeError::Type)?,
            recipient_id: members.opaque(2)?.ok_or(DecodeError::Type)?,
            aead_algorithm: members.number(3)?,
            hmac_algorithm: members.number(4)?,
            master_salt: members.opaque(5)?,
            id_context: members.opaque(6)?,
        })
    }
}
