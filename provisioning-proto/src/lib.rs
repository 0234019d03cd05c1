#![cfg_attr(docsrs, feature(doc_cfg))]
//! Which cloud a device belongs to, and how it proves who it is: device provisioning without transport, store or clock.
//!
//! A device leaves the factory with one address burnt in. [`Registrations`](registration::Registrations) takes it from what it
//! presents ([`directory`]) over what an operator configured ([`tenant`], [`roster`], in the words of [`model`]) and the policies
//! that choose an access point ([`allocation`]) to an assignment that its target knows before it is told. [`mqtt`] and [`lwm2m`]
//! are the languages of devices, [`certificates`] trusts authorities and issues certificates, [`limiter`] keeps bad fleets away.
//! What is durable is in ledgers: `decide` turns a command into changes and touches nothing, `apply` takes them in and cannot fail.
//! [`migration`] moves devices to other access points and instances, make before break.
//! [`registry`] is the ledger of the devices of a cloud that is itself a target.
//!
//! # A registration, from request to answer
//!
//! ```
//! use std::time::{Duration, Instant, SystemTime};
//! use provisioning_proto::allocation::{AccessPoint, AllocationPolicy, Rule, Target};
//! use provisioning_proto::directory::Evidence;
//! use provisioning_proto::model::{Attestation, Enrollment, Entry, Expected};
//! use provisioning_proto::mqtt::{Mac, SignatureType, TimedMac, Window};
//! use provisioning_proto::registration::{
//!     Command, Config, Output, RegistrationRequest, Registrations, Stored,
//! };
//! use provisioning_proto::{RegistrationId, SealedSecret, Secret, TenantId, roster, tenant};
//!
//! # #[expect(clippy::disallowed_methods, reason = "an example has no other clock")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! let now = Instant::now();
//! let mut cloud = Registrations::new(Config::default(), [7; 32]);
//! let mut told = Vec::new();
//! // The run loop: here the journal is a counter, and the target knows every device at once.
//! let mut version = std::collections::BTreeMap::new();
//! let mut run = |cloud: &mut Registrations| {
//!     while let Some(output) = cloud.poll_output() {
//!         match output {
//!             Output::Append(append) => {
//!                 let version = version.entry(append.stream).or_insert(0);
//!                 *version += append.changes.len() as u64;
//!                 let stored = Stored::Done { version: *version };
//!                 cloud.handle_stored(append.id, stored, wall, now);
//!             }
//!             Output::UpsertDevice { exchange, .. } => cloud.handle_target_reply(exchange, true, wall, now),
//!             Output::Answer { result, .. } => told.push(result),
//!             Output::Done { result, .. } => assert!(result.is_ok()),
//!             _ => {}
//!         }
//!     }
//! };
//!
//! // An operator: a tenant with one access point, to which everything goes, and one device with its secret.
//! let tenant: TenantId = "acme".parse()?;
//! let id: RegistrationId = "sn-0042".parse()?;
//! let to_tenant = |command| Command::Settings { tenant: tenant.clone(), command };
//! let policy = Rule::Fixed { target: Target::new("east".parse()?, None) };
//! let attestation = Attestation::SymmetricKey {
//!     primary: SealedSecret::new(b"12345678".to_vec())?, // sealed by the caller
//!     secondary: None,
//! };
//! for command in [
//!     to_tenant(tenant::Command::Create { name: "Acme".to_owned() }),
//!     to_tenant(tenant::Command::SetAccessPoint {
//!         point: AccessPoint::new("east".parse()?, "East"),
//!         expected: Expected::Absent,
//!     }),
//!     to_tenant(tenant::Command::SetPolicy {
//!         policy: AllocationPolicy::new("all".parse()?, 0, policy),
//!         expected: Expected::Absent,
//!     }),
//!     Command::Registration {
//!         tenant: tenant.clone(),
//!         id: id.clone(),
//!         command: roster::Command::Enroll {
//!             enrollment: Enrollment::new(attestation, Entry::enabled()),
//!             expected: Expected::Absent,
//!         },
//!     },
//! ] {
//!     cloud.command(command, wall, now)?;
//!     run(&mut cloud);
//! }
//!
//! // The device signs the hour with its secret.
//! let secret = Secret::new(*b"12345678")?;
//! let timestamp = "2027011508".parse()?;
//! let mac = Mac::sign(SignatureType::Sha256, &timestamp, &secret);
//! let mac = TimedMac::new(SignatureType::Sha256, timestamp, mac);
//! let evidence = Evidence::TimedMac { scope: None, id, mac };
//! let candidates = cloud.directory().candidates(&evidence, wall);
//! let opened = [secret]; // what the caller unsealed of `candidates[0].secrets()`
//! let principal = candidates[0].check(&evidence, &opened, Window::default(), wall).ok_or("not it")?;
//!
//! cloud.handle_request(RegistrationRequest::new(principal), wall, now);
//! run(&mut cloud);
//! let answer = told[0].as_ref().map_err(|cause| cause.to_string())?;
//! assert_eq!(answer.assignment.target.access_point.as_str(), "east");
//! # Ok(())
//! # }
//! ```
//!
//! # The devices of a cloud that is a target
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
mod ledger;
pub mod limiter;
pub mod limits;
pub mod lwm2m;
pub mod management;
pub mod migration;
pub mod model;
pub mod mqtt;
mod numbers;
pub mod registration;
pub mod registry;
pub mod roster;
mod secret;
mod template;
pub mod tenant;
mod time;
mod timers;

pub use code::Code;
pub use error::{Error, ErrorKind};
pub use ids::{
    AccessPointId, AccountId, ApplicationId, CaId, DeviceId, DeviceKey, Fingerprint, GroupId,
    ParseIdError, PolicyId, ProductKey, ProfileId, PskIdentity, RegistrationId, ScopeId, TenantId,
    TransferId,
};
pub use secret::{SealedSecret, Secret};
pub use template::Template;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
