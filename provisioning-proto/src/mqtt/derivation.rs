use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::GroupSecret;
use super::password::{hex, hmac_sha256};
use crate::{RegistrationId, Secret};

/// How the secret of one device follows from the secret of its group.
///
/// Both are one-way: a device's secret tells nothing of another's. They differ in every result.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Derivation {
    /// Lower-case hexadecimal digits of `HMAC-SHA256(key = device id, message = group secret)`: Huawei's.
    #[default]
    IdAsKey,
    /// Base64 of `HMAC-SHA256(key = group secret, message = registration id)`: Azure's.
    GroupAsKey,
}

impl Derivation {
    /// The secret of a device of the group, as the text that it signs with.
    #[must_use]
    pub fn derive(self, group: &GroupSecret, device: &RegistrationId) -> Secret {
        let id = device.as_str().as_bytes();
        let text: Zeroizing<String> = match self {
            Self::IdAsKey => hex(hmac_sha256(id, group.expose()).as_slice()),
            Self::GroupAsKey => {
                Zeroizing::new(STANDARD.encode(hmac_sha256(group.expose(), id).as_slice()))
            }
        };
        Secret::of_text(text)
    }
}
