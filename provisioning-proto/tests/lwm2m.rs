//! Bootstraps of LwM2M clients: what is asked, in which order, and what comes of every answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::disallowed_methods,
    unreachable_pub,
    missing_docs
)]

#[path = "lwm2m/client.rs"]
mod client;
#[path = "lwm2m/contract.rs"]
mod contract;
#[path = "lwm2m/scenarios.rs"]
mod scenarios;
#[path = "lwm2m/world.rs"]
mod world;
