//! What leaves the core to be made durable, and what comes back: the shape of a journal, without one.

use bytes::Bytes;

/// Names one append. Sent again with the same id, a journal gives the same answer and appends nothing twice.
#[expect(clippy::exhaustive_structs, reason = "a name is all that it is")]
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AppendId(
    /// Random; unique for all time.
    pub [u8; 16],
);

/// Changes that become durable together or not at all.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Append {
    /// Its name, for repetition.
    pub id: AppendId,
    /// At most one entry a stream.
    pub streams: Vec<StreamAppend>,
}

/// The part of an [`Append`] that concerns one stream.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct StreamAppend {
    /// `account/{account}` or `device/{di}`.
    pub stream: String,
    /// How many changes the stream must hold already; 0 means that it must not exist.
    pub expected_version: u64,
    /// The encoded changes, oldest first.
    pub changes: Vec<Bytes>,
    /// Since when the stream owes the world something after this append, in Unix milliseconds; `None` when it owes nothing.
    pub due: Option<u64>,
}

/// How an append ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Appended {
    /// Durable.
    Done,
    /// A stream was not at the expected version: nothing was appended.
    Conflict,
    /// This node no longer owns a stream: nothing was appended.
    Fenced,
    /// It cannot be said whether it was appended.
    Unknown,
}

/// What a journal holds of a stream.
#[expect(
    clippy::exhaustive_structs,
    reason = "a journal fills it in; more to fill in must not compile"
)]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Loaded {
    /// The number of changes ever appended, and one more for every time the stream was erased; 0 for a stream that does not
    /// exist.
    pub version: u64,
    /// The newest snapshot, if there is one.
    pub snapshot: Option<Snapshot>,
    /// The changes after the snapshot, oldest first. Without a snapshot: all since the stream began, or was erased. A journal
    /// never removes a change in any other way than below a snapshot or by erasing.
    pub changes: Vec<Bytes>,
}

/// The whole state of a stream at one version.
#[expect(
    clippy::exhaustive_structs,
    reason = "a journal fills it in; more to fill in must not compile"
)]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Snapshot {
    /// The number of changes it covers.
    pub version: u64,
    /// Which form `bytes` has.
    pub format: u32,
    /// The state.
    pub bytes: Bytes,
}
