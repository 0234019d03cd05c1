//! The port through which secrets are sealed before they enter a ledger, and opened when they must be used.

use std::fmt;

use zeroize::Zeroize as _;

/// A secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[error("a secret could not be sealed or opened")]
pub struct SealError(#[source] Option<Box<dyn std::error::Error + Send + Sync>>);

impl SealError {
    /// Without a known cause.
    #[must_use]
    pub fn new() -> Self {
        Self(None)
    }

    /// With its cause.
    pub fn with_source(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Some(source.into()))
    }
}

impl Default for SealError {
    fn default() -> Self {
        Self::new()
    }
}

/// An opened secret: it does not print and is wiped when dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Opened(Vec<u8>);

impl Opened {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Opened(..)")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Seals secrets for a place in a ledger: an authenticated cipher, bound to the stream and the field.
pub trait Sealer: Send + Sync {
    /// Seals `secret`; `nonce_entropy` is fresh for every call.
    ///
    /// # Errors
    /// When no key can be had for the stream.
    fn seal(
        &self,
        stream: &str,
        field: &str,
        nonce_entropy: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError>;

    /// Opens what [`Sealer::seal`] made for the same stream and field.
    ///
    /// # Errors
    /// When the key is gone or the sealed bytes are of another place.
    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<Opened, SealError>;
}
