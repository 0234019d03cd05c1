use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::allocation::Coordinates;
use crate::mqtt::TargetAddress;
use crate::{AccessPointId, ApplicationId, ErrorKind, TenantId, limits};

/// How many applications an access point may have.
const MAX_APPLICATIONS: usize = 1000;

/// A cloud instance to which devices can be assigned (the field's words: access point, linked hub).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AccessPoint {
    /// Its id.
    pub id: AccessPointId,
    /// A name for people, 1 to 256 bytes.
    pub name: String,
    /// Where it stands, in the operator's words, 1 to 64 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Where it stands on the globe; without it no device is the nearest to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Coordinates>,
    /// What a device connects to.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Whether it is the cloud that assigns, so that the device is made known there without asking anyone.
    #[serde(default)]
    pub local: bool,
    /// Its applications.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub applications: BTreeSet<ApplicationId>,
    /// The application of a device for which none was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_application: Option<ApplicationId>,
    /// Its share where devices are spread over several.
    pub weight: Weight,
    /// Whether it takes devices that it does not have yet.
    pub accepts_new: bool,
    /// How many devices it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<u64>,
    /// Whose it is.
    #[serde(default)]
    pub owner: Owner,
}

/// What devices connect to, by protocol.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Endpoints {
    /// For MQTT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<TargetAddress>,
    /// For LwM2M, as it is written to a device's Security object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lwm2m: Option<CoapUri>,
}

/// A share, 0 to 1000. With 0 nothing is given.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Weight(u16);

/// Whose an access point is.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The tenant's own.
    #[default]
    Own,
    /// Another tenant's.
    Other {
        /// Whose.
        tenant: TenantId,
        /// Whether it lets this tenant use it.
        granted: bool,
    },
}

/// The address of a CoAP server (RFC 7252, 6): `coap`, `coaps`, `coap+tcp` or `coaps+tcp`, a host, and perhaps a port. Nothing behind.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CoapUri(String);

impl AccessPoint {
    /// An access point of the tenant's own, with weight 1, no endpoint yet, that accepts new devices.
    #[must_use]
    pub fn new(id: AccessPointId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            region: None,
            location: None,
            endpoints: Endpoints::default(),
            local: false,
            applications: BTreeSet::new(),
            default_application: None,
            weight: Weight::ONE,
            accepts_new: true,
            capacity: None,
            owner: Owner::Own,
        }
    }

    /// Lets an access point pass whose texts are of their sizes and whose default application is one of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`].
    pub fn check(&self) -> Result<(), ErrorKind> {
        limits::ACCESS_POINT_NAME.check(&self.name)?;
        if let Some(region) = &self.region {
            limits::REGION.check(region)?;
        }
        let known = self.default_application.as_ref();
        if self.applications.len() > MAX_APPLICATIONS
            || known.is_some_and(|application| !self.applications.contains(application))
        {
            return Err(ErrorKind::InvalidValue);
        }
        Ok(())
    }

    /// Whether the tenant may use it: it is its own or granted.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self.owner, Owner::Own | Owner::Other { granted: true, .. })
    }

    /// The application of a device: the one that is named, if it is one of its own, otherwise the default.
    pub(crate) fn application(
        &self,
        named: Option<&ApplicationId>,
    ) -> Result<Option<ApplicationId>, ErrorKind> {
        match named {
            Some(application) if self.applications.contains(application) => {
                Ok(Some(application.clone()))
            }
            Some(_) => Err(ErrorKind::UnknownEntry),
            None => Ok(self.default_application.clone()),
        }
    }
}

impl Weight {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The share of an access point of which nothing is said.
    pub const ONE: Self = Self(1);

    /// A share.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidValue`] over 1000.
    pub fn new(weight: u16) -> Result<Self, ErrorKind> {
        if weight > 1000 {
            return Err(ErrorKind::InvalidValue);
        }
        Ok(Self(weight))
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for Weight {
    type Error = ErrorKind;

    fn try_from(weight: u16) -> Result<Self, ErrorKind> {
        Self::new(weight)
    }
}

impl From<Weight> for u16 {
    fn from(weight: Weight) -> Self {
        weight.0
    }
}

impl CoapUri {
    /// The URI as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what goes there is protected by TLS or DTLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.0.starts_with("coaps")
    }
}

impl TryFrom<String> for CoapUri {
    type Error = ErrorKind;

    fn try_from(text: String) -> Result<Self, ErrorKind> {
        let schemes = ["coap", "coaps", "coap+tcp", "coaps+tcp"];
        let sound = text.split_once("://").is_some_and(|(scheme, rest)| {
            schemes.contains(&scheme) && text.len() <= 255 && is_authority(rest)
        });
        if sound {
            Ok(Self(text))
        } else {
            Err(ErrorKind::InvalidValue)
        }
    }
}

impl std::str::FromStr for CoapUri {
    type Err = ErrorKind;

    fn from_str(text: &str) -> Result<Self, ErrorKind> {
        text.to_owned().try_into()
    }
}

impl From<CoapUri> for String {
    fn from(uri: CoapUri) -> Self {
        uri.0
    }
}

impl fmt::Display for CoapUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host or an IPv6 address in brackets, and perhaps a port that is not 0 (RFC 3986, 3.2).
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, rest)) => {
            if literal.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            ("ipv6", rest)
        }
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let named = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    let port_is_sound = match port.strip_prefix(':') {
        Some(port) => {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && port.parse::<u16>().is_ok_and(|port| port != 0)
        }
        None => port.is_empty(),
    };
    named && port_is_sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coap_uris_have_a_scheme_a_host_and_nothing_behind() {
        let sound = |text: &str| text.parse::<CoapUri>().is_ok();
        assert!(sound("coaps://cloud.example:5684") && sound("coap://[::1]:5683"));
        assert!(sound("coap://10.0.0.1") && sound("coaps+tcp://cloud.example"));
        for text in [
            "",
            "coap://",
            "http://a",
            "coap://a/",
            "coap://a?x",
            "coap://a:0",
            "coap://a:65536",
            "coap://a:+1",
            "coap://[::1",
            "coap://[x]",
            "coap://u@a",
            "coap://a b",
            "coap://[::1]x",
        ] {
            assert!(!sound(text), "{text}");
        }
        assert!("coaps://a".parse::<CoapUri>().unwrap().is_secure());
        assert!(!"coap://a".parse::<CoapUri>().unwrap().is_secure());
    }

    #[test]
    fn a_weight_is_at_most_a_thousand() {
        assert_eq!(Weight::new(1000).map(Weight::value), Ok(1000));
        assert_eq!(Weight::new(1001), Err(ErrorKind::InvalidValue));
    }

    #[test]
    fn the_default_application_is_one_of_the_access_points_own() {
        let mut point = AccessPoint::new("east".parse().unwrap(), "East");
        assert_eq!(point.check(), Ok(()));
        point.default_application = Some("app".parse().unwrap());
        assert_eq!(point.check(), Err(ErrorKind::InvalidValue));
        point.applications.insert("app".parse().unwrap());
        assert_eq!(point.check(), Ok(()));
        assert_eq!(point.application(None), Ok(Some("app".parse().unwrap())));
        assert!(point.application(Some(&"other".parse().unwrap())).is_err());
        point.name = "x".repeat(257);
        assert_eq!(point.check(), Err(ErrorKind::InvalidValue));
    }
}
