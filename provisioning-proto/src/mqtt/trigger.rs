use serde::Serialize;

use super::Topics;
use crate::RegistrationId;

/// The content of the message that makes a device bootstrap again.
pub const TRIGGER: &str = "BootstrapRequestTrigger";

#[derive(Serialize)]
struct Message<'a> {
    object_device_id: &'a str,
    name: &'a str,
    id: &'a str,
    content: &'a str,
}

/// The topic and payload of the message that a device's target sends it to make it bootstrap again: a device message whose content is
/// [`TRIGGER`]. `id` is the message's own, of the sender's choice.
#[must_use]
pub fn trigger(device: &RegistrationId, id: &str) -> (String, String) {
    let message = Message {
        object_device_id: device.as_str(),
        name: "",
        id,
        content: TRIGGER,
    };
    // A structure of texts has no way to fail.
    let payload = serde_json::to_string(&message).unwrap_or_default();
    (Topics::new(device).messages_down(), payload)
}
