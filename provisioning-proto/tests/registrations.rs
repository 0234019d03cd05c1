//! The machine of registrations, driven as a composition drives it, in virtual time, with a journal and targets that can fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_imports,
    missing_docs
)]

#[path = "registrations/harness.rs"]
mod harness;
#[path = "registrations/interleavings.rs"]
mod interleavings;
#[path = "registrations/invariants.rs"]
mod invariants;
#[path = "registrations/scenarios.rs"]
mod scenarios;
