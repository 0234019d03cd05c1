//! Resources of RFC 8707: the APIs that an access token opens, named by URI.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, ErrorKind};

/// Longest resource, in bytes.
pub const MAX_RESOURCE_LENGTH: usize = 512;
/// Most resources that one request may name.
pub const MAX_RESOURCES: usize = 8;

/// An API, by the absolute URI that is the `aud` of its access tokens (RFC 8707 2).
///
/// It has no fragment and is kept, and compared, exactly as it was written.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Resource(String);

impl Resource {
    /// The URI as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Resource {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let plain = |b: u8| matches!(b, 0x21..=0x7e) && !b"\\\"<>#^`{|}".contains(&b);
        // RFC 3986, 4.3: absolute means a scheme and no fragment.
        if text.len() <= MAX_RESOURCE_LENGTH && text.bytes().all(plain) && Url::parse(&text).is_ok()
        {
            Ok(Self(text))
        } else {
            Err(ErrorKind::InvalidUrl.into())
        }
    }
}

impl FromStr for Resource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<Resource> for String {
    fn from(resource: Resource) -> Self {
        resource.0
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_absolute_uri_without_fragment() {
        for text in [
            "https://a.example",
            "https://a.example/b?c",
            "urn:example:api",
        ] {
            assert_eq!(text.parse::<Resource>().unwrap().as_str(), text);
        }
        let long = format!("https://a.example/{}", "a".repeat(MAX_RESOURCE_LENGTH));
        for text in [
            "",
            "/api",
            "a.example",
            "https://a.example/#b",
            "https://a b",
            "https://ä",
            &long,
        ] {
            assert!(text.parse::<Resource>().is_err(), "{text}");
        }
    }
}
