//! What a device is told on `bootstrap/down`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Secret};

/// The longest initial configuration, in bytes.
pub const MAX_INIT_CONFIG: usize = 65_535;
/// The longest name of a host (RFC 1035, 2.3.4).
const MAX_HOST: usize = 253;

/// Where a device is to connect, `host:port`; no scheme, and no IPv6 address, which the vendor's own clients cannot take apart.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct TargetAddress(String);

impl TargetAddress {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TargetAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let sound = text.split_once(':').is_some_and(|(host, port)| {
            let named = (1..=MAX_HOST).contains(&host.len())
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
            let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
            named && plain && port.parse::<u16>().is_ok()
        });
        if sound {
            Ok(Self(text.to_owned()))
        } else {
            Err(ErrorKind::InvalidValue.into())
        }
    }
}

impl TryFrom<String> for TargetAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<TargetAddress> for String {
    fn from(address: TargetAddress) -> Self {
        address.0
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An answer to a device: where it belongs, or why it is not told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Down {
    /// Go there.
    Assigned {
        /// Where the device is to connect.
        address: TargetAddress,
        /// The initial configuration as it is stored; the device gets it as one JSON string.
        init_config: Option<String>,
        /// The secret to use there in place of one derived from a group's.
        device_secret: Option<Secret>,
    },
    /// Nowhere, for now. The vendor's way is silence; its clients take an object without an address for a failure and go on.
    Refused {
        /// A code of the vendor's list.
        code: String,
        /// What happened, in words for the one who reads the device's log.
        message: String,
    },
}

/// The bytes of a [`Down`] or a [`trigger`](super::trigger). They may hold a secret, and are treated as one.
#[derive(Clone, Eq, PartialEq)]
pub struct DownPayload(Zeroizing<Vec<u8>>);

impl DownPayload {
    /// What sends a device nowhere, and says why.
    #[must_use]
    pub fn refusal(code: &str, message: &str) -> Self {
        let wire = Wire::Refused {
            error_code: code,
            error_msg: message,
        };
        // Two texts have no way to fail.
        Self(Zeroizing::new(
            serde_json::to_vec(&wire).unwrap_or_default(),
        ))
    }

    pub(super) fn of_trigger(text: String) -> Self {
        Self(Zeroizing::new(text.into_bytes()))
    }

    /// The JSON text.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DownPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DownPayload({} bytes)", self.0.len())
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Wire<'a> {
    Assigned {
        address: &'a str,
        #[serde(rename = "initConfig", skip_serializing_if = "Option::is_none")]
        init_config: Option<&'a str>,
        #[serde(rename = "deviceSecret", skip_serializing_if = "Option::is_none")]
        device_secret: Option<&'a str>,
    },
    Refused {
        error_code: &'a str,
        error_msg: &'a str,
    },
}

impl Down {
    /// The answer that sends a device to an address; its other members are then set in place.
    #[must_use]
    pub fn assigned(address: TargetAddress) -> Self {
        Self::Assigned {
            address,
            init_config: None,
            device_secret: None,
        }
    }

    /// The answer that sends a device nowhere, and says why.
    pub fn refused(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused {
            code: code.into(),
            message: message.into(),
        }
    }

    /// The payload to publish.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] when the initial configuration is empty or longer than [`MAX_INIT_CONFIG`], or the secret is not
    /// text.
    pub fn encode(&self) -> Result<DownPayload, Error> {
        let invalid = || Error::from(ErrorKind::InvalidValue);
        let wire = match self {
            Self::Assigned {
                address,
                init_config,
                device_secret,
            } => {
                let init_config = init_config.as_deref();
                if init_config.is_some_and(|text| !(1..=MAX_INIT_CONFIG).contains(&text.len())) {
                    return Err(invalid());
                }
                let device_secret = device_secret
                    .as_ref()
                    .map(|secret| str::from_utf8(secret.expose()))
                    .transpose()
                    .map_err(|_| invalid())?;
                Wire::Assigned {
                    address: address.as_str(),
                    init_config,
                    device_secret,
                }
            }
            Self::Refused { code, message } => Wire::Refused {
                error_code: code,
                error_msg: message,
            },
        };
        // Large enough at once: growing would leave copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.largest()));
        serde_json::to_writer(&mut *bytes, &wire).map_err(|_| invalid())?;
        Ok(DownPayload(bytes))
    }

    /// What the payload cannot outgrow: a control character takes six bytes in JSON.
    fn largest(&self) -> usize {
        let texts = match self {
            Self::Assigned {
                address,
                init_config,
                device_secret,
            } => [
                address.as_str().len(),
                init_config.as_ref().map_or(0, String::len),
                device_secret
                    .as_ref()
                    .map_or(0, |secret| secret.expose().len()),
            ],
            Self::Refused { code, message } => [code.len(), message.len(), 0],
        };
        texts
            .iter()
            .fold(0, |sum: usize, length| sum.saturating_add(*length))
            .saturating_mul(6)
            .saturating_add(64)
    }
}
