use std::error::Error as StdError;

use crate::ParseIdError;
use crate::certificates::CertificateError;

/// Why a command was refused, or bytes could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            kind,
            source: Some(Box::new(source)),
        }
    }

    /// The kind of error, for deciding what to do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<ParseIdError> for Error {
    fn from(error: ParseIdError) -> Self {
        Self::new(ErrorKind::InvalidId, error)
    }
}

impl From<CertificateError> for Error {
    fn from(error: CertificateError) -> Self {
        Self::new(ErrorKind::Certificate, error)
    }
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A text that is not an id of its type.
    #[error("the id is malformed")]
    InvalidId,
    /// A name or sealed secret that is empty or too long.
    #[error("a value is empty or too long")]
    InvalidValue,
    /// The registry has no product yet.
    #[error("no such product")]
    UnknownProduct,
    /// The product has no such device.
    #[error("no such device")]
    UnknownDevice,
    /// The product or device exists already.
    #[error("it exists already")]
    Exists,
    /// The device was disabled by an operator.
    #[error("the device is disabled")]
    Disabled,
    /// The product's devices may not ask for their secret.
    #[error("dynamic activation is off")]
    ActivationOff,
    /// The device was told its secret already, or has used it.
    #[error("the device has been activated already")]
    Activated,
    /// The device published another device id before.
    #[error("the device is bound to another device id")]
    Bound,
    /// Another device of the product has this device id.
    #[error("the device id belongs to another device")]
    DeviceIdTaken,
    /// There is no such tenant.
    #[error("no such tenant")]
    UnknownTenant,
    /// There is no such access point, policy, group or scope.
    #[error("no such entry")]
    UnknownEntry,
    /// What was to be changed is not as the command believes.
    #[error("it was changed meanwhile")]
    Conflict,
    /// Something else refers to it.
    #[error("it is in use")]
    InUse,
    /// It can be set once only.
    #[error("it cannot be changed any more")]
    Immutable,
    /// The certificate authority serves another group.
    #[error("the certificate authority serves another group")]
    CaTaken,
    /// The tenant has no right to the access point.
    #[error("the access point is not granted to the tenant")]
    NotGranted,
    /// A limit is reached.
    #[error("a limit is reached")]
    Full,
    /// The journal did not take the change.
    #[error("the journal is not available")]
    Unavailable,
    /// A certificate or a request for one is refused; the source is the [`CertificateError`].
    #[error("the certificate is refused")]
    Certificate,
    /// The tenant has no such certificate authority, or issues no such certificates.
    #[error("no such certificate authority")]
    UnknownAuthority,
    /// No code is waiting to be signed, or none is wanted.
    #[error("no code is waiting")]
    NoCode,
    /// A change or snapshot that is not one of this crate.
    #[error("the stored bytes are malformed")]
    Malformed,
    /// A snapshot in a form that this release does not know; replay the changes instead.
    #[error("the snapshot has an unknown format")]
    UnknownFormat,
}
