//! The client role from the first redirect to the last revocation, one test per rule.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]
#![allow(
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_debug_implementations
)]

#[path = "client_links/attempts.rs"]
mod attempts;
#[path = "client_links/contract.rs"]
mod contract;
#[path = "client_links/crashes.rs"]
mod crashes;
#[path = "client_links/failures.rs"]
mod failures;
#[path = "client_links/refreshing.rs"]
mod refreshing;
#[path = "client_links/unlinking.rs"]
mod unlinking;
#[path = "client_links/world.rs"]
mod world;
