use crate::RegistrationId;

/// The topics of one device (vendor pages "bootstrap request" and "bootstrap answer").
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Topics {
    prefix: String,
}

/// What a topic is to the device that named it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Topic {
    /// Where it asks where it belongs.
    BootstrapUp,
    /// Where it is told.
    BootstrapDown,
    /// Where it reports what happened, which bootstrap has no use for.
    EventsUp,
    /// Where it is told to bootstrap again.
    MessagesDown,
    /// None of its business here.
    Other,
}

impl Topics {
    /// The topics of a device.
    #[must_use]
    pub fn new(device: &RegistrationId) -> Self {
        Self {
            prefix: format!("$oc/devices/{device}/sys/"),
        }
    }

    /// `$oc/devices/{device_id}/sys/bootstrap/up`, to which the device publishes.
    #[must_use]
    pub fn up(&self) -> String {
        self.of("bootstrap/up")
    }

    /// `$oc/devices/{device_id}/sys/bootstrap/down`, to which the device subscribes.
    #[must_use]
    pub fn down(&self) -> String {
        self.of("bootstrap/down")
    }

    /// `$oc/devices/{device_id}/sys/events/up`, to which some devices publish wherever they are.
    #[must_use]
    pub fn events_up(&self) -> String {
        self.of("events/up")
    }

    /// `$oc/devices/{device_id}/sys/messages/down`, on which the device is told to bootstrap again: at its target, or where it is connected.
    #[must_use]
    pub fn messages_down(&self) -> String {
        self.of("messages/down")
    }

    /// What a topic name, or a filter without wildcards, is to this device.
    #[must_use]
    pub fn recognize(&self, name: &str) -> Topic {
        match name.strip_prefix(&self.prefix) {
            Some("bootstrap/up") => Topic::BootstrapUp,
            Some("bootstrap/down") => Topic::BootstrapDown,
            Some("events/up") => Topic::EventsUp,
            Some("messages/down") => Topic::MessagesDown,
            _ => Topic::Other,
        }
    }

    fn of(&self, last: &str) -> String {
        format!("{}{last}", self.prefix)
    }
}
