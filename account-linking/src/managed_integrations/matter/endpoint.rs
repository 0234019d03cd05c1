//! The resources of a device on Matter endpoints.

use core::fmt::Write as _;
use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use crate::managed_integrations::event::{
    CapabilityReport, Device, MatterCluster, MatterEndpoint, ReportAttribute, ReportCluster,
    ReportEndpoint, Revision,
};
use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId};
use crate::managed_integrations::matter::{
    DEVICE_TYPES, Mapping, OcfDevice, OcfResource, Unmapped, mappings_of,
};
use crate::managed_integrations::text::{DeviceType, EndpointId};
use crate::secret::sha256;

/// A part of a device: resources of which no two say the same.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint<'a> {
    /// Its id: made of the hrefs of what can be controlled there (of everything, where nothing can be). When a device
    /// gets other resources than it had when it was discovered, commands miss it rather than reach another resource.
    pub id: EndpointId,
    /// What is there, in the order of hrefs.
    pub members: Vec<Member<'a>>,
}

/// A property at an endpoint.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Member<'a> {
    /// The resource.
    pub resource: &'a OcfResource,
    /// The line of the table.
    pub mapping: &'static Mapping,
}

/// The endpoints of a device, the same in every run.
///
/// Resources below the same path are at one endpoint as long as no two of them have the same attribute: a lamp's switch
/// and its dimmer are together, its other switch is apart.
///
/// # Errors
/// [`ErrorKind::NoCounterpart`] when no resource is in the table.
pub fn endpoints(device: &OcfDevice) -> Result<Vec<Endpoint<'_>>, Error> {
    let mut resources: Vec<&OcfResource> = device.resources.iter().collect();
    resources.sort_by(|a, b| a.href.cmp(&b.href));
    let mut last = None;
    let mut found: Vec<(&str, Vec<Member<'_>>)> = Vec::new();
    for resource in resources {
        let folder = resource
            .href
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        match mappings_of(resource, device) {
            Ok(lines) => {
                let fits = |(other, members): &&mut (&str, Vec<Member<'_>>)| {
                    let clash = |member: &Member<'_>| {
                        lines.iter().any(|line| key(line) == key(member.mapping))
                    };
                    *other == folder && !members.iter().any(clash)
                };
                let new = lines.iter().map(|mapping| Member { resource, mapping });
                match found.iter_mut().find(fits) {
                    Some((_, members)) => members.extend(new),
                    None => found.push((folder, new.collect())),
                }
            }
            Err(reason) => last = Some(reason),
        }
    }
    if found.is_empty() {
        let reason = last.unwrap_or(Unmapped::UnknownResourceType);
        return Err(Error::new(ErrorKind::NoCounterpart, reason));
    }
    found
        .into_iter()
        .map(|(_, members)| {
            let id = id_of(&members)?;
            Ok(Endpoint { id, members })
        })
        .collect()
}

fn key(mapping: &Mapping) -> (u32, u32) {
    (mapping.cluster, mapping.attribute)
}

fn id_of(members: &[Member<'_>]) -> Result<EndpointId, Error> {
    let controls =
        |member: &&Member<'_>| member.mapping.writable || !member.mapping.commands.is_empty();
    let mut hrefs: Vec<&str> = members
        .iter()
        .filter(controls)
        .map(|member| member.resource.href.as_str())
        .collect();
    if hrefs.is_empty() {
        hrefs = members
            .iter()
            .map(|member| member.resource.href.as_str())
            .collect();
    }
    hrefs.dedup();
    let mut id = String::new();
    for byte in sha256(hrefs.join("\0").as_bytes()).iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id.try_into()
}

/// What a discovery says of a device.
///
/// # Errors
/// [`ErrorKind::NoCounterpart`] when no resource is in the table, [`ErrorKind::Full`] when there are more endpoints or
/// clusters than a report holds.
pub fn describe(device: &OcfDevice) -> Result<Device, Error> {
    let endpoints = endpoints(device)?
        .iter()
        .map(|endpoint| {
            let clusters = by_cluster(&endpoint.members).into_values();
            let clusters = clusters
                .map(|members| report(&members))
                .collect::<Result<_, _>>()?;
            ReportEndpoint::new(
                endpoint.id.clone(),
                device_types(device, endpoint),
                clusters,
            )
        })
        .collect::<Result<_, Error>>()?;
    let described = Device::new(device.id.clone(), CapabilityReport::new(endpoints)?);
    Ok(match &device.name {
        Some(name) => described.with_name(name.clone()),
        None => described,
    })
}

fn by_cluster<'a>(members: &[Member<'a>]) -> BTreeMap<u32, Vec<Member<'a>>> {
    let mut clusters: BTreeMap<u32, Vec<Member<'a>>> = BTreeMap::new();
    for member in members {
        clusters
            .entry(member.mapping.cluster)
            .or_default()
            .push(*member);
    }
    clusters
}

fn report(members: &[Member<'_>]) -> Result<ReportCluster, Error> {
    let Some(first) = members.first() else {
        return Err(ErrorKind::InvalidEvent.into());
    };
    let mut commands: Vec<_> = members
        .iter()
        .flat_map(|member| member.mapping.commands)
        .map(|command| CommandId::new(command.id))
        .collect();
    commands.sort();
    commands.dedup();
    let attributes = members
        .iter()
        .map(|member| {
            let mut attribute = ReportAttribute::new(AttributeId::new(member.mapping.attribute));
            attribute.name = member.mapping.attribute_name.parse().ok();
            attribute.value = member.value().ok();
            attribute
        })
        .collect();
    let revision = Revision::new(first.mapping.revision)?;
    let cluster = ReportCluster::new(ClusterId::new(first.mapping.cluster), revision)
        .with_name(first.mapping.cluster_name.parse()?);
    cluster.with_attributes(attributes)?.with_commands(commands)
}

/// What kind of device an endpoint is: the library's word for the device, or for what is there.
fn device_types(device: &OcfDevice, endpoint: &Endpoint<'_>) -> Vec<DeviceType> {
    let known = |kind: &String| {
        let word = DEVICE_TYPES.iter().find(|(ocf, _)| ocf == kind)?.1;
        word.parse().ok()
    };
    let types: Vec<_> = device.types.iter().filter_map(known).collect();
    if !types.is_empty() {
        return types;
    }
    let mut words: Vec<_> = endpoint
        .members
        .iter()
        .filter_map(|member| kind_of(member.mapping).parse().ok())
        .collect();
    words.dedup();
    words.truncate(ReportEndpoint::MAX_CLUSTERS);
    words
}

fn kind_of(mapping: &Mapping) -> &'static str {
    match mapping.resource_type {
        "oic.r.switch.binary" => "On/Off Plug-in Unit",
        "oic.r.light.dimming" | "oic.r.light.brightness" => "Dimmable Light",
        "oic.r.temperature" => "Temperature Sensor",
        "oic.r.lock.status" => "Door Lock",
        "oic.r.openlevel" => "Window Covering",
        "oic.r.airflow" => "Fan",
        "oic.r.humidity" => "Humidity Sensor",
        "oic.r.sensor.illuminance" => "Light Sensor",
        "oic.r.sensor.atmosphericpressure" => "Pressure Sensor",
        "oic.r.sensor.contact" => "Contact Sensor",
        "oic.r.sensor.water" => "Water Leak Detector",
        "oic.r.sensor.motion" | "oic.r.sensor.presence" => "Occupancy Sensor",
        "oic.r.sensor.smoke" | "oic.r.sensor.carbonmonoxide" => "Smoke CO Alarm",
        _ => "Power Source",
    }
}

impl Member<'_> {
    /// The attribute's value now.
    ///
    /// # Errors
    /// [`Unmapped::UnknownState`] when the property is not known, [`Unmapped::Value`] when Matter cannot say its value.
    pub fn value(&self) -> Result<crate::managed_integrations::value::Value, Unmapped> {
        let resource = &self.resource.representation;
        let value = resource
            .get(self.mapping.property)
            .ok_or(Unmapped::UnknownState)?;
        self.mapping.conversion.to_matter(value, resource)
    }
}

/// What a resource is like now, for a `DEVICE_EVENT` each.
///
/// # Errors
/// [`ErrorKind::NotFound`] when the device has no such resource, [`ErrorKind::NoCounterpart`] when Matter has no
/// attribute for it or cannot say its value.
pub fn state(device: &OcfDevice, href: &str) -> Result<Vec<MatterEndpoint>, Error> {
    let Some(resource) = device
        .resources
        .iter()
        .find(|resource| resource.href == href)
    else {
        return Err(ErrorKind::NotFound.into());
    };
    mappings_of(resource, device).map_err(|reason| Error::new(ErrorKind::NoCounterpart, reason))?;
    let mut states = Vec::new();
    for endpoint in endpoints(device)? {
        let mut clusters = Vec::new();
        for (cluster, members) in by_cluster(&endpoint.members) {
            let known = members
                .iter()
                .filter(|member| member.resource.href == href)
                .filter_map(|member| {
                    let id = AttributeId::new(member.mapping.attribute);
                    Some((id, member.value().ok()?))
                });
            let known: Vec<_> = known.collect();
            if !known.is_empty() {
                clusters.push(MatterCluster::new(ClusterId::new(cluster)).with_attributes(known)?);
            }
        }
        for some in clusters.chunks(MatterEndpoint::MAX_CLUSTERS) {
            states.push(MatterEndpoint::new(endpoint.id.clone(), some.to_vec())?);
        }
    }
    if states.is_empty() {
        return Err(Error::new(ErrorKind::NoCounterpart, Unmapped::Value));
    }
    Ok(states)
}
