//! What a command does to the resources of a device.

use crate::managed_integrations::id::{AttributeId, ClusterId};
use crate::managed_integrations::matter::{
    CLUSTERS_WITHOUT_COUNTERPART, Effect, Endpoint, Member, OcfDevice, Unmapped, endpoints,
};
use crate::managed_integrations::request::{Invocation, Write};
use crate::managed_integrations::text::EndpointId;
use crate::managed_integrations::value::Value;

/// A property to set.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// The resource.
    pub href: String,
    /// The property.
    pub property: &'static str,
    /// Its new value.
    pub value: Value,
}

/// What to set, in this order, so that a command is done.
///
/// # Errors
/// Why it cannot be done.
pub fn plan(
    device: &OcfDevice,
    endpoint: &EndpointId,
    cluster: &ClusterId,
    invocation: &Invocation,
) -> Result<Vec<Update>, Unmapped> {
    let endpoint = find(device, endpoint)?;
    let mut reason = Unmapped::UnknownCommand;
    for member in members(&endpoint, cluster)? {
        let commands = member.mapping.commands.iter();
        for command in commands.filter(|command| command.id == invocation.id.number()) {
            match apply(command.effect, member, &endpoint, &invocation.fields) {
                Ok(updates) => return Ok(updates),
                Err(other) => reason = other,
            }
        }
    }
    Err(reason)
}

/// What to set so that an attribute has a value.
///
/// # Errors
/// Why it cannot be done.
pub fn plan_write(
    device: &OcfDevice,
    endpoint: &EndpointId,
    cluster: &ClusterId,
    write: &Write,
) -> Result<Update, Unmapped> {
    let endpoint = find(device, endpoint)?;
    let is = |member: &Member<'_>| AttributeId::new(member.mapping.attribute) == write.id;
    let member = members(&endpoint, cluster)?.into_iter().find(is);
    let member = member.ok_or(Unmapped::UnknownAttribute)?;
    if !member.mapping.writable {
        return Err(Unmapped::ReadOnly);
    }
    becomes(&member, &write.value)
}

fn find<'a>(device: &'a OcfDevice, id: &EndpointId) -> Result<Endpoint<'a>, Unmapped> {
    let endpoints = endpoints(device).unwrap_or_default();
    let found = endpoints.into_iter().find(|endpoint| endpoint.id == *id);
    found.ok_or(Unmapped::UnknownEndpoint)
}

fn members<'a>(endpoint: &Endpoint<'a>, cluster: &ClusterId) -> Result<Vec<Member<'a>>, Unmapped> {
    let of = |member: &&Member<'_>| member.mapping.cluster == cluster.number();
    let found: Vec<_> = endpoint.members.iter().filter(of).copied().collect();
    if found.is_empty() {
        let mut without = CLUSTERS_WITHOUT_COUNTERPART.iter();
        let known = without.find(|(number, _)| *number == cluster.number());
        return Err(known.map_or(Unmapped::UnknownCluster, |(_, why)| {
            Unmapped::NoCounterpart(why)
        }));
    }
    Ok(found)
}

fn apply(
    effect: Effect,
    member: Member<'_>,
    endpoint: &Endpoint<'_>,
    fields: &Value,
) -> Result<Vec<Update>, Unmapped> {
    let set = |value: &Value| becomes(&member, value).map(|update| vec![update]);
    match effect {
        Effect::Become(value) => set(&Value::Integer(value)),
        Effect::BecomeWithoutPin(value) => {
            // To open without checking a code that came with the command would be worse than not to open.
            if field(fields, 0, "PINCode").is_some_and(|pin| *pin != Value::Null) {
                return Err(Unmapped::NoCounterpart("a PIN has nowhere to go"));
            }
            set(&Value::Integer(value))
        }
        Effect::Field(number, name) => {
            set(field(fields, number, name).ok_or(Unmapped::MissingField(name))?)
        }
        Effect::FieldWithOnOff(number, name) => {
            let level = field(fields, number, name).ok_or(Unmapped::MissingField(name))?;
            let mut updates = set(level)?;
            let on = Value::Bool(level.as_number() != Some(0.0));
            let switch = endpoint
                .members
                .iter()
                .find(|other| other.mapping.cluster == 0x0006);
            if let Some(switch) = switch {
                updates.push(becomes(switch, &on)?);
            }
            Ok(updates)
        }
        Effect::Toggle => {
            let now = member.value()?.as_bool().ok_or(Unmapped::UnknownState)?;
            set(&Value::Bool(!now))
        }
        Effect::Raise(mode) => {
            let asked = field(fields, 0, "Mode").and_then(Value::as_number);
            let asked = asked.ok_or(Unmapped::MissingField("Mode"))?;
            // 2 is "both", of which there is one here.
            if Value::from_number(asked) != Value::Integer(mode) && asked != 2.0 {
                return Err(Unmapped::NoCounterpart(
                    "the device has no set point for this mode",
                ));
            }
            let tenths = field(fields, 1, "Amount").and_then(Value::as_number);
            let tenths = tenths.ok_or(Unmapped::MissingField("Amount"))?;
            let now = member.value()?.as_number().ok_or(Unmapped::UnknownState)?;
            set(&Value::from_number(now + tenths * 10.0))
        }
        Effect::None(why) => Err(Unmapped::NoCounterpart(why)),
    }
}

fn becomes(member: &Member<'_>, attribute: &Value) -> Result<Update, Unmapped> {
    let conversion = member.mapping.conversion;
    Ok(Update {
        href: member.resource.href.clone(),
        property: member.mapping.property,
        value: conversion.to_ocf(attribute, &member.resource.representation)?,
    })
}

/// A field by its number, written in any way, or by its name; in a list by its place.
fn field<'a>(fields: &'a Value, number: u32, name: &str) -> Option<&'a Value> {
    match fields {
        Value::Object(members) => members
            .iter()
            .find(|(key, _)| {
                let numbered = key
                    .parse::<AttributeId>()
                    .is_ok_and(|id| id.number() == number);
                numbered || key.eq_ignore_ascii_case(name)
            })
            .map(|(_, value)| value),
        Value::List(items) => items.get(usize::try_from(number).ok()?),
        _ => None,
    }
}
