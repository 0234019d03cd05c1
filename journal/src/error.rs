use std::error::Error as StdError;
use std::sync::Arc;

/// What went wrong, with the cause behind it.
///
/// Cheap to clone, because one failed commit is the answer to every append that shared it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    kind: ErrorKind,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, source: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            kind,
            source: Some(Arc::new(source)),
        }
    }

    /// The kind of failure, for deciding what to do.
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

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(ErrorKind::of_io(&error), error)
    }
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller broke a rule of the contract: an empty or overlong name, a stream listed twice, a value over its
    /// limit. Nothing was written, and nothing will be when it is repeated.
    #[error("the call breaks a rule of the journal contract")]
    Invalid,
    /// The changes asked for were truncated; load the snapshot instead.
    #[error("these changes were truncated below a snapshot")]
    Truncated,
    /// A truncation that no durable snapshot covers, or a snapshot that is older than the kept one or newer than its stream.
    #[error("no snapshot covers this")]
    NotCovered,
    /// The disk, or the quota, is full.
    #[error("no space left for the journal")]
    NoSpace,
    /// Another process, or another part of this one, has the journal or the folder of data keys open.
    #[error("it is in use by another process")]
    Locked,
    /// There is a file already where a new one was to be made. It was left as it is.
    #[error("there is a file of that name already")]
    Exists,
    /// The file was written by a newer release.
    #[error("the journal has format {found}; this release reads formats up to {newest}")]
    NewerFormat {
        /// The format of the file.
        found: u64,
        /// The newest format that this release reads.
        newest: u64,
    },
    /// The file is not a journal of this crate.
    #[error("the file is not a journal")]
    NotAJournal,
    /// What is stored contradicts itself.
    #[error("the journal is damaged")]
    Damaged,
    /// Reading or writing failed for another reason.
    #[error("the journal could not be read or written")]
    Io,
    /// More appends wait than the writer may hold.
    #[error("too many appends are waiting")]
    Busy,
    /// The writer has stopped.
    #[error("the journal writer has stopped")]
    Closed,
    /// A master key in a file that others than its owner may read, or that is not 64 hexadecimal digits; or one that is not the
    /// master key of a folder of data keys.
    #[error("the key file is unusable")]
    KeyFile,
    /// The stream has no data key: nothing was ever sealed for it, or the key was destroyed.
    #[error("the stream has no data key")]
    NoKey,
    /// Sealed bytes that were changed, or belong to another stream, field or master key.
    #[error("the sealed bytes cannot be opened")]
    Unopenable,
}

impl ErrorKind {
    pub(crate) fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull
            | std::io::ErrorKind::QuotaExceeded
            | std::io::ErrorKind::FileTooLarge => Self::NoSpace,
            _ => Self::Io,
        }
    }
}
