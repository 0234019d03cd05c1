//! What can go wrong, and whose fault it is.

use alloc::boxed::Box;

/// An error of this crate.
///
/// The message is about this level only; the cause, where there is one, is the `source`.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a cause.
    #[must_use]
    pub const fn new(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// An error with its cause.
    #[must_use]
    pub fn with_source(
        kind: ErrorKind,
        source: impl Into<Box<dyn core::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    /// What went wrong.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self.kind {
            ErrorKind::Identity
            | ErrorKind::Message
            | ErrorKind::Activation
            | ErrorKind::Measurement => Fault::Remote,
            ErrorKind::Secret
            | ErrorKind::SavedSession
            | ErrorKind::Suite
            | ErrorKind::Template
            | ErrorKind::Path
            | ErrorKind::TooLarge
            | ErrorKind::Full
            | ErrorKind::UnknownSession
            | ErrorKind::UnknownExchange
            | ErrorKind::Refused
            | ErrorKind::Transport => Fault::Local,
        }
    }

    /// The CoAP response code that tells a peer about this error, as its class and detail byte (4.00 is `0x80`).
    #[must_use]
    pub const fn coap_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Message
            | ErrorKind::Path
            | ErrorKind::Activation
            | ErrorKind::Measurement => 0x80,
            ErrorKind::Identity => 0x81,
            ErrorKind::Refused => 0x83,
            ErrorKind::UnknownSession | ErrorKind::UnknownExchange => 0x84,
            ErrorKind::TooLarge => 0x8d,
            ErrorKind::Secret
            | ErrorKind::SavedSession
            | ErrorKind::Suite
            | ErrorKind::Template
            | ErrorKind::Transport => 0xa0,
            ErrorKind::Full => 0xa3,
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self::new(kind)
    }
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A PSK identity is not of the form `{ProductKey},{DeviceKey},{SecureMode},{Lifetime}`.
    #[error("malformed PSK identity")]
    Identity,
    /// A configured secret is too short, too long or not plain text.
    #[error("unusable secret")]
    Secret,
    /// The cipher suite is not one of those this crate knows.
    #[error("unknown cipher suite")]
    Suite,
    /// A CoAP message breaks the format of RFC 7252.
    #[error("malformed CoAP message")]
    Message,
    /// A path, a query or an option cannot be written as CoAP options.
    #[error("path, query or option that CoAP cannot carry")]
    Path,
    /// The body of an activation answer is not what it should be.
    #[error("malformed activation answer")]
    Activation,
    /// A post of readings is not what it should be, or does not fit the template of the product.
    #[error("a post of readings that cannot be taken")]
    Measurement,
    /// A product's template is not what it should be.
    #[error("unusable template of a product")]
    Template,
    /// A body is over the configured limit.
    #[error("body over the limit")]
    TooLarge,
    /// A configured cap is reached; try again later.
    #[error("a configured limit is reached")]
    Full,
    /// There is no such session, or no longer.
    #[error("no such session")]
    UnknownSession,
    /// There is no such exchange, or it is already answered.
    #[error("no such exchange")]
    UnknownExchange,
    /// The session may not do this (an activation session sends no requests).
    #[error("not allowed on this session")]
    Refused,
    /// A saved session cannot be read.
    #[error("unreadable saved session")]
    SavedSession,
    /// The DTLS engine refused a connection or a record.
    #[error("the DTLS engine failed")]
    Transport,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Ours: a wrong call or wrong configuration.
    Local,
    /// The peer's.
    Remote,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use core::error::Error as _;

    #[test]
    fn the_cause_is_the_source_and_not_in_the_message() {
        let error = Error::with_source(ErrorKind::Transport, "socket on fire");
        assert_eq!(error.to_string(), "the DTLS engine failed");
        assert_eq!(error.source().unwrap().to_string(), "socket on fire");
    }

    #[test]
    fn faults_and_codes_follow_the_kind() {
        for (kind, fault, code) in [
            (ErrorKind::Identity, Fault::Remote, 0x81),
            (ErrorKind::Message, Fault::Remote, 0x80),
            (ErrorKind::Activation, Fault::Remote, 0x80),
            (ErrorKind::Measurement, Fault::Remote, 0x80),
            (ErrorKind::Path, Fault::Local, 0x80),
            (ErrorKind::Refused, Fault::Local, 0x83),
            (ErrorKind::UnknownSession, Fault::Local, 0x84),
            (ErrorKind::UnknownExchange, Fault::Local, 0x84),
            (ErrorKind::TooLarge, Fault::Local, 0x8d),
            (ErrorKind::Secret, Fault::Local, 0xa0),
            (ErrorKind::SavedSession, Fault::Local, 0xa0),
            (ErrorKind::Suite, Fault::Local, 0xa0),
            (ErrorKind::Template, Fault::Local, 0xa0),
            (ErrorKind::Transport, Fault::Local, 0xa0),
            (ErrorKind::Full, Fault::Local, 0xa3),
        ] {
            let error = Error::from(kind);
            assert_eq!(
                (error.kind(), error.fault(), error.coap_code()),
                (kind, fault, code)
            );
        }
    }
}
