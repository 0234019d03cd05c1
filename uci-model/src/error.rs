//! The crate's one error, its kinds, and what they are on HTTP and CoAP.

use alloc::boxed::Box;

use bytes::Bytes;

/// What went wrong, and why.
///
/// `Display` says the kind only; the cause is in [`source`](core::error::Error::source). Neither ever holds
/// a secret or text of the peer's body.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn core::error::Error + Send + Sync>>,
    response_body: Bytes,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not well-formed JSON or CBOR, have bytes after the item, or repeat a key.
    #[error("content is not well-formed")]
    Malformed,
    /// The content is well-formed but is not what the standard has there.
    #[error("content does not fit its schema")]
    Invalid,
    /// The content is deeper, longer or of more items than [`Limits`](crate::Limits) allow.
    #[error("content exceeds a limit")]
    LimitExceeded,
    /// A header field or query parameter is missing or cannot be read.
    #[error("request header or query is missing or malformed")]
    InvalidHeader,
    /// The media type is none that the operation takes.
    #[error("media type is not supported")]
    UnsupportedFormat,
    /// The path names nothing that can exist (an id that is no UUID, for example).
    #[error("path names nothing")]
    NotFound,
    /// The request carries no credentials that can be read.
    #[error("credentials are missing or malformed")]
    Unauthorized,
    /// The event signature is not the one of this key and message.
    #[error("event signature does not match")]
    SignatureMismatch,
    /// The peer answered with an error status.
    #[error("peer answered with status {0}")]
    Status(u16),
    /// A value of our own cannot be put on the wire.
    #[error("value cannot be encoded")]
    Encode,
}

/// Whose mistake an [`Error`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a mistake is ours or the peer's")]
pub enum Fault {
    /// Ours: the caller passed a value that cannot be sent.
    Local,
    /// The peer's: it sent something wrong, or refused.
    Remote,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind) -> Self {
        Self {
            kind,
            source: None,
            response_body: Bytes::new(),
        }
    }

    pub(crate) fn with_source(
        kind: ErrorKind,
        source: impl core::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self {
            kind,
            source: Some(Box::new(source)),
            response_body: Bytes::new(),
        }
    }

    #[cfg(feature = "http")]
    pub(crate) fn from_status(status: u16, response_body: Bytes) -> Self {
        Self {
            kind: ErrorKind::Status(status),
            source: None,
            response_body,
        }
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The start of the body of a response whose status was an error; empty otherwise.
    ///
    /// It is the peer's text: show it to a person who asks for it, never log it.
    #[must_use]
    pub fn response_body(&self) -> &Bytes {
        &self.response_body
    }

    /// Whose mistake it is.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self.kind {
            ErrorKind::Encode => Fault::Local,
            ErrorKind::Malformed
            | ErrorKind::Invalid
            | ErrorKind::LimitExceeded
            | ErrorKind::InvalidHeader
            | ErrorKind::UnsupportedFormat
            | ErrorKind::NotFound
            | ErrorKind::Unauthorized
            | ErrorKind::SignatureMismatch
            | ErrorKind::Status(_) => Fault::Remote,
        }
    }

    /// The status to answer a request with that failed with this error.
    #[cfg(feature = "http")]
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self.kind {
            ErrorKind::Malformed
            | ErrorKind::Invalid
            | ErrorKind::LimitExceeded
            | ErrorKind::InvalidHeader
            | ErrorKind::SignatureMismatch => http::StatusCode::BAD_REQUEST,
            ErrorKind::Unauthorized => http::StatusCode::UNAUTHORIZED,
            ErrorKind::NotFound => http::StatusCode::NOT_FOUND,
            ErrorKind::UnsupportedFormat => http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ErrorKind::Status(_) => http::StatusCode::BAD_GATEWAY,
            ErrorKind::Encode => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The CoAP response code to answer a request with that failed with this error.
    ///
    /// The byte of RFC 7252, 3: class in the upper three bits, detail in the lower five (4.00 is `0x80`).
    #[must_use]
    pub fn coap_code(&self) -> u8 {
        match self.kind {
            ErrorKind::Malformed
            | ErrorKind::Invalid
            | ErrorKind::LimitExceeded
            | ErrorKind::InvalidHeader
            | ErrorKind::SignatureMismatch => 0x80,
            ErrorKind::Unauthorized => 0x81,
            ErrorKind::NotFound => 0x84,
            ErrorKind::UnsupportedFormat => 0x8f,
            ErrorKind::Encode => 0xa0,
            ErrorKind::Status(_) => 0xa2,
        }
    }
}

impl From<ParseIdError> for Error {
    fn from(error: ParseIdError) -> Self {
        Self::with_source(ErrorKind::Invalid, error)
    }
}

/// A text is not a valid identifier, href or address of its type.
///
/// Says which type and which rule, never the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{type_name} {problem}")]
pub struct ParseIdError {
    type_name: &'static str,
    problem: &'static str,
}

impl ParseIdError {
    pub(crate) const fn new(type_name: &'static str, problem: &'static str) -> Self {
        Self { type_name, problem }
    }
}
