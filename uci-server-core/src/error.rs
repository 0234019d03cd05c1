//! What can go wrong, and which HTTP status it is.

use http::StatusCode;

/// Why a command, a report or a ledger refused.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such device, resource or subscription for this account and grant.
    #[error("not found")]
    NotFound,
    /// A device report of an ownership that has been superseded.
    #[error("the device's ownership has been superseded")]
    Superseded,
    /// Content or links that cannot be read.
    #[error("content is malformed")]
    Malformed,
    /// A configured bound is reached.
    #[error("a limit is reached")]
    Full,
    /// The grant has been ended.
    #[error("the grant has ended")]
    GrantEnded,
    /// A secret could not be sealed or opened.
    #[error("a secret could not be sealed or opened")]
    Sealing,
    /// The journal did not answer in time, or another node owns the account now.
    #[error("the account is not available here at the moment")]
    Unavailable,
    /// What the journal holds cannot be understood by this release.
    #[error("what the journal holds cannot be read")]
    Journal,
}

/// On whose side the fault is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// This cloud's.
    Local,
    /// The client's or the device's.
    Remote,
}

impl Error {
    pub(crate) fn with_source(
        kind: ErrorKind,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
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

    /// On whose side.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self.kind {
            ErrorKind::NotFound
            | ErrorKind::Superseded
            | ErrorKind::Malformed
            | ErrorKind::Full
            | ErrorKind::GrantEnded => Fault::Remote,
            ErrorKind::Sealing | ErrorKind::Unavailable | ErrorKind::Journal => Fault::Local,
        }
    }

    /// The status that answers an HTTP request which failed so.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Malformed => StatusCode::BAD_REQUEST,
            // The definition lists no 409: the peer may not do this.
            ErrorKind::Superseded => StatusCode::FORBIDDEN,
            ErrorKind::Full => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::GrantEnded => StatusCode::UNAUTHORIZED,
            ErrorKind::Sealing | ErrorKind::Unavailable | ErrorKind::Journal => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self { kind, source: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status() {
        let table = [
            (ErrorKind::NotFound, 404, Fault::Remote),
            (ErrorKind::Superseded, 403, Fault::Remote),
            (ErrorKind::Malformed, 400, Fault::Remote),
            (ErrorKind::Full, 429, Fault::Remote),
            (ErrorKind::GrantEnded, 401, Fault::Remote),
            (ErrorKind::Sealing, 503, Fault::Local),
            (ErrorKind::Unavailable, 503, Fault::Local),
            (ErrorKind::Journal, 503, Fault::Local),
        ];
        for (kind, status, fault) in table {
            let error = Error::from(kind);
            assert_eq!(
                (error.status().as_u16(), error.fault()),
                (status, fault),
                "{kind:?}"
            );
        }
    }
}
