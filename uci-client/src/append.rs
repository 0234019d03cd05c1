//! What leaves for the journal and what comes back: appends, loads and snapshots.

use bytes::Bytes;

/// The identity of one append, which stays the same however often it is repeated.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AppendId([u8; 16]);

impl AppendId {
    /// Makes an id from its bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the id.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Changes that become durable together or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Append {
    /// The identity: a repeated append with the same id is answered as the first one was.
    pub id: AppendId,
    /// The streams that grow.
    pub streams: Vec<StreamAppend>,
}

/// The part of an [`Append`] that concerns one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamAppend {
    /// The name of the stream.
    pub stream: String,
    /// The version that the stream must have for the append to take place; 0 means that it must not exist.
    pub expected_version: u64,
    /// The changes, one encoded change each, in order.
    pub changes: Vec<Bytes>,
    /// When the stream owes something, in Unix milliseconds; 0 means at once, `None` that it owes nothing.
    pub due: Option<u64>,
}

/// How an append ended.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "these four are the contract of the journal; a fifth would be another contract"
)]
pub enum Appended {
    /// The changes are durable; the new version of each stream, in the order of the append.
    Done {
        /// The versions after the append.
        versions: Vec<u64>,
    },
    /// A stream was not at the expected version; nothing was appended.
    Conflict {
        /// The stream.
        stream: String,
    },
    /// Another node has taken over the stream; nothing was appended and nothing will be.
    Fenced,
    /// Nobody knows whether the changes are durable; the same append must be repeated.
    Unknown,
}

/// What a journal holds of one stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The version of the stream, higher than the number of its changes where it was erased or truncated.
    pub version: u64,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The changes after the snapshot, or all that are kept when the snapshot is absent.
    pub changes: Vec<Bytes>,
}

impl Loaded {
    /// Makes the answer to a load; [`Loaded::default`] is the answer for a stream that does not exist.
    #[must_use]
    pub const fn new(version: u64, snapshot: Option<Snapshot>, changes: Vec<Bytes>) -> Self {
        Self {
            version,
            snapshot,
            changes,
        }
    }
}

/// The state of a stream at one version.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The version of the stream that the snapshot sums up.
    pub version: u64,
    /// The number of the written form.
    pub format: u32,
    /// The state.
    pub bytes: Bytes,
}

impl Snapshot {
    /// Makes a snapshot from its parts.
    #[must_use]
    pub const fn new(version: u64, format: u32, bytes: Bytes) -> Self {
        Self {
            version,
            format,
            bytes,
        }
    }
}
