//! The endpoint of a command response or a device event.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId, EventId};
use crate::managed_integrations::text::EndpointId;
use crate::managed_integrations::value::Value;

/// A part of a device, with what is said of it: 1 to 5 clusters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatterEndpoint {
    id: EndpointId,
    clusters: Vec<MatterCluster>,
}

impl MatterEndpoint {
    /// The most clusters.
    pub const MAX_CLUSTERS: usize = 5;

    /// An endpoint with its clusters.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEvent`] without clusters or with one twice, [`ErrorKind::Full`] with more than
    /// [`Self::MAX_CLUSTERS`].
    pub fn new(id: EndpointId, clusters: Vec<MatterCluster>) -> Result<Self, Error> {
        if clusters.len() > Self::MAX_CLUSTERS {
            return Err(ErrorKind::Full.into());
        }
        let mut ids: Vec<_> = clusters.iter().map(|cluster| &cluster.id).collect();
        ids.sort();
        ids.dedup();
        if clusters.is_empty() || ids.len() < clusters.len() {
            return Err(ErrorKind::InvalidEvent.into());
        }
        Ok(Self { id, clusters })
    }

    /// The part.
    #[must_use]
    pub fn id(&self) -> &EndpointId {
        &self.id
    }

    /// Its clusters.
    #[must_use]
    pub fn clusters(&self) -> &[MatterCluster] {
        &self.clusters
    }
}

/// A cluster, with the attributes, commands or events that there is something to say of.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MatterCluster {
    id: ClusterId,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    commands: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    events: BTreeMap<String, Value>,
}

impl MatterCluster {
    /// The most commands, and the most events.
    pub const MAX_ENTRIES: usize = 5;

    /// A cluster of which nothing is said yet.
    #[must_use]
    pub fn new(id: ClusterId) -> Self {
        Self {
            id,
            attributes: BTreeMap::new(),
            commands: BTreeMap::new(),
            events: BTreeMap::new(),
        }
    }

    /// With the values of attributes, written as an object by their ids. The model sets no greatest number.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEvent`] with none, or one twice.
    pub fn with_attributes(
        mut self,
        attributes: impl IntoIterator<Item = (AttributeId, Value)>,
    ) -> Result<Self, Error> {
        let entries = attributes
            .into_iter()
            .map(|(id, value)| (id.to_string(), value));
        self.attributes = distinct(entries, usize::MAX)?;
        Ok(self)
    }

    /// With what became of commands: their fields, and `responseCode` and `errors` beside them.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEvent`] with none, or one twice; [`ErrorKind::Full`] with more than [`Self::MAX_ENTRIES`].
    pub fn with_commands(
        mut self,
        commands: impl IntoIterator<Item = (CommandId, Value)>,
    ) -> Result<Self, Error> {
        let entries = commands
            .into_iter()
            .map(|(id, fields)| (id.to_string(), fields));
        self.commands = distinct(entries, Self::MAX_ENTRIES)?;
        Ok(self)
    }

    /// With events that happened, and their fields.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEvent`] with none, or one twice; [`ErrorKind::Full`] with more than [`Self::MAX_ENTRIES`].
    pub fn with_events(
        mut self,
        events: impl IntoIterator<Item = (EventId, Value)>,
    ) -> Result<Self, Error> {
        let entries = events
            .into_iter()
            .map(|(id, fields)| (id.to_string(), fields));
        self.events = distinct(entries, Self::MAX_ENTRIES)?;
        Ok(self)
    }

    /// The cluster.
    #[must_use]
    pub fn id(&self) -> &ClusterId {
        &self.id
    }

    /// The values of attributes by the ids as they are written.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, Value> {
        &self.attributes
    }

    /// What became of commands, by the ids as they are written.
    #[must_use]
    pub fn commands(&self) -> &BTreeMap<String, Value> {
        &self.commands
    }
}

fn distinct(
    entries: impl Iterator<Item = (String, Value)>,
    max: usize,
) -> Result<BTreeMap<String, Value>, Error> {
    let mut found = BTreeMap::new();
    for (id, value) in entries {
        if found.insert(id, value).is_some() {
            return Err(ErrorKind::InvalidEvent.into());
        }
    }
    if found.is_empty() {
        return Err(ErrorKind::InvalidEvent.into());
    }
    if found.len() > max {
        return Err(ErrorKind::Full.into());
    }
    Ok(found)
}
