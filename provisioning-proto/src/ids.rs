//! Identifiers: checked once, where they come in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not an id of the type it was parsed as.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a {expected}")]
pub struct ParseIdError {
    expected: &'static str,
}

impl ParseIdError {
    pub(crate) fn new(expected: &'static str) -> Self {
        Self { expected }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                let check: fn(&str) -> bool = $check;
                if check(&text) {
                    Ok(Self(text))
                } else {
                    Err(ParseIdError { expected: $expected })
                }
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.to_owned().try_into()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Names a product: 1 to 32 ASCII letters and digits.
    ProductKey,
    "product key (1 to 32 letters and digits)",
    |text| in_length(text, 1, 32) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
);

text_id!(
    /// Names a device within its product: 4 to 64 of ASCII letters, digits, `-`, `_`, `.` and `:`.
    DeviceKey,
    "device key (4 to 64 of letters, digits, '-', '_', '.' and ':')",
    |text| in_length(text, 4, 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
);

text_id!(
    /// The OCF device id (`di`): a UUID in lower-case hexadecimal digits with hyphens (RFC 9562, 4).
    DeviceId,
    "device id (a UUID in lower case)",
    |text| text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
);

text_id!(
    /// Names the account that owns a device: 1 to 128 bytes without control characters.
    AccountId,
    "account id (1 to 128 bytes without control characters)",
    |text| in_length(text, 1, 128) && !text.chars().any(char::is_control)
);

text_id!(
    /// Names one transfer of a registration from one instance to another: 32 lower-case hexadecimal digits, different from those of
    /// every other.
    TransferId,
    "transfer id (32 lower-case hexadecimal digits)",
    |text| in_length(text, 32, 32)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
);

text_id!(
    /// Names a tenant, the unit of isolation: 1 to 64 ASCII letters, digits, `-` and `_`.
    TenantId,
    "tenant id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// A public alias of a tenant, or of one group of it, that a device may present: 1 to 64 ASCII letters, digits and `-`. No `_`,
    /// which separates it from what stands beside it in an MQTT client id.
    ScopeId,
    "scope id (1 to 64 of letters, digits and '-')",
    |text| in_length(text, 1, 64) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
);

text_id!(
    /// Names a device within its tenant, as it presents itself: 1 to 256 of ASCII letters, digits, `_`, `-`, `.` and `:`.
    RegistrationId,
    "registration id (1 to 256 of letters, digits, '_', '-', '.' and ':')",
    |text| in_length(text, 1, 256)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
);

text_id!(
    /// Names a cloud instance to which devices may be assigned: 1 to 64 ASCII letters, digits, `-` and `_`.
    AccessPointId,
    "access point id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// Names an enrollment group of a tenant: 1 to 64 ASCII letters, digits, `-` and `_`.
    GroupId,
    "group id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// Names an allocation policy of a tenant: 1 to 64 ASCII letters, digits, `-` and `_`.
    PolicyId,
    "policy id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// Names a certificate authority of a tenant: 1 to 64 ASCII letters, digits, `-` and `_`.
    CaId,
    "certificate authority id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// Names a profile by which certificates are issued: 1 to 64 ASCII letters, digits, `-` and `_`.
    ProfileId,
    "profile id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// Names an application (a resource space) of an access point: 1 to 64 ASCII letters, digits, `-` and `_`.
    ApplicationId,
    "application id (1 to 64 of letters, digits, '-' and '_')",
    is_name
);

text_id!(
    /// The fingerprint of a certificate: its SHA-1 or SHA-256 as 40 or 64 lower-case hexadecimal digits.
    Fingerprint,
    "fingerprint (40 or 64 lower-case hexadecimal digits)",
    |text| (text.len() == 40 || text.len() == 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
);

text_id!(
    /// The identity that a device names in a handshake with a pre-shared key: 1 to 256 bytes without control characters.
    PskIdentity,
    "PSK identity (1 to 256 bytes without control characters)",
    |text| in_length(text, 1, 256) && !text.chars().any(char::is_control)
);

fn is_name(text: &str) -> bool {
    in_length(text, 1, 64)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn in_length(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_alphabets_are_kept_at_their_edges() {
        let product = |text: &str| text.parse::<ProductKey>().is_ok();
        assert!(product("a") && product(&"Z9".repeat(16)));
        assert!(!product("") && !product(&"a".repeat(33)) && !product("a-b") && !product("é"));
        let device = |text: &str| text.parse::<DeviceKey>().is_ok();
        assert!(device("a-_.") && device(":123") && device(&"a".repeat(64)));
        assert!(!device("abc") && !device(&"a".repeat(65)) && !device("a,bc") && !device("ab c"));
        let account = |text: &str| text.parse::<AccountId>().is_ok();
        assert!(account("é") && account(&"a".repeat(128)));
        assert!(!account("") && !account(&"a".repeat(129)) && !account("a\nb"));
        let scope = |text: &str| text.parse::<ScopeId>().is_ok();
        assert!(scope("ff5bbx7a488f") && scope("-") && scope(&"a".repeat(64)));
        assert!(!scope("") && !scope(&"a".repeat(65)) && !scope("a.b") && !scope("a_b"));
        let registration = |text: &str| text.parse::<RegistrationId>().is_ok();
        assert!(
            registration("urn:imei:0042")
                && registration("pk_n-1.x")
                && registration(&"a".repeat(256))
        );
        assert!(
            !registration("")
                && !registration(&"a".repeat(257))
                && !registration("a/b")
                && !registration("é")
        );
    }

    #[test]
    fn a_device_id_is_a_uuid_in_lower_case() {
        let device_id = |text: &str| text.parse::<DeviceId>().is_ok();
        assert!(device_id("0f9d1b5e-7a3c-4c11-9d2f-00aa11bb22cc"));
        assert!(!device_id("0F9D1B5E-7A3C-4C11-9D2F-00AA11BB22CC"));
        assert!(!device_id("0f9d1b5e07a3c-4c11-9d2f-00aa11bb22cc"));
        assert!(!device_id("0f9d1b5e-7a3c-4c11-9d2f-00aa11bb22c"));
        assert!(!device_id("0f9d1b5e-7a3c-4c11-9d2f-00aa11bb22-c"));
    }
}
