use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::bytes::Bytes;

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
