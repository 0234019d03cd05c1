//! OCF resources, links and devices, the messages of the OCF Universal Cloud Interface (UCI), the signature of
//! its notifications, and its JSON and CBOR content.
//!
//! Plain values with pure, total conversions to and from bytes and `http` types. Both sides of the interface
//! share them: the device-side cloud that owns devices, and the client cloud that uses them. The crate does not
//! route, authorize, send, retry or remember anything, and it reads neither a clock nor randomness.
//!
//! # Content
//!
//! ```
//! use uci_model::{Content, ContentFormat, Limits, ResourceLink};
//!
//! // What a device publishes, in CBOR with indefinite lengths: {"href": "/light", "rt": ["oic.r.light"], ..}
//! let body = b"\xbf\x64href\x66/light\x62rt\x9f\x6boic.r.light\xff\x62if\x81\x69oic.if.rw\x61p\xa1\x62bm\x03\xff";
//! let content = Content::new(ContentFormat::OcfCbor, body[..].into());
//! let link: ResourceLink = content.decode_as(&Limits::default())?;
//! assert!(link.policy.is_observable());
//!
//! // What its cloud lists, in JSON.
//! let device = "53080a4f-5e3e-4291-802f-3436238232d2".parse()?;
//! let listed = Content::encode(ContentFormat::Json, &link.for_cloud(device))?;
//! assert!(listed.body().starts_with(br#"{"href":"/53080a4f-5e3e-4291-802f-3436238232d2/light""#));
//! # Ok::<(), uci_model::Error>(())
//! ```
//!
//! # Endpoints
//!
//! A request leaves one side typed and arrives typed on the other (feature `http`):
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use uci_model::api::{
//!     AccessToken, AuthScheme, BatchFormat, BearerToken, IncomingRequest, OutgoingRequest,
//!     OutgoingResponse, decode_response, retrieve_devices,
//! };
//! use uci_model::{ContentFormat, Device, DeviceId, DeviceProperties, DeviceStatus, Limits};
//!
//! // The client cloud asks.
//! let root = http::Uri::from_static("https://cloud.example/api/v1");
//! let token = AccessToken::try_from(String::from("2YotnFZFEjr1zCsicMWpAA"))?;
//! let request = retrieve_devices::Request::new(BatchFormat::Base);
//! let on_the_wire = request.try_into_http_request(&root, &token)?;
//! assert_eq!(on_the_wire.uri(), "https://cloud.example/api/v1/devices?content=base");
//!
//! // The device-side cloud understands and answers.
//! assert_eq!(BearerToken::extract(&on_the_wire)?.expose(), token.expose());
//! let request = retrieve_devices::Request::try_from_http_request(&on_the_wire, &[])?;
//! assert_eq!(request.batch_format, BatchFormat::Base);
//! let id = DeviceId::from_bytes([7; 16]);
//! let device = Device::new(DeviceProperties::new(id), DeviceStatus::Online, Vec::new());
//! let answer = retrieve_devices::Response::base(ContentFormat::Json, &[device])?;
//! let on_the_wire = answer.try_into_http_response()?;
//!
//! // The client cloud reads.
//! let answer: retrieve_devices::Response = decode_response(&on_the_wire)?;
//! let devices = answer.decode_base(&Limits::default())?;
//! assert_eq!(devices[0].device.device_id, id);
//! # }
//! # Ok::<(), uci_model::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `http` (default) | [`api`] and [`Error::status`]; implies `std` |
//! | `std` | conversion of [`UnixSeconds`] from `SystemTime` |
//! | `arbitrary` | `Arbitrary` for [`Value`], [`ResourceLink`], [`Href`], [`DeviceId`]; for fuzzing, exempt from semver |
//!
//! Without features the crate is `no_std` and needs `alloc`.
//!
//! # Security
//!
//! - Reading is bounded by [`Limits`] and never panics. No error repeats what a peer sent.
//! - [`SigningSecret`] and the access token do not print and are wiped when dropped; signatures compare in
//!   constant time and are verified over the header text as it was received.
//! - An [`Href`] has no dot segment, control character, query or fragment. Whether a cloud may send to an
//!   [`EventsUrl`] is not judged here.
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
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod api;
#[cfg(feature = "arbitrary")]
mod arbitrary;
mod content;
mod device;
mod error;
pub mod event;
mod hex;
mod href;
mod ids;
mod limits;
mod link;
mod members;
mod resource_type;
mod serde_text;
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

/// The examples of the README, run as doctests.
#[cfg(all(doctest, feature = "http"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
