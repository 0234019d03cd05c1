use serde::{Deserialize, Serialize};

/// How a device made its password (vendor page "client id, user name and password", signature type).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub enum SignatureType {
    /// `0`: HMAC-SHA256; the timestamp is the key, and when it was is not looked at.
    Sha256,
    /// `1`: HMAC-SHA256, and the timestamp must be of now.
    Sha256Timed,
    /// `2`: HMAC-SM3, and the timestamp must be of now.
    Sm3Timed,
}

impl SignatureType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha256Timed, Self::Sm3Timed];

    /// The digit of the client id.
    #[must_use]
    pub fn digit(self) -> char {
        match self {
            Self::Sha256 => '0',
            Self::Sha256Timed => '1',
            Self::Sm3Timed => '2',
        }
    }

    /// Whether a password is refused when its timestamp is not of now.
    #[must_use]
    pub fn is_timed(self) -> bool {
        self != Self::Sha256
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        match text {
            "0" => Some(Self::Sha256),
            "1" => Some(Self::Sha256Timed),
            "2" => Some(Self::Sm3Timed),
            _ => None,
        }
    }
}
