//! OCF resources, Universal Cloud Interface messages, event signature, JSON and CBOR content.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(
    clippy::alloc_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "http")]
pub mod api;
mod content;
mod device;
mod error;
pub mod event;
mod hex;
mod href;
mod ids;
mod limits;
mod link;
mod resource_type;
mod subscription;
mod time;
pub mod value;

pub use content::{Content, ContentFormat};
pub use device::{
    Device, DeviceContentAll, DeviceProperties, DeviceStatus, LocalizedText, ResourceContent,
};
pub use error::{Error, ErrorKind, Fault, ParseIdError};
pub use event::{Event, EventType, SubscriptionLevel};
pub use href::Href;
pub use ids::{CorrelationId, DeviceId, SubscriptionId};
pub use limits::Limits;
pub use link::{LinkPolicy, ResourceLink};
pub use resource_type::{Interface, ResourceType};
pub use subscription::{EventTypes, EventsUrl, SigningSecret, SubscribeBody};
pub use time::UnixSeconds;
pub use value::Value;
