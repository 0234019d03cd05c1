//! What can go wrong with a command.

use core::error::Error as StdError;

/// A command that could not be carried out; the machine is as it was before.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of mistake an [`Error`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting cannot be used.
    #[error("the configuration cannot be used")]
    Config,
    /// A request cannot be expressed in the interface.
    #[error("the request cannot be expressed")]
    Request,
    /// A limit of the configuration is reached.
    #[error("a limit is reached")]
    Full,
    /// No subscription has this key.
    #[error("no such subscription")]
    UnknownSubscription,
    /// The subscriptions are not loaded yet.
    #[error("the subscriptions are not loaded yet")]
    Loading,
    /// The machine has stopped keeping subscriptions, because another node does or because its stream is unreadable.
    #[error("the subscriptions are not kept here any more")]
    Stopped,
    /// A secret could not be sealed.
    #[error("a secret could not be sealed")]
    Seal,
    /// A stream or snapshot holds something that this version cannot read.
    #[error("the stream cannot be read")]
    Unreadable,
}

impl Error {
    /// Returns what kind of mistake it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn caused(
        kind: ErrorKind,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}
