use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, ErrorKind};

/// What a device is given beside its address: bytes that the provisioning service does not read.
#[derive(Clone, Eq, PartialEq)]
pub struct InitialConfig(Bytes);

impl InitialConfig {
    /// The longest one, in bytes (the limit of Huawei IoTDP's `init_config`).
    pub const MAX: usize = 65_535;

    /// Takes 1 to [`MAX`](Self::MAX) bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] for none or more.
    pub fn new(bytes: impl Into<Bytes>) -> Result<Self, Error> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > Self::MAX {
            return Err(ErrorKind::InvalidValue.into());
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Says only how long it is: it may hold what is not meant for a log.
impl fmt::Debug for InitialConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InitialConfig({} bytes)", self.0.len())
    }
}

impl Serialize for InitialConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for InitialConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = crate::bytes::Bytes::<{ Self::MAX }>::deserialize(deserializer)?;
        Ok(Self(Bytes::copy_from_slice(bytes.as_slice())))
    }
}
