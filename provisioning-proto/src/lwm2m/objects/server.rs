//! The Server object, `/1`.

use super::{Instance, Members, Put as _, Value};
use crate::lwm2m::DecodeError;

/// An instance of the Server object: how a client registers with a server.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Server {
    /// Resource 0.
    pub short_server_id: u16,
    /// Resource 1, in seconds.
    pub lifetime: u32,
    /// Resource 2, in seconds.
    pub default_minimum_period: Option<u32>,
    /// Resource 3, in seconds.
    pub default_maximum_period: Option<u32>,
    /// Resource 5, in seconds.
    pub disable_timeout: Option<u32>,
    /// Resource 6: whether notifications are kept while the server cannot be reached.
    pub notification_storing: bool,
    /// Resource 7: letters of `UMHTSNQ`.
    pub binding: String,
    /// Resource 16, from LwM2M 1.1 on: whether a registration that fails leads to a bootstrap.
    pub bootstrap_on_registration_failure: Option<bool>,
    /// Resource 17, from LwM2M 1.1 on.
    pub communication_retry_count: Option<u32>,
    /// Resource 18, from LwM2M 1.1 on, in seconds.
    pub communication_retry_timer: Option<u32>,
    /// Resource 19, from LwM2M 1.1 on, in seconds.
    pub communication_sequence_delay_timer: Option<u32>,
    /// Resource 20, from LwM2M 1.1 on.
    pub communication_sequence_retry_count: Option<u32>,
    /// Resource 22, from LwM2M 1.1 on: one letter of the binding.
    pub preferred_transport: Option<String>,
    /// Resource 23, from LwM2M 1.1 on.
    pub mute_send: Option<bool>,
}

impl Server {
    /// A server over UDP.
    #[must_use]
    pub fn new(short_server_id: u16, lifetime: u32) -> Self {
        Self {
            short_server_id,
            lifetime,
            default_minimum_period: None,
            default_maximum_period: None,
            disable_timeout: None,
            notification_storing: false,
            binding: "U".to_owned(),
            bootstrap_on_registration_failure: None,
            communication_retry_count: None,
            communication_retry_timer: None,
            communication_sequence_delay_timer: None,
            communication_sequence_retry_count: None,
            preferred_transport: None,
            mute_send: None,
        }
    }

    /// Whether it has resources that LwM2M 1.0 does not know.
    pub(crate) const fn needs_1_1(&self) -> bool {
        self.bootstrap_on_registration_failure.is_some()
            || self.communication_retry_count.is_some()
            || self.communication_retry_timer.is_some()
            || self.communication_sequence_delay_timer.is_some()
            || self.communication_sequence_retry_count.is_some()
            || self.preferred_transport.is_some()
            || self.mute_send.is_some()
    }

    /// The instance as resources.
    #[must_use]
    pub fn to_instance(&self, id: u16) -> Instance {
        let mut instance = Instance::new(id)
            .with(0, Value::Integer(self.short_server_id.into()))
            .with(1, Value::Integer(self.lifetime.into()))
            .with(6, Value::Boolean(self.notification_storing))
            .with(7, Value::Text(self.binding.clone()));
        instance.put_number(2, self.default_minimum_period);
        instance.put_number(3, self.default_maximum_period);
        instance.put_number(5, self.disable_timeout);
        instance.put(
            16,
            self.bootstrap_on_registration_failure.map(Value::Boolean),
        );
        instance.put_number(17, self.communication_retry_count);
        instance.put_number(18, self.communication_retry_timer);
        instance.put_number(19, self.communication_sequence_delay_timer);
        instance.put_number(20, self.communication_sequence_retry_count);
        instance.put(22, self.preferred_transport.clone().map(Value::Text));
        instance.put(23, self.mute_send.map(Value::Boolean));
        instance
    }

    /// The server that resources tell of; what a bootstrap does not write is left out.
    ///
    /// # Errors
    /// [`DecodeError::Type`] when one has not its type or range, or the short server id, the lifetime or the binding is missing.
    pub fn from_instance(instance: &Instance) -> Result<Self, DecodeError> {
        let members = Members(instance);
        Ok(Self {
            short_server_id: members.number(0)?.ok_or(DecodeError::Type)?,
            lifetime: members.number(1)?.ok_or(DecodeError::Type)?,
            default_minimum_period: members.number(2)?,
            default_maximum_period: members.number(3)?,
            disable_timeout: members.number(5)?,
            notification_storing: members.boolean(6)?.unwrap_or_default(),
            binding: members.text(7)?.ok_or(DecodeError::Type)?,
            bootstrap_on_registration_failure: members.boolean(16)?,
            communication_retry_count: members.number(17)?,
            communication_retry_timer: members.number(18)?,
            communication_sequence_delay_timer: members.number(19)?,
            communication_sequence_retry_count: members.number(20)?,
            preferred_transport: members.text(22)?,
            mute_send: members.boolean(23)?,
        })
    }
}
