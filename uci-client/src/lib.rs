//! The client-side cloud of the OCF Universal Cloud Interface (UCI) as a sans-IO core: typed calls, subscriptions that are
//! kept alive, the receiver of signed notifications, and a mirror of the devices that stays in step.
//!
//! A [`Client`] is one linked account at one device-side cloud. It opens no socket, reads no clock and knows no database: it
//! says what it needs by [`Output`] and is told by `handle_*` what came of it. It does not link accounts (that is OAuth 2.0)
//! and does not offer what it mirrors to anybody: devices that came from another cloud must not be passed on to a third one.
//!
//! # The run loop
//!
//! ```
//! # use std::{sync::Arc, time::{Duration, Instant, SystemTime}};
//! use bytes::Bytes;
//! use uci_client::{Appended, Client, Config, Event, Loaded, Output, Target};
//! use uci_model::api::{AccessToken, OutgoingRequest, notify};
//! use uci_model::event::{NotificationHeaders, SigningKey};
//! use uci_model::{Content, ContentFormat, EventType, EventTypes, Limits, SigningSecret, SubscriptionLevel, UnixSeconds};
//! # use uci_client::{Opened, SealError, Sealer};
//! # struct Plain;
//! # impl Sealer for Plain {
//! #     fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> { Ok(secret.to_vec()) }
//! #     fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> { Ok(Opened::new(sealed.to_vec())) }
//! # }
//! # let sealer = Arc::new(Plain);
//! # let (now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800));
//!
//! let config = Config::new(&"https://devices.example/api/v1".parse()?, "https://us.example/events".parse()?)?;
//! let (seed, entropy) = ([1; 32], [2; 32]); // Fresh random bytes in every run.
//! let mut client = Client::new(config, "link/alice", seed, entropy, sealer, now);
//!
//! // A journal in memory, and a peer that has a lamp and accepts every subscription.
//! const DEVICES: &str = r#"[{"device":{"di":"53080a4f-5e3e-4291-802f-3436238232d2","n":"Lamp","rt":["oic.wk.d"],
//!     "dmn":[{"language":"en","value":"Example"}]},"status":"online","links":[]}]"#;
//! let mut journal: Vec<Bytes> = Vec::new();
//! let mut secret = None;
//! let mut run = |client: &mut Client, secret: &mut Option<String>| {
//!     let mut events = Vec::new();
//!     while let Some(output) = client.poll_output() {
//!         match output {
//!             Output::Load { stream } => client.handle_loaded(&stream, &Loaded::default(), now),
//!             Output::Append(append) => {
//!                 journal.extend(append.streams[0].changes.iter().cloned());
//!                 let versions = vec![journal.len() as u64];
//!                 client.handle_appended(append.id, &Appended::Done { versions }, now);
//!             }
//!             Output::NeedToken { .. } => {
//!                 let token = AccessToken::try_from("example-token".to_owned()).unwrap();
//!                 client.handle_token(token, None, now);
//!             }
//!             Output::Send { exchange, request } if request.method() == "POST" => {
//!                 let body = Content::new(ContentFormat::Json, request.body().clone());
//!                 let body = body.decode(&Limits::default()).unwrap();
//!                 *secret = body.get("signingSecret").and_then(|text| text.as_str()).map(str::to_owned);
//!                 let response = http::Response::builder().status(201).header("content-type", "application/json");
//!                 let answer = r#"{"subscriptionId":"1eeb465c-5e8d-4305-a366-bbf035fff671"}"#;
//!                 client.handle_response(exchange, &response.body(answer.into()).unwrap(), now);
//!             }
//!             Output::Send { exchange, .. } => {
//!                 let response = http::Response::builder().header("content-type", "application/json");
//!                 client.handle_response(exchange, &response.body(DEVICES.into()).unwrap(), now);
//!             }
//!             Output::Respond { response, .. } => assert_eq!(response.status(), 200),
//!             Output::SaveSnapshot { .. } => {}
//!             Output::Event(event) => events.push(event),
//!         }
//!     }
//!     events
//! };
//! run(&mut client, &mut secret);
//!
//! // Subscribe, and take the first notification.
//! let id = client.subscribe(Target::Devices, &EventTypes::all(SubscriptionLevel::Devices), now)?;
//! let events = run(&mut client, &mut secret);
//! assert!(events.iter().any(|event| matches!(event, Event::Subscribed { id: of, .. } if *of == id)));
//!
//! let key = SigningKey::new(&SigningSecret::try_from(secret.take().unwrap())?);
//! let number = 0;
//! let headers = NotificationHeaders::new(
//!     EventType::DevicesOnline,
//!     "1eeb465c-5e8d-4305-a366-bbf035fff671".parse()?,
//!     number,
//!     UnixSeconds::from(wall),
//! );
//! let body = Content::new(ContentFormat::Json, r#"[{"di":"53080a4f-5e3e-4291-802f-3436238232d2"}]"#.into());
//! let notification = notify::Request::new(headers, Some(body))
//!     .try_into_http_request(&"https://us.example/events".parse()?, &key)?;
//! client.handle_request(&notification, wall, now);
//! run(&mut client, &mut secret);
//! let (_, lamp) = client.mirror().devices().next().unwrap();
//! assert_eq!(lamp.properties().map(|properties| properties.name.as_str()), Some("Lamp"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The receiver
//!
//! One call judges a request to the events URL; `Respond` is its answer, exactly 200 for what was taken. The machine needs
//! the header text as it came, so nothing on the way may rewrite it.
//!
//! ```
//! # use std::{sync::Arc, time::{Duration, Instant, SystemTime}};
//! # use bytes::Bytes;
//! # use uci_client::{Appended, Client, Config, Event, Loaded, Opened, Output, Refusal, SealError, Sealer};
//! # struct Plain;
//! # impl Sealer for Plain {
//! #     fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> { Ok(secret.to_vec()) }
//! #     fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> { Ok(Opened::new(sealed.to_vec())) }
//! # }
//! # let (now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_secs(1_577_836_800));
//! # let config = Config::new(&"https://devices.example/api/v1".parse()?, "https://us.example/events".parse()?)?;
//! # let mut client = Client::new(config, "link/alice", [1; 32], [2; 32], Arc::new(Plain), now);
//! # client.handle_loaded("link/alice", &Loaded::default(), now);
//! # while client.poll_output().is_some() {}
//! let request = http::Request::post("/events")
//!     .header("event-type", "devices_online")
//!     .header("subscription-id", "1eeb465c-5e8d-4305-a366-bbf035fff671")
//!     .header("sequence-number", "0")
//!     .header("event-timestamp", "1577836800")
//!     .header("event-signature", "00".repeat(32))
//!     .header("content-type", "application/json")
//!     .body(Bytes::from_static(b"[]"))?;
//! let id = client.handle_request(&request, wall, now);
//! // Nobody here subscribed to this: 410 makes the peer cancel it.
//! let Some(Output::Respond { request, response }) = client.poll_output() else { panic!("no answer") };
//! assert_eq!((request, response.status().as_u16()), (id, 410));
//! assert!(matches!(
//!     client.poll_output(),
//!     Some(Output::Event(Event::Refused { refusal: Refusal::UnknownSubscription, .. }))
//! ));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The mirror
//!
//! [`Client::mirror`] is what is known now; [`Event::Mirror`] tells of each change, whether a notification, a fetch or a
//! poll brought it. [`Event::InStep`] says that all devices were fetched.
//!
//! ```
//! # use std::{sync::Arc, time::Instant};
//! # use bytes::Bytes;
//! # use uci_client::{Client, Config, Event, Loaded, MirrorChange, Opened, Output, SealError, Sealer};
//! # use uci_model::api::AccessToken;
//! # struct Plain;
//! # impl Sealer for Plain {
//! #     fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> { Ok(secret.to_vec()) }
//! #     fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<Opened, SealError> { Ok(Opened::new(sealed.to_vec())) }
//! # }
//! # let now = Instant::now();
//! # let config = Config::new(&"https://devices.example/api/v1".parse()?, "https://us.example/events".parse()?)?;
//! # let mut client = Client::new(config, "link/alice", [1; 32], [2; 32], Arc::new(Plain), now);
//! # client.handle_loaded("link/alice", &Loaded::default(), now);
//! # client.handle_token(AccessToken::try_from("example-token".to_owned())?, None, now);
//! # while client.poll_output().is_some() {}
//! client.resync(now);
//! let mut changes = Vec::new();
//! while let Some(output) = client.poll_output() {
//!     match output {
//!         // First `content=base`, devices and links; then `content=all`, representations.
//!         Output::Send { exchange, request } => {
//!             let link = match request.uri().query() {
//!                 Some("content=base") => r#""href":"/light/1","rt":["oic.r.switch.binary"],"if":["oic.if.a"]"#,
//!                 _ => r#""href":"/light/1","rep":{"value":true}"#,
//!             };
//!             let device = r#""di":"53080a4f-5e3e-4291-802f-3436238232d2","n":"Lamp","rt":["oic.wk.d"],"dmn":[]"#;
//!             let devices = format!(r#"[{{"device":{{{device}}},"status":"online","links":[{{{link}}}]}}]"#);
//!             let response = http::Response::builder().header("content-type", "application/json");
//!             client.handle_response(exchange, &response.body(Bytes::from(devices))?, now);
//!         }
//!         Output::Event(Event::Mirror(change)) => changes.push(change),
//!         _ => {}
//!     }
//! }
//! let (id, lamp) = client.mirror().devices().next().unwrap();
//! assert_eq!(changes.first(), Some(&MirrorChange::DeviceAdded { device: id }));
//! let state = lamp.representation(&"/light/1".parse()?).and_then(|state| state.get("value"));
//! assert_eq!(state.and_then(|value| value.as_bool()), Some(true));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The mirror is not kept over a restart: the subscriptions are, and the first thing that a restarted client with
//! subscriptions does is to fetch everything, which is what a kept mirror would have to be compared with.
//!
//! # A peer without events
//!
//! A peer that answers 400, 404, 405 or 501 to a subscribe request may support only some event types, or none. The machine
//! finds out which, subscribes to those, and fetches what the others would tell every [`Config::poll_interval`]:
//! [`Event::Polling`] says which. After [`Config::support_retry`] it asks again. [`Config::supported_events`] spares it the
//! asking. A subscription of a device or a resource that is not there ends, whether by the peer's word or by polling.
//!
//! Peers also accept a subscription and tell nothing of it, or of some of its event types. The interface promises a
//! notification of each type right after subscribing: what has not come after [`Config::confirm_timeout`] is fetched and
//! polled until it comes.
//!
//! # What it promises
//!
//! - A notification is answered 200 only when the journal has its number: after a crash the peer repeats it and it is taken,
//!   or it was taken before and is ignored. [`Event::Notified`] follows the append; after a crash between the two the fetch at
//!   the next start brings the mirror into step.
//! - Every subscribe request has a signing secret and a Correlation-ID of its own, durable before it is sent.
//! - The mirror changes with every notification at once; a gap, a new subscription and a start are answered by fetching.
//! - Whatever is lost between a subscribe request and its answer, a crash included, the peer is left with one subscription
//!   that is of use: its first notification binds the one that is being made, and every other learns by 410 that it is not
//!   wanted.
//! - A call is sent twice only after a 401, and then with another token. What is repeated beside it is for this machine to
//!   know: subscribing, each time as a try of its own, unsubscribing and fetching.
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `tokio` | `driver`: a task that owns the machine, with a `tower_service::Service` for the events URL |
//!
//! # Security
//!
//! Signatures are verified over the header text as it came, in constant time, before anything of a notification counts, its
//! Correlation-ID included. Timestamps must be within [`Config::timestamp_window`] of the wall clock. Signing secrets go into
//! the journal only as the caller's [`Sealer`] made them.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;

mod append;
mod backoff;
mod calls;
mod client;
mod config;
mod credentials;
#[cfg(feature = "tokio")]
pub mod driver;
mod error;
mod exchange;
mod ledger;
mod mirror;
mod notifications;
mod output;
mod random;
mod seal;
mod subscriptions;
mod support;
mod sync;
mod timers;

pub use append::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};
pub use backoff::Backoff;
pub use calls::{Call, Reply};
pub use client::Client;
pub use config::Config;
pub use error::{Error, ErrorKind};
pub use ledger::{SubscribeId, Target};
pub use mirror::{Mirror, MirrorChange, MirroredDevice};
pub use notifications::{Notification, Refusal};
pub use output::{
    CallId, EndReason, Event, ExchangeId, Failure, FailureKind, Output, RequestId, RetryReason,
    StopReason, TransportFailure,
};
pub use seal::{Opened, SealError, Sealer};
pub use subscriptions::Standing;
