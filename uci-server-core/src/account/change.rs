//! What can happen to an account, as it is written down. The written form is forever: no variant is ever removed or given
//! another meaning, and a field is only added with a default.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uci_model::{
    Content, ContentFormat, CorrelationId, DeviceId, DeviceProperties, EventType, Href,
    ResourceLink, SubscriptionId,
};

use super::{Target, stored};
use crate::config::QueueRules;
use crate::error::Error;
use crate::ids::{ClientId, GrantId};
use crate::time::UnixMillis;

/// Something that happened, and when.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// When; never earlier than the change before.
    pub at: UnixMillis,
    /// What.
    pub fact: Fact,
}

/// The things that happen.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub enum Fact {
    /// The device belongs to the account, under this ownership.
    DeviceRegistered {
        /// The device.
        device: DeviceId,
        /// The ownership.
        generation: u64,
    },
    /// The device no longer belongs to the account.
    DeviceUnregistered {
        /// The device.
        device: DeviceId,
    },
    /// The device got a session.
    DeviceOnline {
        /// The device.
        device: DeviceId,
    },
    /// The device lost its session.
    DeviceOffline {
        /// The device.
        device: DeviceId,
    },
    /// The device's `oic.wk.d` became known.
    DeviceDescribed {
        /// The device.
        device: DeviceId,
        /// The properties.
        properties: Box<DeviceProperties>,
    },
    /// The device offers these links, new or changed.
    LinksPublished {
        /// The device.
        device: DeviceId,
        /// The links, each as the device names itself.
        links: Vec<ResourceLink>,
    },
    /// The device no longer offers these.
    LinksWithdrawn {
        /// The device.
        device: DeviceId,
        /// Which; all of them were offered.
        hrefs: Vec<Href>,
    },
    /// A resource has a new representation.
    RepresentationChanged {
        /// The device.
        device: DeviceId,
        /// The resource.
        href: Href,
        /// The representation as it came.
        #[serde(with = "stored::content")]
        content: Content,
    },
    /// Somebody subscribed.
    Subscribed {
        /// The subscription's id.
        id: SubscriptionId,
        /// How it was made.
        made: Box<NewSubscription>,
    },
    /// The head of a queue was delivered.
    Delivered {
        /// The subscription.
        id: SubscriptionId,
        /// The head's number.
        sequence: u64,
    },
    /// A subscription ended; `subscription_cancelled` becomes due.
    SubscriptionEnded {
        /// The subscription.
        id: SubscriptionId,
        /// Why.
        cause: EndCause,
    },
    /// A subscription is gone without a word: its receiver said 410, or could not be told of the end.
    SubscriptionRemoved {
        /// The subscription.
        id: SubscriptionId,
    },
    /// A consent was withdrawn: all subscriptions made under it end.
    GrantEnded {
        /// The grant.
        grant: GrantId,
        /// Until when to remember it.
        remember_until: UnixMillis,
    },
    /// Nothing of the account is to be kept: the erasure of its stream becomes due.
    Erased,
}

/// Why a subscription ends.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum EndCause {
    /// The client unsubscribed. What waits is dropped but the head, which may be on its way.
    Unsubscribed,
    /// The device was unregistered. What waits is still delivered.
    DeviceUnregistered,
    /// The device no longer offers the resource. What waits is still delivered.
    LinkWithdrawn,
    /// The user withdrew the consent. What waits is dropped.
    GrantEnded,
    /// The queue was full. What waits is dropped but the head.
    Overflow,
    /// The head got too old. What waits is dropped.
    Expired,
    /// The head was answered 400 too often. What waits is dropped.
    Refused,
}

/// How a subscription was made; never changes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NewSubscription {
    /// What it is about.
    pub target: Target,
    /// The consent it belongs to.
    pub grant: GrantId,
    /// The client that made it.
    pub client: ClientId,
    /// What it wants to hear of; no type twice.
    pub event_types: Vec<EventType>,
    /// Where it is told.
    pub events_url: String,
    /// The signing secret, sealed.
    pub sealed_secret: Bytes,
    /// The `Correlation-ID` of its request.
    #[serde(default)]
    pub correlation: Option<CorrelationId>,
    /// The format in which it is told.
    pub format: ContentFormat,
    /// How it queues.
    pub rules: QueueRules,
}

impl NewSubscription {
    /// A subscription without a `Correlation-ID`.
    #[expect(clippy::too_many_arguments, reason = "every one of them must be said")]
    #[must_use]
    pub fn new(
        event_types: Vec<EventType>,
        target: Target,
        grant: GrantId,
        client: ClientId,
        events_url: String,
        sealed_secret: Bytes,
        format: ContentFormat,
        rules: QueueRules,
    ) -> Self {
        Self {
            target,
            grant,
            client,
            event_types,
            events_url,
            sealed_secret,
            correlation: None,
            format,
            rules,
        }
    }
}

impl Change {
    /// The written form.
    ///
    /// # Errors
    /// [`ErrorKind::Journal`](crate::ErrorKind::Journal), which memory that can be written to never gives.
    pub fn encode(&self) -> Result<Bytes, Error> {
        stored::encode(self)
    }

    /// Reads the written form. Total: any bytes give a change or an error.
    ///
    /// # Errors
    /// [`ErrorKind::Journal`](crate::ErrorKind::Journal) for what no release up to this one wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        stored::decode(bytes)
    }
}
