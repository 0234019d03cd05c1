//! OCF resources in the terms of Matter, and back.
//!
//! [`MAPPINGS`] is the table: a property of a resource type on one side, an attribute of a cluster and the commands that
//! set it on the other. [`endpoints`] lays the resources of a device out on Matter endpoints, [`describe`] makes the
//! capability report of a discovery, [`state`] says what an endpoint is like now, and [`plan`] finds the update of a
//! resource that does what a command asks. What has no counterpart is an [`Unmapped`] that says so.
//!
//! | OCF | Matter |
//! | --- | --- |
//! | `oic.r.switch.binary` `value` | On/Off: OnOff; On, Off, Toggle |
//! | `oic.r.light.dimming` `dimmingSetting`, `oic.r.light.brightness` `brightness` | Level Control: CurrentLevel, 0 to 254; MoveToLevel, with and without on/off |
//! | `oic.r.temperature` `temperature` of a sensor | Temperature Measurement: MeasuredValue, 0.01 °C |
//! | the same, to be set | Temperature Control: TemperatureSetpoint; SetTemperature |
//! | the same, of `oic.d.thermostat` | Thermostat: LocalTemperature, OccupiedHeatingSetpoint; SetpointRaiseLower |
//! | the same, of `oic.d.airconditioner` | Thermostat: LocalTemperature, OccupiedCoolingSetpoint; SetpointRaiseLower |
//! | `oic.r.lock.status` `lockState` | Door Lock: LockState; LockDoor, UnlockDoor without PIN |
//! | `oic.r.openlevel` `openLevel` | Window Covering: CurrentPositionLiftPercent100ths, which counts from open; UpOrOpen, DownOrClose, GoToLiftPercentage |
//! | `oic.r.airflow` `speed` | Fan Control: FanMode, PercentSetting, PercentCurrent |
//! | `oic.r.humidity` `humidity` | Relative Humidity Measurement: MeasuredValue, 0.01 % |
//! | `oic.r.sensor.illuminance` `illuminance` | Illuminance Measurement: MeasuredValue, logarithmic |
//! | `oic.r.sensor.atmosphericpressure` `atmosphericPressure` | Pressure Measurement: MeasuredValue, hPa |
//! | `oic.r.sensor.contact`, `.water` `value` | Boolean State: StateValue; a contact is true when closed there and when open here |
//! | `oic.r.sensor.motion`, `.presence` `value` | Occupancy Sensing: Occupancy |
//! | `oic.r.sensor.smoke`, `.carbonmonoxide` `value` | Smoke CO Alarm: SmokeState, COState |
//! | `oic.r.energy.battery` `charge` | Power Source: BatPercentRemaining, 0.5 % |

mod conversion;
mod endpoint;
mod planning;
mod table;

pub use conversion::Conversion;
pub use endpoint::{Endpoint, Member, describe, endpoints, state};
pub use planning::{Update, plan, plan_write};
pub use table::{
    CLUSTERS_WITHOUT_COUNTERPART, CommandMapping, DEVICE_TYPES, Effect, MAPPINGS, Mapping,
    RESOURCE_TYPES_WITHOUT_COUNTERPART, Role, mappings_of,
};

use std::collections::BTreeMap;

use crate::managed_integrations::text::{ConnectorDeviceId, ConnectorDeviceName, StatusCode};
use crate::managed_integrations::value::Value;

/// The properties of a resource by their names.
pub type Representation = BTreeMap<String, Value>;

/// A device as its cloud knows it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct OcfDevice {
    /// What managed integrations are to call it; the device's UUID fits.
    pub id: ConnectorDeviceId,
    /// What people call it.
    pub name: Option<ConnectorDeviceName>,
    /// Its device types, `oic.d.…`.
    pub types: Vec<String>,
    /// Its resources.
    pub resources: Vec<OcfResource>,
}

impl OcfDevice {
    /// A device without resources.
    #[must_use]
    pub fn new(id: ConnectorDeviceId) -> Self {
        Self {
            id,
            name: None,
            types: Vec::new(),
            resources: Vec::new(),
        }
    }
}

/// A resource of a device.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct OcfResource {
    /// Where it is on the device.
    pub href: String,
    /// Its resource types, `oic.r.…`.
    pub types: Vec<String>,
    /// Its interfaces, `oic.if.…`.
    pub interfaces: Vec<String>,
    /// Its properties as they were last known; a property that is not known is left out.
    pub representation: Representation,
}

impl OcfResource {
    /// A resource of one type of which nothing else is known.
    #[must_use]
    pub fn new(href: &str, resource_type: &str) -> Self {
        Self {
            href: href.to_owned(),
            types: vec![resource_type.to_owned()],
            interfaces: Vec::new(),
            representation: BTreeMap::new(),
        }
    }

    /// Whether it can be set: it has an actuator's or a read-write view.
    #[must_use]
    pub fn is_actuator(&self) -> bool {
        let sets = |interface: &String| matches!(interface.as_str(), "oic.if.a" | "oic.if.rw");
        self.interfaces.iter().any(sets)
    }
}

/// Why something cannot be said in the other data model.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unmapped {
    /// It is known that there is no counterpart.
    #[error("No counterpart, {0}")]
    NoCounterpart(&'static str),
    /// The resource type is not in the table.
    #[error("The resource type is not mapped")]
    UnknownResourceType,
    /// The device has no such endpoint now; it may have other resources than when it was discovered.
    #[error("The device has no such endpoint")]
    UnknownEndpoint,
    /// The endpoint has no such cluster.
    #[error("The endpoint has no such cluster")]
    UnknownCluster,
    /// The cluster has no such attribute here.
    #[error("The cluster has no such attribute")]
    UnknownAttribute,
    /// The cluster has no such command here.
    #[error("The cluster has no such command")]
    UnknownCommand,
    /// The attribute can be read only.
    #[error("The attribute cannot be written")]
    ReadOnly,
    /// A field of the command is missing or not what it should be.
    #[error("The command lacks the field {0}")]
    MissingField(&'static str),
    /// The command depends on the present state, which is not known.
    #[error("The present state is not known")]
    UnknownState,
    /// The value is of another kind, or out of range.
    #[error("The value is not possible")]
    Value,
}

impl Unmapped {
    /// The code that tells it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::UnknownEndpoint | Self::UnknownCluster => StatusCode::NOT_FOUND,
            Self::ReadOnly => StatusCode::METHOD_NOT_ALLOWED,
            Self::MissingField(_) | Self::Value => StatusCode::BAD_REQUEST,
            Self::UnknownState => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoCounterpart(_)
            | Self::UnknownResourceType
            | Self::UnknownAttribute
            | Self::UnknownCommand => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

#[cfg(test)]
mod tests;
