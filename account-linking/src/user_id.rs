//! The identifier of an end user, which is also the `sub` of access tokens.

use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// An end user: 1 to 64 characters of `[a-zA-Z0-9_.,@-]`.
///
/// It is shown to every client the user links, inside access tokens, refresh tokens and codes, so
/// it should be opaque: not a name or an address. It never starts with `client-`, which keeps it
/// apart from the identifiers of clients (RFC 9700 4.15.1).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(Arc<str>);

impl UserId {
    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.,@-".contains(&b);
        if text.is_empty()
            || text.len() > 64
            || !text.bytes().all(allowed)
            || text.starts_with("client-")
        {
            return Err(ErrorKind::InvalidIdentifier.into());
        }
        Ok(Self(text.into()))
    }
}

impl FromStr for UserId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_and_the_length_are_kept() {
        assert!("user_1.a,b@c-d".parse::<UserId>().is_ok());
        for text in ["", "a b", "ü", "a/b", "client-1", &"x".repeat(65)] {
            assert!(text.parse::<UserId>().is_err(), "{text}");
        }
    }
}
