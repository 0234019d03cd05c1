//! The ledger of one linked account's subscriptions: what must survive a restart.
//!
//! It holds what is wanted and, for the current attempt at each subscription, what the receiver needs to judge a
//! notification: the sealed signing secret, the Correlation-ID, the id that the peer gave and the last number taken.

mod apply;
mod change;
mod decide;
mod sealed;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uci_model::{
    ContentFormat, CorrelationId, DeviceId, EventType, Href, SubscriptionId, SubscriptionLevel,
};

pub(crate) use self::change::Change;
pub(crate) use self::decide::{Command, Outcome};
pub(crate) use self::sealed::Sealed;
use crate::append::{Loaded, Snapshot};
use crate::error::{Error, ErrorKind};

/// The number of the snapshot's written form.
const FORMAT: u32 = 1;

/// The handle of a subscription that is kept alive; it outlives the ids that the peer gives.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct SubscribeId(u64);

impl SubscribeId {
    /// Makes an id from the number that [`SubscribeId::to_u64`] returned.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number, for a caller that keeps it.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SubscribeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a subscription is about.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum Target {
    /// All devices of the account: registered, unregistered, online, offline.
    Devices,
    /// The links of one device: published, unpublished.
    Device {
        /// The device.
        device: DeviceId,
    },
    /// The representation of one resource.
    Resource {
        /// The device.
        device: DeviceId,
        /// The resource, without the device's prefix.
        href: Href,
    },
}

impl Target {
    /// The level of subscription that it takes.
    #[must_use]
    pub const fn level(&self) -> SubscriptionLevel {
        match self {
            Self::Devices => SubscriptionLevel::Devices,
            Self::Device { .. } => SubscriptionLevel::Device,
            Self::Resource { .. } => SubscriptionLevel::Resource,
        }
    }
}

/// One try at having a subscription: every POST has a secret and a Correlation-ID of its own.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Attempt {
    pub(crate) correlation: CorrelationId,
    /// The signing secret.
    pub(crate) secret: Sealed,
    /// What it asks for, when that is not all that is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) event_types: Option<Vec<EventType>>,
    /// The id that the peer gave, by its answer or by a notification that verified.
    pub(crate) subscription: Option<SubscriptionId>,
    /// The highest Sequence-Number taken.
    pub(crate) last: Option<u64>,
    /// The event types of which a notification was taken.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) told: BTreeSet<EventType>,
}

/// A subscription that is wanted, or was and is being ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Subscription {
    pub(crate) target: Target,
    pub(crate) event_types: Vec<EventType>,
    /// What notifications come as.
    pub(crate) format: ContentFormat,
    /// Absent after the peer cancelled and before the next try.
    pub(crate) attempt: Option<Attempt>,
    /// Whether the caller has given it up.
    pub(crate) released: bool,
}

impl Subscription {
    /// What the current try asks for.
    pub(crate) fn asked(&self) -> &[EventType] {
        self.attempt
            .as_ref()
            .and_then(|attempt| attempt.event_types.as_deref())
            .unwrap_or(&self.event_types)
    }

    /// Whether a notification of this event type was taken under the current try.
    pub(crate) fn is_told(&self, event_type: &EventType) -> bool {
        let attempt = self.attempt.as_ref();
        attempt.is_some_and(|attempt| attempt.told.contains(event_type))
    }

    /// Whether a notification of each event type was taken that the current try asks for.
    pub(crate) fn is_told_all(&self) -> bool {
        self.asked().iter().all(|one| self.is_told(one))
    }

    /// Whether it waits to be made or ended.
    fn owes(&self) -> bool {
        let bound = |attempt: &Attempt| attempt.subscription.is_some();
        self.released || !self.attempt.as_ref().is_some_and(bound)
    }
}

/// The subscriptions of one linked account.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Ledger {
    /// The version of the stream with the changes applied.
    version: u64,
    subscriptions: BTreeMap<SubscribeId, Subscription>,
    /// Which subscription has this id at the peer; more than one only if the peer is confused.
    #[serde(skip)]
    by_subscription: BTreeSet<(SubscriptionId, SubscribeId)>,
    /// Which subscription waits for its id under this Correlation-ID.
    #[serde(skip)]
    by_correlation: BTreeSet<(CorrelationId, SubscribeId)>,
    /// Which subscriptions wait to be made or ended.
    #[serde(skip)]
    owing: BTreeSet<SubscribeId>,
}

impl Ledger {
    /// Rebuilds a ledger from what the journal holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreadable`] for a change or snapshot of an unknown form, or when changes are missing.
    pub(crate) fn load(loaded: &Loaded) -> Result<Self, Error> {
        let kept = u64::try_from(loaded.changes.len()).unwrap_or(u64::MAX);
        let first = loaded
            .version
            .checked_sub(kept)
            .ok_or(ErrorKind::Unreadable)?;
        let mut ledger = match &loaded.snapshot {
            Some(snapshot) if snapshot.format == FORMAT => Self::from_snapshot(snapshot)?,
            // A snapshot of another form is of use only while the changes that it sums up are still there.
            Some(_) => Self::default(),
            // Changes go only below a snapshot, so a stream that has none was erased at this version and begins anew.
            None => Self {
                version: first,
                ..Self::default()
            },
        };
        let known = ledger
            .version
            .checked_sub(first)
            .ok_or(ErrorKind::Unreadable)?;
        for bytes in loaded
            .changes
            .iter()
            .skip(usize::try_from(known).unwrap_or(usize::MAX))
        {
            ledger.apply(&Change::decode(bytes)?);
        }
        Ok(ledger)
    }

    fn from_snapshot(snapshot: &Snapshot) -> Result<Self, Error> {
        let mut ledger: Self = from_cbor(&snapshot.bytes)?;
        let ids: Vec<SubscribeId> = ledger.subscriptions.keys().copied().collect();
        for id in ids {
            ledger.index(id);
        }
        if ledger.version == snapshot.version {
            Ok(ledger)
        } else {
            Err(ErrorKind::Unreadable.into())
        }
    }

    /// Writes the ledger down.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Error> {
        let mut bytes = Vec::new();
        ciborium::into_writer(self, &mut bytes)
            .map_err(|source| Error::caused(ErrorKind::Unreadable, source))?;
        Ok(Snapshot::new(self.version, FORMAT, Bytes::from(bytes)))
    }

    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    pub(crate) const fn subscriptions(&self) -> &BTreeMap<SubscribeId, Subscription> {
        &self.subscriptions
    }

    pub(crate) fn get(&self, id: SubscribeId) -> Option<&Subscription> {
        self.subscriptions.get(&id)
    }

    /// Whose notification has this Subscription-ID or, while a try has no id yet, this Correlation-ID.
    pub(crate) fn addressee(
        &self,
        subscription: &SubscriptionId,
        correlation: Option<&CorrelationId>,
    ) -> Option<(SubscribeId, &Subscription, &Attempt)> {
        let first = SubscribeId(0);
        let bound = first_of(&self.by_subscription, (*subscription, first));
        let id = match bound {
            Some(id) => id,
            None => first_of(&self.by_correlation, (correlation?.clone(), first))?,
        };
        let wanted = self.get(id)?;
        Some((id, wanted, wanted.attempt.as_ref()?))
    }

    fn index(&mut self, id: SubscribeId) {
        let Some(wanted) = self.subscriptions.get(&id) else {
            return;
        };
        if wanted.owes() {
            self.owing.insert(id);
        }
        if let Some(attempt) = &wanted.attempt {
            match attempt.subscription {
                Some(subscription) => self.by_subscription.insert((subscription, id)),
                None => self
                    .by_correlation
                    .insert((attempt.correlation.clone(), id)),
            };
        }
    }

    fn unindex(&mut self, id: SubscribeId) {
        self.owing.remove(&id);
        if let Some(attempt) = self
            .subscriptions
            .get(&id)
            .and_then(|wanted| wanted.attempt.as_ref())
        {
            match attempt.subscription {
                Some(subscription) => self.by_subscription.remove(&(subscription, id)),
                None => self
                    .by_correlation
                    .remove(&(attempt.correlation.clone(), id)),
            };
        }
    }

    /// When the stream owes something, in Unix milliseconds: at once while a subscription waits to be made or ended.
    pub(crate) fn due(&self) -> Option<u64> {
        (!self.owing.is_empty()).then_some(0)
    }
}

/// Reads one value and nothing behind it.
fn from_cbor<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<T, Error> {
    let value = ciborium::from_reader(&mut bytes)
        .map_err(|source| Error::caused(ErrorKind::Unreadable, source))?;
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(ErrorKind::Unreadable.into())
    }
}

/// The first entry at or after `from` that has the same key.
fn first_of<K: Ord>(
    index: &BTreeSet<(K, SubscribeId)>,
    from: (K, SubscribeId),
) -> Option<SubscribeId> {
    let (key, id) = index.range(&from..).next()?;
    (*key == from.0).then_some(*id)
}

#[cfg(test)]
mod tests;
