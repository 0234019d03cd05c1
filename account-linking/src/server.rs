//! The authorization server side: login, consent, codes, tokens, revocation, introspection.
//!
//! [`AuthorizationServer`] is the machine; a driver gives it HTTP requests, time and entropy, does
//! what its [`Output`]s say, and brings back the answers. The `driver` module (feature `tokio`) is
//! one.

pub mod access_token;
mod authorization_server;
pub mod authorize;
mod browser;
pub mod client_assertion;
pub mod client_authentication;
mod client_key;
pub mod config;
mod credential;
pub mod device;
pub mod dpop;
#[cfg(feature = "tokio")]
pub mod driver;
mod grants;
pub mod ids;
mod ledger;
mod metadata;
mod output;
pub mod pages;
mod presented_token;
pub mod presets;
mod pushed;
pub mod registration;
mod response;
mod streams;
mod target;
mod throttle;
pub mod token;

pub use access_token::{Algorithm, Principal, Refusal};
pub use authorization_server::AuthorizationServer;
pub use client_assertion::ClientAssertions;
pub use client_key::{ClientKey, MAX_KEYS};
pub use config::{Config, Issuer, RefreshKey, SigningKey};
pub use device::DeviceFlow;
pub use dpop::Dpop;
pub use grants::{EndReason, GrantSummary};
pub use ids::{ClientId, GrantId, RequestId};
pub use output::{Event, Output};
pub use pages::{Pages, PlainPages};
pub use registration::{AuthenticationMethod, Registration};
