//! Which `eventsUrl` this cloud is willing to POST to: the guard against being used to reach into its own
//! network.
//!
//! The URL is checked when a subscription is made. A name resolves to addresses only when a connection is opened, and may
//! resolve differently every time, so an HTTP sender passes every resolved address through
//! [`EventsUrlPolicy::judge_address`], connects to the very address that was judged, and follows no redirect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Longest URL, in bytes.
const MAX_URL: usize = 2048;

/// What is allowed besides `https` to public addresses.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EventsUrlPolicy {
    /// Also plain `http`, for tests on one machine.
    pub dangerous_allow_http: bool,
    /// Also loopback, private and other addresses that are not of the public Internet.
    pub dangerous_allow_non_public: bool,
}

/// Why an `eventsUrl` is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsUrlError {
    /// Not an absolute URL of at most 2048 bytes with a host.
    #[error("eventsUrl is not an absolute URL with a host")]
    Malformed,
    /// Not `https`.
    #[error("eventsUrl is not https")]
    Scheme,
    /// A user name or password in it.
    #[error("eventsUrl carries credentials")]
    Credentials,
    /// A fragment in it.
    #[error("eventsUrl carries a fragment")]
    Fragment,
    /// It leads to an address that is not public.
    #[error("eventsUrl leads to an address that is not public")]
    NotPublic,
}

impl EventsUrlPolicy {
    /// Checks a URL without resolving its name.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, text: &str) -> Result<Url, EventsUrlError> {
        if text.len() > MAX_URL || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(EventsUrlError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| EventsUrlError::Malformed)?;
        match url.scheme() {
            "https" => {}
            "http" if self.dangerous_allow_http => {}
            _ => return Err(EventsUrlError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EventsUrlError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(EventsUrlError::Fragment);
        }
        // What cannot be sent to is refused now and not when the first notification is due.
        http::Uri::try_from(url.as_str()).map_err(|_| EventsUrlError::Malformed)?;
        match url.host() {
            None => Err(EventsUrlError::Malformed),
            Some(Host::Ipv4(address)) => self.judge_address(address.into()).map(|()| url),
            Some(Host::Ipv6(address)) => self.judge_address(address.into()).map(|()| url),
            Some(Host::Domain(name)) => {
                if is_local_name(name) && !self.dangerous_allow_non_public {
                    return Err(EventsUrlError::NotPublic);
                }
                Ok(url)
            }
        }
    }

    /// Judges an address that a name resolved to, right before it is connected to.
    ///
    /// # Errors
    /// [`EventsUrlError::NotPublic`].
    pub fn judge_address(&self, address: IpAddr) -> Result<(), EventsUrlError> {
        if self.dangerous_allow_non_public || is_public(address) {
            Ok(())
        } else {
            Err(EventsUrlError::NotPublic)
        }
    }
}

/// RFC 6761, 6.3: these names are this machine whatever a resolver says.
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name
            .rsplit_once('.')
            .is_some_and(|(_, last)| last.eq_ignore_ascii_case("localhost"))
}

/// Whether an address is a unicast address of the public Internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// All of the IANA IPv4 special-purpose registry that is not globally reachable, and multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, ..) | (224..=255, ..) => true,
        // Shared address space, link-local, private, benchmarking.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        (198, 18 | 19, _) => true,
        // Protocol assignments, documentation, the deprecated 6to4 relay.
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (192, 88, 99) => true,
        _ => false,
    };
    !special
}

/// Only 2000::/3 is global unicast; parts of it are not, and some of it only wraps an IPv4 address.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if let Some(v4) = address.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address inside.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            is_public_v4(v4(high, low))
        }
        // Protocol assignments with Teredo and ORCHID, documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests;
