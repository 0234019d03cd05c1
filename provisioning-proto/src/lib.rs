#![cfg_attr(docsrs, feature(doc_cfg))]
//! Which devices belong to a cloud, and how they may prove it: a registry of products, devices, their sealed secrets and
//! owners.
//!
//! [`Registry`](registry::Registry) is a ledger: [`decide`](registry::Registry::decide) turns a command into changes and touches nothing,
//! [`apply`](registry::Registry::apply) takes them in and cannot fail. It names no transport and no store, reads no clock, and never
//! sees a secret in the clear. It does not talk to devices, choose clouds for them. [`certificates`] trusts authorities and issues certificates.
//!
//! # Example
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use provisioning_proto::SealedSecret;
//! use provisioning_proto::registry::{Activation, Command, Proof, Registry, Reply};
//!
//! # fn main() -> Result<(), provisioning_proto::Error> {
//! let mut registry = Registry::default();
//! let mut stored: Vec<Vec<u8>> = Vec::new();
//! let mut time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! // Decide, append, and only then apply and answer: here the journal is a vector.
//! let mut run = |registry: &mut Registry, command: Command| {
//!     time += Duration::from_secs(1);
//!     let decision = registry.decide(command, time)?;
//!     for change in &decision.changes {
//!         stored.push(change.encode()?);
//!         registry.apply(change);
//!     }
//!     Ok::<Reply, provisioning_proto::Error>(decision.reply)
//! };
//!
//! run(&mut registry, Command::CreateProduct {
//!     product: "pk1".parse()?,
//!     name: "Thermostat".to_owned(),
//!     secret: SealedSecret::new(b"sealed product secret".to_vec())?,
//!     activation: Activation::UntilFirstSession,
//! })?;
//! run(&mut registry, Command::AddDevice {
//!     device: "IMEI:0042".parse()?,
//!     secret: SealedSecret::new(b"sealed device secret".to_vec())?,
//!     owner: Some("alice".parse()?),
//! })?;
//!
//! // The device knows only its product's secret, and asks for its own.
//! let device = "IMEI:0042".parse()?;
//! registry.credential(&device, Proof::ProductSecret)?;
//! let reply = run(&mut registry, Command::Activate { device: device.clone() })?;
//! assert!(matches!(reply, Reply::Secret(secret) if secret.as_bytes() == b"sealed device secret"));
//!
//! // From its first session of its own on, the product's secret opens nothing any more.
//! registry.credential(&device, Proof::OwnSecret)?;
//! run(&mut registry, Command::BeginSession { device: device.clone() })?;
//! assert!(registry.credential(&device, Proof::ProductSecret).is_err());
//!
//! // After a restart the stored changes give the same registry.
//! assert_eq!(Registry::replay(stored.iter().map(Vec::as_slice))?, registry);
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! Secrets come in sealed and go out sealed ([`SealedSecret`]); whoever composes the registry with a store seals before
//! `decide` and opens when a handshake needs the key. The reasons in an [`Error`] are for operators: to a device, unknown,
//! disabled and wrong must look the same.

pub mod allocation;
mod bytes;
mod cbor;
pub mod certificates;
mod code;
pub mod directory;
mod error;
mod ids;
pub mod limiter;
pub mod limits;
pub mod lwm2m;
pub mod model;
pub mod mqtt;
pub mod registration;
pub mod registry;
pub mod roster;
mod secret;
mod template;
pub mod tenant;
mod time;

pub use code::Code;
pub use error::{Error, ErrorKind};
pub use ids::{
    AccessPointId, AccountId, ApplicationId, CaId, DeviceId, DeviceKey, Fingerprint, GroupId,
    ParseIdError, PolicyId, ProductKey, ProfileId, PskIdentity, RegistrationId, ScopeId, TenantId,
};
pub use secret::{SealedSecret, Secret};
pub use template::Template;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
