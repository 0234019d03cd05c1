//! Linking, discovery, reports, the end; and what goes wrong on the way.

use std::time::Duration;

use account_linking::ErrorKind;
use account_linking::managed_integrations::connector::{
    Config, DeviceFailure, Event, LeftOut, Output, SendFailure,
};
use account_linking::managed_integrations::matter::{OcfDevice, OcfResource};
use account_linking::managed_integrations::{StatusCode, Value};

use crate::world::{World, activate, deactivate, discover, lamp, request, send, user};

#[test]
fn a_user_is_found_by_the_token() {
    let mut world = World::new();
    let answer = world.ask(&activate("ann-1"));
    assert_eq!(
        (answer.status(), answer.user()),
        (StatusCode::OK, Some(&user("ann")))
    );
    assert_eq!(world.events, [Event::Activated { user: user("ann") }]);
    let answer = world.ask(&activate("nobody"));
    assert_eq!(
        (answer.status(), answer.user()),
        (StatusCode::UNAUTHORIZED, None)
    );
}

#[test]
fn a_discovery_is_answered_first_and_told_in_an_event() {
    let mut world = World::new();
    world.deaf.insert("list");
    let answer = world.ask(&discover("ann-1", "d1"));
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(world.sent.is_empty());
    world.hear();
    let event = world.only_event();
    assert!(event.starts_with(
        r#"{"UserId":"ann","Operation":"DEVICE_DISCOVERY","OperationVersion":"1.0","StatusCode":200,"DeviceDiscoveryId":"d1","Devices":[{"ConnectorDeviceId":"lamp-1","#
    ), "{event}");
}

#[test]
fn devices_without_a_counterpart_are_left_out_and_named() {
    let mut world = World::new();
    let mut oven = OcfDevice::new("oven".parse().unwrap());
    oven.resources.push(OcfResource::new("/mode", "oic.r.mode"));
    world.devices = vec![oven];
    world.ask(&discover("ann-1", "d1"));
    assert!(
        world
            .only_event()
            .ends_with(r#""DeviceDiscoveryId":"d1","Devices":[]}"#)
    );
    let left = Event::LeftOut {
        user: user("ann"),
        device: "oven".parse().unwrap(),
        reason: LeftOut::NoCounterpart,
    };
    assert_eq!(world.events, [left]);
}

#[test]
fn many_devices_are_told_in_several_events_and_too_many_not_at_all() {
    let mut config = Config::new("c-1".parse().unwrap());
    config.devices_per_event = 2;
    config.max_devices = 5;
    let mut world = World::with(config);
    world.devices = (0..5)
        .map(|number| lamp(&format!("lamp-{number}")))
        .collect();
    world.ask(&discover("ann-1", "d1"));
    let lengths: Vec<_> = world
        .sent
        .iter()
        .map(|event| event.devices().len())
        .collect();
    assert_eq!(lengths, [2, 2, 1]);
    world.devices.push(lamp("lamp-6"));
    world.ask(&discover("ann-1", "d2"));
    let last = world.sent.last().unwrap();
    assert_eq!((last.status().get(), last.devices().len()), (413, 0));
}

#[test]
fn a_failed_discovery_says_so() {
    let mut world = World::new();
    world.failure = Some(DeviceFailure::Unavailable);
    world.ask(&discover("ann-1", "d1"));
    assert_eq!(
        world.only_event(),
        r#"{"UserId":"ann","Operation":"DEVICE_DISCOVERY","OperationVersion":"1.0","StatusCode":503,"Message":"The devices cannot be listed now","DeviceDiscoveryId":"d1"}"#
    );
}

#[test]
fn every_invocation_is_answered_within_two_seconds_even_if_nobody_else_answers() {
    let mut world = World::new();
    world.deaf.extend(["check", "revoke"]);
    let asked = [
        world.begin(&activate("ann-1")),
        world.begin(&discover("ann-1", "d1")),
        world.begin(&deactivate("ann-1")),
    ];
    world.pass(Duration::from_millis(1499));
    assert!(world.answers.is_empty());
    world.pass(Duration::from_millis(1));
    for invocation in asked {
        assert_eq!(
            world.answers[&invocation].status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    // The check goes on, and whoever asks again has the answer.
    world.hear();
    assert_eq!(world.ask(&deactivate("ann-1")).status(), StatusCode::OK);
    assert_eq!(world.revoked, ["ann-1"]);
}

#[test]
fn after_the_revocation_nothing_is_done_for_the_token_any_more() {
    let mut world = World::new();
    world.deaf.extend(["list", "update", "send"]);
    world.ask(&discover("ann-1", "d1"));
    world.ask(&send(
        "ann-1",
        "t1",
        r#"[{"id":"0x0006","commands":{"0x01":{}}}]"#,
    ));
    assert_eq!(world.ask(&deactivate("ann-1")).status(), StatusCode::OK);
    assert_eq!(world.revoked, ["ann-1"]);
    world.hear();
    world.pass(Duration::from_secs(120));
    assert!(world.sent.is_empty(), "{:?}", world.sent);
    assert_eq!(
        world.events,
        [Event::Deactivated {
            user: Some(user("ann"))
        }]
    );
    assert_eq!(
        world.ask(&discover("ann-1", "d2")).status(),
        StatusCode::UNAUTHORIZED
    );
}

#[test]
fn revoking_an_unknown_token_is_no_fault() {
    let mut world = World::new();
    assert_eq!(world.ask(&deactivate("nobody")).status(), StatusCode::OK);
    assert_eq!(world.events, [Event::Deactivated { user: None }]);
}

#[test]
fn a_check_that_comes_after_the_revocation_activates_nobody() {
    let mut world = World::new();
    world.deaf.insert("check");
    let late = world.begin(&activate("ann-1"));
    assert_eq!(world.ask(&deactivate("ann-1")).status(), StatusCode::OK);
    assert_eq!(world.answers[&late].status(), StatusCode::UNAUTHORIZED);
    world.tokens.insert("ann-1".into(), "ann".into());
    world.hear();
    assert_eq!(
        world.events,
        [Event::Deactivated {
            user: Some(user("ann"))
        }]
    );
}

#[test]
fn requests_for_another_connector_are_refused_unless_that_is_switched_off() {
    let payload = activate("ann-1").replace("c-1", "c-2");
    assert_eq!(World::new().ask(&payload).status(), StatusCode::FORBIDDEN);
    let mut config = Config::new("c-1".parse().unwrap());
    config.checks_connector = false;
    assert_eq!(World::with(config).ask(&payload).status(), StatusCode::OK);
}

#[test]
fn what_cannot_be_read_is_answered_with_both_fields() {
    let mut world = World::new();
    let answer = world.ask(&request("ann-1", r#""operationName":"AWS.Explode""#));
    assert_eq!(
        answer.to_json(),
        r#"{"header":{"responseCode":400},"payload":{"responseMessage":"Unknown operation"}}"#
    );
    assert_eq!(world.ask("nonsense").status(), StatusCode::BAD_REQUEST);
    assert_eq!(world.checks, 0);
}

#[test]
fn an_event_is_sent_again_until_it_is_taken_or_given_up() {
    let mut world = World::new();
    world.deaf.insert("send");
    world.ask(&discover("ann-1", "d1"));
    let mut tries = 0;
    for _ in 0..20 {
        for output in std::mem::take(&mut world.left) {
            let Output::Send { task, .. } = output else {
                panic!()
            };
            tries += 1;
            // A time-out, and failures that are told.
            if tries % 2 == 0 {
                world
                    .connector
                    .handle_sent(task, Err(SendFailure::Later), world.now);
            }
        }
        world.pass(Duration::from_secs(61));
    }
    assert_eq!(tries, 6);
    assert!(
        matches!(world.events[..], [Event::NotSent { .. }]),
        "{:?}",
        world.events
    );
    world.deaf.clear();
    world.ask(&discover("ann-1", "d2"));
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn an_event_that_is_refused_is_not_sent_again() {
    let mut world = World::new();
    world.deaf.insert("send");
    world.ask(&discover("ann-1", "d1"));
    let Some(Output::Send { task, .. }) = world.left.pop() else {
        panic!()
    };
    world
        .connector
        .handle_sent(task, Err(SendFailure::Refused), world.now);
    world.pass(Duration::from_secs(3600));
    assert!(matches!(world.events[..], [Event::NotSent { .. }]));
    assert!(world.left.is_empty());
}

#[test]
fn a_change_is_reported_and_an_older_one_is_not_sent_after_it() {
    let mut world = World::new();
    let mut device = lamp("lamp-1");
    world.deaf.insert("send");
    world
        .connector
        .report(&user("ann"), &device, "/switch", world.now)
        .unwrap();
    world.run();
    device.resources[0]
        .representation
        .insert("value".into(), Value::Bool(true));
    world
        .connector
        .report(&user("ann"), &device, "/switch", world.now)
        .unwrap();
    let Some(Output::Send { task, .. }) = world.left.pop() else {
        panic!()
    };
    world
        .connector
        .handle_sent(task, Err(SendFailure::Later), world.now);
    world.deaf.clear();
    world.pass(Duration::from_secs(3600));
    let event = world.only_event();
    assert!(event.contains(r#""Operation":"DEVICE_EVENT""#), "{event}");
    assert!(
        event.contains(r#""clusters":[{"id":"0x0006","attributes":{"0x0000":true}}]"#),
        "{event}"
    );
}

#[test]
fn of_changes_that_come_faster_than_they_are_sent_the_first_and_the_last_are_told() {
    let mut world = World::new();
    let mut device = lamp("lamp-1");
    world.deaf.insert("send");
    for level in [10, 20, 30, 40] {
        let dimmer = &mut device.resources[1].representation;
        dimmer.insert("dimmingSetting".into(), Value::Integer(level));
        let now = world.now;
        world
            .connector
            .report(&user("ann"), &device, "/dim", now)
            .unwrap();
        world.run();
    }
    assert_eq!(world.left.len(), 1);
    world.hear();
    let told: Vec<_> = world
        .sent
        .iter()
        .map(|event| event.endpoint().unwrap().clusters()[0].attributes()["0x0000"].clone())
        .collect();
    assert_eq!(told, [Value::Integer(25), Value::Integer(102)]);
}

#[test]
fn what_cannot_be_reported_says_why() {
    let mut config = Config::new("c-1".parse().unwrap());
    config.max_reports = 1;
    let mut world = World::with(config);
    let mut device = lamp("lamp-1");
    device
        .resources
        .push(OcfResource::new("/mode", "oic.r.mode"));
    let now = world.now;
    let mut report = |href: &str| {
        let result = world.connector.report(&user("ann"), &device, href, now);
        result.map_err(|error| error.kind())
    };
    assert_eq!(report("/mode"), Err(ErrorKind::NoCounterpart));
    assert_eq!(report("/other"), Err(ErrorKind::NotFound));
    assert_eq!(report("/switch"), Ok(()));
    assert_eq!(report("/switch"), Err(ErrorKind::Full));
}
