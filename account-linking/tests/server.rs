//! The authorization server, driven as a composition drives it, in virtual time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_imports,
    missing_docs
)]

#[path = "server/answers.rs"]
mod answers;
#[path = "server/behind.rs"]
mod behind;
#[path = "server/client_assertions.rs"]
mod client_assertions;
#[path = "server/contract.rs"]
mod contract;
#[path = "server/device_flow.rs"]
mod device_flow;
#[path = "server/dpop.rs"]
mod dpop;
#[path = "server/equal_work.rs"]
mod equal_work;
#[path = "server/harness.rs"]
mod harness;
#[path = "server/issued_tokens.rs"]
mod issued_tokens;
#[path = "server/links.rs"]
mod links;
#[path = "server/managed_integrations.rs"]
mod managed_integrations;
#[path = "server/presets.rs"]
mod presets;
#[path = "server/proofs.rs"]
mod proofs;
#[path = "server/properties.rs"]
mod properties;
#[path = "server/pushed_requests.rs"]
mod pushed_requests;
#[path = "server/refresh_keys.rs"]
mod refresh_keys;
#[path = "server/refresh_tokens.rs"]
mod refresh_tokens;
#[path = "server/relinking.rs"]
mod relinking;
#[path = "server/replay.rs"]
mod replay;
#[path = "server/replicas.rs"]
mod replicas;
#[path = "server/resources.rs"]
mod resources;
#[path = "server/scenarios.rs"]
mod scenarios;
#[path = "server/store.rs"]
mod store;
#[path = "server/token_endpoint.rs"]
mod token_endpoint;
#[path = "server/vectors.rs"]
mod vectors;
#[path = "server/verified_tokens.rs"]
mod verified_tokens;
