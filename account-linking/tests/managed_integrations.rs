//! The managed-integrations connector: one test per rule, and its contract over any run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]
#![allow(unreachable_pub, missing_debug_implementations)]

#[path = "managed_integrations/commands.rs"]
mod commands;
#[path = "managed_integrations/contract.rs"]
mod contract;
#[path = "managed_integrations/repeats.rs"]
mod repeats;
#[path = "managed_integrations/scenarios.rs"]
mod scenarios;
#[path = "managed_integrations/world.rs"]
mod world;
