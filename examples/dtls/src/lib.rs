//! The `dimpl` crate behind [`coap_psk::dtls::DtlsEndpoint`], for the example programs.
//!
//! `dimpl` speaks TLS_PSK_WITH_AES_128_CCM_8 in pure Rust, one object per connection. This adapter keeps one of them for each
//! peer address, reads the PSK identity off the ClientKeyExchange before the engine sees it, holds that datagram until the
//! key is there, and lets a peer start a second handshake beside a live session, which is replaced only once the new one is
//! verified (RFC 6347, 4.2.8).
//!
//! What it cannot do, because `dimpl` cannot: TLS_PSK_WITH_AES_128_CBC_SHA256, peers without the extended master secret,
//! a cookie exchange that keeps no state (so that a ClientHello in a peer's name can cost that peer a handshake whose cookie
//! has not come back yet), and connection ids.

mod connection;
mod endpoint;
mod handshakes;
mod wire;

pub use endpoint::{DimplEndpoint, Limits};
pub use handshakes::Handshakes;
