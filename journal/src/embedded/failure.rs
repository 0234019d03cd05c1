use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::embedded::blocks::Damaged;
use crate::{Error, ErrorKind};

/// What stops a transaction: the store, or a rule of the contract.
#[derive(Debug)]
pub(super) enum Failure {
    Store(Box<redb::Error>),
    /// The store panicked on what it found in the file.
    Panicked,
    Rule(ErrorKind),
}

/// Does `work` with the store, whose answer to some damaged files is a panic.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // What `work` may leave halfway is the store's alone, and that is opened anew before it is used again.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Panicked))
}

impl Failure {
    /// Whether redb refuses further work until the file is opened again.
    pub(super) fn is_of_storage(&self) -> bool {
        matches!(self, Self::Store(_) | Self::Panicked)
    }
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Store(Box::new(error.into()))
    }
}

impl From<ErrorKind> for Failure {
    fn from(kind: ErrorKind) -> Self {
        Self::Rule(kind)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rule(kind) => kind.into(),
            Failure::Panicked => ErrorKind::Damaged.into(),
            Failure::Store(error) => Self::new(kind_of(&error), *error),
        }
    }
}

fn kind_of(error: &redb::Error) -> ErrorKind {
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => ErrorKind::Locked,
        redb::Error::UpgradeRequired(_) => ErrorKind::NotAJournal,
        redb::Error::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<Damaged>()) => {
            ErrorKind::Damaged
        }
        // redb's word for a file without its magic number.
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            ErrorKind::NotAJournal
        }
        // The file is shorter than its own pages say.
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            ErrorKind::Damaged
        }
        redb::Error::Io(error) => ErrorKind::of_io(error),
        redb::Error::Corrupted(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TableDoesNotExist(_)
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TypeDefinitionChanged { .. } => ErrorKind::Damaged,
        _ => ErrorKind::Io,
    }
}
