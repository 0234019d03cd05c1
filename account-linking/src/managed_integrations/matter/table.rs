//! The table itself. Numbers and names of the right half are those of Matter 1.4.

use crate::managed_integrations::matter::{Conversion, OcfDevice, OcfResource, Unmapped};

/// One line of the table: a property of a resource type, and an attribute of a cluster.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mapping {
    /// The resource type.
    pub resource_type: &'static str,
    /// In which resources of that type.
    pub role: Role,
    /// The property.
    pub property: &'static str,
    /// The number of the cluster.
    pub cluster: u32,
    /// The name of the cluster.
    pub cluster_name: &'static str,
    /// The revision of the cluster.
    pub revision: u8,
    /// The number of the attribute.
    pub attribute: u32,
    /// The name of the attribute.
    pub attribute_name: &'static str,
    /// How their values follow from one another.
    pub conversion: Conversion,
    /// Whether the attribute can be written.
    pub writable: bool,
    /// The commands that change it.
    pub commands: &'static [CommandMapping],
}

/// Which resources of a type a line is about.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// All.
    Any,
    /// Those that only measure.
    Sensor,
    /// Those that can be set.
    Actuator,
    /// Those that only measure, of a device of one of these types.
    SensorOf(&'static [&'static str]),
    /// Those that can be set, of a device of this type.
    ActuatorOf(&'static str),
}

/// A command of a cluster.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommandMapping {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub effect: Effect,
}

/// What a command does to an attribute.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// The attribute becomes this.
    Become(i64),
    /// The attribute becomes this; a PIN beside the command has nowhere to go.
    BecomeWithoutPin(i64),
    /// The attribute becomes the value of a field.
    Field(u32, &'static str),
    /// The same, and what is on or off at the same endpoint becomes on, or off at 0.
    FieldWithOnOff(u32, &'static str),
    /// A truth value becomes its opposite.
    Toggle,
    /// The set point rises by tenths of a degree (field 1), if the mode (field 0) is this or 2 for both.
    Raise(i64),
    /// Nothing that could be done.
    None(&'static str),
}

impl Mapping {
    const fn new(resource_type: &'static str, property: &'static str, role: Role) -> Self {
        Self {
            resource_type,
            role,
            property,
            cluster: 0,
            cluster_name: "",
            revision: 1,
            attribute: 0,
            attribute_name: "",
            conversion: Conversion::Boolean,
            writable: false,
            commands: &[],
        }
    }

    const fn of(mut self, cluster: u32, cluster_name: &'static str, revision: u8) -> Self {
        self.cluster = cluster;
        self.cluster_name = cluster_name;
        self.revision = revision;
        self
    }

    const fn is(mut self, attribute: u32, name: &'static str, conversion: Conversion) -> Self {
        self.attribute = attribute;
        self.attribute_name = name;
        self.conversion = conversion;
        self
    }

    const fn writable(mut self) -> Self {
        self.writable = true;
        self
    }

    const fn set_by(mut self, commands: &'static [CommandMapping]) -> Self {
        self.commands = commands;
        self
    }

    /// Whether the line is about this resource of this device.
    fn is_about(&self, resource: &OcfResource, device: &OcfDevice) -> bool {
        let device_is = |kind: &str| device.types.iter().any(|own| own == kind);
        resource.types.iter().any(|own| own == self.resource_type)
            && match self.role {
                Role::Any => true,
                Role::Sensor => !resource.is_actuator(),
                Role::Actuator => resource.is_actuator(),
                Role::SensorOf(kinds) => {
                    !resource.is_actuator() && kinds.iter().any(|kind| device_is(kind))
                }
                Role::ActuatorOf(kind) => resource.is_actuator() && device_is(kind),
            }
    }
}

const fn command(id: u32, name: &'static str, effect: Effect) -> CommandMapping {
    CommandMapping { id, name, effect }
}

const PERCENT_TO_LEVEL: Conversion = Conversion::Level {
    max: 254,
    inverted: false,
};
const PERCENT: Conversion = Conversion::Level {
    max: 100,
    inverted: false,
};
const LIFT: Conversion = Conversion::Level {
    max: 10_000,
    inverted: true,
};

const ON_OFF: &[CommandMapping] = &[
    command(0x00, "Off", Effect::Become(0)),
    command(0x01, "On", Effect::Become(1)),
    command(0x02, "Toggle", Effect::Toggle),
];
const TO_LEVEL: &[CommandMapping] = &[
    command(0x00, "MoveToLevel", Effect::Field(0, "Level")),
    command(
        0x04,
        "MoveToLevelWithOnOff",
        Effect::FieldWithOnOff(0, "Level"),
    ),
];
const LOCKS: &[CommandMapping] = &[
    command(0x00, "LockDoor", Effect::BecomeWithoutPin(1)),
    command(0x01, "UnlockDoor", Effect::BecomeWithoutPin(2)),
];
const COVERS: &[CommandMapping] = &[
    command(0x00, "UpOrOpen", Effect::Become(0)),
    command(0x01, "DownOrClose", Effect::Become(10_000)),
    command(
        0x02,
        "StopMotion",
        Effect::None("a level in OCF is where to go and cannot be stopped on its way"),
    ),
    command(
        0x05,
        "GoToLiftPercentage",
        Effect::Field(0, "LiftPercent100thsValue"),
    ),
];
const HEATS: &[CommandMapping] = &[command(0x00, "SetpointRaiseLower", Effect::Raise(0))];
const COOLS: &[CommandMapping] = &[command(0x00, "SetpointRaiseLower", Effect::Raise(1))];
const SET_TEMPERATURE: &[CommandMapping] = &[command(
    0x00,
    "SetTemperature",
    Effect::Field(0, "TargetTemperature"),
)];

const THERMOSTATS: &[&str] = &["oic.d.thermostat", "oic.d.airconditioner"];

/// Every pair that is known; of several lines about one resource and cluster, the first is meant.
pub const MAPPINGS: &[Mapping] = &[
    Mapping::new("oic.r.switch.binary", "value", Role::Any)
        .of(0x0006, "OnOff", 6)
        .is(0x0000, "OnOff", Conversion::Boolean)
        .set_by(ON_OFF),
    Mapping::new("oic.r.light.dimming", "dimmingSetting", Role::Any)
        .of(0x0008, "LevelControl", 6)
        .is(0x0000, "CurrentLevel", PERCENT_TO_LEVEL)
        .set_by(TO_LEVEL),
    Mapping::new("oic.r.light.brightness", "brightness", Role::Any)
        .of(0x0008, "LevelControl", 6)
        .is(0x0000, "CurrentLevel", PERCENT_TO_LEVEL)
        .set_by(TO_LEVEL),
    Mapping::new(
        "oic.r.temperature",
        "temperature",
        Role::ActuatorOf("oic.d.thermostat"),
    )
    .of(0x0201, "Thermostat", 7)
    .is(0x0012, "OccupiedHeatingSetpoint", Conversion::Temperature)
    .writable()
    .set_by(HEATS),
    Mapping::new(
        "oic.r.temperature",
        "temperature",
        Role::ActuatorOf("oic.d.airconditioner"),
    )
    .of(0x0201, "Thermostat", 7)
    .is(0x0011, "OccupiedCoolingSetpoint", Conversion::Temperature)
    .writable()
    .set_by(COOLS),
    Mapping::new(
        "oic.r.temperature",
        "temperature",
        Role::SensorOf(THERMOSTATS),
    )
    .of(0x0201, "Thermostat", 7)
    .is(0x0000, "LocalTemperature", Conversion::Temperature),
    Mapping::new("oic.r.temperature", "temperature", Role::Sensor)
        .of(0x0402, "TemperatureMeasurement", 4)
        .is(0x0000, "MeasuredValue", Conversion::Temperature),
    Mapping::new("oic.r.temperature", "temperature", Role::Actuator)
        .of(0x0056, "TemperatureControl", 1)
        .is(0x0000, "TemperatureSetpoint", Conversion::Temperature)
        .set_by(SET_TEMPERATURE),
    Mapping::new("oic.r.lock.status", "lockState", Role::Any)
        .of(0x0101, "DoorLock", 8)
        .is(
            0x0000,
            "LockState",
            Conversion::Words(&[("Locked", 1), ("Unlocked", 2)]),
        )
        .set_by(LOCKS),
    Mapping::new("oic.r.openlevel", "openLevel", Role::Any)
        .of(0x0102, "WindowCovering", 5)
        .is(0x000e, "CurrentPositionLiftPercent100ths", LIFT)
        .set_by(COVERS),
    Mapping::new("oic.r.airflow", "speed", Role::Any)
        .of(0x0202, "FanControl", 4)
        .is(0x0000, "FanMode", Conversion::FanMode)
        .writable(),
    Mapping::new("oic.r.airflow", "speed", Role::Any)
        .of(0x0202, "FanControl", 4)
        .is(0x0002, "PercentSetting", PERCENT)
        .writable(),
    Mapping::new("oic.r.airflow", "speed", Role::Any)
        .of(0x0202, "FanControl", 4)
        .is(0x0003, "PercentCurrent", PERCENT),
    Mapping::new("oic.r.humidity", "humidity", Role::Any)
        .of(0x0405, "RelativeHumidityMeasurement", 3)
        .is(
            0x0000,
            "MeasuredValue",
            Conversion::Factor {
                factor: 100.0,
                min: 0,
                max: 10_000,
            },
        ),
    Mapping::new("oic.r.sensor.illuminance", "illuminance", Role::Any)
        .of(0x0400, "IlluminanceMeasurement", 3)
        .is(0x0000, "MeasuredValue", Conversion::Illuminance),
    Mapping::new(
        "oic.r.sensor.atmosphericpressure",
        "atmosphericPressure",
        Role::Any,
    )
    .of(0x0403, "PressureMeasurement", 3)
    .is(
        0x0000,
        "MeasuredValue",
        Conversion::Factor {
            factor: 1.0,
            min: -32_767,
            max: 32_767,
        },
    ),
    // Matter: true is closed. OCF: true is open.
    Mapping::new("oic.r.sensor.contact", "value", Role::Any)
        .of(0x0045, "BooleanState", 1)
        .is(0x0000, "StateValue", Conversion::Opposite),
    Mapping::new("oic.r.sensor.water", "value", Role::Any)
        .of(0x0045, "BooleanState", 1)
        .is(0x0000, "StateValue", Conversion::Boolean),
    Mapping::new("oic.r.sensor.motion", "value", Role::Any)
        .of(0x0406, "OccupancySensing", 5)
        .is(0x0000, "Occupancy", Conversion::Bit),
    Mapping::new("oic.r.sensor.presence", "value", Role::Any)
        .of(0x0406, "OccupancySensing", 5)
        .is(0x0000, "Occupancy", Conversion::Bit),
    // 2 is critical; a sensor of OCF knows no warning.
    Mapping::new("oic.r.sensor.smoke", "value", Role::Any)
        .of(0x005c, "SmokeCoAlarm", 1)
        .is(0x0001, "SmokeState", Conversion::Alarm { alarm: 2 }),
    Mapping::new("oic.r.sensor.carbonmonoxide", "value", Role::Any)
        .of(0x005c, "SmokeCoAlarm", 1)
        .is(0x0002, "COState", Conversion::Alarm { alarm: 2 }),
    Mapping::new("oic.r.energy.battery", "charge", Role::Any)
        .of(0x002f, "PowerSource", 3)
        .is(
            0x000c,
            "BatPercentRemaining",
            Conversion::Factor {
                factor: 2.0,
                min: 0,
                max: 200,
            },
        ),
];

/// Resource types of which it is known that no cluster says the same, and why.
pub const RESOURCE_TYPES_WITHOUT_COUNTERPART: &[(&str, &str)] = &[
    ("oic.r.audio", "Matter has sound as levels of speakers only"),
    (
        "oic.r.colour.chroma",
        "it is hue, chroma and temperature in one",
    ),
    ("oic.r.colour.rgb", "Matter has no red, green and blue"),
    (
        "oic.r.energy.consumption",
        "Matter has energy as structures with times",
    ),
    ("oic.r.lock.code", "codes are secrets, and stay on the lock"),
    (
        "oic.r.mode",
        "its words are the maker's, those of Matter have tags",
    ),
    ("oic.r.operational.state", "its words are the maker's"),
    ("oic.r.sensor.acceleration", "Matter has no acceleration"),
    ("oic.r.sensor.geolocation", "Matter has no places"),
    (
        "oic.r.time.period",
        "Matter has durations within other clusters only",
    ),
];

/// Clusters of which it is known that no resource type says the same, and why.
pub const CLUSTERS_WITHOUT_COUNTERPART: &[(u32, &str)] = &[
    (0x0003, "OCF cannot make a device show itself"),
    (0x0004, "groups in OCF are collections of links"),
    (0x0050, "modes in OCF have no numbers"),
    (0x0062, "scenes in OCF are collections of links"),
    (
        0x0300,
        "colors in OCF are other resources for other color spaces",
    ),
];

/// Kinds of devices by their OCF device type, in the words of Matter's device library.
pub const DEVICE_TYPES: &[(&str, &str)] = &[
    ("oic.d.airconditioner", "Room Air Conditioner"),
    ("oic.d.airpurifier", "Air Purifier"),
    ("oic.d.blind", "Window Covering"),
    ("oic.d.cooktop", "Cooktop"),
    ("oic.d.dishwasher", "Dishwasher"),
    ("oic.d.dryer", "Laundry Dryer"),
    ("oic.d.fan", "Fan"),
    ("oic.d.light", "Dimmable Light"),
    ("oic.d.oven", "Oven"),
    ("oic.d.refrigerator", "Refrigerator"),
    ("oic.d.robotcleaner", "Robotic Vacuum Cleaner"),
    ("oic.d.smartlock", "Door Lock"),
    ("oic.d.smartplug", "On/Off Plug-in Unit"),
    ("oic.d.switch", "On/Off Light Switch"),
    ("oic.d.thermostat", "Thermostat"),
    ("oic.d.washer", "Laundry Washer"),
];

/// The lines about a resource: for each of its properties those of the first cluster that says it.
///
/// # Errors
/// [`Unmapped::NoCounterpart`] or [`Unmapped::UnknownResourceType`] when there is none.
pub fn mappings_of(
    resource: &OcfResource,
    device: &OcfDevice,
) -> Result<Vec<&'static Mapping>, Unmapped> {
    let mut found: Vec<&'static Mapping> = Vec::new();
    for mapping in MAPPINGS
        .iter()
        .filter(|line| line.is_about(resource, device))
    {
        let key = |line: &Mapping| (line.cluster, line.attribute);
        let taken = found.iter().any(|known| key(known) == key(mapping));
        let first = found
            .iter()
            .find(|known| known.property == mapping.property);
        if !taken && first.is_none_or(|first| first.cluster == mapping.cluster) {
            found.push(mapping);
        }
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let known = |kind: &String| {
        let mut without = RESOURCE_TYPES_WITHOUT_COUNTERPART.iter();
        without.find(|(name, _)| name == kind).map(|(_, why)| *why)
    };
    Err(resource
        .types
        .iter()
        .find_map(known)
        .map_or(Unmapped::UnknownResourceType, Unmapped::NoCounterpart))
}
