//! Identifiers of the authorization server.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// A registered client: `client-` and 1 to 57 characters of `[a-zA-Z0-9_.-]`.
///
/// The prefix keeps clients apart from users (RFC 9700 4.15.1).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        match text.strip_prefix("client-") {
            Some(rest) if !rest.is_empty() && text.len() <= 64 && rest.bytes().all(allowed) => {
                Ok(Self(text.into()))
            }
            _ => Err(ErrorKind::InvalidIdentifier.into()),
        }
    }
}

impl FromStr for ClientId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name of so many bytes, in base64url on the wire and in the store.
macro_rules! byte_id {
    ($(#[$docs:meta])* $name:ident, $length:literal) => {
        $(#[$docs])*
        #[derive(
            Clone, Copy, Debug, serde::Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, serde::Serialize,
        )]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $length]);

        impl $name {
            pub(crate) fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            #[must_use]
            pub fn to_bytes(self) -> [u8; $length] {
                self.0
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::error::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::secret::from_base64url(text)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| $crate::error::ErrorKind::InvalidIdentifier.into())
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::error::Error;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&$crate::secret::base64url(&self.0))
            }
        }
    };
}
pub(crate) use byte_id;

byte_id! {
    /// One consent of one user to one client; unguessable, but not a secret.
    GrantId, 16
}

/// Names a request, a check or a command between the machine and its driver.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct RequestId(pub(crate) u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_id::UserId;

    #[test]
    fn no_text_is_both_a_client_and_a_user() {
        let client: ClientId = "client-acme".parse().unwrap();
        assert!(client.as_str().parse::<UserId>().is_err());
        assert!("acme".parse::<ClientId>().is_err());
        assert!("client-".parse::<ClientId>().is_err());
    }

    #[test]
    fn grant_ids_survive_text() {
        let id = GrantId::from_bytes([9; 16]);
        assert_eq!(id.to_string().parse::<GrantId>().unwrap(), id);
        assert!("short".parse::<GrantId>().is_err());
    }
}
