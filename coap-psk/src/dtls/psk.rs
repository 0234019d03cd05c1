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
//! secret and connection ids where the peer knows them (RFC 7627, RFC 9146). Keys have sixteen bytes, as those of EnOS do, and no
//! other length (RFC 4279, 5.3). It knows no certificates, no Diffie-Hellman, no renegotiation, no resumption and no compression.
//! The ciphers themselves are those of the RustCrypto project.
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
//! # A ClientHello in fragments
//!
//! gets no answer. Putting it together would mean to keep something for an address that nobody has verified, which the cookie is
//! there to avoid. OpenSSL and Mbed TLS do without it as well, and a client of PSK suites has no need of it: its ClientHello is
//! one or two hundred bytes long. This engine never divides its own.
//!
//! # What an attacker gains
//!
//! - Without receiving at the address it claims: at most one small datagram for each datagram of its own, and no memory. It cannot
//!   begin a handshake in a peer's name, but if it hits the moment of one, it can spoil it: the first messages of DTLS 1.2
//!   are in clear. The peer then begins anew.
//! - Nothing in clear ends anything: alerts are believed under keys only.
//! - An unknown identity goes on with a random key and fails where a wrong key fails: the record of the Finished is not
//!   authentic and is dropped without an answer.
//! - A session with a connection id follows its peer to another address when an authentic record comes from there that is newer
//!   than all before (RFC 9146, 6). An attacker on the way may bring that about by sending a fresh record on in the name of
//!   somebody else. So until the peer has answered something sent to the new address
//!   ([`confirm_path`](super::DtlsEndpoint::confirm_path)), no more goes there than three times what came from there. The peer's
//!   next record leads back.
//! - Records that are not authentic are dropped and counted; see [`PskConfig::max_rejected`].
//!
//! # Restarts
//!
//! [`PskEndpoint::export`] saves a session and [`PskEndpoint::import`] goes on with it in a later endpoint, without a handshake.
//!
//! # Memory
//!
//! An established session is its keys, sequence numbers and replay window in one allocation, its identity, and two entries in
//! maps; a third, with a connection id.
//! Everything that a peer can make grow has a limit in [`PskConfig`].

mod agreement;
mod alert;
mod arrivals;
mod by_address;
mod client;
mod config;
mod connection_id;
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
mod path;
mod prf;
mod protection;
mod reassembly;
mod record;
mod replay;
mod saved;
mod server;
mod session;
mod table;
mod timer;
mod traffic;
mod wire;

pub use config::{MIN_MTU, PskConfig};
pub use connection_id::MAX_CONNECTION_ID_LEN;
pub use endpoint::PskEndpoint;
pub use saved::SavedSession;
