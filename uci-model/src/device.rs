//! Devices as the interface lists them.

use alloc::{string::String, vec, vec::Vec};

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    href::Href,
    ids::DeviceId,
    link::{ResourceLink, null_as_default},
    members::deserialize_members,
    resource_type::ResourceType,
    value::{Map, Value},
};

/// A device with its links: what `content=base` lists.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Device {
    /// What the device says of itself.
    pub device: DeviceProperties,
    /// Whether it is connected.
    pub status: DeviceStatus,
    /// Its resources; each `href` begins with `/{deviceId}`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub links: Vec<ResourceLink>,
}

impl Device {
    /// A device with these links.
    #[must_use]
    pub fn new(device: DeviceProperties, status: DeviceStatus, links: Vec<ResourceLink>) -> Self {
        Self {
            device,
            status,
            links,
        }
    }
}

/// A device with its representations: what `content=all` lists.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceContentAll {
    /// What the device says of itself.
    pub device: DeviceProperties,
    /// Whether it is connected.
    pub status: DeviceStatus,
    /// Its resources with what they hold; each `href` begins with `/{deviceId}`.
    #[serde(default, deserialize_with = "null_as_default")]
    pub links: Vec<ResourceContent>,
}

impl DeviceContentAll {
    /// A device with these representations.
    #[must_use]
    pub fn new(
        device: DeviceProperties,
        status: DeviceStatus,
        links: Vec<ResourceContent>,
    ) -> Self {
        Self {
            device,
            status,
            links,
        }
    }
}

/// A resource and what it holds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ResourceContent {
    /// Where the resource is.
    pub href: Href,
    /// The representation: a map, or an array for collections. Null when nothing is known.
    #[serde(rename = "rep", default = "null")]
    pub representation: Value,
}

impl ResourceContent {
    /// A resource and what it holds.
    #[must_use]
    pub const fn new(href: Href, representation: Value) -> Self {
        Self {
            href,
            representation,
        }
    }
}

const fn null() -> Value {
    Value::Null
}

/// What a device says of itself: the properties of `oic.wk.d`.
///
/// The four that the interface requires are always written. They are read leniently: a device that never
/// published `/oic/d` has neither name nor manufacturer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceProperties {
    /// The device: `di`.
    #[serde(rename = "di")]
    pub device_id: DeviceId,
    /// Its name: `n`.
    #[serde(rename = "n")]
    pub name: String,
    /// What it is: `rt`.
    #[serde(rename = "rt")]
    pub resource_types: Vec<ResourceType>,
    /// Who made it, by language: `dmn`.
    #[serde(rename = "dmn")]
    pub manufacturer_name: Vec<LocalizedText>,
    /// Every other property: `piid`, `icv`, `dmv`, `if`, and what vendors add.
    #[serde(flatten)]
    pub extra: Map,
}

deserialize_members!(DeviceProperties, "the properties of a device", {
    "di" as DeviceId => device_id: required,
    "n" as Name => name: nullable,
    "rt" as ResourceTypes => resource_types: nullable,
    "dmn" as ManufacturerName => manufacturer_name: nullable,
});

impl DeviceProperties {
    /// A device of which nothing but its id is known: no name, `oic.wk.d`, an empty manufacturer.
    ///
    /// `rt` and `dmn` must have an item each.
    #[must_use]
    pub fn new(device_id: DeviceId) -> Self {
        Self {
            device_id,
            name: String::new(),
            resource_types: vec![ResourceType::DEVICE],
            manufacturer_name: vec![LocalizedText::new("en", "")],
            extra: Map::new(),
        }
    }
}

/// A text and its language.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LocalizedText {
    /// The language tag (RFC 5646).
    pub language: String,
    /// The text.
    pub value: String,
}

impl LocalizedText {
    /// A text in a language.
    #[must_use]
    pub fn new(language: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            language: language.into(),
            value: value.into(),
        }
    }
}

/// Whether a device holds a connection to its cloud.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum DeviceStatus {
    /// Connected and signed in.
    Online,
    /// Registered, not connected.
    Offline,
}

impl<'de> Deserialize<'de> for DeviceStatus {
    /// `online` in any case; every other text counts as offline, as peers in the field have it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(if text.eq_ignore_ascii_case("online") {
            Self::Online
        } else {
            Self::Offline
        })
    }
}
