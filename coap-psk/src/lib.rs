//! Constrained devices over CoAP and DTLS-PSK: identities, derived keys, dynamic activation, lifetime presence, message layer.
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::alloc_instead_of_core
)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod activation;
#[cfg(feature = "dtls")]
mod block;
pub mod codec;
#[cfg(feature = "dtls")]
mod config;
pub mod credentials;
#[cfg(feature = "tokio")]
pub mod driver;
#[cfg(feature = "dtls")]
pub mod dtls;
#[cfg(feature = "dtls")]
mod endpoint;
mod error;
#[cfg(feature = "dtls")]
mod exchange;
pub mod identity;
pub mod message;
#[cfg(feature = "dtls")]
mod observe;
pub mod option;
#[cfg(feature = "dtls")]
mod output;
pub mod presence;
#[cfg(feature = "dtls")]
mod random;
mod request;
pub mod secret;
mod suite;
mod time;

#[cfg(feature = "dtls")]
pub use block::BlockSize;
#[cfg(feature = "dtls")]
pub use config::{Config, Transmission};
#[cfg(feature = "dtls")]
pub use endpoint::Endpoint;
pub use error::{Error, ErrorKind, Fault};
pub use identity::{DeviceKey, DeviceName, Lifetime, ProductKey, PskIdentity, SecureMode};
pub use message::{Code, Method};
pub use option::CoapOption;
#[cfg(feature = "dtls")]
pub use output::{Event, ExchangeId, Failure, OfflineReason, Output};
pub use request::{Request, Response};
pub use secret::{DeviceSecret, KeyBytes, ProductSecret, PskKey};
pub use suite::CipherSuite;
pub use time::Instant;
