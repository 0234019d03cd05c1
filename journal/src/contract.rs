use std::time::Duration;

use bytes::Bytes;

use crate::{Append, Appended, Error, ErrorKind, MAX_VALUE};

/// The epoch of a store that one process holds alone, and that therefore grants every lease.
pub const SOLE_EPOCH: u64 = 1;

/// Where ledgers are kept. It knows nothing of what it keeps.
///
/// Calls block until they are durable; an async program puts a [`Writer`](crate::Writer) in front. The rules J1 to J9 are
/// in the [crate documentation](crate), and [`conformance::check`](crate::conformance::check) tests an implementation
/// against them.
pub trait Journal: Send + Sync {
    /// Does each append in turn, each decided on its own, and makes them durable together.
    ///
    /// The answers come in the order of the appends. A repeated [`AppendId`](crate::AppendId) whose first try is durable
    /// is answered with the same versions and changes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the append was refused and has no effect. Every other kind: the outcome is not known,
    /// and the caller repeats the same id before anything else.
    fn append_batch(&self, appends: &[Append]) -> Vec<Result<Appended, Error>>;

    /// Does one append; see [`append_batch`](Self::append_batch).
    ///
    /// # Errors
    ///
    /// As for [`append_batch`](Self::append_batch).
    fn append(&self, append: &Append) -> Result<Appended, Error> {
        self.append_batch(std::slice::from_ref(append))
            .pop()
            .unwrap_or_else(|| Err(ErrorKind::Damaged.into()))
    }

    /// Reads at most `limit` changes that follow `after_version`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Truncated`] when the first of them is gone, and the kinds of reading.
    fn read(&self, stream: &str, after_version: u64, limit: usize) -> Result<Page, Error>;

    /// Reads the latest snapshot and all changes that follow it, as of one moment.
    ///
    /// A stream that does not exist is at version 0 with nothing in it.
    ///
    /// # Errors
    ///
    /// The kinds of reading.
    fn load(&self, stream: &str) -> Result<Loaded, Error>;

    /// Keeps a snapshot in place of an older one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotCovered`] when its version is beyond the stream's, or below the kept snapshot's;
    /// [`ErrorKind::Invalid`], and the kinds of writing.
    fn save_snapshot(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error>;

    /// Reads the latest snapshot.
    ///
    /// # Errors
    ///
    /// The kinds of reading.
    fn load_snapshot(&self, stream: &str) -> Result<Option<Snapshot>, Error>;

    /// Removes the changes up to and including version `up_to`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotCovered`] when the kept snapshot is older than that, and the kinds of writing.
    fn truncate(&self, stream: &str, up_to: u64) -> Result<(), Error>;

    /// Keeps a snapshot and removes the changes that it covers, in one durable step.
    ///
    /// A secret that the snapshot leaves out is gone with it: no crash leaves it behind in a change.
    ///
    /// # Errors
    ///
    /// As for [`save_snapshot`](Self::save_snapshot).
    fn condense(&self, stream: &str, snapshot: &Snapshot) -> Result<(), Error>;

    /// Removes changes, snapshot and due time, and leaves a tombstone: the version, one higher than before.
    ///
    /// The step in the version makes every append that was decided before the erasure a conflict. Erasing what does not
    /// exist, or is erased already, changes nothing.
    ///
    /// # Errors
    ///
    /// The kinds of writing.
    fn erase(&self, stream: &str) -> Result<(), Error>;

    /// Lists at most `limit` streams that owe something before `before` (Unix milliseconds), earliest first, beginning
    /// after the entry `after`.
    ///
    /// # Errors
    ///
    /// The kinds of reading.
    fn due(&self, before: u64, after: Option<&Due>, limit: usize) -> Result<Vec<Due>, Error>;

    /// Lists at most `limit` streams with this prefix that are not erased, in byte order, beginning after the name `after`.
    ///
    /// # Errors
    ///
    /// The kinds of reading.
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, Error>;

    /// Asks for the right to act on a partition of the streams for `ttl`; `None` when another node has it.
    ///
    /// Which streams a partition has is the callers' agreement; the store knows only its name. A node that asks again for
    /// what it has gets a new epoch, and the old one is lost: so a restarted node fences what it did before.
    ///
    /// A store that one process holds alone always grants [`SOLE_EPOCH`], which is what this default does.
    ///
    /// # Errors
    ///
    /// The kinds of writing, where leases are written.
    fn acquire(&self, partition: &str, node: &str, ttl: Duration) -> Result<Option<u64>, Error> {
        let _ = (partition, node, ttl);
        Ok(Some(SOLE_EPOCH))
    }

    /// Prolongs a lease by `ttl` from now; false when it ran out, was released or went to another node.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    fn renew(&self, partition: &str, node: &str, epoch: u64, ttl: Duration) -> Result<bool, Error> {
        let _ = (partition, node, ttl);
        Ok(epoch == SOLE_EPOCH)
    }

    /// Gives a lease back before its time; one that was lost already is left as it is.
    ///
    /// # Errors
    ///
    /// As for [`acquire`](Self::acquire).
    fn release(&self, partition: &str, node: &str, epoch: u64) -> Result<(), Error> {
        let _ = (partition, node, epoch);
        Ok(())
    }
}

/// Consecutive changes of a stream.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Page {
    /// The version of the stream, which may be beyond the last change here.
    pub version: u64,
    /// The changes; the first one is the one that follows the version that was asked for.
    pub changes: Vec<Bytes>,
}

/// Everything that a ledger is rebuilt from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The version of the stream, to be named as `expected_version` by the next append.
    ///
    /// Not always the number of changes ever appended: an erasure counts as one.
    pub version: u64,
    /// The latest snapshot. A ledger that does not know its form is rebuilt from [`Journal::read`] after version 0, as long
    /// as nothing is truncated.
    pub snapshot: Option<Snapshot>,
    /// The changes that follow the snapshot, or all of them.
    pub changes: Vec<Bytes>,
    /// When the stream owes something next, in Unix milliseconds.
    pub due: Option<u64>,
}

/// A ledger written out as a whole, so that its older changes need not be replayed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The version of the last change that is in it.
    pub version: u64,
    /// The ledger's own number for the written form.
    pub format: u32,
    /// The written form.
    pub bytes: Bytes,
}

impl Snapshot {
    /// A snapshot of a ledger at `version`.
    #[must_use]
    pub fn new(version: u64, format: u32, bytes: Bytes) -> Self {
        Self {
            version,
            format,
            bytes,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ErrorKind> {
        if self.bytes.len() > MAX_VALUE {
            return Err(ErrorKind::Invalid);
        }
        Ok(())
    }
}

/// A stream that owes something, and when. Ordered by time, then by name.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Due {
    /// Unix milliseconds.
    pub at: u64,
    /// The stream's name.
    pub stream: String,
}

impl Due {
    /// A position in the list of what is due.
    #[must_use]
    pub fn new(at: u64, stream: impl Into<String>) -> Self {
        Self {
            at,
            stream: stream.into(),
        }
    }
}
