//! The limited texts of the interface: each exists only within the length and the characters of the API model 2025-03-03.

use core::fmt;
use core::str::FromStr;

use serde::Serialize;

use crate::error::{Error, ErrorKind};

macro_rules! limited_text {
    ($(#[$doc:meta])* $name:ident, max $max:expr, $kind:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The most characters.
            pub const MAX_LENGTH: usize = $max;

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn allows(c: char) -> bool {
                let allowed: fn(char) -> bool = $allowed;
                allowed(c)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                // Some of the characters take more than a byte, none more than four.
                if text.is_empty()
                    || text.len() > $max * 4
                    || text.chars().count() > $max
                    || !text.chars().all(Self::allows)
                {
                    return Err(ErrorKind::$kind.into());
                }
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.to_owned().try_into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

limited_text! {
    /// The connector, as managed integrations named it: 1 to 64 of `[A-Za-z0-9_-]`.
    ConnectorId, max 64, InvalidIdentifier, |c| c.is_ascii_alphanumeric() || "-_".contains(c)
}
limited_text! {
    /// A device, as the connector names it: 1 to 256 of `[a-zA-Z0-9_.,@-]`, without personal data.
    ConnectorDeviceId, max 256, InvalidIdentifier, |c| c.is_ascii_alphanumeric() || "_.,@-".contains(c)
}
limited_text! {
    /// One discovery, as managed integrations named it: 1 to 200 of `[A-Za-z0-9]`.
    DeviceDiscoveryId, max 200, InvalidIdentifier, |c| c.is_ascii_alphanumeric()
}
limited_text! {
    /// One command, as managed integrations named it: 1 to 128 of `[a-zA-Z0-9:=_-]`.
    TraceId, max 128, InvalidIdentifier, |c| c.is_ascii_alphanumeric() || ":=_-".contains(c)
}
limited_text! {
    /// A part of a device: 1 to 64 of `[0-9a-zA-Z]`.
    EndpointId, max 64, InvalidIdentifier, |c| c.is_ascii_alphanumeric()
}
limited_text! {
    /// A Matter node: 1 to 64 of `[a-zA-Z0-9=_.,@+-/]`.
    NodeId, max 64, InvalidIdentifier, |c| c.is_ascii_alphanumeric() || "=_.,@+-/".contains(c)
}
limited_text! {
    /// What kind of device an endpoint is: 1 to 256 of `[a-zA-Z0-9=_. ,@+-/]`, though the model allows none at all.
    DeviceType, max 256, InvalidText, |c| c.is_ascii_alphanumeric() || "=_. ,@+-/".contains(c)
}
limited_text! {
    /// The name of a cluster or an attribute: 1 to 128 of `[/a-zA-Z0-9._ -]`.
    CapabilityName, max 128, InvalidText, |c| c.is_ascii_alphanumeric() || "/._ -".contains(c)
}
limited_text! {
    /// A semantic tag of an endpoint: 1 to 128 of `[0-9a-zA-Z._-]`.
    SemanticTag, max 128, InvalidText, |c| c.is_ascii_alphanumeric() || "._-".contains(c)
}
limited_text! {
    /// The version of an operation: 1 to 6 of `[0-9.]`; the documentation has `1.0` and `1.0.0`.
    OperationVersion, max 6, InvalidIdentifier, |c| c.is_ascii_digit() || c == '.'
}
limited_text! {
    /// A sentence for people: 1 to 256 of `[a-zA-Z0-9_.,@-]` and spaces; no colon, slash, quote or bracket.
    Message, max 256, InvalidText, |c| c.is_ascii_alphanumeric() || " _.,@-".contains(c)
}
limited_text! {
    /// What a device is called: 1 to 256 letters and digits of the larger scripts, spaces and `._-`.
    ///
    /// The model allows every letter of Unicode and no combining mark. This type knows the letters of Latin, Greek,
    /// Cyrillic, Armenian, Hebrew, Arabic, Georgian, Thai, Japanese, Korean and Chinese;
    /// [`ConnectorDeviceName::nearest`] makes a name of any text.
    ConnectorDeviceName, max 256, InvalidText, |c| {
        c.is_ascii_alphanumeric() || " ._-".contains(c) || is_known_letter(c)
    }
}

impl OperationVersion {
    /// The version that this crate writes, `1.0`.
    #[must_use]
    pub fn current() -> Self {
        Self("1.0".to_owned())
    }
}

impl Message {
    /// The text with a space for whatever may not be in a message, cut at the greatest length; `-` if nothing is left.
    #[must_use]
    pub fn nearest(text: &str) -> Self {
        Self(nearest(text, Self::MAX_LENGTH, Self::allows).unwrap_or_else(|| "-".to_owned()))
    }
}

impl ConnectorDeviceName {
    /// The text with a space for whatever may not be in a name, cut at the greatest length; `None` if nothing is left.
    #[must_use]
    pub fn nearest(text: &str) -> Option<Self> {
        nearest(text, Self::MAX_LENGTH, Self::allows).map(Self)
    }
}

fn nearest(text: &str, max: usize, allows: fn(char) -> bool) -> Option<String> {
    let replaced: String = text
        .chars()
        .map(|c| if allows(c) { c } else { ' ' })
        .take(max)
        .collect();
    let trimmed = replaced.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Letters (`\p{L}`) of the scripts that most names are written in; std knows "alphabetic", which has marks in it.
const LETTERS: &[(char, char)] = &[
    ('\u{aa}', '\u{aa}'),
    ('\u{b5}', '\u{b5}'),
    ('\u{ba}', '\u{ba}'),
    ('\u{c0}', '\u{2af}'),
    ('\u{386}', '\u{481}'),
    ('\u{48a}', '\u{587}'),
    ('\u{5d0}', '\u{5ea}'),
    ('\u{620}', '\u{64a}'),
    ('\u{671}', '\u{6d3}'),
    ('\u{e01}', '\u{e30}'),
    ('\u{10a0}', '\u{10fa}'),
    ('\u{1e00}', '\u{1eff}'),
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30fe}'),
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
];

fn is_known_letter(c: char) -> bool {
    c.is_alphabetic()
        && LETTERS
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&c))
}

/// The code of an answer or event: 100 to 550, with the meaning of HTTP's.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct StatusCode(u16);

impl StatusCode {
    /// Done, or taken on.
    pub const OK: Self = Self(200);
    /// The request cannot be read, or says what cannot be.
    pub const BAD_REQUEST: Self = Self(400);
    /// The token is missing or no good.
    pub const UNAUTHORIZED: Self = Self(401);
    /// The request is for another connector or user.
    pub const FORBIDDEN: Self = Self(403);
    /// The device, endpoint or cluster is not there.
    pub const NOT_FOUND: Self = Self(404);
    /// What is there cannot be set.
    pub const METHOD_NOT_ALLOWED: Self = Self(405);
    /// The request is too long.
    pub const CONTENT_TOO_LARGE: Self = Self(413);
    /// The device refuses, or something failed that should not.
    pub const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// The device has nothing that could do this.
    pub const NOT_IMPLEMENTED: Self = Self(501);
    /// Not now: the device is offline, or this side is busy.
    pub const SERVICE_UNAVAILABLE: Self = Self(503);
    /// The device did not answer in time.
    pub const GATEWAY_TIMEOUT: Self = Self(504);

    /// A code by its number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEvent`] outside of 100 to 550.
    pub fn new(code: u16) -> Result<Self, Error> {
        if !(100..=550).contains(&code) {
            return Err(ErrorKind::InvalidEvent.into());
        }
        Ok(Self(code))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }

    /// Whether it says that things went well.
    #[must_use]
    pub fn is_success(self) -> bool {
        (200..300).contains(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_characters_are_those_of_the_model() {
        assert!("a-_Z9".parse::<ConnectorId>().is_ok());
        assert!("a.b".parse::<ConnectorId>().is_err());
        assert!("5f3c2d6e-8a41".parse::<ConnectorDeviceId>().is_ok());
        assert!("urn:uuid:5f3c".parse::<ConnectorDeviceId>().is_err());
        assert!("abc-1".parse::<DeviceDiscoveryId>().is_err());
        assert!("a:b=c_d-1".parse::<TraceId>().is_ok());
        assert!("EP1".parse::<EndpointId>().is_ok());
        assert!("EP-1".parse::<EndpointId>().is_err());
        for length in [0, 129] {
            assert!("x".repeat(length).parse::<TraceId>().is_err());
        }
        assert!("x".repeat(128).parse::<TraceId>().is_ok());
        assert!("1.0.0.0".parse::<OperationVersion>().is_err());
        assert!(StatusCode::new(99).is_err() && StatusCode::new(551).is_err());
    }

    #[test]
    fn any_text_becomes_a_message_and_most_become_a_name() {
        assert_eq!(
            Message::nearest("it's {broken}: a/b").as_str(),
            "it s  broken   a b"
        );
        assert_eq!(Message::nearest("…").as_str(), "-");
        assert_eq!(Message::nearest(&"x".repeat(300)).as_str().len(), 256);
        let name = |text| ConnectorDeviceName::nearest(text).map(|name| name.to_string());
        assert_eq!(name("Küche (links)").as_deref(), Some("Küche  links"));
        assert_eq!(name("居間のランプ").as_deref(), Some("居間のランプ"));
        assert_eq!(name("🙂"), None);
        // A combining mark is no letter.
        assert!("e\u{301}".parse::<ConnectorDeviceName>().is_err());
        assert!("×".parse::<ConnectorDeviceName>().is_err());
        let longest = "ü".repeat(256);
        assert!(longest.parse::<ConnectorDeviceName>().is_ok());
    }
}
