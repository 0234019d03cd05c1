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
mod traffic;
mod wire;

pub use config::{MIN_MTU, PskConfig};
pub use endpoint::PskEndpoint;
