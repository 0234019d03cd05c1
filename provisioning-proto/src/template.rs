use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::bytes::Bytes;

/// The longest template, in bytes.
const MAX: usize = 16 << 10;

/// What the devices of a product offer, in the words of the protocol that they speak: written and read by the caller, opaque here.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Template(Bytes<MAX>);

impl Template {
    /// The longest template, in bytes.
    pub const MAX: usize = MAX;

    /// Takes 1 to [`MAX`](Self::MAX) bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`](crate::ErrorKind::InvalidValue) for none or more.
    pub fn new(bytes: Vec<u8>) -> Result<Self, Error> {
        Bytes::new(bytes).map(Self)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} bytes)", self.as_bytes().len())
    }
}
