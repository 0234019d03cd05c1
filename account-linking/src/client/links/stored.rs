//! The ledgers as bytes: changes and snapshots in CBOR.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::claim::{Claim, ClaimChange};
use crate::client::user_links::{Change, UserLinks};
use crate::error::{Error, ErrorKind};
use crate::stream::{Loaded, Snapshot};

/// The format of snapshots that is written and read.
const FORMAT: u32 = 1;

/// A ledger in memory, with the version of its stream.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) ledger: Ledger,
    pub(super) version: u64,
    pub(super) snapshot_version: u64,
}

/// The ledgers of the client role.
#[derive(Clone, Debug)]
pub(super) enum Ledger {
    User(Box<UserLinks>),
    Claim(Claim),
}

/// A change of one of them.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are changes of users, and they do not live long"
)]
#[derive(Clone, Debug)]
pub(super) enum LedgerChange {
    User(Change),
    Claim(ClaimChange),
}

impl LedgerChange {
    pub(super) fn encode(&self) -> Bytes {
        match self {
            Self::User(change) => encode(change),
            Self::Claim(change) => encode(change),
        }
    }
}

impl Stored {
    /// Rebuilds a ledger: the snapshot, if there is one that is known, and the changes after it.
    pub(super) fn load(is_user: bool, loaded: &Loaded) -> Result<Self, Error> {
        let mut ledger = if is_user {
            Ledger::User(Box::default())
        } else {
            Ledger::Claim(Claim::default())
        };
        let kept = u64::try_from(loaded.changes.len()).unwrap_or(u64::MAX);
        // The version before the first of the changes. It is not 0 where a snapshot stands for those before it, or where
        // the stream was erased and begun anew.
        let before = loaded.version.checked_sub(kept).ok_or(ErrorKind::Corrupt)?;
        let mut snapshot_version = before;
        if let Some(snapshot) = &loaded.snapshot {
            if snapshot.format == FORMAT {
                ledger = match ledger {
                    Ledger::User(_) => Ledger::User(Box::new(decode(&snapshot.bytes)?)),
                    Ledger::Claim(_) => Ledger::Claim(decode(&snapshot.bytes)?),
                };
                snapshot_version = snapshot.version;
            } else if before > 0 {
                // Of an unknown form, and not all of the changes that it sums up are there.
                return Err(ErrorKind::Corrupt.into());
            }
        }
        let in_snapshot = snapshot_version
            .checked_sub(before)
            .ok_or(ErrorKind::Corrupt)?;
        let in_snapshot = usize::try_from(in_snapshot).map_err(|_| ErrorKind::Corrupt)?;
        for bytes in loaded
            .changes
            .get(in_snapshot..)
            .ok_or(ErrorKind::Corrupt)?
        {
            match &mut ledger {
                Ledger::User(user) => user.apply(&decode(bytes)?),
                Ledger::Claim(claim) => claim.apply(&decode(bytes)?),
            }
        }
        Ok(Self {
            ledger,
            version: loaded.version,
            snapshot_version,
        })
    }

    pub(super) fn apply(&mut self, change: &LedgerChange) {
        match (&mut self.ledger, change) {
            (Ledger::User(user), LedgerChange::User(change)) => user.apply(change),
            (Ledger::Claim(claim), LedgerChange::Claim(change)) => claim.apply(change),
            _ => {}
        }
    }

    pub(super) fn due(&self) -> Option<u64> {
        match &self.ledger {
            Ledger::User(user) => user.due(),
            Ledger::Claim(_) => None,
        }
    }

    /// A snapshot, if `every` changes have gone by since the last one.
    pub(super) fn snapshot(&mut self, every: u64) -> Option<Snapshot> {
        if self.version.saturating_sub(self.snapshot_version) < every.max(1) {
            return None;
        }
        self.snapshot_version = self.version;
        let bytes = match &self.ledger {
            Ledger::User(user) => encode(user),
            Ledger::Claim(claim) => encode(claim),
        };
        Some(Snapshot::new(self.version, FORMAT, bytes))
    }
}

fn encode<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::new();
    // Writing to memory does not fail, and none of these types refuses to be written.
    let written = ciborium::into_writer(value, &mut bytes);
    debug_assert!(written.is_ok());
    bytes.into()
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    ciborium::de::from_reader_with_recursion_limit(bytes, 32).map_err(|_| ErrorKind::Corrupt.into())
}

/// Reads a stored change of a user's links, as a fuzz target.
///
/// # Errors
///
/// [`ErrorKind::Corrupt`] when the bytes are no change.
pub fn check_change(bytes: &[u8]) -> Result<(), Error> {
    decode::<Change>(bytes).map(|change| UserLinks::default().apply(&change))
}
