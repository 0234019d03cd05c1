//! X.509: certificates, requests for them, the authorities that a tenant trusts, and certificates of its own for its devices.
//!
//! [`Certificate`] and [`CertificationRequest`] are values, read strictly from DER or PEM (RFC 5280, RFC 2986). What
//! arithmetic signatures need comes from the caller, as [`Signatures`].

mod algorithm;
pub mod authorities;
mod certificate;
mod chain;
mod digest;
mod error;
mod extensions;
pub mod issuance;
mod pem;
mod public_key;
mod request;
mod serial;
mod signed;

pub use algorithm::{KeyAlgorithm, SignatureAlgorithm, Signatures};
pub use certificate::Certificate;
pub use chain::{MAX_CHAIN, Path};
pub use digest::Digest;
pub use error::CertificateError;
pub use public_key::PublicKey;
pub use request::CertificationRequest;
pub use serial::Serial;
