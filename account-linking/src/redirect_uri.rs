//! Redirect URIs: what may be registered, and exact comparison with what is asked for.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::error::{Error, ErrorKind};

/// Longest redirect URI, in bytes.
pub const MAX_REDIRECT_URI_LENGTH: usize = 2048;

/// An absolute redirect URI, kept exactly as it was written.
///
/// It is `https`, or `http` on a loopback host (a native client, RFC 8252 7.3), or a private-use
/// scheme with a dot in it (RFC 8252 7.1). It has no fragment, no user info, and none of the
/// characters on which URL parsers disagree.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

impl RedirectUri {
    /// The URI as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `asked`, as it came in a request, is this registered URI.
    ///
    /// Byte equality (RFC 9700 4.1.3), with one exception: the port of an `http` URI whose host is
    /// a loopback address literal may differ (RFC 8252 7.3).
    #[must_use]
    pub fn admits(&self, asked: &Self) -> bool {
        self == asked
            || match (self.loopback_parts(), asked.loopback_parts()) {
                (Some(registered), Some(asked)) => registered == asked,
                _ => false,
            }
    }

    /// This URI with `pairs` added to its query; a query it has already is kept.
    #[must_use]
    pub fn with_query(&self, pairs: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs);
        let joint = if self.0.contains('?') { '&' } else { '?' };
        format!("{}{joint}{}", self.0, query.finish())
    }

    /// What stands before and after the port, when this is `http` on a loopback literal.
    fn loopback_parts(&self) -> Option<(&str, &str)> {
        let host = ["http://127.0.0.1", "http://[::1]"]
            .into_iter()
            .find(|host| self.0.starts_with(host))?;
        let (host, rest) = self.0.split_at(host.len());
        let Some(port) = rest.strip_prefix(':') else {
            return (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest));
        };
        let end = port
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(port.len());
        Some((host, port.split_at(end).1))
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        if is_acceptable(&text) {
            Ok(Self(text))
        } else {
            Err(ErrorKind::InvalidRedirectUri.into())
        }
    }
}

impl FromStr for RedirectUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_acceptable(text: &str) -> bool {
    let plain = |b: u8| matches!(b, 0x21..=0x7e) && !b"\\\"<>#^`{|}".contains(&b);
    if text.len() > MAX_REDIRECT_URI_LENGTH || !text.bytes().all(plain) {
        return false;
    }
    let Ok(url) = Url::parse(text) else {
        return false;
    };
    let no_user_info = url.username().is_empty() && url.password().is_none() && {
        let authority = text.split('/').nth(2).unwrap_or_default();
        !authority.contains('@')
    };
    no_user_info
        && match url.scheme() {
            "https" => text.starts_with("https://") && url.host().is_some(),
            "http" => text.starts_with("http://") && is_loopback(&url),
            scheme => scheme.contains('.'),
        }
}

/// Whether the host of `url` is a loopback address or `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_or_ambiguous_uris_are_refused() {
        for text in [
            "/cb",
            "https://c.example/cb#f",
            "http://c.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "https://user@c.example/cb",
            "https://@c.example/cb",
            "https:\\\\c.example",
            "https://c.example/a b",
            "https://c.example/\n",
            "https:c.example",
            "",
        ] {
            assert!(text.parse::<RedirectUri>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn comparison_is_by_bytes_but_for_the_port_of_a_loopback_literal() {
        let uri = |text: &str| text.parse::<RedirectUri>().unwrap();
        let https = uri("https://c.example/cb");
        assert!(https.admits(&uri("https://c.example/cb")));
        for other in [
            "https://c.example/cb/",
            "https://C.example/cb",
            "https://c.example:443/cb",
            "https://c.example/%63b",
            "https://c.example/cb?x=1",
        ] {
            assert!(!https.admits(&uri(other)), "{other}");
        }
        let native = uri("http://127.0.0.1/cb");
        assert!(native.admits(&uri("http://127.0.0.1:51004/cb")));
        assert!(!native.admits(&uri("http://127.0.0.1:51004/other")));
        assert!(!native.admits(&uri("http://[::1]:51004/cb")));
        assert!(!uri("http://localhost/cb").admits(&uri("http://localhost:1/cb")));
    }

    #[test]
    fn a_query_of_the_uri_is_kept() {
        let uri: RedirectUri = "https://c.example/cb?a=1".parse().unwrap();
        assert_eq!(
            uri.with_query(&[("state", "x y")]),
            "https://c.example/cb?a=1&state=x+y"
        );
    }
}
