//! Migrations, driven as a composition drives them, with journals, messages and programs that fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_imports,
    dead_code,
    missing_docs
)]

#[path = "migrations/aborts.rs"]
mod aborts;
#[path = "migrations/alone.rs"]
mod alone;
#[path = "migrations/directed.rs"]
mod directed;
#[path = "migrations/files.rs"]
mod files;
#[path = "registrations/harness.rs"]
mod harness;
#[path = "migrations/ledger.rs"]
mod ledger;
#[path = "migrations/mover.rs"]
mod mover;
#[path = "migrations/transferred.rs"]
mod transferred;
