//! Certificates: reading them, the authorities of a tenant, chains, and issuing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

mod authorities;
mod chain;
mod compat;
mod issuance;
mod reading;
#[path = "../support/compat.rs"]
mod stored;
mod support;
