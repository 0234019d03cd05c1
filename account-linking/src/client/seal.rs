//! How tokens and verifiers are sealed before they reach a journal.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Seals and opens the secrets that a ledger keeps; the composition implements it with its key store.
///
/// What was sealed for one stream and field must not open for another.
pub trait Sealer: Send + Sync {
    /// Seals `secret` for the `field` of `stream`; `nonce_entropy` is different in every call.
    ///
    /// # Errors
    ///
    /// When the key of the stream is not at hand.
    fn seal(
        &self,
        stream: &str,
        field: &str,
        nonce_entropy: [u8; 32],
        secret: &[u8],
    ) -> Result<Vec<u8>, SealError>;

    /// Opens what [`Sealer::seal`] gave for the same `stream` and `field`.
    ///
    /// # Errors
    ///
    /// When the key is gone, or the bytes are not those that were sealed.
    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<OpenedSecret, SealError>;
}

/// A secret could not be sealed or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a secret could not be sealed or opened")]
#[non_exhaustive]
pub struct SealError;

impl SealError {
    /// The error; it says nothing of the cause, which is the key store's to report.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Default for SealError {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes of an opened secret, wiped on drop.
pub struct OpenedSecret(Zeroizing<Vec<u8>>);

impl OpenedSecret {
    /// Takes over the bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes in clear.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for OpenedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedSecret(..)")
    }
}

/// A secret as a ledger holds it: sealed, with the field name that it was sealed for.
///
/// The name travels with the bytes, because a token moves from a link to the list of tokens that are to be revoked.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Sealed {
    field: String,
    bytes: Vec<u8>,
}

impl Sealed {
    pub(super) fn new(
        sealer: &dyn Sealer,
        stream: &str,
        field: String,
        entropy: [u8; 32],
        secret: &str,
    ) -> Result<Self, SealError> {
        let bytes = sealer.seal(stream, &field, entropy, secret.as_bytes())?;
        Ok(Self { field, bytes })
    }

    /// The secret in clear; all secrets sealed here are text.
    pub(super) fn open(
        &self,
        sealer: &dyn Sealer,
        stream: &str,
    ) -> Result<Zeroizing<String>, SealError> {
        let opened = sealer.open(stream, &self.field, &self.bytes)?;
        core::str::from_utf8(opened.expose())
            .map(|text| Zeroizing::new(text.to_owned()))
            .map_err(|_| SealError::new())
    }
}
