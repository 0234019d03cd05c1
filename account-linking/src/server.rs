//! The authorization server side: login, consent, codes, tokens, revocation, introspection.
//!
//! [`AuthorizationServer`] is the machine; a driver gives it HTTP requests, time and entropy, does
//! what its [`Output`]s say, and brings back the answers. The `driver` module (feature `tokio`) is
//! one.
//!
//! # Several replicas over one store
//!
//! A replica keeps in memory what it has read, and another may have written since. What it writes on a state that is not the newest
//! the store refuses; it reads on and decides again, so that a code, a refresh token and a grant have one future. Before it refuses
//! a token or a code that it does not know, or calls one revoked that it does not know, it reads the user's grants to their end once;
//! the end of a grant is final, and refused without that.
//!
//! What it admits it admits by what it has read. An access token that was revoked at another replica is refused here once the user's
//! grants are read or written again, and at the latest when it expires: where revocation has to hold everywhere at once, one user's
//! requests go to one replica. What is taken from a client at another replica, a secret or a key, counts here until the client has made
//! way for others in memory, or the next start; what it is given, or that it is registered at all, is known here a second after at the
//! latest, because a replica reads on before it refuses a client. Logins, pushed requests, codes of devices that wait and DPoP nonces
//! are in the memory of one replica; what counts once is refused at the others.

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
mod verified_tokens;

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
