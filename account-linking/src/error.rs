//! The error of this crate: what kind it is, and what caused it.

use core::error::Error as StdError;

/// An error of this crate; its text never holds a secret or a peer's words.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Makes an error that has a cause.
    pub(crate) fn new(kind: ErrorKind, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.kind.fault()
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

/// The kinds of [`Error`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, thiserror::Error)]
pub enum ErrorKind {
    /// A scope is empty, too long or holds a character outside RFC 6749 3.3.
    #[error("scope is not valid")]
    InvalidScope,
    /// A redirect URI is not one that may be registered.
    #[error("redirect uri is not valid")]
    InvalidRedirectUri,
    /// A PKCE verifier or challenge is outside RFC 7636 4.1 and 4.2.
    #[error("pkce value is not valid")]
    InvalidPkce,
    /// An identifier is empty, too long or holds a forbidden character.
    #[error("identifier is not valid")]
    InvalidIdentifier,
    /// A secret is empty, too long or holds a forbidden character.
    #[error("secret is not valid")]
    InvalidSecret,
    /// An issuer or endpoint URL is not absolute https without query and fragment.
    #[error("url is not valid")]
    InvalidUrl,
    /// A configuration or a registration contradicts itself.
    #[error("configuration is not valid")]
    InvalidConfig,
    /// A form or query is not well formed, repeats a parameter or is too long.
    #[error("form is not valid")]
    InvalidForm,
    /// A token is not a compact JWS with the expected header and claims.
    #[error("token is not valid")]
    InvalidToken,
    /// The peer's answer or redirect does not follow the protocol.
    #[error("answer of the peer is not valid")]
    InvalidAnswer,
    /// A name, message or other text is empty, too long or holds a forbidden character.
    #[error("text is not valid")]
    InvalidText,
    /// An event lacks something, or says the same thing twice.
    #[error("event is not valid")]
    InvalidEvent,
    /// The other data model has nothing that says this.
    #[error("no counterpart in the other data model")]
    NoCounterpart,
    /// What was named does not exist.
    #[error("not found")]
    NotFound,
    /// What was to be made exists already.
    #[error("exists already")]
    Exists,
    /// A configured limit is reached.
    #[error("limit reached")]
    Full,
    /// The stored bytes of a stream cannot be read by this version.
    #[error("stored state cannot be read")]
    Corrupt,
    /// The store did not answer, or refused; nothing is known to have changed.
    #[error("store is not available")]
    Unavailable,
}

impl ErrorKind {
    /// Whose fault this kind is.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::InvalidForm | Self::InvalidToken | Self::InvalidAnswer => Fault::Remote,
            Self::InvalidScope
            | Self::InvalidRedirectUri
            | Self::InvalidPkce
            | Self::InvalidIdentifier
            | Self::InvalidSecret
            | Self::InvalidUrl
            | Self::InvalidConfig
            | Self::InvalidText
            | Self::InvalidEvent
            | Self::NoCounterpart
            | Self::NotFound
            | Self::Exists
            | Self::Full
            | Self::Corrupt
            | Self::Unavailable => Fault::Local,
        }
    }
}

/// Whose fault an [`Error`] is.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The caller, the configuration or the store of this side.
    Local,
    /// The peer.
    Remote,
}
