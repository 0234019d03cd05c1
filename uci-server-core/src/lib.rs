//! The device-side cloud of the OCF Universal Cloud Interface (UCI) as a sans-IO core: it routes and authorizes requests,
//! keeps accounts with their devices and subscriptions, and sends signed notifications, at least once and in order.
//!
//! It opens no socket, reads no clock, holds no database and speaks to no device. What it needs from outside leaves it as an
//! [`Output`] and comes back as a `handle_*` call. It does not authenticate either: an authorization server says whom a
//! token stands for ([`Authentication`]).
//!
//! # The run loop
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant, SystemTime};
//!
//! use bytes::Bytes;
//! use uci_server_core::{
//!     Appended, Authentication, Config, DeviceCloud, DeviceReport, Loaded, Occurrence, Opened, Output, Principal,
//!     SealError, Sealer,
//! };
//!
//! /// No sealing at all. A real one encrypts: this is for an example without secrets.
//! struct Plain;
//! impl Sealer for Plain {
//!     fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
//!         Ok(secret.to_vec())
//!     }
//!     fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> {
//!         Ok(Opened::new(sealed.to_vec()))
//!     }
//! }
//!
//! # #[allow(clippy::disallowed_methods)]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (wall, now) = (SystemTime::now(), Instant::now());
//! let mut cloud = DeviceCloud::new(Config::default(), [7; 32], Arc::new(Plain));
//!
//! // A device of Alice's comes online.
//! let device = "53080a4f-5e3e-4291-802f-3436238232d2".parse()?;
//! for occurrence in [Occurrence::Registered, Occurrence::Online] {
//!     cloud.handle_report(DeviceReport::new("alice".parse()?, device, 1, occurrence), wall, now);
//! }
//! // A client with her consent asks for her devices.
//! let hour = wall + Duration::from_secs(3600);
//! let principal = Principal::new("alice".parse()?, "client".parse()?, "grant".parse()?, "r:*", hour);
//! let request = http::Request::get("https://cloud.example/api/v1/devices").body(Bytes::new())?;
//! let asked = cloud.handle_request(&request, Authentication::Granted(principal), wall, now);
//!
//! // The loop: here a map is the journal, and everything it is told is durable at once.
//! let mut journal: BTreeMap<String, Vec<Bytes>> = BTreeMap::new();
//! let mut answer = None;
//! while let Some(output) = cloud.poll_output() {
//!     match output {
//!         Output::Load { stream } => {
//!             let changes = journal.get(&stream).cloned().unwrap_or_default();
//!             let version = changes.len() as u64;
//!             cloud.handle_loaded(&stream, &Loaded { version, snapshot: None, changes }, wall, now);
//!         }
//!         Output::Append(append) => {
//!             for part in append.streams {
//!                 journal.entry(part.stream).or_default().extend(part.changes);
//!             }
//!             cloud.handle_appended(append.id, Appended::Done, wall, now);
//!         }
//!         Output::Respond { request, response } => answer = Some((request, response)),
//!         // Questions to devices, notifications, snapshots and events: nothing asks for them here.
//!         _ => {}
//!     }
//! }
//!
//! let (request, response) = answer.ok_or("no answer")?;
//! assert_eq!(request, asked);
//! assert_eq!(response.status(), 200);
//! let body = std::str::from_utf8(response.body())?;
//! assert!(body.contains(r#""di":"53080a4f-5e3e-4291-802f-3436238232d2""#) && body.contains(r#""status":"online""#));
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `tokio`, `driver` does this on tokio and offers a tower service.
//!
//! # What is promised
//!
//! - Nothing that a change causes is seen outside before the change is durable.
//! - Every subscribed type gets one first notification with the present state, then every change, numbered from 0 without
//!   gaps, in order, at least once, until the subscription ends; its end is told with one `subscription_cancelled`.
//!   Only right before that may a number be missing: that of a notification which may have been sent already when it was
//!   given up, or dropped because the user withdrew the consent.
//! - The end of a consent is durable before anything follows from it. From then on nothing but that cancellation is sent for
//!   its subscriptions, and what was being sent is stopped; the end is acknowledged when nothing of that is under way any
//!   more. With the last word their signing secrets go, out of the history too: the snapshot that lets the journal remove
//!   them is owed until it is kept.
//! - A subscription ends when there is nothing left to hear of: when its device is unregistered or changes hands, and when the
//!   link of its resource is withdrawn. A client that is told so subscribes anew when the link is back.
//! - A representation that waits behind the head of a queue may be replaced by a newer one; nothing else is ever left out.
//! - A notification is tried again after any failure with growing delays. A receiver that answers 410 is never told
//!   anything more. One that answers 400 too often, or takes nothing for too long, or whose queue is full, has its
//!   subscription cancelled: a client that is told so subscribes anew and gets the present state, while one that silently
//!   missed an event would go on with a wrong one.
//!
//! # Bounds
//!
//! What a client may ask for is bounded by [`ClientQuota`] and [`AccountLimits`]: beyond it the answer is 429 with
//! `Retry-After`. Attempts to deliver are bounded over all and for each host ([`DeliveryRules`]); hosts take turns, one that
//! has not answered yet holds few attempts at a time, and one that is down a single one. The interface is described in
//! OpenAPI ([`openapi`]).
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `tokio` | `driver`: a tower service in front of a task that owns the machine |
//!
//! # Security
//!
//! Signing secrets enter a ledger only sealed ([`Sealer`]), bound to their account and subscription, and are opened for the
//! moment of signing. [`EventsUrlPolicy`] keeps clients from having this cloud reach into its own network; whoever sends
//! notifications must pass every resolved address through it and follow no redirects. A device or subscription of another
//! user is answered exactly as one that does not exist.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod account;
mod append;
mod authorization;
mod backoff;
mod cloud;
mod config;
mod delivery;
mod device_port;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod driver;
mod entropy;
mod error;
mod events_url;
mod ids;
mod negotiation;
pub mod openapi;
mod output;
mod ownership;
mod quota;
mod request;
mod response;
pub mod router;
mod sealer;
mod status;
mod time;

pub use append::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};
pub use authorization::{Authentication, Principal, READ_SCOPE, WRITE_SCOPE};
pub use backoff::Backoff;
pub use cloud::DeviceCloud;
pub use config::{AccountLimits, ClientQuota, Config, DeliveryRules, QueueRules, Rate, Volume};
pub use device_port::{
    DeliveryOutcome, DeviceAnswer, DeviceReport, DeviceRequest, Occurrence, Operation,
    TransportFailure,
};
pub use error::{Error, ErrorKind, Fault};
pub use events_url::{EventsUrlError, EventsUrlPolicy};
pub use ids::{
    AccountId, AskId, ClientId, DeliveryId, ErasureId, ExportId, GrantEndId, GrantId,
    OwnerChangeId, ParseIdError, ReportId, RequestId,
};
pub use negotiation::{notification_format, response_format};
pub use output::{Event, Output};
pub use sealer::{Opened, SealError, Sealer};
pub use status::http_status;
pub use time::UnixMillis;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
