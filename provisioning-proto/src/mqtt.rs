//! Devices that speak MQTT 3.1.1 over TLS, byte for byte as the public pages of Huawei's IoT Device Provisioning describe them.
//!
//! A device connects with a [`ClientId`] that says how it signs, a user name that is its registration id, and a password that is a
//! [`Mac`] over its secret, or none and a TLS client certificate. It publishes to [`Topics::up`] and is told on
//! [`Topics::down`] where it belongs. The rest is values, and one machine, [`Session`](session::Session), that says what a
//! connection may do: no socket, no MQTT packet, no clock.

mod action;
mod client_id;
mod derivation;
mod down;
mod group_secret;
mod password;
pub mod session;
mod signature;
mod timestamp;
mod topic;
mod trigger;
mod up;

pub use action::{DeviceAction, UnknownAction};
pub use client_id::{ClientId, ClientIdForm, MAX_CLIENT_ID, ParseClientIdError};
pub use derivation::Derivation;
pub use down::{Down, DownPayload, MAX_INIT_CONFIG, TargetAddress};
pub use group_secret::GroupSecret;
pub use password::{Mac, ParseMacError, TimedMac, Verdict};
pub use signature::SignatureType;
pub use timestamp::{ParseTimestampError, Timestamp, Window};
pub use topic::{Topic, Topics};
pub use trigger::{TRIGGER, trigger};
pub use up::{MAX_KEYWORD, MAX_UP, Up};
