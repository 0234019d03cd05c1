//! The command of `AWS.SendCommand`: endpoints, clusters and commands of Matter.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId};
use crate::managed_integrations::request::envelope::Members;
use crate::managed_integrations::request::{Limits, Refusal};
use crate::managed_integrations::text::{ConnectorDeviceId, EndpointId, TraceId};
use crate::managed_integrations::value::Value;

/// What a device is to do.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// Names the command, in the event that answers it.
    pub trace: TraceId,
    /// The device, as it was named when it was discovered.
    pub device: ConnectorDeviceId,
    /// Its parts, and what each is to do.
    pub endpoints: Vec<CommandEndpoint>,
}

/// What a part of a device is to do.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct CommandEndpoint {
    /// The part.
    pub id: EndpointId,
    /// Its clusters, and what each is to do.
    pub clusters: Vec<CommandCluster>,
}

/// What a cluster is to do, in this order.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct CommandCluster {
    /// The cluster.
    pub id: ClusterId,
    /// Commands to invoke.
    pub commands: Vec<Invocation>,
    /// Attributes to write.
    pub writes: Vec<Write>,
}

/// A command to invoke.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The command.
    pub id: CommandId,
    /// Its fields: an object by number or name, a list in their order, or null.
    pub fields: Value,
}

/// An attribute to write.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// The attribute.
    pub id: AttributeId,
    /// Its new value.
    pub value: Value,
}

impl Command {
    pub(super) fn read(payload: &mut Members, limits: &Limits) -> Result<Self, Refusal> {
        let trace = payload
            .text(&["traceId"])
            .ok_or(Refusal::Missing("traceId"))?
            .try_into()
            .map_err(|_: Error| Refusal::Invalid("traceId"))?;
        let device = payload
            .text(&["connectorDeviceId", "deviceId"])
            .ok_or(Refusal::Missing("connectorDeviceId"))?
            .try_into()
            .map_err(|_: Error| Refusal::Invalid("connectorDeviceId"))?;
        let names = ["endpoints", "matterEndpoints", "endpoint", "matterEndpoint"];
        let endpoints = payload.take(&names).ok_or(Refusal::Missing("endpoints"))?;
        let endpoints = objects(
            endpoints,
            &["id", "endpointId"],
            limits.endpoints,
            "endpoints",
        )?
        .into_iter()
        .map(|(id, members)| CommandEndpoint::read(&id, members, limits))
        .collect::<Result<Vec<_>, _>>()?;
        if endpoints.is_empty() {
            return Err(Refusal::Missing("endpoints"));
        }
        Ok(Self {
            trace,
            device,
            endpoints,
        })
    }
}

impl CommandEndpoint {
    fn read(id: &str, mut members: Members, limits: &Limits) -> Result<Self, Refusal> {
        let clusters = members
            .take(&["clusters", "matterClusters", "cluster"])
            .ok_or(Refusal::Missing("clusters"))?;
        Ok(Self {
            id: id.parse().map_err(|_| Refusal::Invalid("endpoint id"))?,
            clusters: objects(clusters, &["id", "clusterId"], limits.clusters, "clusters")?
                .into_iter()
                .map(|(id, members)| CommandCluster::read(&id, members, limits))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl CommandCluster {
    fn read(id: &str, mut members: Members, limits: &Limits) -> Result<Self, Refusal> {
        let mut commands = Vec::new();
        for (id, fields) in entries(
            members.take(&["commands", "command"]),
            &["id", "commandId"],
            &["fields", "parameters"],
        )? {
            let id = id.parse().map_err(|_| Refusal::Invalid("command id"))?;
            commands.push(Invocation { id, fields });
        }
        let mut writes = Vec::new();
        for (id, value) in entries(
            members.take(&["attributes", "attribute"]),
            &["id", "attributeId"],
            &["value"],
        )? {
            let id = id.parse().map_err(|_| Refusal::Invalid("attribute id"))?;
            writes.push(Write { id, value });
        }
        if commands.len() > limits.commands || writes.len() > limits.commands {
            return Err(Refusal::TooMany("commands"));
        }
        Ok(Self {
            id: id.parse().map_err(|_| Refusal::Invalid("cluster id"))?,
            commands,
            writes,
        })
    }
}

/// Objects with an id each: a list of them, one alone, or an object that has them by their ids.
fn objects(
    value: Value,
    ids: &[&str],
    max: usize,
    what: &'static str,
) -> Result<Vec<(String, Members)>, Refusal> {
    let found: Vec<_> = match value {
        Value::List(items) => items.into_iter().map(|item| named(item, ids)).collect(),
        Value::Object(members) if has(&members, ids) => {
            vec![named(Value::Object(members), ids)]
        }
        Value::Object(members) => members
            .into_iter()
            .map(|(id, value)| Members::of(value).map(|members| (id, members)))
            .collect(),
        _ => return Err(Refusal::Invalid(what)),
    };
    if found.len() > max {
        return Err(Refusal::TooMany(what));
    }
    found
        .into_iter()
        .collect::<Option<_>>()
        .ok_or(Refusal::Invalid(what))
}

fn named(value: Value, ids: &[&str]) -> Option<(String, Members)> {
    let mut members = Members::of(value)?;
    let id = members.take(ids).as_ref().and_then(id_text)?;
    Some((id, members))
}

fn has(members: &BTreeMap<String, Value>, names: &[&str]) -> bool {
    let any = |key: &String| names.iter().any(|name| key.eq_ignore_ascii_case(name));
    members.keys().any(any)
}

/// An id is a text; a number is one, too.
fn id_text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Values by ids: an object of them, a list of such objects, of bare ids, or of objects that name id and value.
fn entries(
    value: Option<Value>,
    ids: &[&str],
    values: &[&str],
) -> Result<Vec<(String, Value)>, Refusal> {
    let items = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::List(items)) => items,
        Some(single) => vec![single],
    };
    let mut found = Vec::new();
    for item in items {
        match item {
            Value::Object(members) if has(&members, ids) => {
                let mut members = Members::of(Value::Object(members)).unwrap_or_default();
                let id = members.take(ids).as_ref().and_then(id_text);
                let value = members.take(values).unwrap_or_default();
                found.push((id.ok_or(Refusal::Invalid("commands"))?, value));
            }
            Value::Object(members) => found.extend(members),
            other => {
                let id = id_text(&other).ok_or(Refusal::Invalid("commands"))?;
                found.push((id, Value::Null));
            }
        }
    }
    Ok(found)
}
