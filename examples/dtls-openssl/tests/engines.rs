//! OpenSSL beside the other engines.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub
)]

#[path = "../../dtls-per-peer/tests/support/differential.rs"]
mod agreement;
#[path = "engines/clock.rs"]
mod clock;
#[path = "engines/differential.rs"]
mod differential;
#[path = "engines/kind.rs"]
mod kind;
#[path = "engines/pairs.rs"]
mod pairs;
#[path = "../../dtls-per-peer/tests/support/wire.rs"]
mod wire;
