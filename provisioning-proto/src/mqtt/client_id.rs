use std::fmt;

use super::{SignatureType, Timestamp};
use crate::{RegistrationId, ScopeId};

/// The longest client id, and user name, in bytes.
pub const MAX_CLIENT_ID: usize = 256;

/// The MQTT client id of a device (vendor page "client id, user name and password"): who it is and how it proves it.
///
/// A device id may hold the `_` that separates the parts, so the id is known from the user name, and the rest is read behind it.
/// `parse` and `Display` are inverse, and no client id has two readings beside one user name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientId {
    device: RegistrationId,
    form: ClientIdForm,
}

/// What stands behind the device id in a [`ClientId`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ClientIdForm {
    /// `_0_{s}_{time}`, or `_0_{scope}_{s}_{time}`: a device with a secret of its own, one with a certificate that says whose it is, or
    /// one of a group with a shared secret, which names its scope.
    Signed {
        /// The group's scope.
        scope: Option<ScopeId>,
        /// How the password was made.
        signature: SignatureType,
        /// The password's key.
        timestamp: Timestamp,
    },
    /// `_0_{scope}`: a device of a group with a certificate.
    Scoped {
        /// The group's scope.
        scope: ScopeId,
    },
    /// `_2_{s}_{time}`: a device under its node id, which is for the target and not for bootstrap.
    Node {
        /// How the password was made.
        signature: SignatureType,
        /// The password's key.
        timestamp: Timestamp,
    },
    /// `_3_{s}_{time}`: a bridge, which is for the target and not for bootstrap.
    Bridge {
        /// How the password was made.
        signature: SignatureType,
        /// The password's key.
        timestamp: Timestamp,
    },
}

/// Why a client id and user name are not those of a device.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseClientIdError {
    /// Longer than [`MAX_CLIENT_ID`].
    #[error("the client id or user name is too long")]
    TooLong,
    /// The user name is not a registration id.
    #[error("the user name is not a registration id")]
    UserName,
    /// The client id does not begin with the user name and `_`.
    #[error("the client id does not begin with the user name")]
    Foreign,
    /// What stands behind the user name is none of the known forms.
    #[error("the client id has none of the known forms")]
    Form,
}

impl ClientId {
    /// The client id of a device.
    ///
    /// # Errors
    ///
    /// [`ParseClientIdError::TooLong`] when it would be longer than [`MAX_CLIENT_ID`].
    pub fn new(device: RegistrationId, form: ClientIdForm) -> Result<Self, ParseClientIdError> {
        let id = Self { device, form };
        if id.to_string().len() > MAX_CLIENT_ID {
            return Err(ParseClientIdError::TooLong);
        }
        Ok(id)
    }

    /// Reads a client id beside the user name that came with it.
    ///
    /// # Errors
    ///
    /// What of it is not as it should be.
    pub fn parse(client_id: &str, user_name: &str) -> Result<Self, ParseClientIdError> {
        if client_id.len() > MAX_CLIENT_ID || user_name.len() > MAX_CLIENT_ID {
            return Err(ParseClientIdError::TooLong);
        }
        let device: RegistrationId = user_name
            .parse()
            .map_err(|_| ParseClientIdError::UserName)?;
        let rest = client_id
            .strip_prefix(user_name)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or(ParseClientIdError::Foreign)?;
        let form = form(rest).ok_or(ParseClientIdError::Form)?;
        Ok(Self { device, form })
    }

    /// Who the device says it is; also its user name.
    #[must_use]
    pub fn device(&self) -> &RegistrationId {
        &self.device
    }

    /// What stands behind the device id.
    #[must_use]
    pub fn form(&self) -> &ClientIdForm {
        &self.form
    }
}

fn form(rest: &str) -> Option<ClientIdForm> {
    let mut parts = rest.split('_');
    let parts = [
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ];
    let signed = |signature, timestamp: &str| {
        Some((
            SignatureType::from_text(signature)?,
            timestamp.parse().ok()?,
        ))
    };
    match parts {
        [Some("0"), Some(scope), None, None, None] => Some(ClientIdForm::Scoped {
            scope: scope.parse().ok()?,
        }),
        [Some(kind), Some(signature), Some(timestamp), None, None] => {
            let (signature, timestamp) = signed(signature, timestamp)?;
            match kind {
                "0" => Some(ClientIdForm::Signed {
                    scope: None,
                    signature,
                    timestamp,
                }),
                "2" => Some(ClientIdForm::Node {
                    signature,
                    timestamp,
                }),
                "3" => Some(ClientIdForm::Bridge {
                    signature,
                    timestamp,
                }),
                _ => None,
            }
        }
        [
            Some("0"),
            Some(scope),
            Some(signature),
            Some(timestamp),
            None,
        ] => {
            let (signature, timestamp) = signed(signature, timestamp)?;
            let scope = Some(scope.parse().ok()?);
            Some(ClientIdForm::Signed {
                scope,
                signature,
                timestamp,
            })
        }
        _ => None,
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.device)?;
        let (kind, scope, signed) = match &self.form {
            ClientIdForm::Signed {
                scope,
                signature,
                timestamp,
            } => (0, scope.as_ref(), Some((signature, timestamp))),
            ClientIdForm::Scoped { scope } => (0, Some(scope), None),
            ClientIdForm::Node {
                signature,
                timestamp,
            } => (2, None, Some((signature, timestamp))),
            ClientIdForm::Bridge {
                signature,
                timestamp,
            } => (3, None, Some((signature, timestamp))),
        };
        write!(f, "_{kind}")?;
        if let Some(scope) = scope {
            write!(f, "_{scope}")?;
        }
        if let Some((signature, timestamp)) = signed {
            write!(f, "_{}_{timestamp}", signature.digit())?;
        }
        Ok(())
    }
}
