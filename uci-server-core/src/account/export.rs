//! An account as data, for the user whom it is about.

use serde::Serialize;
use uci_model::{
    Content, ContentFormat, DeviceId, DeviceProperties, DeviceStatus, EventType, Href,
    ResourceLink, SubscriptionId, Value,
};

use super::body::stored_limits;
use super::{Account, DeviceRecord, EndCause, Notification, Subscription, Target};
use crate::ids::{AccountId, ClientId, GrantId};
use crate::time::UnixMillis;

/// The form of [`Export`] that this release writes.
pub const EXPORT_FORMAT: u32 = 1;

/// Everything that an account holds, but no secret: signing secrets are left out, and so is the query of an `eventsUrl`, in
/// which a client may keep one.
///
/// Written as JSON its members have the names of the interface where that has one; times are Unix milliseconds, and byte
/// strings in representations are base64.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Export {
    /// [`EXPORT_FORMAT`].
    pub format: u32,
    /// Whose.
    pub account: AccountId,
    /// The time of the latest change.
    pub changed_at: UnixMillis,
    /// The devices.
    pub devices: Vec<ExportedDevice>,
    /// The subscriptions of all clients.
    pub subscriptions: Vec<ExportedSubscription>,
    /// Consents that ended not long ago.
    pub ended_grants: Vec<GrantId>,
}

/// A device with what it offers and what that holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExportedDevice {
    /// The device.
    #[serde(rename = "di")]
    pub device: DeviceId,
    /// The ownership under which it reports.
    pub generation: u64,
    /// Whether it is connected.
    pub status: DeviceStatus,
    /// Its `oic.wk.d`, when it is known.
    pub properties: Option<DeviceProperties>,
    /// What it offers.
    pub resources: Vec<ExportedResource>,
}

/// A resource and what it is known to hold.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExportedResource {
    /// The link as the interface lists it.
    pub link: ResourceLink,
    /// The last known representation.
    #[serde(rename = "rep")]
    pub representation: Option<Value>,
}

/// A subscription with what it still has to deliver.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExportedSubscription {
    /// Its id.
    pub subscription_id: SubscriptionId,
    /// The device it is about; none at the level of all devices.
    #[serde(rename = "di")]
    pub device: Option<DeviceId>,
    /// The resource it is about.
    pub href: Option<Href>,
    /// The client that made it.
    pub client: ClientId,
    /// The consent it belongs to.
    pub grant: GrantId,
    /// What it wants to hear of.
    pub event_types: Vec<EventType>,
    /// Where it is told, without a query.
    pub events_url: String,
    /// In which format.
    pub format: ContentFormat,
    /// Why it ended, when it did.
    pub ended: Option<EndCause>,
    /// What waits to be delivered.
    pub undelivered: Vec<ExportedNotification>,
}

/// A notification that waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExportedNotification {
    /// Its number.
    pub sequence_number: u64,
    /// What it tells.
    pub event_type: EventType,
    /// Since when it waits.
    pub since: UnixMillis,
    /// Its body; none for `subscription_cancelled`.
    pub body: Option<Value>,
}

impl Account {
    /// Everything that the account holds, but no secret.
    #[must_use]
    pub fn export(&self, account: AccountId) -> Export {
        let devices = self.devices().map(|(id, device)| device.export(id));
        let subscriptions = self.subscriptions.iter();
        Export {
            format: EXPORT_FORMAT,
            account,
            changed_at: self.clock,
            devices: devices.collect(),
            subscriptions: subscriptions.map(|(id, s)| s.export(*id)).collect(),
            ended_grants: self.ended_grants.keys().cloned().collect(),
        }
    }
}

impl DeviceRecord {
    fn export(&self, device: DeviceId) -> ExportedDevice {
        let resources = self.resources().map(|resource| ExportedResource {
            link: resource.link(device),
            representation: resource.representation().and_then(readable),
        });
        ExportedDevice {
            device,
            generation: self.generation(),
            status: self.status(),
            properties: self.properties(device),
            resources: resources.collect(),
        }
    }
}

impl Subscription {
    fn export(&self, subscription_id: SubscriptionId) -> ExportedSubscription {
        let made = self.made();
        let (device, href) = match &made.target {
            Target::Devices => (None, None),
            Target::Device(device) => (Some(*device), None),
            Target::Resource(device, href) => (Some(*device), Some(href.clone())),
        };
        let events_url = made.events_url.split('?').next().unwrap_or_default();
        ExportedSubscription {
            subscription_id,
            device,
            href,
            client: made.client.clone(),
            grant: made.grant.clone(),
            event_types: made.event_types.clone(),
            events_url: events_url.to_owned(),
            format: made.format,
            ended: self.ended(),
            undelivered: self.queue().map(|n| n.export(made.format)).collect(),
        }
    }
}

impl Notification {
    fn export(&self, format: ContentFormat) -> ExportedNotification {
        ExportedNotification {
            sequence_number: self.sequence(),
            event_type: self.event_type().clone(),
            since: self.since(),
            body: readable(&Content::new(format, self.body().clone())),
        }
    }
}

fn readable(content: &Content) -> Option<Value> {
    content.decode(&stored_limits()).ok()
}
