//! The devices of a discovery: capability reports in the terms of Matter.
//!
//! Left out of what the model knows: `CapabilitySchemas`, with which a connector brings clusters of its own.

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId, EventId};
use crate::managed_integrations::text::{
    CapabilityName, ConnectorDeviceId, ConnectorDeviceName, DeviceType, EndpointId, NodeId,
    SemanticTag,
};
use crate::managed_integrations::value::Value;

/// A device and what it can do.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    connector_device_id: ConnectorDeviceId,
    #[serde(skip_serializing_if = "Option::is_none")]
    connector_device_name: Option<ConnectorDeviceName>,
    capability_report: CapabilityReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_metadata: Option<Value>,
}

impl Device {
    /// A device.
    #[must_use]
    pub fn new(id: ConnectorDeviceId, report: CapabilityReport) -> Self {
        Self {
            connector_device_id: id,
            connector_device_name: None,
            capability_report: report,
            device_metadata: None,
        }
    }

    /// With what people call it.
    #[must_use]
    pub fn with_name(mut self, name: ConnectorDeviceName) -> Self {
        self.connector_device_name = Some(name);
        self
    }

    /// With more to know of it, in any form.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Value) -> Self {
        self.device_metadata = Some(metadata);
        self
    }

    /// The id that commands name.
    #[must_use]
    pub fn id(&self) -> &ConnectorDeviceId {
        &self.connector_device_id
    }

    /// What it can do.
    #[must_use]
    pub fn report(&self) -> &CapabilityReport {
        &self.capability_report
    }
}

/// What a device can do: at most 50 endpoints. Its version is always `1.0.0`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CapabilityReport {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_id: Option<NodeId>,
    endpoints: Vec<ReportEndpoint>,
}

impl CapabilityReport {
    /// The most endpoints.
    pub const MAX_ENDPOINTS: usize = 50;

    /// A report of these endpoints.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_ENDPOINTS`].
    pub fn new(endpoints: Vec<ReportEndpoint>) -> Result<Self, Error> {
        Ok(Self {
            version: "1.0.0",
            node_id: None,
            endpoints: up_to(Self::MAX_ENDPOINTS, endpoints)?,
        })
    }

    /// With the number of the Matter node, for a device that is one.
    #[must_use]
    pub fn with_node_id(mut self, node: NodeId) -> Self {
        self.node_id = Some(node);
        self
    }

    /// The endpoints.
    #[must_use]
    pub fn endpoints(&self) -> &[ReportEndpoint] {
        &self.endpoints
    }
}

/// A part of a device: at most 50 kinds and 50 clusters.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportEndpoint {
    id: EndpointId,
    device_types: Vec<DeviceType>,
    clusters: Vec<ReportCluster>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<EndpointId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    semantic_tags: Vec<SemanticTag>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    client_clusters: Vec<ClusterId>,
}

impl ReportEndpoint {
    /// The most kinds, and the most clusters.
    pub const MAX_CLUSTERS: usize = 50;
    /// The most parts, the most tags, and the most client clusters.
    pub const MAX_PARTS: usize = 32;

    /// An endpoint.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_CLUSTERS`] of either.
    pub fn new(
        id: EndpointId,
        device_types: Vec<DeviceType>,
        clusters: Vec<ReportCluster>,
    ) -> Result<Self, Error> {
        Ok(Self {
            id,
            device_types: up_to(Self::MAX_CLUSTERS, device_types)?,
            clusters: up_to(Self::MAX_CLUSTERS, clusters)?,
            parts: Vec::new(),
            semantic_tags: Vec::new(),
            client_clusters: Vec::new(),
        })
    }

    /// With the endpoints that are parts of this one.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_PARTS`].
    pub fn with_parts(mut self, parts: Vec<EndpointId>) -> Result<Self, Error> {
        self.parts = up_to(Self::MAX_PARTS, parts)?;
        Ok(self)
    }

    /// With tags that tell it from others of its kind.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_PARTS`].
    pub fn with_semantic_tags(mut self, tags: Vec<SemanticTag>) -> Result<Self, Error> {
        self.semantic_tags = up_to(Self::MAX_PARTS, tags)?;
        Ok(self)
    }

    /// With the clusters of other devices that it controls.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_PARTS`].
    pub fn with_client_clusters(mut self, clusters: Vec<ClusterId>) -> Result<Self, Error> {
        self.client_clusters = up_to(Self::MAX_PARTS, clusters)?;
        Ok(self)
    }

    /// The id that commands name.
    #[must_use]
    pub fn id(&self) -> &EndpointId {
        &self.id
    }

    /// The clusters.
    #[must_use]
    pub fn clusters(&self) -> &[ReportCluster] {
        &self.clusters
    }
}

/// A cluster that a part of a device has: at most 100 attributes, commands and events each.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportCluster {
    id: ClusterId,
    revision: Revision,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_id: Option<PublicId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<CapabilityName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_map: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<ReportAttribute>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    commands: Vec<CommandId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventId>,
}

impl ReportCluster {
    /// The most attributes, the most commands, and the most events.
    pub const MAX_ENTRIES: usize = 100;

    /// A cluster of which nothing is said yet.
    #[must_use]
    pub fn new(id: ClusterId, revision: Revision) -> Self {
        Self {
            id,
            revision,
            public_id: None,
            name: None,
            feature_map: None,
            attributes: Vec::new(),
            commands: Vec::new(),
            events: Vec::new(),
        }
    }

    /// With the schema that describes it.
    #[must_use]
    pub fn with_public_id(mut self, id: PublicId) -> Self {
        self.public_id = Some(id);
        self
    }

    /// With its name.
    #[must_use]
    pub fn with_name(mut self, name: CapabilityName) -> Self {
        self.name = Some(name);
        self
    }

    /// With the features that it has, a bit each.
    #[must_use]
    pub fn with_feature_map(mut self, features: u32) -> Self {
        self.feature_map = Some(features);
        self
    }

    /// With the attributes that it has.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_ENTRIES`].
    pub fn with_attributes(mut self, attributes: Vec<ReportAttribute>) -> Result<Self, Error> {
        self.attributes = up_to(Self::MAX_ENTRIES, attributes)?;
        Ok(self)
    }

    /// With the commands that it takes.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_ENTRIES`].
    pub fn with_commands(mut self, commands: Vec<CommandId>) -> Result<Self, Error> {
        self.commands = up_to(Self::MAX_ENTRIES, commands)?;
        Ok(self)
    }

    /// With the events that it sends.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] with more than [`Self::MAX_ENTRIES`].
    pub fn with_events(mut self, events: Vec<EventId>) -> Result<Self, Error> {
        self.events = up_to(Self::MAX_ENTRIES, events)?;
        Ok(self)
    }

    /// The cluster.
    #[must_use]
    pub fn id(&self) -> &ClusterId {
        &self.id
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> &[ReportAttribute] {
        &self.attributes
    }

    /// Its commands.
    #[must_use]
    pub fn commands(&self) -> &[CommandId] {
        &self.commands
    }
}

/// An attribute of a reported cluster.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportAttribute {
    /// The attribute.
    pub id: AttributeId,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<CapabilityName>,
    /// Its value at the time of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl ReportAttribute {
    /// An attribute.
    #[must_use]
    pub fn new(id: AttributeId) -> Self {
        Self {
            id,
            name: None,
            value: None,
        }
    }
}

/// The revision of a cluster, 1 to 10.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Revision(u8);

impl Revision {
    /// A revision.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEvent`] outside of 1 to 10.
    pub const fn new(revision: u8) -> Result<Self, ErrorKind> {
        if revision == 0 || revision > 10 {
            return Err(ErrorKind::InvalidEvent);
        }
        Ok(Self(revision))
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0)
    }
}

/// Names the schema of a capability: `name@1.2`, `name@1.2.3` or `name@$latest`, 7 to 128 characters.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct PublicId(String);

impl core::str::FromStr for PublicId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let valid = text.split_once('@').is_some_and(|(name, version)| {
            let parts = version.split('.').count();
            let numbered = (2..=3).contains(&parts) && version.split('.').all(number);
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
                && (numbered || version == "$latest")
        });
        if !valid || !(7..=128).contains(&text.len()) {
            return Err(ErrorKind::InvalidIdentifier.into());
        }
        Ok(Self(text.to_owned()))
    }
}

fn up_to<T>(max: usize, items: Vec<T>) -> Result<Vec<T>, Error> {
    if items.len() > max {
        return Err(ErrorKind::Full.into());
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_model_allows_is_refused() {
        let endpoint = |count| {
            let cluster = ReportCluster::new(ClusterId::new(6), Revision::new(1).unwrap());
            ReportEndpoint::new("1".parse().unwrap(), vec![], vec![cluster; count])
        };
        assert_eq!(endpoint(51).unwrap_err().kind(), ErrorKind::Full);
        let endpoints = vec![endpoint(50).unwrap(); 51];
        assert_eq!(
            CapabilityReport::new(endpoints).unwrap_err().kind(),
            ErrorKind::Full
        );
        assert!(Revision::new(0).is_err() && Revision::new(11).is_err());
        let commands = vec![CommandId::new(0); 101];
        let cluster = ReportCluster::new(ClusterId::new(6), Revision::new(1).unwrap());
        assert!(cluster.with_commands(commands).is_err());
    }

    #[test]
    fn schemas_are_named_with_a_version() {
        for text in ["matter.OnOff@1.4", "aws.OnOff@1.0.0", "aws.OnOff@$latest"] {
            assert!(text.parse::<PublicId>().is_ok(), "{text}");
        }
        for text in [
            "",
            "aws.OnOff",
            "aws.OnOff@1",
            "aws.OnOff@1.",
            "a@1.2",
            "aws-OnOff@1.0",
            "aws.OnOff@1.2.3.4",
        ] {
            assert!(text.parse::<PublicId>().is_err(), "{text}");
        }
    }
}
