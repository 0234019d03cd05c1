use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseIdError;

/// The serial number of a certificate: up to 20 bytes, unique at its issuer (RFC 5280, 4.1.2.2). As text, hexadecimal.
#[derive(Clone, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Serial(Vec<u8>);

impl Serial {
    /// The longest serial number, in bytes; 21 where the first is a zero before a set top bit.
    const MAX: usize = 20;

    /// A fresh serial number from 16 random bytes: positive, and of a length that tells nothing.
    #[must_use]
    pub fn from_entropy(mut entropy: [u8; 16]) -> Self {
        if let Some(first) = entropy.first_mut() {
            // Positive without a byte in front, and never a zero there.
            *first = (*first & 0x7f) | 0x40;
        }
        Self(entropy.to_vec())
    }

    /// Takes the bytes of a positive number, without or with the zero before a set top bit.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let start = bytes.iter().position(|byte| *byte != 0)?;
        let bytes = bytes.get(start..)?;
        (bytes.len() <= Self::MAX).then(|| Self(bytes.to_vec()))
    }

    /// The number, its most significant byte first and not zero.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let refused = ParseIdError::new("serial number (2 to 40 hexadecimal digits, not zero)");
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect();
        let bytes: Option<Vec<u8>> = digits
            .filter(|digits| digits.len() <= 42 && digits.len() % 2 == 0)
            .map(|digits| {
                let byte = |pair: &[u8]| pair.iter().fold(0_u8, |byte, digit| byte << 4 | digit);
                digits.chunks(2).map(byte).collect()
            });
        bytes
            .and_then(|bytes| Self::from_bytes(&bytes))
            .ok_or(refused)
    }
}

impl TryFrom<String> for Serial {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<Serial> for String {
    fn from(serial: Serial) -> Self {
        serial.to_string()
    }
}
