//! Constrained devices over CoAP and DTLS-PSK: identities, derived keys, dynamic activation, lifetime presence, message layer.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(feature = "dtls")]
pub mod dtls;
mod error;
pub mod identity;
pub mod presence;
pub mod secret;
mod suite;
mod time;

pub use error::{Error, ErrorKind, Fault};
pub use identity::{DeviceKey, DeviceName, Lifetime, ProductKey, PskIdentity, SecureMode};
pub use secret::{DeviceSecret, KeyBytes, ProductSecret, PskKey};
pub use suite::CipherSuite;
pub use time::Instant;
