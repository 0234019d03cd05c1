//! What a client says it has: the payload of Bootstrap-Discover, of LwM2M 1.0, 1.1 and 1.1.1. (LwM2M 1.1 Core, 6.1.7.3; RFC 6690)
//!
//! ```text
//! lwm2m="1.0",</0/0>,</0/1>;ssid=101,</1/0>;ssid=101,</3/0>
//! </>;lwm2m=1.1,</0/0>;uri="coaps://a",</0/1>;ssid=101;uri="coaps://b",</1>;ver=1.1,</1/0>;ssid=101,</3/0>,</21/0>;ssid=101
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::{DecodeError, Path};

/// The most links in a payload.
const MAX_LINKS: usize = 1024;

/// The objects and instances of a client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Discovery {
    /// The version of LwM2M that the client speaks, as it writes it.
    pub version: Option<String>,
    /// What it listed, with the short server id where it says one.
    pub links: BTreeMap<Path, Option<u16>>,
}

impl Discovery {
    /// Reads a payload.
    ///
    /// # Errors
    /// [`DecodeError::Syntax`] when it is no list of links; [`DecodeError::Duplicate`] when one occurs twice;
    /// [`DecodeError::Path`] for a target that is no path of LwM2M; [`DecodeError::TooLarge`] over 1024 links.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let text = std::str::from_utf8(payload).map_err(|_| DecodeError::Syntax)?;
        let mut discovery = Self::default();
        let mut rest = text.trim_matches(is_space);
        while !rest.is_empty() {
            if discovery.links.len() >= MAX_LINKS {
                return Err(DecodeError::TooLarge);
            }
            rest = discovery.take_link(rest)?;
        }
        Ok(discovery)
    }

    fn take_link<'a>(&mut self, text: &'a str) -> Result<&'a str, DecodeError> {
        let Some(behind) = text.strip_prefix('<') else {
            // 1.0 says its version without a link.
            let (name, value, rest) = attribute(text)?;
            if name != "lwm2m" {
                return Err(DecodeError::Syntax);
            }
            self.set_version(value)?;
            return next_link(rest);
        };
        let (target, mut rest) = behind.split_once('>').ok_or(DecodeError::Syntax)?;
        let path: Path = target.parse()?;
        let mut short_server_id = None;
        loop {
            rest = rest.trim_start_matches(is_space);
            let Some(behind) = rest.strip_prefix(';') else {
                break;
            };
            let behind = behind.trim_start_matches(is_space);
            if behind.is_empty() || behind.starts_with([';', ',']) {
                rest = behind;
                continue;
            }
            let (name, value, behind) = attribute(behind)?;
            match (name, value) {
                ("ssid", Some(id)) => {
                    let id = id.parse().map_err(|_| DecodeError::Syntax)?;
                    if short_server_id.replace(id).is_some() {
                        return Err(DecodeError::Duplicate);
                    }
                }
                ("lwm2m", version) => self.set_version(version)?,
                _ => {}
            }
            rest = behind;
        }
        if self.links.insert(path, short_server_id).is_some() {
            return Err(DecodeError::Duplicate);
        }
        next_link(rest)
    }

    fn set_version(&mut self, version: Option<&str>) -> Result<(), DecodeError> {
        let version = version.ok_or(DecodeError::Syntax)?.to_owned();
        match self.version.replace(version) {
            None => Ok(()),
            Some(_) => Err(DecodeError::Duplicate),
        }
    }

    /// The instances of an object, with the short server id where the client says one.
    pub fn instances(&self, object: u16) -> impl Iterator<Item = (u16, Option<u16>)> + '_ {
        let range = Path::Instance(object, 0)..=Path::Instance(object, u16::MAX);
        self.links
            .range(range)
            .filter_map(|(path, server)| match path {
                Path::Instance(_, instance) => Some((*instance, *server)),
                _ => None,
            })
    }

    /// Where the account of the bootstrap server may be: the instances of the Security object without a short server id.
    #[must_use]
    pub fn bootstrap_accounts(&self) -> BTreeSet<u16> {
        let unnamed = self.instances(0).filter(|(_, server)| server.is_none());
        unnamed.map(|(instance, _)| instance).collect()
    }
}

/// What is behind a link: nothing, or a comma and another.
fn next_link(rest: &str) -> Result<&str, DecodeError> {
    let rest = rest.trim_start_matches(is_space);
    if rest.is_empty() {
        return Ok(rest);
    }
    let rest = rest.strip_prefix(',').ok_or(DecodeError::Syntax)?;
    match rest.trim_start_matches(is_space) {
        "" => Err(DecodeError::Syntax),
        rest => Ok(rest),
    }
}

/// `name`, `name=value` or `name="value"`, and what is behind it.
fn attribute(text: &str) -> Result<(&str, Option<&str>, &str), DecodeError> {
    let end = text.find(['=', ';', ',', '<', '"']).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).ok_or(DecodeError::Syntax)?;
    let name = name.trim_matches(is_space);
    if name.is_empty() {
        return Err(DecodeError::Syntax);
    }
    let Some(value) = rest.strip_prefix('=') else {
        return Ok((name, None, rest));
    };
    // No value that LwM2M defines has a quote in it, and so no escape.
    if let Some(quoted) = value.strip_prefix('"') {
        let (value, rest) = quoted.split_once('"').ok_or(DecodeError::Syntax)?;
        return Ok((name, Some(value), rest));
    }
    let end = value.find([';', ',', '"', '<']).unwrap_or(value.len());
    let (value, rest) = value.split_at_checked(end).ok_or(DecodeError::Syntax)?;
    Ok((name, Some(value.trim_end_matches(is_space)), rest))
}

const fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links(text: &str) -> Result<Vec<(String, Option<u16>)>, DecodeError> {
        let read = Discovery::decode(text.as_bytes())?;
        Ok(read
            .links
            .iter()
            .map(|(path, server)| (path.to_string(), *server))
            .collect())
    }

    #[test]
    fn the_payloads_of_three_versions_tell_where_the_bootstrap_account_is() {
        for (text, version, bootstrap) in [
            (
                "lwm2m=\"1.0\",</0/0>,</0/1>;ssid=101,</1/0>;ssid=101,</3/0>",
                "1.0",
                vec![0],
            ),
            (
                "</>;lwm2m=1.1,</0/0>;uri=\"coaps://a,b;c\",</0/1>;ssid=101;uri=\"coaps://b\",</1>;ver=1.1,</1/0>;ssid=101,</3/0>,</21>;ver=2.0",
                "1.1",
                vec![0],
            ),
            (
                "</>;lwm2m=1.2;,</0/1>;ssid=5,</0/7>;uri=\"coap://x\"",
                "1.2",
                vec![7],
            ),
            ("</>;lwm2m=1.1, </0/0>;ssid=9 ,\r\n</0/1>", "1.1", vec![1]),
        ] {
            let read = Discovery::decode(text.as_bytes()).unwrap();
            assert_eq!(read.version.as_deref(), Some(version), "{text}");
            assert_eq!(
                read.bootstrap_accounts().into_iter().collect::<Vec<_>>(),
                bootstrap,
                "{text}"
            );
        }
    }

    #[test]
    fn short_server_ids_belong_to_their_links() {
        let read =
            links("</0/1>;ssid=101;uri=\"coaps://h:5684\",</1>;ver=1.1,</1/0>;ssid=101").unwrap();
        assert_eq!(
            read,
            [
                ("/1".to_owned(), None),
                ("/0/1".to_owned(), Some(101)),
                ("/1/0".to_owned(), Some(101))
            ]
        );
        assert_eq!(links("").unwrap(), []);
    }

    #[test]
    fn what_is_no_list_of_links_is_refused() {
        for (bad, why) in [
            ("<", DecodeError::Syntax),
            ("</0/0", DecodeError::Syntax),
            ("</0/0>,", DecodeError::Syntax),
            ("</0/0></0/1>", DecodeError::Syntax),
            ("</0/0>;ssid=x", DecodeError::Syntax),
            ("</0/0>;ssid=65536", DecodeError::Syntax),
            ("</0/0>;uri=\"a", DecodeError::Syntax),
            ("ssid=1,</0/0>", DecodeError::Syntax),
            ("</0/0>;ssid=1;ssid=2", DecodeError::Duplicate),
            ("</0/0>,</0/0>", DecodeError::Duplicate),
            ("</>;lwm2m=1.1;lwm2m=1.0", DecodeError::Duplicate),
            ("</.well-known/core>", DecodeError::Path),
        ] {
            assert_eq!(links(bad), Err(why), "{bad}");
        }
        let many: Vec<_> = (0..=1024).map(|id| format!("</5/{id}>")).collect();
        assert_eq!(links(&many.join(",")), Err(DecodeError::TooLarge));
        assert!(links(&many[1..].join(",")).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in "(<|>|/|,|;|=|\"|lwm2m|ssid|1|0| ){0,40}") {
            let _ = Discovery::decode(text.as_bytes());
        }
    }
}
