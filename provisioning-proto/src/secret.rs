use std::fmt;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::bytes::Bytes;
use crate::{Error, ErrorKind};

/// The longest sealed secret, in bytes.
const MAX: usize = 1024;

/// A secret as it is stored: encrypted by the caller, opaque here.
///
/// Does not print its bytes, although they are of no use without the key that sealed them.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct SealedSecret(Bytes<MAX>);

impl SealedSecret {
    /// The longest sealed secret, in bytes.
    pub const MAX: usize = MAX;

    /// Takes 1 to [`MAX`](Self::MAX) sealed bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`](crate::ErrorKind::InvalidValue) for none or more.
    pub fn new(sealed: Vec<u8>) -> Result<Self, Error> {
        Bytes::new(sealed).map(Self)
    }

    /// The sealed bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(..)")
    }
}

/// A secret in the clear, for the moment in which something is computed from it or it is handed to its owner.
///
/// Does not print, is compared in constant time (but for its length) and wiped on drop; it has no written form.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The longest secret, in bytes.
    pub const MAX: usize = 512;

    /// Takes 1 to [`MAX`](Self::MAX) bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for none or more.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, Error> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(ErrorKind::InvalidValue.into());
        }
        Ok(Self(bytes))
    }

    pub(crate) fn of_text(mut text: Zeroizing<String>) -> Self {
        Self(Zeroizing::new(std::mem::take(&mut *text).into_bytes()))
    }

    pub(crate) fn of_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes; the caller keeps them out of logs, errors and URLs.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
