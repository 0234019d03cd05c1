//! Constrained devices over CoAP and DTLS-PSK: identities, derived keys, dynamic activation, presence by lifetime, and a
//! message layer with reliability, block-wise transfer and observation, in both roles on one session; over TCP as well.
//!
//! The crate has no socket, no clock and no runtime: [`Endpoint`] is a machine that is given datagrams and moments and gives
//! back datagrams and events. A DTLS 1.2 engine plugs in through [`DtlsEndpoint`](dtls::DtlsEndpoint); the feature `psk-dtls`
//! brings one. The crate needs `alloc` only; the `driver` module, for tokio, needs std.
//!
//! # A device's identity and key
//!
//! ```
//! use coap_psk::credentials::{Credentials, InMemory};
//! use coap_psk::{DeviceSecret, KeyBytes, ProductSecret, PskIdentity};
//!
//! let identity = PskIdentity::parse(b"MuGsF6W4,15bBZlRknc,2,3600")?;
//! let device = identity.device();
//!
//! let mut credentials = InMemory::new(KeyBytes::default());
//! credentials.add_product(device.product_key().clone(), ProductSecret::new("9Vnd0cQzUfYq7Ak2rJmL")?);
//! credentials.add_device(device.clone(), DeviceSecret::new("M3yy874uGY8INjEGddTR")?);
//!
//! let key = credentials.key_of(&identity).ok_or("unknown device")?;
//! assert_eq!(key.expose()[..4], [0x43, 0xe3, 0x07, 0xff]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a device without OCF says
//!
//! [`measurepoint`] reads the posts in which such a device tells its readings, and says by a template of its product which
//! properties of which OCF resources they are.
//!
//! # Serving a device
//!
//! The loop of a cloud, against an engine that plays one device's part: it handshakes, and posts a measurement.
//!
//! ```
//! # #[cfg(feature = "dtls")] {
//! use std::collections::VecDeque;
//! use std::net::SocketAddr;
//!
//! use coap_psk::dtls::{DtlsEndpoint, DtlsEvent, HandshakeId, SessionId, Transmit};
//! use coap_psk::{Code, Config, Endpoint, Error, Event, Instant, Output, PskKey, Response};
//!
//! /// Stands in for a DTLS engine.
//! #[derive(Default)]
//! struct Scripted { events: VecDeque<DtlsEvent>, answers: Vec<Vec<u8>> }
//!
//! impl DtlsEndpoint for Scripted {
//!     fn handle_datagram(&mut self, _from: SocketAddr, datagram: &[u8], _now: Instant) {
//!         let handshake = HandshakeId(1);
//!         self.events.push_back(DtlsEvent::NeedKey { handshake, identity: datagram.to_vec() });
//!     }
//!     fn provide_key(&mut self, _: HandshakeId, key: Option<PskKey>, _now: Instant) {
//!         let (session, peer) = (SessionId(1), ([10, 0, 0, 2], 40_000).into());
//!         let identity = b"MuGsF6W4,15bBZlRknc,2,3600".to_vec();
//!         if key.is_some() {
//!             self.events.push_back(DtlsEvent::Established { session, peer, identity });
//!             // CON POST /up with message id 0x0102, token 0x07 and payload "21.5".
//!             let data = b"\x41\x02\x01\x02\x07\xb2up\xff21.5".to_vec();
//!             self.events.push_back(DtlsEvent::Data { session, data });
//!         }
//!     }
//!     fn send(&mut self, _: SessionId, data: &[u8], _now: Instant) -> Result<(), Error> {
//!         self.answers.push(data.to_vec());
//!         Ok(())
//!     }
//!     fn poll_event(&mut self) -> Option<DtlsEvent> { self.events.pop_front() }
//!     fn poll_transmit(&mut self) -> Option<Transmit> {
//!         let to = ([10, 0, 0, 2], 40_000).into();
//!         self.answers.pop().map(|datagram| Transmit { to, datagram })
//!     }
//!     // ..
//! #   fn handle_timeout(&mut self, _now: Instant) {}
//! #   fn next_deadline(&self) -> Option<Instant> { None }
//! #   fn connect(&mut self, _: SocketAddr, _: &[u8], _: PskKey, _: Instant) -> Result<SessionId, Error> { Ok(SessionId(2)) }
//! #   fn close(&mut self, _: SessionId, _now: Instant) {}
//! }
//!
//! let mut cloud = Endpoint::new(Config::default(), Scripted::default(), [7; 32]);
//! let now = Instant::ZERO;
//! cloud.handle_datagram(([10, 0, 0, 2], 40_000).into(), b"MuGsF6W4,15bBZlRknc,2,3600", now);
//!
//! let mut log = Vec::new();
//! while let Some(output) = cloud.poll_output() {
//!     match output {
//!         Output::KeyWanted { handshake, .. } => cloud.provide_key(handshake, Some(PskKey::new([1; 16])), now),
//!         Output::Request { exchange, identity, request } => {
//!             log.push(format!("{} to {}", identity.device(), request.target()));
//!             cloud.respond(exchange, Response::new(Code::CHANGED), now)?;
//!         }
//!         Output::Transmit(transmit) => log.push(format!("sent {:02x?}", transmit.datagram)),
//!         Output::Event(Event::Online { identity, .. }) => log.push(format!("{} online", identity.device())),
//!         Output::Event(_) => {}
//!     }
//! }
//! // The answer is an ACK with code 2.04, the same message id and the same token.
//! let expected = ["MuGsF6W4,15bBZlRknc online", "MuGsF6W4,15bBZlRknc to /up", "sent [61, 44, 01, 02, 07]"];
//! assert_eq!(log, expected);
//! # }
//! # Ok::<(), coap_psk::Error>(())
//! ```
//!
//! # Devices over TCP
//!
//! A stream needs no message layer, so [`tcp::Connection`](https://docs.rs/coap-psk/latest/coap_psk/tcp/struct.Connection.html)
//! is a machine of its own, for one connection in both roles. It is given what the stream brings, in pieces of any size:
//!
//! ```
//! # #[cfg(feature = "tcp")] {
//! use coap_psk::tcp::{Config, Connection, Output};
//! use coap_psk::{Code, Instant, Response};
//!
//! let now = Instant::ZERO;
//! let mut cloud = Connection::new(Config::default(), now);
//! // A CSM, and GET /lamp with token 0x07.
//! cloud.handle_bytes(b"\x00\xe1\x51\x01\x07\xb4la", now);
//! cloud.handle_bytes(b"mp", now);
//!
//! let mut sent = Vec::new();
//! while let Some(output) = cloud.poll_output() {
//!     match output {
//!         Output::Send(bytes) => sent.push(bytes),
//!         Output::Request { exchange, request } => {
//!             assert_eq!(request.target(), "/lamp");
//!             cloud.respond(exchange, Response::new(Code::CONTENT).with_payload(0, &b"on"[..]), now)?;
//!         }
//!         Output::Close | Output::Event(_) => {}
//!     }
//! }
//! // Our own CSM came first; the answer is 2.05 with the same token.
//! assert_eq!(sent[1], b"\x41\x45\x07\xc0\xffon");
//! # }
//! # Ok::<(), coap_psk::Error>(())
//! ```
//!
//! # Features
//!
//! | feature | default | what |
//! | --- | --- | --- |
//! | `std` | yes | std's error trait throughout |
//! | `dtls` | yes | the port to DTLS engines, and [`Endpoint`] |
//! | `tcp` | no | `tcp`: frames and a connection over TCP or TLS |
//! | `tokio` | no | `driver`: UDP sockets for endpoints |
//! | `psk-dtls` | no | `dtls::psk`: a DTLS engine behind that port |
//!
//! # Security
//!
//! Secrets and keys do not print, compare in constant time and are wiped when dropped; payloads do not print either, and neither do
//! readings. Plain
//! PSK has no forward secrecy, and all devices of a product share its secret: see [`secret`]. An unknown or malformed
//! identity fails exactly as a wrong key does. Everything a peer can make grow has a limit in [`Config`], and over TCP in
//! `tcp::Config`; each network has rates for what its sources may ask before they have a session: see [`Limits`]. Nobody gets
//! a CoAP message over UDP without a handshake; for servers that speak CoAP without DTLS there are [`echo`] and
//! [`amplification`]. There is no TLS in the crate: over plain TCP everything can be read and written on the way.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod activation;
pub mod amplification;
#[cfg(any(feature = "dtls", feature = "tcp"))]
mod block;
pub mod codec;
#[cfg(feature = "dtls")]
mod config;
pub mod credentials;
#[cfg(feature = "tokio")]
pub mod driver;
#[cfg(feature = "dtls")]
pub mod dtls;
pub mod echo;
#[cfg(feature = "dtls")]
mod endpoint;
mod error;
#[cfg(feature = "dtls")]
mod exchange;
#[cfg(any(feature = "dtls", feature = "tcp"))]
mod failure;
#[cfg(feature = "dtls")]
mod guard;
pub mod identity;
pub mod limit;
#[cfg(feature = "dtls")]
mod mailbox;
pub mod measurepoint;
pub mod message;
#[cfg(any(feature = "dtls", feature = "tcp"))]
mod observe;
pub mod option;
#[cfg(feature = "dtls")]
mod output;
pub mod presence;
#[cfg(feature = "dtls")]
mod random;
mod request;
pub mod secret;
mod suite;
#[cfg(feature = "tcp")]
pub mod tcp;
mod time;

#[cfg(any(feature = "dtls", feature = "tcp"))]
pub use block::BlockSize;
#[cfg(feature = "dtls")]
pub use config::{Config, Transmission};
#[cfg(feature = "dtls")]
pub use endpoint::Endpoint;
pub use error::{Error, ErrorKind, Fault};
#[cfg(any(feature = "dtls", feature = "tcp"))]
pub use failure::Failure;
#[cfg(feature = "dtls")]
pub use guard::{Counters, Limits};
pub use identity::{DeviceKey, DeviceName, Lifetime, ProductKey, PskIdentity, SecureMode};
pub use message::{Code, Method};
pub use option::CoapOption;
#[cfg(feature = "dtls")]
pub use output::{Event, ExchangeId, OfflineReason, Output};
pub use request::{Request, Response};
pub use secret::{DeviceSecret, KeyBytes, ProductSecret, PskKey};
pub use suite::CipherSuite;
pub use time::Instant;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
