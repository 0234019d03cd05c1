//! CoAP over TCP and TLS: a machine for one connection, in both roles. (RFC 8323)
//!
//! A stream of TCP, or of TLS above it, carries what UDP and DTLS carry, without message ids, acknowledgements and
//! retransmission: the stream sees to it that messages arrive once and in order. [`Connection`] is given the bytes that
//! arrive and the moments that pass, and gives back bytes to send, requests to answer and events. Which end opened the
//! connection makes no difference.
//!
//! ```text
//!         our CSM is the first thing we send                            release
//!  new ────────────────────────────────▶ open ────────────────────────────────────────▶ releasing
//!                                         │ Release of the peer                            │
//!                                         ├────────────▶ released                          │
//!                                         │                 │ all answered, or time is up  │ stream ended, or time is up
//!             Abort, violation, silence,  ▼                 ▼                              ▼
//!             close, stream ended ───▶ closed ◀────────────────────────────────────────────┘
//! ```
//!
//! # Writing and reading
//!
//! A driver writes what it got from [`Connection::poll_output`] before it hands over more of what it read. Then a peer that
//! asks and does not read is not read from either, and nothing piles up.
//!
//! # A conversation
//!
//! ```
//! use coap_psk::tcp::{Config, Connection, Event, Output};
//! use coap_psk::{Code, Instant, Method, Request, Response};
//!
//! let now = Instant::ZERO;
//! let mut device = Connection::new(Config::default(), now);
//! let mut cloud = Connection::new(Config::default(), now);
//! let post = Request::new(Method::Post, "/oic/rd?rt=oic.wk.rdpub")?.with_payload(60, vec![0; 20_000]);
//! let asked = device.request(post, now)?;
//!
//! let mut answer = None;
//! while answer.is_none() {
//!     while let Some(output) = device.poll_output() {
//!         match output {
//!             Output::Send(bytes) => cloud.handle_bytes(&bytes, now),
//!             Output::Event(Event::Response { exchange, response }) if exchange == asked => answer = Some(response),
//!             other => panic!("{other:?}"),
//!         }
//!     }
//!     while let Some(output) = cloud.poll_output() {
//!         match output {
//!             Output::Send(bytes) => device.handle_bytes(&bytes, now),
//!             Output::Request { exchange, request } => {
//!                 assert_eq!((request.target().as_str(), request.payload.len()), ("/oic/rd?rt=oic.wk.rdpub", 20_000));
//!                 cloud.respond(exchange, Response::new(Code::CHANGED), now)?;
//!             }
//!             other => panic!("{other:?}"),
//!         }
//!     }
//! }
//! assert_eq!(answer.map(|response| response.code), Some(Code::CHANGED));
//! # Ok::<(), coap_psk::Error>(())
//! ```
//!
//! # What it does not do
//!
//! TLS and its pre-shared keys, WebSockets, the `coap+tcp` schemes of URIs, extended tokens (RFC 8974).

mod config;
mod connection;
mod ending;
pub mod frame;
mod inbound;
mod outbound;
mod output;
mod peer;
mod signal;

pub use config::Config;
pub use connection::Connection;
pub use output::{CloseReason, Event, ExchangeId, Output, Release, Violation};
