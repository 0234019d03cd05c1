//! A DTLS 1.2 engine for pre-shared keys and nothing else.
//!
//! ```text
//!  ClientHello ───────────────────▶
//!                                  ◀─── HelloVerifyRequest      nothing is kept: the cookie is computed
//!  ClientHello with cookie ───────▶
//!                                  ◀─── ServerHello, (ServerKeyExchange with a hint), ServerHelloDone
//!  ClientKeyExchange ─────────────▶     NeedKey ─▶ provide_key
//!  ChangeCipherSpec, Finished ────▶
//!                                  ◀─── ChangeCipherSpec, Finished
//!  data ◀──────────────────────────────▶ data
//! ```
//!
//! [`PskEndpoint`] is all sessions of one socket in one object, because a cookie without state and a second handshake from
//! the address of a session (RFC 6347, 4.2.8) are matters of the socket. It speaks TLS_PSK_WITH_AES_128_CCM_8 (RFC 6655) and
//! TLS_PSK_WITH_AES_128_CBC_SHA256 (RFC 5487), the latter with encrypt-then-MAC only (RFC 7366), and the extended master
//! secret where the peer knows it (RFC 7627). It knows no certificates, no Diffie-Hellman, no renegotiation, no resumption,
//! no compression and no connection ids. The ciphers themselves are those of the RustCrypto project.
//!
//! ```
//! use coap_psk::dtls::psk::{PskConfig, PskEndpoint};
//! use coap_psk::dtls::{DtlsEndpoint, DtlsEvent};
//! use coap_psk::{Instant, PskKey};
//!
//! let (cloud_at, device_at) = (([10, 0, 0, 1], 5684).into(), ([10, 0, 0, 2], 40_000).into());
//! let mut cloud = PskEndpoint::new(PskConfig::default(), [1; 32]);
//! let mut device = PskEndpoint::new(PskConfig::default(), [2; 32]);
//!
//! let now = Instant::ZERO;
//! let session = device.connect(cloud_at, b"MuGsF6W4,15bBZlRknc,2,3600", PskKey::new([7; 16]), now)?;
//! let mut log = Vec::new();
//! for _ in 0..4 {
//!     while let Some(out) = device.poll_transmit() {
//!         cloud.handle_datagram(device_at, &out.datagram, now);
//!     }
//!     while let Some(event) = cloud.poll_event() {
//!         match event {
//!             DtlsEvent::NeedKey { handshake, .. } => cloud.provide_key(handshake, Some(PskKey::new([7; 16])), now),
//!             DtlsEvent::Established { .. } => log.push("established".to_owned()),
//!             DtlsEvent::Data { data, .. } => log.push(String::from_utf8_lossy(&data).into_owned()),
//!             _ => {}
//!         }
//!     }
//!     while let Some(out) = cloud.poll_transmit() {
//!         device.handle_datagram(cloud_at, &out.datagram, now);
//!     }
//!     while let Some(event) = device.poll_event() {
//!         if let DtlsEvent::Established { .. } = event {
//!             device.send(session, b"21.5", now)?;
//!         }
//!     }
//! }
//! assert_eq!(log, ["established", "21.5"]);
//! # Ok::<(), coap_psk::Error>(())
//! ```
//!
//! # What an attacker gains
//!
//! - Without receiving at the address it claims: at most one small datagram for each ClientHello, and no memory. It cannot
//!   begin a handshake in a peer's name, but if it hits the moment of one, it can spoil it: the first messages of DTLS 1.2
//!   are in clear. The peer then begins anew.
//! - Nothing in clear ends anything: alerts are believed under keys only.
//! - An unknown identity goes on with a random key and fails where a wrong key fails: the record of the Finished is not
//!   authentic and is dropped without an answer.
//! - Records that are not authentic are dropped and counted; see [`PskConfig::max_rejected`].
//!
//! # Memory
//!
//! An established session is its keys, sequence numbers and replay window in one allocation, and two entries in maps.
//! Everything that a peer can make grow has a limit in [`PskConfig`].

mod agreement;
mod alert;
mod client;
mod config;
mod context;
mod cookie;
mod endpoint;
mod extension;
mod finishing;
mod flight;
mod hello;
mod key_exchange;
mod keys;
mod message;
mod prf;
mod protection;
mod reassembly;
mod record;
mod replay;
mod server;
mod session;
mod table;
mod timer;
mod traffic;
mod wire;

pub use config::{MIN_MTU, PskConfig};
pub use endpoint::PskEndpoint;
