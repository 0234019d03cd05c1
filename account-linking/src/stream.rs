//! What the machines of this crate ask of a durable store, and what it answers.
//!
//! A stream is a named sequence of encoded changes with a version, the number of changes so far.
//! An append names the version it was decided on and is atomic over the streams it lists.

use bytes::Bytes;

use crate::secret::SecretBytes;

/// Names one append; repeating an append with the same id gets the same answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AppendId([u8; 16]);

impl AppendId {
    /// The id as bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// The `counter`th append of the machine that was started with `seed`.
    pub(crate) fn derive(seed: &SecretBytes, counter: u64) -> Self {
        let mac = seed.mac(&[b"append", &counter.to_be_bytes()]);
        let mut id = [0; 16];
        id.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        Self(id)
    }
}

/// Changes to one or more streams, made durable together or not at all.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Append {
    /// Names this append.
    pub id: AppendId,
    /// What to add to which stream.
    pub streams: Vec<StreamAppend>,
}

/// The part of an [`Append`] that concerns one stream.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StreamAppend {
    /// Name of the stream.
    pub stream: String,
    /// Number of changes the stream must have now; 0 when it must not exist yet.
    pub expected_version: u64,
    /// The encoded changes, in order.
    pub changes: Vec<Bytes>,
    /// When the stream owes something, in Unix milliseconds; `None` when it owes nothing.
    pub due: Option<u64>,
}

/// The store's answer to an [`Append`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "an answer left unhandled stalls its append"
)]
pub enum Appended {
    /// It is durable; the new version of each stream, in the order of the append.
    Done {
        /// The new versions.
        versions: Vec<u64>,
    },
    /// Nothing was written: this stream had another version.
    Conflict {
        /// The stream.
        stream: String,
    },
    /// Nothing was written: this node may no longer write these streams.
    Fenced,
    /// It is not known whether it was written.
    Unknown,
}

/// The state of a stream as a store has it; empty when the stream does not exist.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// Number of changes of the stream.
    pub version: u64,
    /// The latest snapshot, when there is one.
    pub snapshot: Option<Snapshot>,
    /// The encoded changes after the snapshot, or all of them.
    pub changes: Vec<Bytes>,
}

impl Loaded {
    /// A stream as it was read.
    #[must_use]
    pub fn new(version: u64, snapshot: Option<Snapshot>, changes: Vec<Bytes>) -> Self {
        Self {
            version,
            snapshot,
            changes,
        }
    }
}

/// A ledger's state at a version.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The version the snapshot was taken at.
    pub version: u64,
    /// The ledger's own format number.
    pub format: u32,
    /// The encoded state.
    pub bytes: Bytes,
}

impl Snapshot {
    /// A snapshot as it was read.
    #[must_use]
    pub fn new(version: u64, format: u32, bytes: Bytes) -> Self {
        Self {
            version,
            format,
            bytes,
        }
    }
}
