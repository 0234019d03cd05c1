//! Identifiers: UUIDs that compare case-insensitively, and short texts.

mod uuid;

use alloc::borrow::Cow;
use core::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{error::ParseIdError, serde_text};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $human:literal) => {
        $(#[$doc])*
        ///
        /// Upper and lower case are the same identifier; it is printed in lower case.
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier of these 16 bytes, in the order they are printed.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes, in the order they are printed.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }

            /// A random identifier (UUID version 4, RFC 9562, 5.4) from the caller's entropy.
            #[must_use]
            pub const fn from_entropy(entropy: [u8; 16]) -> Self {
                Self(uuid::version_4(entropy))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(uuid::Text::new(&self.0).as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                uuid::parse(text)
                    .map(Self)
                    .ok_or(ParseIdError::new($human, "is not a UUID"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(uuid::Text::new(&self.0).as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde_text::parse(deserializer)
            }
        }
    };
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $human:literal, max $max:literal, known [$($known:ident),*]) => {
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(alloc::borrow::Cow<'static, str>);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::serde_text::parse(deserializer)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl TryFrom<alloc::string::String> for $name {
            type Error = $crate::error::ParseIdError;

            fn try_from(text: alloc::string::String) -> Result<Self, Self::Error> {
                $crate::ids::check_text(&text, $human, $max)?;
                Ok(Self(alloc::borrow::Cow::Owned(text)))
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::error::ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                // Most are one of a few, which take no memory.
                const KNOWN: &[$name] = &[$($name::$known),*];
                match KNOWN.iter().find(|known| known.as_str() == text) {
                    Some(known) => Ok(known.clone()),
                    None => alloc::string::String::from(text).try_into(),
                }
            }
        }

        impl From<$name> for alloc::string::String {
            fn from(id: $name) -> Self {
                id.0.into_owned()
            }
        }
    };
}
pub(crate) use text_id;

uuid_id! {
    /// A device: the `di` of `oic.wk.d`, a UUID.
    DeviceId, "device id"
}

uuid_id! {
    /// A subscription: the `subscriptionId` of the 201 answer, a UUID.
    SubscriptionId, "subscription id"
}

text_id! {
    /// The `Correlation-ID` that links the requests of one transaction.
    ///
    /// The standard asks for a UUID; peers in the field send other texts, so any visible ASCII text of 1 to
    /// 128 characters is one.
    CorrelationId, "correlation id", max 128, known []
}

impl CorrelationId {
    /// A random identifier (UUID version 4) from the caller's entropy.
    #[must_use]
    pub fn from_entropy(entropy: [u8; 16]) -> Self {
        use alloc::string::ToString;
        Self(Cow::Owned(
            SubscriptionId::from_entropy(entropy).to_string(),
        ))
    }
}

/// One rule for all short texts: not empty, at most `max` characters, visible ASCII.
pub(crate) fn check_text(
    text: &str,
    type_name: &'static str,
    max: usize,
) -> Result<(), ParseIdError> {
    if text.is_empty() {
        Err(ParseIdError::new(type_name, "is empty"))
    } else if text.len() > max {
        Err(ParseIdError::new(type_name, "is too long"))
    } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(ParseIdError::new(
            type_name,
            "holds a character that is not visible ASCII",
        ))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};

    use super::*;

    const TEXT: &str = "53080a4f-5e3e-4291-802f-3436238232d2";

    #[test]
    fn device_ids_compare_case_insensitively() {
        let lower: DeviceId = TEXT.parse().unwrap();
        let upper: DeviceId = TEXT.to_uppercase().parse().unwrap();
        assert_eq!(lower, upper);
        assert_eq!(upper.to_string(), TEXT);
    }

    #[test]
    fn what_is_no_uuid_is_refused() {
        for text in [
            "",
            "53080a4f-5e3e-4291-802f-3436238232d",
            "53080a4f-5e3e-4291-802f-3436238232d22",
            "53080a4f05e3e-4291-802f-3436238232d2",
            "53080a4f-5e3e-4291-802f-3436238232dg",
            "{3080a4f-5e3e-4291-802f-3436238232d}",
        ] {
            assert!(text.parse::<DeviceId>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn entropy_becomes_a_version_4_uuid() {
        let id = CorrelationId::from_entropy([0xff; 16]);
        assert_eq!(id.as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }

    #[test]
    fn correlation_ids_need_not_be_uuids() {
        assert!("request-7".parse::<CorrelationId>().is_ok());
        for text in [String::new(), "a b".into(), "ä".into(), "a".repeat(129)] {
            assert!(CorrelationId::try_from(text).is_err());
        }
    }
}
