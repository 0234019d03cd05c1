use super::*;
use crate::error::ErrorKind;
use crate::managed_integrations::id::{AttributeId, ClusterId, CommandId};
use crate::managed_integrations::request::{Invocation, Write};

fn resource(href: &str, kind: &str, interface: &str, properties: &[(&str, Value)]) -> OcfResource {
    let mut resource = OcfResource::new(href, kind);
    resource.interfaces = vec!["oic.if.baseline".to_owned(), interface.to_owned()];
    let own = |(name, value): &(&str, Value)| ((*name).to_owned(), value.clone());
    resource.representation = properties.iter().map(own).collect();
    resource
}

fn device(kind: &str, resources: Vec<OcfResource>) -> OcfDevice {
    let mut device = OcfDevice::new("d-1".parse().unwrap());
    device.types = vec!["oic.wk.d".to_owned(), kind.to_owned()];
    device.resources = resources;
    device
}

fn lamp() -> OcfDevice {
    device(
        "oic.d.light",
        vec![
            resource(
                "/switch",
                "oic.r.switch.binary",
                "oic.if.a",
                &[("value", Value::Bool(false))],
            ),
            resource(
                "/dim",
                "oic.r.light.dimming",
                "oic.if.a",
                &[("dimmingSetting", Value::Integer(50))],
            ),
            resource("/mode", "oic.r.mode", "oic.if.a", &[]),
        ],
    )
}

fn only(device: &OcfDevice) -> Endpoint<'_> {
    let mut endpoints = endpoints(device).unwrap();
    assert_eq!(endpoints.len(), 1);
    endpoints.remove(0)
}

fn invoke(
    device: &OcfDevice,
    cluster: u32,
    command: u32,
    fields: &str,
) -> Result<Vec<Update>, Unmapped> {
    let fields = Value::from_json(fields.as_bytes()).unwrap();
    let id = CommandId::new(command);
    let invocation = Invocation { id, fields };
    plan(
        device,
        &only(device).id,
        &ClusterId::new(cluster),
        &invocation,
    )
}

fn write(
    device: &OcfDevice,
    cluster: u32,
    attribute: u32,
    value: Value,
) -> Result<Update, Unmapped> {
    let id = AttributeId::new(attribute);
    plan_write(
        device,
        &only(device).id,
        &ClusterId::new(cluster),
        &Write { id, value },
    )
}

fn values(updates: Result<Vec<Update>, Unmapped>) -> Result<Vec<(String, Value)>, Unmapped> {
    updates.map(|updates| {
        updates
            .into_iter()
            .map(|one| (one.href, one.value))
            .collect()
    })
}

#[test]
fn a_lamp_is_on_one_endpoint_and_reported_with_its_state() {
    let report = serde_json::to_string(&describe(&lamp()).unwrap()).unwrap();
    let id = only(&lamp()).id.to_string();
    let expected = [
        r#"{"ConnectorDeviceId":"d-1","CapabilityReport":{"version":"1.0.0","endpoints":[{"id":""#,
        &id,
        r#"","deviceTypes":["Dimmable Light"],"clusters":["#,
        r#"{"id":"0x0006","revision":6,"name":"OnOff","attributes":[{"id":"0x0000","name":"OnOff","value":false}],"commands":["0x00","0x01","0x02"]},"#,
        r#"{"id":"0x0008","revision":6,"name":"LevelControl","attributes":[{"id":"0x0000","name":"CurrentLevel","value":127}],"commands":["0x00","0x04"]}"#,
        r#"]}]}}"#,
    ];
    assert_eq!(report, expected.concat());
}

#[test]
fn commands_set_the_property_that_says_the_same() {
    let lamp = lamp();
    let switch = |value| Ok(vec![("/switch".to_owned(), Value::Bool(value))]);
    assert_eq!(values(invoke(&lamp, 6, 1, "null")), switch(true));
    assert_eq!(values(invoke(&lamp, 6, 0, "{}")), switch(false));
    assert_eq!(values(invoke(&lamp, 6, 2, "{}")), switch(true));
    let dim = ("/dim".to_owned(), Value::Integer(100));
    for fields in [
        r#"{"0x0":254,"1":0}"#,
        r#"{"level":254}"#,
        r#"[254,0]"#,
        r#"{"0":"254"}"#,
    ] {
        assert_eq!(
            values(invoke(&lamp, 8, 0, fields)),
            Ok(vec![dim.clone()]),
            "{fields}"
        );
    }
    let on = ("/switch".to_owned(), Value::Bool(true));
    assert_eq!(
        values(invoke(&lamp, 8, 4, r#"{"0":254}"#)),
        Ok(vec![dim, on])
    );
    let (dark, off) = (
        ("/dim".to_owned(), Value::Integer(0)),
        ("/switch".to_owned(), Value::Bool(false)),
    );
    assert_eq!(
        values(invoke(&lamp, 8, 4, r#"{"0":0}"#)),
        Ok(vec![dark, off])
    );
}

#[test]
fn what_cannot_be_done_says_why() {
    let lamp = lamp();
    assert_eq!(invoke(&lamp, 6, 9, "{}"), Err(Unmapped::UnknownCommand));
    assert_eq!(
        invoke(&lamp, 0x0101, 1, "{}"),
        Err(Unmapped::UnknownCluster)
    );
    assert!(matches!(
        invoke(&lamp, 0x0003, 0, "{}"),
        Err(Unmapped::NoCounterpart(_))
    ));
    assert_eq!(
        invoke(&lamp, 8, 0, "{}"),
        Err(Unmapped::MissingField("Level"))
    );
    assert_eq!(invoke(&lamp, 8, 0, r#"{"0":255}"#), Err(Unmapped::Value));
    assert_eq!(
        write(&lamp, 8, 0, Value::Integer(1)),
        Err(Unmapped::ReadOnly)
    );
    assert_eq!(
        write(&lamp, 8, 1, Value::Integer(1)),
        Err(Unmapped::UnknownAttribute)
    );
    let elsewhere = "1".parse().unwrap();
    let on = Invocation {
        id: CommandId::new(1),
        fields: Value::Null,
    };
    assert_eq!(
        plan(&lamp, &elsewhere, &ClusterId::new(6), &on),
        Err(Unmapped::UnknownEndpoint)
    );
    let unknown = device(
        "oic.d.light",
        vec![resource("/switch", "oic.r.switch.binary", "oic.if.a", &[])],
    );
    assert_eq!(invoke(&unknown, 6, 2, "{}"), Err(Unmapped::UnknownState));
}

#[test]
fn a_thermostat_is_one_cluster_with_its_sensor_and_its_set_point() {
    let reading = [
        ("temperature", Value::from(19.5)),
        ("units", Value::from("C")),
    ];
    let wanted = [
        ("temperature", Value::from(70.0)),
        ("units", Value::from("F")),
    ];
    let resources = || {
        vec![
            resource("/now", "oic.r.temperature", "oic.if.s", &reading),
            resource("/wanted", "oic.r.temperature", "oic.if.a", &wanted),
        ]
    };
    let thermostat = device("oic.d.thermostat", resources());
    let attributes: Vec<_> = only(&thermostat)
        .members
        .iter()
        .map(|member| {
            (
                member.mapping.cluster,
                member.mapping.attribute,
                member.value().unwrap(),
            )
        })
        .collect();
    let (now, heat) = (Value::Integer(1950), Value::Integer(2111));
    assert_eq!(attributes, [(0x0201, 0x0000, now), (0x0201, 0x0012, heat)]);
    // 21.11 °C and one more degree, in Fahrenheit.
    let warmer = ("/wanted".to_owned(), Value::Number(71.8));
    assert_eq!(
        values(invoke(&thermostat, 0x0201, 0, r#"{"0":0,"1":10}"#)),
        Ok(vec![warmer])
    );
    assert!(matches!(
        invoke(&thermostat, 0x0201, 0, r#"{"0":1,"1":10}"#),
        Err(Unmapped::NoCounterpart(_))
    ));
    let set = write(&thermostat, 0x0201, 0x0012, Value::Integer(2000)).unwrap();
    assert_eq!(
        (set.href.as_str(), set.value),
        ("/wanted", Value::Integer(68))
    );
    assert_eq!(
        write(&thermostat, 0x0201, 0x0000, Value::Integer(2000)),
        Err(Unmapped::ReadOnly)
    );
    // Elsewhere the same resources are a sensor and a set point.
    let oven = device("oic.d.oven", resources());
    let clusters: Vec<_> = only(&oven)
        .members
        .iter()
        .map(|member| member.mapping.cluster)
        .collect();
    assert_eq!(clusters, [0x0402, 0x0056]);
}

#[test]
fn locks_are_locked_and_unlocked_without_a_pin() {
    let locked = [("lockState", Value::from("Locked"))];
    let lock = device(
        "oic.d.smartlock",
        vec![resource("/lock", "oic.r.lock.status", "oic.if.a", &locked)],
    );
    let becomes = |word| Ok(vec![("/lock".to_owned(), Value::from(word))]);
    assert_eq!(values(invoke(&lock, 0x0101, 0, "{}")), becomes("Locked"));
    assert_eq!(
        values(invoke(&lock, 0x0101, 1, r#"{"0":null}"#)),
        becomes("Unlocked")
    );
    let refused = invoke(&lock, 0x0101, 1, r#"{"0":"MTIzNA=="}"#);
    assert!(matches!(refused, Err(Unmapped::NoCounterpart(_))));
}

#[test]
fn coverings_and_fans_move_within_the_range_of_their_resources() {
    let ends = Value::List(vec![Value::Integer(0), Value::Integer(10)]);
    let open = [("openLevel", Value::Integer(10)), ("range", ends.clone())];
    let blind = device(
        "oic.d.blind",
        vec![resource("/blind", "oic.r.openlevel", "oic.if.a", &open)],
    );
    let level = |level| Ok(vec![("/blind".to_owned(), Value::Integer(level))]);
    assert_eq!(values(invoke(&blind, 0x0102, 0, "{}")), level(10));
    assert_eq!(values(invoke(&blind, 0x0102, 1, "{}")), level(0));
    assert_eq!(values(invoke(&blind, 0x0102, 5, r#"{"0":3000}"#)), level(7));
    assert!(matches!(
        invoke(&blind, 0x0102, 2, "{}"),
        Err(Unmapped::NoCounterpart(_))
    ));
    let slow = [("speed", Value::Integer(2)), ("range", ends)];
    let fan = device(
        "oic.d.fan",
        vec![resource("/air", "oic.r.airflow", "oic.if.a", &slow)],
    );
    let report = serde_json::to_string(&state(&fan, "/air").unwrap()).unwrap();
    assert!(
        report.contains(r#""attributes":{"0x0000":1,"0x0002":20,"0x0003":20}"#),
        "{report}"
    );
    assert_eq!(
        write(&fan, 0x0202, 0, Value::from("3")).unwrap().value,
        Value::Integer(10)
    );
    assert_eq!(
        write(&fan, 0x0202, 2, Value::Integer(50)).unwrap().value,
        Value::Integer(5)
    );
}

#[test]
fn a_second_switch_is_another_endpoint_and_ids_outlive_other_resources() {
    let switch = |href| {
        resource(
            href,
            "oic.r.switch.binary",
            "oic.if.a",
            &[("value", Value::Bool(true))],
        )
    };
    let mut strip = device("oic.d.smartplug", vec![switch("/b"), switch("/a")]);
    let ids = |device: &OcfDevice| -> Vec<_> {
        endpoints(device)
            .unwrap()
            .iter()
            .map(|endpoint| endpoint.id.clone())
            .collect()
    };
    let before = ids(&strip);
    assert_eq!(before.len(), 2);
    let charge = [("charge", Value::Integer(80))];
    strip.resources.push(resource(
        "/battery",
        "oic.r.energy.battery",
        "oic.if.s",
        &charge,
    ));
    strip.resources.push(switch("/0"));
    let after = ids(&strip);
    assert_eq!(after.len(), 3);
    assert!(before.iter().all(|id| after.contains(id)));
}

#[test]
fn devices_and_resources_without_a_counterpart_say_so() {
    let modes = device(
        "oic.d.oven",
        vec![resource("/mode", "oic.r.mode", "oic.if.a", &[])],
    );
    assert_eq!(
        describe(&modes).unwrap_err().kind(),
        ErrorKind::NoCounterpart
    );
    assert_eq!(
        state(&modes, "/mode").unwrap_err().kind(),
        ErrorKind::NoCounterpart
    );
    assert_eq!(
        state(&modes, "/other").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    let own = resource("/x", "x.example.thing", "oic.if.a", &[]);
    assert_eq!(
        mappings_of(&own, &modes),
        Err(Unmapped::UnknownResourceType)
    );
    let many =
        (0..51).map(|n| resource(&format!("/{n}/s"), "oic.r.switch.binary", "oic.if.a", &[]));
    let large = device("oic.d.switch", many.collect());
    assert_eq!(describe(&large).unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn the_table_says_nothing_twice_and_only_what_a_report_can_hold() {
    for mapping in MAPPINGS {
        assert!(crate::managed_integrations::event::Revision::new(mapping.revision).is_ok());
        assert!(!mapping.cluster_name.is_empty() && !mapping.attribute_name.is_empty());
        let without = |(kind, _): &(&str, &str)| *kind == mapping.resource_type;
        assert!(!RESOURCE_TYPES_WITHOUT_COUNTERPART.iter().any(without));
        let without = |(cluster, _): &(u32, &str)| *cluster == mapping.cluster;
        assert!(!CLUSTERS_WITHOUT_COUNTERPART.iter().any(without));
        let same = |other: &&Mapping| {
            (other.cluster, other.attribute, other.resource_type)
                == (mapping.cluster, mapping.attribute, mapping.resource_type)
        };
        assert_eq!(MAPPINGS.iter().filter(same).count(), 1, "{mapping:?}");
    }
}
