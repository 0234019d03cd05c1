//! The port between this cloud and whatever carries a device: DTLS-PSK CoAP, TCP, LwM2M.

use std::time::Duration;

use bytes::Bytes;
use uci_model::{
    Content, ContentFormat, DeviceId, DeviceProperties, Href, Interface, ResourceLink,
};

use crate::ids::AccountId;

/// A question to a device.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeviceRequest {
    /// Whose device.
    pub account: AccountId,
    /// Which device.
    pub device: DeviceId,
    /// The ownership under which it is asked.
    pub generation: u64,
    /// The resource, as the device names it.
    pub href: Href,
    /// The `if` query: which view of the resource.
    pub interface: Option<Interface>,
    /// What to do.
    pub operation: Operation,
    /// The format to ask for, when it is known which one the device speaks.
    pub accept: Option<ContentFormat>,
    /// How long the answer is waited for.
    pub timeout: Duration,
}

/// What is done with a resource.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// CoAP GET.
    Retrieve,
    /// CoAP POST with this content.
    Update(Content),
}

/// A device's answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DeviceAnswer {
    /// The device answered.
    #[non_exhaustive]
    Answered {
        /// The CoAP code: class in the upper three bits, detail in the lower five.
        code: u8,
        /// The payload, if its format is one that this cloud knows.
        content: Option<Content>,
        /// How long the answer is good for, or, with 5.03 and 4.29, when to come back.
        max_age: Option<Duration>,
    },
    /// The device answered with a success whose payload is in no format that this cloud knows.
    Unreadable,
    /// The device could not be reached or did not answer.
    Unreachable,
    /// The device cannot be asked, it only tells: a read is answered with what is known of the resource, in whichever of its
    /// interfaces is wanted, and an update with 405.
    AsKnown,
}

impl DeviceAnswer {
    /// What the device answered; `content` when there is a payload in a known format.
    #[must_use]
    pub fn answered(code: u8, content: Option<Content>, max_age: Option<Duration>) -> Self {
        Self::Answered {
            code,
            content,
            max_age,
        }
    }
}

/// What a device did, told by what carries it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DeviceReport {
    /// The owner.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The ownership under which it acts, counted up whenever the device gets a new owner; an older one is refused.
    pub generation: u64,
    /// What it did.
    pub occurrence: Occurrence,
}

impl DeviceReport {
    /// A report.
    #[must_use]
    pub fn new(
        account: AccountId,
        device: DeviceId,
        generation: u64,
        occurrence: Occurrence,
    ) -> Self {
        Self {
            account,
            device,
            generation,
            occurrence,
        }
    }
}

/// The things a device can do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Occurrence {
    /// It belongs to the account from now on. Again is harmless.
    Registered,
    /// It belongs to nobody any more.
    Unregistered,
    /// It holds a session.
    Online,
    /// Its session is gone.
    Offline,
    /// Its `oic.wk.d` properties are known.
    Described(Box<DeviceProperties>),
    /// It offers these links, besides those it offered before.
    LinksPublished(Vec<ResourceLink>),
    /// It no longer offers these; an empty list withdraws all.
    LinksWithdrawn(Vec<Href>),
    /// A resource has a new representation.
    RepresentationChanged {
        /// The resource, as the device names it.
        href: Href,
        /// Its content, as it came.
        content: Content,
    },
    /// Some properties of a resource have new values, the others stay as they are.
    PropertiesChanged {
        /// The resource, as the device names it.
        href: Href,
        /// An object of the new values.
        content: Content,
    },
}

/// Why a request never got an answer over HTTP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransportFailure {
    /// No connection, or it broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// The name leads to an address that [`EventsUrlPolicy`](crate::EventsUrlPolicy) refuses.
    AddressRefused,
}

/// What a receiver answered to a notification.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeliveryOutcome {
    /// The status.
    pub status: http::StatusCode,
    /// For how long its `Retry-After` asks to wait.
    pub retry_after: Option<Duration>,
}

impl DeliveryOutcome {
    /// Reads a response; the body does not matter.
    #[must_use]
    pub fn from_response(response: &http::Response<Bytes>) -> Self {
        Self {
            status: response.status(),
            retry_after: uci_model::api::retry_after(response.headers()),
        }
    }
}
