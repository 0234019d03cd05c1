//! The ledger of one account: its devices, what they offer, and who is told about it.
//!
//! Plain data with two pure functions. [`Account::decide`] turns a command into changes and touches nothing;
//! [`Account::apply`] makes a change true and cannot fail. A notification that becomes due follows from a change by rule, in
//! `apply`; it is never written down by itself.
//!
//! ```text
//! command ──decide──▶ changes ──journal──▶ apply ──▶ devices, subscriptions, queues
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uci_model::{
    Content, DeviceId, DeviceProperties, DeviceStatus, EventType, Href, ResourceLink,
    SubscriptionId,
};

use crate::error::Error;
use crate::ids::GrantId;
use crate::time::UnixMillis;

mod apply;
mod body;
mod change;
mod decide;
mod description;
mod export;
mod links;
mod pool;
mod properties;
pub(crate) mod stored;

pub use apply::Touched;
pub use change::{Change, EndCause, Fact, NewSubscription};
pub use decide::{Command, Moment};
use description::Description;
pub use export::{
    EXPORT_FORMAT, Export, ExportedDevice, ExportedNotification, ExportedResource,
    ExportedSubscription,
};
use links::{Links, Listed};
use pool::Pool;

/// The form of [`Account::snapshot`] that this release writes.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// What a subscription is about: the three levels of the interface.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum Target {
    /// All devices of the account.
    Devices,
    /// The links of one device.
    Device(DeviceId),
    /// The representation of one resource.
    Resource(DeviceId, Href),
}

/// One account's state.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Account {
    /// Never runs backwards, whatever the machine's clock does.
    clock: UnixMillis,
    devices: BTreeMap<DeviceId, DeviceRecord>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Grants that have ended, each until its access tokens have expired.
    ended_grants: BTreeMap<GrantId, UnixMillis>,
    /// Nothing is left in it, and its stream is to be erased.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    /// Follows from the rest; built anew when a snapshot is loaded.
    #[serde(skip)]
    index: Index,
}

/// What would otherwise be searched for.
#[derive(Clone, Debug, Default)]
struct Index {
    by_target: BTreeMap<Target, BTreeSet<SubscriptionId>>,
    owing: BTreeSet<SubscriptionId>,
    online: BTreeSet<DeviceId>,
    /// Consents under which there were subscriptions that are gone: since the snapshot that was loaded, at least, so that
    /// their secrets may still be in the history.
    left_behind: BTreeSet<GrantId>,
}

/// A device in its account.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DeviceRecord {
    generation: u64,
    online: bool,
    #[serde(default)]
    description: Option<Box<Description>>,
    #[serde(default)]
    links: Links,
    /// Of resources that are offered, as far as it is known.
    #[serde(default, with = "stored::contents")]
    representations: BTreeMap<Href, Content>,
}

/// A resource that a device offers.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    listed: &'a Listed,
    representation: Option<&'a Content>,
}

/// What accounts have in common, in memory once. No account depends on it.
#[derive(Debug, Default)]
pub(crate) struct Models {
    links: Pool<[Listed]>,
    properties: Pool<DeviceProperties>,
}

/// A subscription and its queue.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Subscription {
    made: NewSubscription,
    next_sequence: u64,
    queue: VecDeque<Notification>,
    #[serde(default)]
    ended: Option<EndCause>,
}

/// A notification that has its number and waits to be delivered.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Notification {
    sequence: u64,
    event_type: EventType,
    /// Shared between all subscriptions that get the same.
    body: Bytes,
    since: UnixMillis,
}

impl Account {
    /// The state as bytes of form [`SNAPSHOT_FORMAT`].
    ///
    /// # Errors
    /// [`ErrorKind::Journal`](crate::ErrorKind::Journal), which memory that can be written to never gives.
    pub fn snapshot(&self) -> Result<Bytes, Error> {
        stored::encode(self)
    }

    /// The state that [`Account::snapshot`] wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Journal`](crate::ErrorKind::Journal): an unknown form, or bytes that are not of it.
    pub fn from_snapshot(format: u32, bytes: &[u8]) -> Result<Self, Error> {
        if format != SNAPSHOT_FORMAT {
            return Err(stored::unknown_format(format));
        }
        let mut account: Self = stored::decode(bytes)?;
        account.rebuild_index();
        Ok(account)
    }

    fn rebuild_index(&mut self) {
        let mut index = Index::default();
        for (id, subscription) in &self.subscriptions {
            index
                .by_target
                .entry(subscription.made.target.clone())
                .or_default()
                .insert(*id);
            if !subscription.queue.is_empty() {
                index.owing.insert(*id);
            }
        }
        let online = self.devices.iter().filter(|(_, device)| device.online);
        index.online.extend(online.map(|(id, _)| *id));
        self.index = index;
    }

    /// Since when the account owes somebody something: a notification, a verdict on devices that count as online, or the
    /// erasure of its stream.
    #[must_use]
    pub fn due(&self) -> Option<UnixMillis> {
        let owes = !self.index.owing.is_empty() || !self.index.online.is_empty() || self.erased;
        owes.then_some(self.clock)
    }

    /// When something was written into it the last time.
    pub(crate) fn clock(&self) -> UnixMillis {
        self.clock
    }

    /// Whether all that is left to do is to erase its stream.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.erased
    }

    /// Replaces what a device has in common with others by what is in memory already.
    pub(crate) fn share(&mut self, device: DeviceId, models: &mut Models) {
        if let Some(record) = self.devices.get_mut(&device) {
            record.share(models);
        }
    }

    /// [`Account::share`] for all devices.
    pub(crate) fn share_all(&mut self, models: &mut Models) {
        for record in self.devices.values_mut() {
            record.share(models);
        }
    }

    /// How many devices and subscriptions there are.
    pub(crate) fn weight(&self) -> usize {
        self.devices.len().saturating_add(self.subscriptions.len())
    }

    /// All devices, by id.
    pub fn devices(&self) -> impl Iterator<Item = (DeviceId, &DeviceRecord)> {
        self.devices.iter().map(|(id, device)| (*id, device))
    }

    /// The devices that count as online, with their generations.
    pub fn online_devices(&self) -> impl Iterator<Item = (DeviceId, u64)> + '_ {
        self.index
            .online
            .iter()
            .filter_map(|id| Some((*id, self.devices.get(id)?.generation)))
    }

    /// One device.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&DeviceRecord> {
        self.devices.get(&id)
    }

    /// One subscription.
    #[must_use]
    pub fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(&id)
    }

    /// The subscriptions that have something to deliver.
    pub fn owing(&self) -> impl Iterator<Item = SubscriptionId> + '_ {
        self.index.owing.iter().copied()
    }

    /// Whether the grant has ended not long ago.
    #[must_use]
    pub fn has_ended(&self, grant: &GrantId) -> bool {
        self.ended_grants.contains_key(grant)
    }
}

impl DeviceRecord {
    /// The ownership under which it reports.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether it holds a session.
    #[must_use]
    pub fn is_online(&self) -> bool {
        self.online
    }

    /// The same as the interface says it.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        if self.online {
            DeviceStatus::Online
        } else {
            DeviceStatus::Offline
        }
    }

    /// Its `oic.wk.d`, once known. `device` is its id.
    #[must_use]
    pub fn properties(&self, device: DeviceId) -> Option<DeviceProperties> {
        let description = self.description.as_ref()?;
        Some(description.of_device(device))
    }

    /// What it offers, in the order of the hrefs.
    pub fn resources(&self) -> impl Iterator<Item = Resource<'_>> {
        self.links.iter().map(|listed| self.resource_of(listed))
    }

    /// One resource.
    #[must_use]
    pub fn resource(&self, href: &Href) -> Option<Resource<'_>> {
        self.links.get(href).map(|listed| self.resource_of(listed))
    }

    fn resource_of<'a>(&'a self, listed: &'a Listed) -> Resource<'a> {
        Resource {
            listed,
            representation: self.representations.get(listed.href()),
        }
    }

    fn share(&mut self, models: &mut Models) {
        self.links.share(&mut models.links);
        if let Some(description) = &mut self.description {
            description.share(&mut models.properties);
        }
    }
}

impl<'a> Resource<'a> {
    /// Where it is, as its device names it.
    #[must_use]
    pub fn href(&self) -> &'a Href {
        self.listed.href()
    }

    /// The link as the interface lists it. `device` is its device's id.
    #[must_use]
    pub fn link(&self, device: DeviceId) -> ResourceLink {
        self.listed.of_device(device)
    }

    /// The last known representation.
    #[must_use]
    pub fn representation(&self) -> Option<&'a Content> {
        self.representation
    }
}

impl Subscription {
    /// How it was made.
    #[must_use]
    pub fn made(&self) -> &NewSubscription {
        &self.made
    }

    /// The notification to deliver now. What follows it may still be replaced, this one may not: it may have been sent.
    #[must_use]
    pub fn head(&self) -> Option<&Notification> {
        self.queue.front()
    }

    /// All notifications that wait, the head first.
    pub fn queue(&self) -> impl Iterator<Item = &Notification> {
        self.queue.iter()
    }

    /// Why it ended, when it did; its last notification then is `subscription_cancelled`.
    #[must_use]
    pub fn ended(&self) -> Option<EndCause> {
        self.ended
    }

    /// Whether nothing is left to deliver but the last word.
    pub(crate) fn awaits_cancellation_only(&self) -> bool {
        self.head()
            .is_some_and(|head| head.event_type == EventType::SubscriptionCancelled)
    }

    /// When it ended, when it did.
    pub(crate) fn ended_at(&self) -> Option<UnixMillis> {
        self.ended?;
        self.queue.back().map(|last| last.since)
    }
}

impl Notification {
    /// Its number.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What it tells.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// Its body in the subscription's format; empty for `subscription_cancelled`.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Since when it waits.
    #[must_use]
    pub fn since(&self) -> UnixMillis {
        self.since
    }
}
