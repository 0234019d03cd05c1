//! Targets of the managed-integrations connector of `account-linking`.

use std::time::{Duration, Instant};

use account_linking::managed_integrations::connector::{
    CheckFailure, Config, Connector, DeviceFailure, Output, SendFailure,
};
use account_linking::managed_integrations::matter::{
    MAPPINGS, OcfDevice, OcfResource, Representation, describe, endpoints, state,
};
use account_linking::managed_integrations::request::{Limits, Operation};
use account_linking::managed_integrations::{Answer, ConnectorDeviceName, Message, Request, Value};

/// The payload of an invocation: what is refused has an answer, what is read has no more than the limits.
pub fn request(bytes: &[u8]) {
    let limits = Limits::default();
    match Request::parse(bytes, &limits) {
        Ok(request) => {
            if let Operation::SendCommand(command) = &request.operation {
                assert!((1..=limits.endpoints).contains(&command.endpoints.len()));
                for endpoint in &command.endpoints {
                    assert!(endpoint.clusters.len() <= limits.clusters);
                    for cluster in &endpoint.clusters {
                        assert!(cluster.commands.len() <= limits.commands);
                        assert!(cluster.writes.len() <= limits.commands);
                    }
                }
            }
        }
        Err(refusal) => {
            let answer = Answer::from(refusal);
            assert!(!answer.status().is_success());
            assert!(!answer.to_json().is_empty());
        }
    }
}

/// A device of anything, in JSON: what is said of it is stable, and every value comes back as itself or is refused.
pub fn mapping(bytes: &[u8]) {
    let Some(device) = device(bytes) else {
        return;
    };
    let Ok(parts) = endpoints(&device) else {
        assert!(
            describe(&device).is_err(),
            "endpoints are for everyone or for no one"
        );
        return;
    };
    let mut ids: Vec<_> = parts.iter().map(|endpoint| endpoint.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    let hrefs = |device: &OcfDevice| {
        let mut hrefs: Vec<_> = device
            .resources
            .iter()
            .map(|one| one.href.clone())
            .collect();
        hrefs.sort_unstable();
        hrefs.windows(2).all(|pair| pair[0] != pair[1])
    };
    // Two resources of one name are not to be told apart.
    assert!(ids.len() == parts.len() || !hrefs(&device));
    for endpoint in &parts {
        for member in &endpoint.members {
            let Ok(first) = member.value() else { continue };
            let (conversion, resource) =
                (member.mapping.conversion, &member.resource.representation);
            // What came from the other side stays what it is: there and back again is the same as there.
            let Ok(back) = conversion.to_ocf(&first, resource) else {
                continue;
            };
            let Ok(second) = conversion.to_matter(&back, resource) else {
                continue;
            };
            if let Ok(again) = conversion.to_ocf(&second, resource) {
                assert_eq!(again, back, "{member:?}");
            }
        }
    }
    if let Ok(described) = describe(&device) {
        assert_eq!(described.report().endpoints().len(), parts.len());
    }
    for resource in &device.resources {
        let _ = state(&device, &resource.href);
    }
}

/// `{"types": [..], "resources": [{"href": .., "types": [..], "interfaces": [..], "representation": {..}}, ..]}`
fn device(bytes: &[u8]) -> Option<OcfDevice> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let texts = |value: &Value, name: &str| -> Vec<String> {
        match value.get(name) {
            Some(Value::List(items)) => {
                let texts = items.iter().filter_map(Value::as_text);
                texts.map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    };
    let mut device = OcfDevice::new("device".parse().expect("an id"));
    device.types = texts(&value, "types");
    let name = value
        .get("name")
        .and_then(Value::as_text)
        .unwrap_or_default();
    device.name = ConnectorDeviceName::nearest(name);
    assert!(Message::nearest(name).as_str().parse::<Message>().is_ok());
    let Some(Value::List(resources)) = value.get("resources") else {
        return Some(device);
    };
    for resource in resources {
        let href = resource.get("href").and_then(Value::as_text)?;
        let mut own = OcfResource::new(href, "");
        own.types = texts(resource, "types");
        own.interfaces = texts(resource, "interfaces");
        own.representation = match resource.get("representation") {
            Some(Value::Object(properties)) => properties.clone(),
            _ => Representation::new(),
        };
        device.resources.push(own);
    }
    Some(device)
}

/// The machine: a script of requests, one a line, where a line of one byte answers the oldest task or lets time pass.
pub fn connector(bytes: &[u8]) {
    let mut config = Config::new("c-1".parse().expect("an id"));
    config.max_remembered = 8;
    config.max_works = 4;
    let mut connector = Connector::new(config);
    let mut now = Instant::now();
    let mut open = std::collections::VecDeque::new();
    let (mut asked, mut answered) = (0_usize, 0_usize);
    for line in bytes.split(|byte| *byte == b'\n').take(200) {
        match line {
            [detail @ b'0'..=b'9'] => {
                if let Some(output) = open.pop_front() {
                    answer(&mut connector, output, *detail, now);
                }
            }
            [b't'] => {
                now += Duration::from_secs(7);
                connector.handle_timeout(now);
                assert!(connector.next_deadline().is_none_or(|at| at > now), "C5");
            }
            payload => {
                connector.handle_invocation(payload, now);
                asked += 1;
            }
        }
        while let Some(output) = connector.poll_output() {
            match output {
                Output::Answer { .. } => answered += 1,
                other => open.push_back(other),
            }
        }
    }
    for _ in 0..10_000 {
        let Some(at) = connector.next_deadline() else {
            break;
        };
        now = now.max(at);
        connector.handle_timeout(now);
        while let Some(output) = connector.poll_output() {
            answered += usize::from(matches!(output, Output::Answer { .. }));
        }
    }
    assert_eq!(connector.next_deadline(), None, "C6");
    assert_eq!(asked, answered, "C7");
}

fn answer(connector: &mut Connector, output: Output, detail: u8, now: Instant) {
    let good = detail > b'2';
    let lamp = || {
        let mut lamp = OcfDevice::new("d".parse().expect("an id"));
        for (number, mapping) in MAPPINGS.iter().take(usize::from(detail - b'0')).enumerate() {
            let mut resource = OcfResource::new(&format!("/{number}"), mapping.resource_type);
            resource.interfaces.push("oic.if.a".to_owned());
            let property = mapping.property.to_owned();
            resource.representation.insert(property, Value::Integer(1));
            lamp.resources.push(resource);
        }
        lamp
    };
    match output {
        Output::Check { task, .. } => {
            let user = good.then(|| "user-1".parse().expect("an id"));
            connector.handle_checked(task, user.ok_or(CheckFailure::Unavailable), now);
        }
        Output::Revoke { task, .. } => connector.handle_revoked(task, Ok(None), now),
        Output::ListDevices { task, .. } => {
            let devices = good.then(|| vec![lamp()]);
            connector.handle_devices(task, devices.ok_or(DeviceFailure::Unavailable), now);
        }
        Output::FindDevice { task, .. } => {
            let device = good.then(lamp);
            connector.handle_device(task, device.ok_or(DeviceFailure::NotFound), now);
        }
        Output::Update { task, .. } => {
            connector.handle_updated(task, good.then_some(()).ok_or(DeviceFailure::Offline), now);
        }
        Output::Send { task, .. } => {
            connector.handle_sent(task, good.then_some(()).ok_or(SendFailure::Later), now);
        }
        Output::Answer { .. } | Output::Event(_) => {}
    }
}
