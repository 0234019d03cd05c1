//! Resource links (`oic.oic-link`).

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    href::Href,
    ids::DeviceId,
    members::deserialize_members,
    resource_type::{Interface, ResourceType},
    value::Map,
};

/// One link of a device: where a resource is and what it is.
///
/// Members that have no field here are carried in [`extra`](Self::extra), unchanged. `rt` and `if` are always
/// written, and so is `p.bm`: peers in the field fail without.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResourceLink {
    /// Where the resource is.
    pub href: Href,
    /// What it is: `rt`. Read as empty when it is missing or null, as it is in some unpublished links.
    #[serde(rename = "rt")]
    pub resource_types: Vec<ResourceType>,
    /// Its views: `if`. Read as empty when it is missing or null.
    #[serde(rename = "if")]
    pub interfaces: Vec<Interface>,
    /// Whether it can be discovered and observed: `p`.
    #[serde(rename = "p")]
    pub policy: LinkPolicy,
    /// The device: `di`.
    #[serde(rename = "di", skip_serializing_if = "Option::is_none")]
    pub device_id: Option<DeviceId>,
    /// What the link is seen from, usually `ocf://{di}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
    /// Every other member: `eps`, `ins`, `rel`, `title`, `type`, `tag-*`, and what vendors add.
    #[serde(flatten)]
    pub extra: Map,
}

deserialize_members!(ResourceLink, "a link", {
    "href" as Href => href: required,
    "rt" as ResourceTypes => resource_types: nullable,
    "if" as Interfaces => interfaces: nullable,
    "p" as Policy => policy: nullable,
    "di" as DeviceId => device_id: or_default,
    "anchor" as Anchor => anchor: or_default,
});

impl ResourceLink {
    /// A link with nothing but what every link has.
    #[must_use]
    pub fn new(href: Href, resource_types: Vec<ResourceType>, interfaces: Vec<Interface>) -> Self {
        Self {
            href,
            resource_types,
            interfaces,
            policy: LinkPolicy::default(),
            device_id: None,
            anchor: None,
            extra: Map::new(),
        }
    }

    /// The link as a cloud lists it: `href` begins with `/{deviceId}`, `di` is set.
    #[must_use]
    pub fn for_cloud(mut self, device: DeviceId) -> Self {
        self.href = self.href.without_device(device).with_device(device);
        self.device_id = Some(device);
        self
    }
}

/// The `p` of a link.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LinkPolicy {
    /// The bit mask `bm`: see [`DISCOVERABLE`](Self::DISCOVERABLE) and [`OBSERVABLE`](Self::OBSERVABLE).
    #[serde(rename = "bm")]
    pub bits: u64,
    /// Members of older devices.
    #[serde(flatten)]
    pub extra: Map,
}

deserialize_members!(LinkPolicy, "a policy", {
    "bm" as Bits => bits: or_default,
});

impl LinkPolicy {
    /// Bit 0: the resource is listed.
    pub const DISCOVERABLE: u64 = 1;
    /// Bit 1: the resource can be observed.
    pub const OBSERVABLE: u64 = 2;

    /// The policy of this bit mask.
    #[must_use]
    pub const fn new(bits: u64) -> Self {
        Self {
            bits,
            extra: Map::new(),
        }
    }

    /// Whether the resource can be observed.
    #[must_use]
    pub const fn is_observable(&self) -> bool {
        self.bits & Self::OBSERVABLE != 0
    }
}

pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        content::{Content, ContentFormat},
        limits::Limits,
    };

    fn read(json: &'static str) -> ResourceLink {
        Content::new(ContentFormat::Json, json.as_bytes().into())
            .decode_as(&Limits::default())
            .unwrap()
    }

    fn written(link: &ResourceLink) -> String {
        let content = Content::encode(ContentFormat::Json, link).unwrap();
        String::from_utf8(content.body().to_vec()).unwrap()
    }

    #[test]
    fn unknown_members_are_carried() {
        let json = r#"{"href":"/light/1","rt":["oic.r.light"],"if":["oic.if.create"],"p":{"bm":3,"sec":true},"eps":[{"ep":"coap://[::1]","pri":1}],"ins":7,"rel":"hosts"}"#;
        assert_eq!(written(&read(json)), json);
    }

    #[test]
    fn a_bare_link_is_written_with_types_interfaces_and_policy() {
        let link = read(r#"{"href":"/x","rt":null,"if":null}"#);
        assert_eq!(
            written(&link),
            r#"{"href":"/x","rt":[],"if":[],"p":{"bm":0}}"#
        );
    }

    #[test]
    fn a_cloud_prefixes_the_href_once() {
        let device: DeviceId = "53080a4f-5e3e-4291-802f-3436238232d2".parse().unwrap();
        let link = read(r#"{"href":"/x"}"#).for_cloud(device);
        assert_eq!(
            link.href.as_str(),
            "/53080a4f-5e3e-4291-802f-3436238232d2/x"
        );
        assert_eq!(link.clone().for_cloud(device), link);
    }
}
