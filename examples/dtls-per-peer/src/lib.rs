//! DTLS engines that know one connection each, many of them behind [`coap_psk::dtls::DtlsEndpoint`].
//!
//! [`PerPeer`] keeps one [`Connection`] for each handshake and session of a peer address, reads the PSK identity off the
//! ClientKeyExchange before the engine sees it, holds that datagram until the key is there, and lets a peer start a second
//! handshake beside a live session, which is replaced only once the new one is verified (RFC 6347, 4.2.8). What an engine has
//! to do for that, [`Engine`] and [`Connection`] say.

mod endpoint;
mod engine;
mod peer;
mod table;
mod wire;

pub use endpoint::{Limits, PerPeer};
pub use engine::{Answer, Connection, Engine, Failed, Hello, Step};
pub use wire::ClientRandom;
