//! A stream of the journal as the machine holds it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Instant;

use bytes::Bytes;
use uci_model::event::SigningKey;
use uci_model::{DeviceId, SubscriptionId};

use super::line::TaskId;
use crate::account::{self, Account, Change, stored};
use crate::append::{AppendId, Loaded, Snapshot};
use crate::error::{Error, ErrorKind};
use crate::ids::{AccountId, ErasureId};
use crate::ownership::{self, Ownership, OwnershipChange};

/// `account/{account}` or `device/{di}`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum StreamName {
    Account(AccountId),
    Device(DeviceId),
}

impl StreamName {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("account", id) => id.parse().ok().map(Self::Account),
            ("device", id) => id.parse().ok().map(Self::Device),
            _ => None,
        }
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(formatter, "account/{id}"),
            Self::Device(id) => write!(formatter, "device/{id}"),
        }
    }
}

/// A stream, loading, idle or busy with an append.
#[derive(Debug)]
pub(super) struct Stream {
    /// `None` while it is loading.
    pub(super) ledger: Option<Ledger>,
    /// When loading is given up.
    pub(super) load_deadline: Instant,
    /// When something was done with it the last time.
    pub(super) last_used: Instant,
    /// When it is looked whether it is still in use.
    pub(super) idle_deadline: Option<Instant>,
    /// While it is being erased: when that is given up.
    pub(super) erasing: Option<Instant>,
    /// Who waits for it to be erased.
    pub(super) erasures: Vec<ErasureId>,
    /// Its history holds what must not be kept: it gets a snapshot as soon as it can, below which a journal removes it.
    pub(super) must_forget: bool,
    /// It must, or it got that snapshot and it is not known to be kept.
    pub(super) forgetting: bool,
    /// The append under way. The ledger is then ahead of what is durable, and nobody may look at it.
    pub(super) busy: Option<AppendId>,
    /// How many changes are durable.
    pub(super) version: u64,
    /// How many the latest snapshot covers.
    pub(super) snapshot_version: u64,
    /// The opened signing keys of subscriptions that were told something, as long as the stream is held.
    pub(super) keys: BTreeMap<SubscriptionId, SigningKey>,
    /// Who wants it, in order.
    pub(super) waiting: VecDeque<TaskId>,
}

#[derive(Debug)]
pub(super) enum Ledger {
    Account(Box<Account>),
    Ownership(Ownership),
}

impl Stream {
    pub(super) fn loading(load_deadline: Instant) -> Self {
        Self {
            ledger: None,
            load_deadline,
            last_used: load_deadline,
            idle_deadline: None,
            erasing: None,
            erasures: Vec::new(),
            must_forget: false,
            forgetting: false,
            busy: None,
            version: 0,
            snapshot_version: 0,
            keys: BTreeMap::new(),
            waiting: VecDeque::new(),
        }
    }

    pub(super) fn is_loading(&self) -> bool {
        self.ledger.is_none()
    }

    pub(super) fn is_idle(&self) -> bool {
        // What comes after an erasure must not be erased with it, so it waits from the moment it is decided.
        let remains = |ledger: &Ledger| !ledger.is_erased();
        self.ledger.as_ref().is_some_and(remains) && self.busy.is_none() && self.erasing.is_none()
    }

    /// Whether nothing is lost when it is forgotten: it can be loaded again.
    pub(super) fn can_be_unloaded(&self) -> bool {
        let owes = self.ledger.as_ref().is_some_and(|l| l.due().is_some());
        self.is_idle() && self.waiting.is_empty() && !owes
    }

    /// Notes that its history holds what must not be kept.
    pub(super) fn forget(&mut self) {
        self.must_forget = true;
        self.forgetting = true;
    }

    /// Since when it owes something, in Unix milliseconds: also a snapshot that is not known to be kept, so that it is
    /// loaded at the next start and asks for that again.
    pub(super) fn due(&self) -> Option<u64> {
        match self.ledger.as_ref()? {
            Ledger::Account(account) if self.forgetting => Some(account.clock().0),
            ledger => ledger.due(),
        }
    }

    /// A snapshot, when one is due.
    pub(super) fn snapshot(&mut self, every: u64) -> Option<Snapshot> {
        let tail = self.version.saturating_sub(self.snapshot_version);
        // A snapshot is as long as its account is big: a change's share of it must not be.
        let every = every
            .max(self.ledger.as_ref().map_or(0, Ledger::weight))
            .max(1);
        if tail < every && !self.must_forget {
            return None;
        }
        let (format, bytes) = match self.ledger.as_ref()? {
            // Its stream is erased in a moment.
            Ledger::Account(account) if account.is_erased() => return None,
            Ledger::Account(account) => (account::SNAPSHOT_FORMAT, account.snapshot()),
            Ledger::Ownership(ownership) => (ownership::SNAPSHOT_FORMAT, stored::encode(ownership)),
        };
        let bytes = bytes.ok()?;
        self.snapshot_version = self.version;
        self.must_forget = false;
        Some(Snapshot {
            version: self.version,
            format,
            bytes,
        })
    }
}

impl Ledger {
    /// Builds the ledger of a stream from its snapshot and changes, and says whether the changes hold what must not be kept.
    pub(super) fn load(name: &StreamName, loaded: &Loaded) -> Result<(Self, bool), Error> {
        let (mut ledger, rest) = match Self::base(name, loaded) {
            Ok(found) => found,
            // A snapshot that cannot be read is built anew when the whole history is there.
            Err(_) if count(&loaded.changes) == loaded.version => {
                (Self::empty(name), loaded.changes.as_slice())
            }
            Err(error) => return Err(error),
        };
        let mut must_forget = false;
        for bytes in rest {
            match &mut ledger {
                Self::Account(account) => {
                    must_forget |= account.apply(&Change::decode(bytes)?).forgotten;
                }
                Self::Ownership(ownership) => {
                    must_forget |= ownership.owner().is_some();
                    ownership.apply(&stored::decode::<OwnershipChange>(bytes)?);
                }
            }
        }
        Ok((ledger, must_forget))
    }

    /// The ledger before the changes that are still to be applied, and those.
    fn base<'a>(name: &StreamName, loaded: &'a Loaded) -> Result<(Self, &'a [Bytes]), Error> {
        let kept = count(&loaded.changes);
        let complete = match &loaded.snapshot {
            Some(snapshot) => kept.checked_add(snapshot.version) == Some(loaded.version),
            // Fewer without a snapshot: the stream was erased, and what came before is gone for good.
            None => kept <= loaded.version,
        };
        if !complete {
            let gap = "snapshot and changes do not add up to the version";
            return Err(Error::with_source(ErrorKind::Journal, gap));
        }
        let ledger = match (&loaded.snapshot, name) {
            (None, _) => Self::empty(name),
            (Some(Snapshot { format, bytes, .. }), StreamName::Account(_)) => {
                Self::Account(Box::new(Account::from_snapshot(*format, bytes)?))
            }
            (Some(Snapshot { format, bytes, .. }), StreamName::Device(_)) => {
                Self::Ownership(Ownership::from_snapshot(*format, bytes)?)
            }
        };
        Ok((ledger, &loaded.changes))
    }

    fn empty(name: &StreamName) -> Self {
        match name {
            StreamName::Account(_) => Self::Account(Box::default()),
            StreamName::Device(_) => Self::Ownership(Ownership::default()),
        }
    }

    /// How many things it holds.
    fn weight(&self) -> u64 {
        match self {
            Self::Account(account) => u64::try_from(account.weight()).unwrap_or(u64::MAX),
            Self::Ownership(_) => 1,
        }
    }

    /// Whether all that is left to do is to erase the stream.
    fn is_erased(&self) -> bool {
        matches!(self, Self::Account(account) if account.is_erased())
    }

    /// Since when the stream owes something, in Unix milliseconds.
    pub(super) fn due(&self) -> Option<u64> {
        match self {
            Self::Account(account) => account.due().map(|at| at.0),
            Self::Ownership(_) => None,
        }
    }
}

fn count(changes: &[Bytes]) -> u64 {
    u64::try_from(changes.len()).unwrap_or(u64::MAX)
}
