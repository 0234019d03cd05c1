use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;

use crate::ErrorKind;

/// The longest name of a stream, in bytes.
pub const MAX_STREAM_NAME: usize = 512;
/// The most streams in one append, and the most changes in one of its streams.
pub const MAX_ITEMS: usize = 4096;
/// The longest change or snapshot, in bytes.
pub const MAX_VALUE: usize = 16 << 20;
/// The most bytes in the changes of one append, together.
pub const MAX_APPEND: usize = 64 << 20;
/// How many of the latest appends a store recognizes when they are repeated.
pub const REMEMBERED_APPENDS: usize = 16_384;

/// Names one append, so that repeating it after an unknown outcome does it once.
///
/// Chosen by the caller from entropy; two different appends must never share one.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AppendId([u8; 16]);

impl AppendId {
    /// An id of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for AppendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppendId({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Changes to one or more streams that become durable together or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Append {
    /// The name under which this append may be repeated.
    pub id: AppendId,
    /// What to append to which streams; no stream twice.
    pub streams: Vec<StreamAppend>,
    /// The epoch of the lease under which the caller acts, from [`Journal::acquire`](crate::Journal::acquire).
    pub epoch: u64,
}

impl Append {
    /// An append under the epoch of a store that always grants.
    #[must_use]
    pub fn new(id: AppendId, streams: Vec<StreamAppend>) -> Self {
        Self {
            id,
            streams,
            epoch: crate::SOLE_EPOCH,
        }
    }

    /// The same append under another epoch.
    #[must_use]
    pub fn with_epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    pub(crate) fn check(&self) -> Result<(), ErrorKind> {
        let mut names = BTreeSet::new();
        let mut bytes = 0_usize;
        for append in &self.streams {
            for change in &append.changes {
                bytes = bytes.saturating_add(change.len());
            }
            if append.stream.is_empty()
                || append.stream.len() > MAX_STREAM_NAME
                || !names.insert(append.stream.as_str())
                || append.changes.len() > MAX_ITEMS
                || append.changes.iter().any(|change| change.len() > MAX_VALUE)
                || bytes > MAX_APPEND
            {
                return Err(ErrorKind::Invalid);
            }
        }
        if names.is_empty() || names.len() > MAX_ITEMS {
            return Err(ErrorKind::Invalid);
        }
        Ok(())
    }
}

/// The part of an [`Append`] that goes to one stream.
///
/// Without changes it is a guard: the stream must be at the expected version, and its due time is set.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamAppend {
    /// The stream's name, 1 to [`MAX_STREAM_NAME`] bytes.
    pub stream: String,
    /// The version on which the changes were decided; 0 for a stream that must not exist yet.
    pub expected_version: u64,
    /// One encoded change each; the first one becomes version `expected_version + 1`.
    pub changes: Vec<Bytes>,
    /// When the stream owes something next, in Unix milliseconds; `None` when it owes nothing.
    pub due: Option<u64>,
}

impl StreamAppend {
    /// Changes for a stream that then owes nothing.
    #[must_use]
    pub fn new(stream: impl Into<String>, expected_version: u64, changes: Vec<Bytes>) -> Self {
        Self {
            stream: stream.into(),
            expected_version,
            changes,
            due: None,
        }
    }

    /// The same changes for a stream that owes something at `due`, in Unix milliseconds.
    #[must_use]
    pub fn with_due(self, due: Option<u64>) -> Self {
        Self { due, ..self }
    }

    /// The version after this append, or an error when the count would overflow.
    pub(crate) fn next_version(&self) -> Result<u64, ErrorKind> {
        u64::try_from(self.changes.len())
            .ok()
            .and_then(|count| self.expected_version.checked_add(count))
            .ok_or(ErrorKind::Invalid)
    }
}

/// What became of an [`Append`] whose outcome is known.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an outcome that the caller leaves out would stall its ledger"
)]
pub enum Appended {
    /// It is durable.
    Done {
        /// The version of each stream after it, in the order in which they were listed.
        versions: Vec<u64>,
    },
    /// A stream is not at its expected version; nothing was written.
    Conflict {
        /// The first such stream.
        stream: String,
    },
    /// The lease behind the append's epoch is no longer the latest; nothing was written.
    Fenced,
}
