//! The `dimpl` crate behind [`coap_psk::dtls::DtlsEndpoint`], for the example programs.
//!
//! `dimpl` speaks TLS_PSK_WITH_AES_128_CCM_8 in pure Rust, one object per connection; [`dtls_per_peer`] makes an endpoint of
//! many of them.
//!
//! What it cannot do, because `dimpl` cannot: TLS_PSK_WITH_AES_128_CBC_SHA256, peers without the extended master secret,
//! a cookie exchange that keeps no state (so that a ClientHello in a peer's name can cost that peer a handshake whose cookie
//! has not come back yet), and connection ids.

mod clock;
mod connection;
mod engine;

pub use connection::DimplConnection;
pub use dtls_per_peer::Limits;
pub use engine::{Dimpl, DimplEndpoint};
