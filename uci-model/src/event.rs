//! Notifications: what happened, their headers and their signature.

mod headers;
mod signature;

use alloc::{string::String, vec::Vec};
use core::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub use headers::NotificationHeaders;
pub use signature::{Signature, SignedMessage, SigningKey};

use crate::{
    content::{Content, ContentFormat},
    error::{Error, ErrorKind},
    ids::DeviceId,
    limits::Limits,
    link::ResourceLink,
    value::{Mismatch, Value},
};

/// What a subscription is about.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these three")]
pub enum SubscriptionLevel {
    /// The set of devices.
    Devices,
    /// The links of one device.
    Device,
    /// The representation of one resource.
    Resource,
}

impl SubscriptionLevel {
    /// The event types that can be subscribed to here.
    #[must_use]
    pub const fn event_types(self) -> &'static [EventType] {
        match self {
            Self::Devices => &[
                EventType::DevicesRegistered,
                EventType::DevicesUnregistered,
                EventType::DevicesOnline,
                EventType::DevicesOffline,
            ],
            Self::Device => &[
                EventType::ResourcesPublished,
                EventType::ResourcesUnpublished,
            ],
            Self::Resource => &[EventType::ResourceContentChanged],
        }
    }
}

/// What kind of thing happened.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum EventType {
    /// Devices joined the account.
    DevicesRegistered,
    /// Devices left the account.
    DevicesUnregistered,
    /// Devices connected.
    DevicesOnline,
    /// Devices lost their connection.
    DevicesOffline,
    /// A device has new or changed links.
    ResourcesPublished,
    /// A device withdrew links.
    ResourcesUnpublished,
    /// A resource has a new representation.
    ResourceContentChanged,
    /// The subscription has ended. Cannot be subscribed to, always possible.
    SubscriptionCancelled,
    /// A type that this crate does not know.
    Other(String),
}

impl EventType {
    const KNOWN: [Self; 8] = [
        Self::DevicesRegistered,
        Self::DevicesUnregistered,
        Self::DevicesOnline,
        Self::DevicesOffline,
        Self::ResourcesPublished,
        Self::ResourcesUnpublished,
        Self::ResourceContentChanged,
        Self::SubscriptionCancelled,
    ];

    /// The exact text of the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::DevicesRegistered => "devices_registered",
            Self::DevicesUnregistered => "devices_unregistered",
            Self::DevicesOnline => "devices_online",
            Self::DevicesOffline => "devices_offline",
            Self::ResourcesPublished => "resources_published",
            Self::ResourcesUnpublished => "resources_unpublished",
            Self::ResourceContentChanged => "resource_contentchanged",
            Self::SubscriptionCancelled => "subscription_cancelled",
            Self::Other(text) => text,
        }
    }

    /// The level at which it can be subscribed to; `None` for `subscription_cancelled` and unknown types.
    #[must_use]
    pub fn level(&self) -> Option<SubscriptionLevel> {
        [
            SubscriptionLevel::Devices,
            SubscriptionLevel::Device,
            SubscriptionLevel::Resource,
        ]
        .into_iter()
        .find(|level| level.event_types().contains(self))
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for EventType {
    fn from(text: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|known| known.as_str() == text)
            .unwrap_or_else(|| Self::Other(text.into()))
    }
}

impl From<String> for EventType {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<EventType> for String {
    fn from(event_type: EventType) -> Self {
        event_type.as_str().into()
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// These devices joined the account.
    DevicesRegistered(Vec<DeviceId>),
    /// These devices left the account.
    DevicesUnregistered(Vec<DeviceId>),
    /// These devices connected.
    DevicesOnline(Vec<DeviceId>),
    /// These devices lost their connection.
    DevicesOffline(Vec<DeviceId>),
    /// A device has these links, new or changed.
    ResourcesPublished(Vec<ResourceLink>),
    /// A device withdrew these links.
    ResourcesUnpublished(Vec<ResourceLink>),
    /// A resource has this representation.
    ResourceContentChanged(Content),
    /// The subscription has ended.
    SubscriptionCancelled,
}

#[derive(Deserialize, Serialize)]
struct DeviceReference {
    di: DeviceId,
}

impl Event {
    /// What kind of thing happened.
    #[must_use]
    pub const fn event_type(&self) -> EventType {
        match self {
            Self::DevicesRegistered(_) => EventType::DevicesRegistered,
            Self::DevicesUnregistered(_) => EventType::DevicesUnregistered,
            Self::DevicesOnline(_) => EventType::DevicesOnline,
            Self::DevicesOffline(_) => EventType::DevicesOffline,
            Self::ResourcesPublished(_) => EventType::ResourcesPublished,
            Self::ResourcesUnpublished(_) => EventType::ResourcesUnpublished,
            Self::ResourceContentChanged(_) => EventType::ResourceContentChanged,
            Self::SubscriptionCancelled => EventType::SubscriptionCancelled,
        }
    }

    /// The body of the notification; none for `subscription_cancelled`.
    ///
    /// Lists are bare arrays, as every peer in the field has them, not the object that the definition draws. A
    /// representation is converted when it has another format.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`], and those of [`Content::in_format`].
    pub fn encode(&self, format: ContentFormat, limits: &Limits) -> Result<Option<Content>, Error> {
        match self {
            Self::DevicesRegistered(devices)
            | Self::DevicesUnregistered(devices)
            | Self::DevicesOnline(devices)
            | Self::DevicesOffline(devices) => {
                let references: Vec<_> = devices
                    .iter()
                    .map(|di| DeviceReference { di: *di })
                    .collect();
                Content::encode(format, &references).map(Some)
            }
            Self::ResourcesPublished(links) | Self::ResourcesUnpublished(links) => {
                Content::encode(format, links).map(Some)
            }
            Self::ResourceContentChanged(content) => content.in_format(format, limits).map(Some),
            Self::SubscriptionCancelled => Ok(None),
        }
    }

    /// Reads the body of a notification of this type.
    ///
    /// Lists may be bare arrays or objects whose `content` is the array. The representation of
    /// `resource_contentchanged` stays as it came.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for an unknown type, a missing body and one that does not fit the type;
    /// [`ErrorKind::Malformed`]; [`ErrorKind::LimitExceeded`].
    pub fn decode(
        event_type: &EventType,
        content: Option<&Content>,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let body = || content.ok_or_else(|| invalid("body is missing"));
        Ok(match event_type {
            EventType::DevicesRegistered => Self::DevicesRegistered(devices(body()?, limits)?),
            EventType::DevicesUnregistered => Self::DevicesUnregistered(devices(body()?, limits)?),
            EventType::DevicesOnline => Self::DevicesOnline(devices(body()?, limits)?),
            EventType::DevicesOffline => Self::DevicesOffline(devices(body()?, limits)?),
            EventType::ResourcesPublished => Self::ResourcesPublished(list(body()?, limits)?),
            EventType::ResourcesUnpublished => Self::ResourcesUnpublished(list(body()?, limits)?),
            EventType::ResourceContentChanged => {
                let content = body()?;
                content.decode(limits)?;
                Self::ResourceContentChanged(content.clone())
            }
            EventType::SubscriptionCancelled => Self::SubscriptionCancelled,
            EventType::Other(_) => return Err(invalid("event type is unknown")),
        })
    }
}

fn devices(content: &Content, limits: &Limits) -> Result<Vec<DeviceId>, Error> {
    let references: Vec<DeviceReference> = list(content, limits)?;
    Ok(references
        .into_iter()
        .map(|reference| reference.di)
        .collect())
}

fn list<T: DeserializeOwned>(content: &Content, limits: &Limits) -> Result<Vec<T>, Error> {
    let items = match content.decode(limits)? {
        Value::Map(mut map) => map
            .remove("content")
            .ok_or_else(|| invalid("list is missing"))?,
        value => value,
    };
    items.deserialized()
}

fn invalid(reason: &str) -> Error {
    Error::with_source(ErrorKind::Invalid, Mismatch::new(reason))
}
