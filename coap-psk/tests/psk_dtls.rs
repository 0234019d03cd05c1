//! Our DTLS engine against itself: a scenario for each rule it keeps.
#![cfg(feature = "psk-dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/psk_pair.rs"]
mod psk_pair;

#[path = "psk_dtls/connection_id.rs"]
mod connection_id;
#[path = "psk_dtls/handshake.rs"]
mod handshake;
#[path = "psk_dtls/hostile.rs"]
mod hostile;
#[path = "psk_dtls/limits.rs"]
mod limits;
#[path = "psk_dtls/restart.rs"]
mod restart;
#[path = "psk_dtls/session.rs"]
mod session;
#[path = "psk_dtls/shard.rs"]
mod shard;
#[path = "psk_dtls/weather.rs"]
mod weather;
