//! Why nothing came of what a device or an operator wanted: a refusal stays one, everything else may be tried again.

use crate::error::Error;

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It is not allowed, now or later.
    Refused(Error),
    /// The journal or the keys cannot be used at the moment.
    Unavailable(Error),
}

impl Failure {
    /// A refusal that needs no further cause.
    pub(crate) fn refused(what: impl Into<String>) -> Self {
        Self::Refused(Error::plain(what))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) | Failure::Unavailable(error) => error,
        }
    }
}

impl From<uci_server_core::Error> for Failure {
    fn from(cause: uci_server_core::Error) -> Self {
        let fault = cause.fault();
        let error = Error::new("the cloud core did not take it", cause);
        match fault {
            uci_server_core::Fault::Remote => Self::Refused(error),
            _ => Self::Unavailable(error),
        }
    }
}
