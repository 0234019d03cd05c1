//! Prints what a managed-integrations connector sends, for others to judge: one JSON value a line.
//!
//! ```text
//! cargo run -p account-linking --example managed_integrations -- events    the calls of SendConnectorEvent
//! cargo run -p account-linking --example managed_integrations -- table     what corresponds to what in Matter
//! cargo run -p account-linking --example managed_integrations -- letters   every character that a name may have
//! ```
//!
//! The events are those of discoveries, commands and reports of many invented devices, and the longest that there can be.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program to read"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use account_linking::managed_integrations::connector::{Config, Connector, DeviceFailure, Output};
use account_linking::managed_integrations::event::{
    CapabilityReport, Device, MatterCluster, MatterEndpoint, ReportAttribute, ReportCluster,
    ReportEndpoint, Revision,
};
use account_linking::managed_integrations::matter::{
    Effect, MAPPINGS, OcfDevice, OcfResource, endpoints,
};
use account_linking::managed_integrations::{
    AttributeId, ClusterId, CommandId, ConnectorDeviceName, EventId, Message, SendConnectorEvent,
    StatusCode, Value,
};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let done = match std::env::args().nth(1).as_deref() {
        Some("events") => events(),
        Some("table") => table(),
        Some("letters") => letters(),
        _ => Err("say what to print: events, table or letters".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn events() -> Result<()> {
    let api = "https://api.iotmanagedintegrations.eu-west-1.amazonaws.com".parse()?;
    let mut events = longest()?;
    for seed in 1..=200 {
        events.extend(of_a_cloud(seed)?);
    }
    for event in events {
        let request = event.to_request(&api)?;
        let body: serde_json::Value = serde_json::from_slice(request.body())?;
        println!(
            "{}",
            json!({"method": request.method().as_str(), "path": request.uri().path(), "body": body})
        );
    }
    Ok(())
}

/// What a connector sends when it is asked for the devices of a cloud, and to have one of them do something.
fn of_a_cloud(seed: u64) -> Result<Vec<SendConnectorEvent>> {
    // Seeds that follow one another are too much alike.
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let devices: Vec<OcfDevice> = (0..dice.below(4))
        .map(|_| device(&mut dice))
        .collect::<Result<_>>()?;
    #[allow(clippy::disallowed_methods)]
    let now = Instant::now();
    let mut connector = Connector::new(Config::new("connector_1".parse()?));
    let ask = |connector: &mut Connector, payload: serde_json::Value| {
        let auth = json!({"type": "OAuth2.0", "token": "a-token"});
        let request = json!({"header": {"auth": auth}, "payload": payload}).to_string();
        connector.handle_invocation(request.as_bytes(), now);
    };
    let discovery = json!({"operationName": "AWS.DiscoverDevices", "deviceDiscoveryId": "d1"});
    ask(&mut connector, discovery);
    for (number, device) in devices.iter().enumerate() {
        let mut parts = Vec::new();
        for endpoint in endpoints(device).unwrap_or_default() {
            let mut clusters = BTreeMap::<u32, Vec<serde_json::Value>>::new();
            for member in &endpoint.members {
                let commands = clusters.entry(member.mapping.cluster).or_default();
                for command in member.mapping.commands {
                    commands.push(
                        json!({format!("{:#x}", command.id): {"0": dice.below(300), "1": 5}}),
                    );
                }
                commands.push(json!({"0x77": {}}));
            }
            let clusters: Vec<_> = clusters
                .into_iter()
                .map(|(id, commands)| json!({"id": id, "commands": commands, "attributes": {"0": 1, "2": 50}}))
                .collect();
            parts.push(json!({"id": endpoint.id.as_str(), "clusters": clusters}));
        }
        let device_id = device.id.as_str();
        ask(
            &mut connector,
            json!({"operationName": "AWS.SendCommand", "traceId": format!("t:{number}"), "connectorDeviceId": device_id, "endpoints": parts}),
        );
        for resource in &device.resources {
            // What has no counterpart is no event.
            let _ = connector.report(&"user-1".parse()?, device, &resource.href, now);
        }
    }
    let mut events = Vec::new();
    while let Some(output) = connector.poll_output() {
        match output {
            Output::Check { task, .. } => {
                connector.handle_checked(task, Ok("user-1".parse()?), now);
            }
            Output::ListDevices { task, .. } => {
                connector.handle_devices(task, Ok(devices.clone()), now);
            }
            Output::FindDevice { task, device, .. } => {
                let found = devices.iter().find(|known| known.id == device).cloned();
                connector.handle_device(task, found.ok_or(DeviceFailure::NotFound), now);
            }
            Output::Update { task, .. } => {
                let failures = [
                    DeviceFailure::Offline,
                    DeviceFailure::TimedOut,
                    DeviceFailure::Refused,
                ];
                let failure = failures.get(usize::try_from(dice.below(9))?).copied();
                connector.handle_updated(task, failure.map_or(Ok(()), Err), now);
            }
            Output::Send { task, event } => {
                events.push(event);
                connector.handle_sent(task, Ok(()), now);
            }
            Output::Revoke { task, .. } => connector.handle_revoked(task, Ok(None), now),
            Output::Answer { .. } | Output::Event(_) => {}
        }
    }
    Ok(events)
}

/// A device with any resources, named anything.
fn device(dice: &mut Dice) -> Result<OcfDevice> {
    let mut device = OcfDevice::new(format!("device-{}", dice.below(1 << 40)).parse()?);
    device.name = ConnectorDeviceName::nearest(&dice.text());
    let types = [
        "oic.d.light",
        "oic.d.thermostat",
        "oic.d.airconditioner",
        "oic.d.sensor",
        "x.example.thing",
    ];
    device.types = vec![dice.of(&types).to_owned()];
    for _ in 0..dice.below(9) {
        let kind = match dice.below(8) {
            0 => "oic.r.mode",
            1 => "x.example.own",
            _ => dice.of(MAPPINGS).resource_type,
        };
        let mut resource =
            OcfResource::new(&format!("/{}/{}", dice.below(2), dice.below(100)), kind);
        resource.interfaces = vec![dice.of(&["oic.if.s", "oic.if.a"]).to_owned()];
        for mapping in MAPPINGS {
            let value = match dice.below(6) {
                0 => Value::Bool(true),
                1 => Value::from(dice.of(&["Locked", "Unlocked", "Ajar"])),
                2 => continue,
                _ => Value::from(f64::from(u32::try_from(dice.below(1000))?) / 10.0),
            };
            resource
                .representation
                .insert(mapping.property.to_owned(), value);
        }
        device.resources.push(resource);
    }
    Ok(device)
}

/// Events whose every text and list is as long as it can be.
fn longest() -> Result<Vec<SendConnectorEvent>> {
    let user = "u".repeat(64);
    let (connector, device, trace) = ("c".repeat(64), "d".repeat(256), "t".repeat(128));
    let message: Message = "m".repeat(256).parse()?;
    let id = "0x00000000000000FFFFFFFF";
    let mut attribute = ReportAttribute::new(id.parse::<AttributeId>()?);
    attribute.name = Some("/n._ -".repeat(21).parse()?);
    attribute.value = Some(Value::Null);
    let cluster = ReportCluster::new(id.parse::<ClusterId>()?, Revision::new(10)?)
        .with_name("/n._ -".repeat(21).parse()?)
        .with_public_id(format!("{}@$latest", "p".repeat(120)).parse()?)
        .with_feature_map(u32::MAX)
        .with_attributes(vec![attribute; 100])?
        .with_commands(vec![id.parse::<CommandId>()?; 100])?
        .with_events(vec![id.parse::<EventId>()?; 100])?;
    let endpoint = ReportEndpoint::new(
        "e".repeat(64).parse()?,
        vec!["t".repeat(256).parse()?; 50],
        vec![cluster; 50],
    )?
    .with_parts(vec!["e".repeat(64).parse()?; 32])?
    .with_semantic_tags(vec!["a.b_c-".repeat(21).parse()?; 32])?
    .with_client_clusters(vec![id.parse()?; 32])?;
    // Fifty such endpoints would be tens of megabytes.
    let small = ReportEndpoint::new("1".parse()?, vec![], vec![])?;
    let mut all = vec![endpoint];
    all.resize(50, small);
    let report = CapabilityReport::new(all)?.with_node_id("=_.,@+-/".repeat(8).parse()?);
    let described = Device::new(device.parse()?, report)
        .with_name("ñ".repeat(256).parse()?)
        .with_metadata(Value::Object(BTreeMap::new()));
    let clusters = (0..5).map(|number| {
        let entries =
            |number| (0..5).map(move |entry| (CommandId::new(number + entry), Value::Null));
        let events = (0..5).map(|entry| (EventId::new(entry), Value::Null));
        MatterCluster::new(ClusterId::new(0xffff_0000 + number))
            .with_attributes([(AttributeId::new(u32::MAX), Value::from("x"))])?
            .with_commands(entries(number))?
            .with_events(events)
    });
    let endpoint = MatterEndpoint::new(
        "e".repeat(64).parse()?,
        clusters.collect::<std::result::Result<_, _>>()?,
    )?;
    Ok(vec![
        SendConnectorEvent::discovery(
            connector.parse()?,
            user.parse()?,
            "d".repeat(200).parse()?,
            vec![described],
        )
        .with_message(message.clone()),
        SendConnectorEvent::discovery_failed(
            connector.parse()?,
            user.parse()?,
            "d".parse()?,
            StatusCode::new(550)?,
            message.clone(),
        ),
        SendConnectorEvent::command_failed(
            connector.parse()?,
            user.parse()?,
            device.parse()?,
            trace.parse()?,
            StatusCode::new(100)?,
            Message::nearest("a: {b} 'c' \"d\"\n…"),
        ),
        SendConnectorEvent::command_response(
            connector.parse()?,
            user.parse()?,
            device.parse()?,
            trace.parse()?,
            StatusCode::OK,
            endpoint.clone(),
        )
        .with_message(message),
        SendConnectorEvent::device_event(
            connector.parse()?,
            user.parse()?,
            device.parse()?,
            endpoint,
        ),
    ])
}

fn table() -> Result<()> {
    for line in MAPPINGS {
        let commands: Vec<_> = line
            .commands
            .iter()
            .map(|command| {
                let fields: Vec<_> = match command.effect {
                    Effect::Field(number, name) | Effect::FieldWithOnOff(number, name) => {
                        vec![(number, name)]
                    }
                    Effect::Raise(_) => vec![(0, "Mode"), (1, "Amount")],
                    Effect::BecomeWithoutPin(_) => vec![(0, "PINCode")],
                    _ => Vec::new(),
                };
                json!({"id": command.id, "name": command.name, "fields": fields})
            })
            .collect();
        println!(
            "{}",
            json!({"cluster": line.cluster, "name": line.cluster_name, "attribute": line.attribute,
                "attribute_name": line.attribute_name, "commands": commands})
        );
    }
    Ok(())
}

fn letters() -> Result<()> {
    let allowed = |c: &char| c.to_string().parse::<ConnectorDeviceName>().is_ok();
    let all: String = ('\0'..=char::MAX).filter(allowed).collect();
    println!("{}", json!(all));
    Ok(())
}

/// Numbers that look random, the same in every run (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The lowest bits of the first numbers are much alike.
        (self.0 >> 11) % end
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        let place =
            usize::try_from(self.below(u64::try_from(items.len()).unwrap_or(1))).unwrap_or(0);
        match items.get(place) {
            Some(item) => *item,
            None => unreachable!("an empty list"),
        }
    }

    /// Any text, much of it in no name.
    fn text(&mut self) -> String {
        (0..self.below(300))
            .filter_map(|_| {
                let bits = self.below(17);
                char::from_u32(u32::try_from(self.below(1 << bits.max(5))).ok()?)
            })
            .collect()
    }
}
