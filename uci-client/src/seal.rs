//! Sealing of secrets before they go into a ledger.

use core::fmt;

use zeroize::Zeroize;

/// Seals and opens secrets, bound to the stream and the field that hold them.
///
/// The caller implements it over an authenticated cipher with a key per stream; a ledger holds only what [`Sealer::seal`]
/// returns.
pub trait Sealer: Send + Sync {
    /// Seals `secret` for `field` of `stream`; `nonce_entropy` is fresh at every call.
    ///
    /// # Errors
    ///
    /// [`SealError`] when there is no key for the stream.
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
    ///
    /// [`SealError`] when the key is gone or the bytes were not sealed for this place.
    fn open(&self, stream: &str, field: &str, sealed: &[u8]) -> Result<Opened, SealError>;
}

/// A secret that was opened: it does not print and is wiped when dropped.
pub struct Opened(Vec<u8>);

impl Opened {
    /// Takes the bytes of a secret.
    #[must_use]
    pub const fn new(secret: Vec<u8>) -> Self {
        Self(secret)
    }

    /// Reveals the secret.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opened(..)")
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A secret could not be sealed or opened; why is deliberately not said.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, thiserror::Error)]
#[error("the secret could not be sealed or opened")]
#[non_exhaustive]
pub struct SealError;

impl SealError {
    /// Makes the error.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}
