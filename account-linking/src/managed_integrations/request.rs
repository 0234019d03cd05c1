//! What managed integrations asks: the payload of one Lambda invocation.
//!
//! The envelope and the names of the operations are documented, the members of `AWS.DiscoverDevices` and
//! `AWS.SendCommand` are not: they are read tolerantly, under every name and in every shape that documentation and model
//! suggest. What is missing or cannot be is a [`Refusal`], which is an [`Answer`](crate::managed_integrations::Answer).

mod command;
mod envelope;

pub use command::{Command, CommandCluster, CommandEndpoint, Invocation, Write};

use std::collections::BTreeMap;

use crate::error::Error;
use crate::managed_integrations::text::{
    ConnectorId, DeviceDiscoveryId, OperationVersion, StatusCode,
};
use crate::managed_integrations::value::Value;
use crate::secret::{AccessToken, sha256};

use envelope::Members;

/// Bounds of what is read.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest payload, in bytes; Lambda's own limit is 6 MB.
    pub payload: usize,
    /// The most endpoints of a command; a customer may name 5.
    pub endpoints: usize,
    /// The most clusters of an endpoint; a customer may name 5.
    pub clusters: usize,
    /// The most commands, and the most attributes, of a cluster; a customer may name 5.
    pub commands: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            payload: 256 * 1024,
            endpoints: 20,
            clusters: 20,
            commands: 20,
        }
    }
}

/// One request.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// For whom it is.
    pub authorization: Authorization,
    /// The connector that is meant, where the request says it.
    pub connector: Option<ConnectorId>,
    /// The version of the operation, where the request says one that can be read; nothing depends on it.
    pub version: Option<OperationVersion>,
    /// What is to be done.
    pub operation: Operation,
    /// The other members of the payload.
    pub extra: BTreeMap<String, Value>,
}

impl Request {
    /// Reads the payload of an invocation: the JSON object, or a JSON text that holds it.
    ///
    /// # Errors
    /// The [`Refusal`] that is the answer.
    pub fn parse(payload: &[u8], limits: &Limits) -> Result<Self, Refusal> {
        if payload.len() > limits.payload {
            return Err(Refusal::TooLong);
        }
        let mut envelope = Members::read(payload)?;
        let mut header = envelope.object(&["header"]);
        let authorization = Authorization::read(header.object(&["auth", "authorization"]))?;
        let mut payload = envelope.object(&["payload"]);
        let Some(name) = payload.text(&["operationName", "operation"]) else {
            return Err(Refusal::Missing("operationName"));
        };
        let connector = match payload.text(&["connectorId"]) {
            Some(text) => Some(
                text.try_into()
                    .map_err(|_: Error| Refusal::Invalid("connectorId"))?,
            ),
            None => None,
        };
        let version = payload
            .text(&["operationVersion"])
            .and_then(|text| text.try_into().ok());
        // The guide's own dispatcher has the names without the prefix of the wire.
        let operation = match name.strip_prefix("AWS.").unwrap_or(&name) {
            "ActivateUser" => Operation::ActivateUser,
            "DiscoverDevices" => Operation::DiscoverDevices {
                discovery: payload
                    .text(&["deviceDiscoveryId", "discoveryId"])
                    .ok_or(Refusal::Missing("deviceDiscoveryId"))?
                    .try_into()
                    .map_err(|_: Error| Refusal::Invalid("deviceDiscoveryId"))?,
            },
            "SendCommand" => Operation::SendCommand(Command::read(&mut payload, limits)?),
            "DeactivateUser" => Operation::DeactivateUser,
            _ => return Err(Refusal::UnknownOperation),
        };
        Ok(Self {
            authorization,
            connector,
            version,
            operation,
            extra: payload.rest(),
        })
    }
}

/// For whom a request is, as `header.auth` says.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Authorization {
    /// `OAuth2.0`: the end user's access token, which managed integrations keeps fresh.
    OAuth {
        /// The token.
        token: AccessToken,
    },
    /// `GeneralAuthorization`: where the credentials are kept that connector and customer agreed on.
    General {
        /// The ARN of the secret in Secrets Manager.
        arn: String,
        /// Which version of it.
        version: Option<String>,
    },
}

/// The longest ARN that is read.
const MAX_ARN: usize = 2048;

impl Authorization {
    fn read(mut auth: Members) -> Result<Self, Refusal> {
        // "OAuth2.0", "OAuth 2.0" and "OAUTH" are all documented, each in another place.
        let kind = auth
            .text(&["type", "authType", "authorizationType"])
            .map(|text| {
                text.chars()
                    .filter(char::is_ascii_alphanumeric)
                    .collect::<String>()
                    .to_ascii_lowercase()
            });
        let token = auth.text(&["token", "accessToken"]);
        let mut secret = auth.object(&["secretsManager"]);
        match (kind.as_deref(), token) {
            (Some("oauth20" | "oauth2" | "oauth") | None, Some(token)) => {
                let token = AccessToken::new(token).map_err(|_| Refusal::Unauthorized)?;
                Ok(Self::OAuth { token })
            }
            (Some("generalauthorization" | "general") | None, _) => {
                let arn = secret.text(&["arn"]).filter(|arn| arn.len() <= MAX_ARN);
                let version = secret.text(&["versionId"]).filter(|id| id.len() <= MAX_ARN);
                arn.map(|arn| Self::General { arn, version })
                    .ok_or(Refusal::Unauthorized)
            }
            _ => Err(Refusal::Unauthorized),
        }
    }

    /// A name for these credentials that is not them.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        match self {
            Self::OAuth { token } => sha256(format!("oauth {}", token.expose()).as_bytes()),
            Self::General { arn, version } => {
                let version = version.as_deref().unwrap_or_default();
                sha256(format!("general {arn} {version}").as_bytes())
            }
        }
    }
}

/// What is to be done.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// `AWS.ActivateUser`: who is the user of this token?
    ActivateUser,
    /// `AWS.DiscoverDevices`: report the user's devices.
    DiscoverDevices {
        /// Names the discovery, in the events that answer it.
        discovery: DeviceDiscoveryId,
    },
    /// `AWS.SendCommand`: have a device do something.
    SendCommand(Command),
    /// `AWS.DeactivateUser`: revoke the token, and whatever came with it.
    DeactivateUser,
}

/// Why a request cannot be taken on.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The payload is longer than [`Limits::payload`].
    #[error("The request is too long")]
    TooLong,
    /// The payload is not a JSON object, or has a name twice.
    #[error("The request is not a JSON object")]
    NotJson,
    /// No credentials, none that can be read, or an authorization type that is not known.
    #[error("The request has no usable authorization")]
    Unauthorized,
    /// The operation is none of the four.
    #[error("Unknown operation")]
    UnknownOperation,
    /// A member is missing.
    #[error("The request has no {0}")]
    Missing(&'static str),
    /// A member is outside of what the API allows.
    #[error("The request has an invalid {0}")]
    Invalid(&'static str),
    /// There is more of something than [`Limits`] allow.
    #[error("The request has too many {0}")]
    TooMany(&'static str),
}

impl Refusal {
    /// The code of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLong | Self::TooMany(_) => StatusCode::CONTENT_TOO_LARGE,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotJson | Self::UnknownOperation | Self::Missing(_) | Self::Invalid(_) => {
                StatusCode::BAD_REQUEST
            }
        }
    }
}

#[cfg(test)]
mod tests;
