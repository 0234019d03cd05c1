//! Commands, from the request to the event that answers it.

use std::time::Duration;

use account_linking::managed_integrations::connector::{DeviceFailure, Event};
use account_linking::managed_integrations::{StatusCode, Value};

use crate::world::{World, endpoint_of, lamp, request, send};

const ON: &str = r#"[{"id":"0x0006","commands":[{"0x01":{}}]}]"#;

#[test]
fn a_command_is_answered_first_and_told_in_an_event_with_its_trace() {
    let mut world = World::new();
    world.deaf.insert("update");
    assert_eq!(
        world.ask(&send("ann-1", "t:1", ON)).status(),
        StatusCode::OK
    );
    assert!(world.sent.is_empty());
    world.hear();
    assert_eq!(world.updates, [("/switch".to_owned(), Value::Bool(true))]);
    let endpoint = endpoint_of(&lamp("lamp-1"));
    let expected = [
        r#"{"UserId":"ann","Operation":"DEVICE_COMMAND_RESPONSE","OperationVersion":"1.0","StatusCode":200,"#,
        r#""ConnectorDeviceId":"lamp-1","TraceId":"t:1","MatterEndpoint":{"id":""#,
        &endpoint,
        r#"","clusters":[{"id":"0x0006","commands":{"0x01":{"responseCode":200}}}]}}"#,
    ];
    assert_eq!(world.only_event(), expected.concat());
}

#[test]
fn commands_are_done_in_order_and_each_starts_where_the_last_one_ended() {
    let mut world = World::new();
    let clusters = r#"[{"id":"0x0006","commands":[{"0x02":{}},{"0x02":{}},{"0x02":{}}]},
        {"id":"0x0008","commands":[{"0x04":{"0x0":127}}]}]"#;
    world.ask(&send("ann-1", "t1", clusters));
    let (switch, dim) = (
        |on| ("/switch".to_owned(), Value::Bool(on)),
        ("/dim".to_owned(), Value::Integer(50)),
    );
    assert_eq!(
        world.updates,
        [switch(true), switch(false), switch(true), dim, switch(true)]
    );
    // One event cannot say three times what became of the same command.
    assert_eq!(world.sent.len(), 3);
    assert!(
        world
            .sent
            .iter()
            .all(|event| event.trace().unwrap().as_str() == "t1")
    );
}

#[test]
fn what_is_not_possible_is_told_beside_what_was_done() {
    let mut world = World::new();
    let clusters = r#"[{"id":"0x0006","commands":[{"0x01":{}},{"0x40":{}}]},{"id":"0x0300","commands":["0x07"]}]"#;
    world.ask(&send("ann-1", "t1", clusters));
    let event = world.only_event();
    assert!(
        event.contains(r#""StatusCode":501,"Message":"The cluster has no such command""#),
        "{event}"
    );
    assert!(
        event.contains(
            r#""commands":{"0x01":{"responseCode":200},"0x40":{"errors":{"code":501,"message":"The cluster has no such command"},"responseCode":501}}"#
        ),
        "{event}"
    );
    assert_eq!(world.updates.len(), 1);
    assert_eq!(world.events.len(), 2);
    assert!(
        world
            .events
            .iter()
            .all(|event| matches!(event, Event::NotPossible { .. }))
    );
}

#[test]
fn a_device_that_does_not_obey_is_told() {
    for (failure, status) in [
        (DeviceFailure::Offline, 503),
        (DeviceFailure::TimedOut, 504),
        (DeviceFailure::Refused, 500),
        (DeviceFailure::NotFound, 404),
    ] {
        let mut world = World::new();
        world.failure = Some(failure);
        world.ask(&send("ann-1", "t1", ON));
        assert_eq!(world.sent[0].status().get(), status);
    }
}

#[test]
fn a_device_that_is_not_there_or_says_nothing_is_told() {
    let mut world = World::new();
    world.devices.clear();
    world.ask(&send("ann-1", "t1", ON));
    assert!(
        world
            .only_event()
            .contains(r#""StatusCode":404,"Message":"The device is not there""#)
    );
    let mut world = World::new();
    world.deaf.insert("update");
    world.ask(&send("ann-1", "t1", ON));
    world.pass(Duration::from_secs(30));
    assert!(
        world.only_event().contains(r#""StatusCode":504"#),
        "{}",
        world.only_event()
    );
    // Its late answer is for nobody.
    world.hear();
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn attributes_that_were_written_are_in_the_event_with_their_values() {
    let mut world = World::new();
    world.devices[0].types = vec!["oic.d.fan".to_owned()];
    world.devices[0].resources.truncate(1);
    world.devices[0].resources[0].types = vec!["oic.r.airflow".to_owned()];
    let endpoint = endpoint_of(&world.devices[0]);
    let payload = format!(
        r#""operationName":"AWS.SendCommand","traceId":"t1","connectorDeviceId":"lamp-1",
        "endpoints":[{{"id":"{endpoint}","clusters":[{{"id":"0x0202","attributes":[{{"0x0000":"3"}},{{"0x0003":1}}]}}]}}]"#
    );
    world.ask(&request("ann-1", &payload));
    assert_eq!(world.updates, [("/switch".to_owned(), Value::Integer(100))]);
    let event = world.only_event();
    assert!(
        event.contains(r#""clusters":[{"id":"0x0202","attributes":{"0x0000":"3"}}]"#),
        "{event}"
    );
    assert!(event.contains(r#""StatusCode":405"#), "{event}");
}

#[test]
fn a_command_that_asks_for_nothing_is_told_so() {
    let mut world = World::new();
    world.ask(&send("ann-1", "t1", "[]"));
    assert!(world.only_event().contains(r#""StatusCode":400"#));
}

#[test]
fn a_device_with_other_resources_than_before_is_not_misunderstood() {
    let mut world = World::new();
    // The switch is gone, another one is there.
    world.devices[0].resources[0].href = "/other".to_owned();
    world.ask(&send("ann-1", "t1", ON));
    assert!(world.updates.is_empty());
    assert_eq!(world.sent[0].status(), StatusCode::NOT_FOUND);
}
