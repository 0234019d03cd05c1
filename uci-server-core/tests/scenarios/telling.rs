//! Devices that tell what they measure and cannot be asked.

use super::*;
use http::Response;
use uci_server_core::DeviceAnswer;

fn tell(world: &mut World, news: &str) -> Result<(), ErrorKind> {
    let (href, content) = (LIGHT.parse().unwrap(), json(news));
    let what = Occurrence::PropertiesChanged { href, content };
    world.report_as("alice", device(1), 1, what)
}

/// What a client is answered when the device cannot be asked.
fn unasked(world: &mut World, request: &http::Request<bytes::Bytes>) -> Response<bytes::Bytes> {
    let id = world.start(request, granted("alice", "g1"));
    let (ask, _) = world.asks.pop_front().unwrap();
    world
        .cloud
        .handle_answer(ask, DeviceAnswer::AsKnown, world.now);
    world.settle();
    world.responses.remove(&id).unwrap()
}

#[test]
fn new_values_come_into_what_is_known_and_are_told_once() {
    let mut world = World::new();
    world.light();
    world.subscribe(&path(1, LIGHT), CHANGED);
    assert_eq!(world.receive_all()[0].json(), value!({"state": true}));
    for (news, told) in [
        (r#"{"power":5}"#, Some(value!({"state": true, "power": 5}))),
        (r#"{"power":5}"#, None),
        (
            r#"{"state":false}"#,
            Some(value!({"state": false, "power": 5})),
        ),
        (r#"{"state":false,"power":5}"#, None),
    ] {
        tell(&mut world, news).unwrap();
        let seen: Vec<_> = world.receive_all().iter().map(|one| one.json()).collect();
        assert_eq!(seen, Vec::from_iter(told), "{news}");
    }
    world.restart();
    tell(&mut world, r#"{"state":true}"#).unwrap();
    let all = world.get_json(&format!("{}?content=all", path(1, "")));
    assert_eq!(all["links"][0]["rep"], value!({"state": true, "power": 5}));
}

#[test]
fn new_values_of_nothing_and_what_is_no_object_are_refused() {
    let mut world = World::new();
    world.light();
    assert_eq!(tell(&mut world, "[1]"), Err(ErrorKind::Malformed));
    assert_eq!(tell(&mut world, "{"), Err(ErrorKind::Malformed));
    let withdrawn = Occurrence::LinksWithdrawn(vec![LIGHT.parse().unwrap()]);
    world.report(device(1), withdrawn);
    assert_eq!(tell(&mut world, r#"{"a":1}"#), Err(ErrorKind::NotFound));
}

#[test]
fn a_read_of_a_device_that_cannot_be_asked_is_answered_with_what_it_told() {
    let mut world = World::new();
    world.light();
    tell(&mut world, r#"{"power":5}"#).unwrap();
    let plain = value!({"state": true, "power": 5});
    let baseline = value!({
        "state": true, "power": 5,
        "rt": ["oic.r.switch.binary"], "if": ["oic.if.rw", "oic.if.baseline"],
    });
    for (query, expected) in [
        ("", &plain),
        ("?if=oic.if.rw", &plain),
        ("?if=oic.if.baseline", &baseline),
    ] {
        let read = request(Method::GET, &format!("{}{query}", path(1, LIGHT)));
        let response = unasked(&mut world, &read);
        assert_eq!(response.status(), StatusCode::OK, "{query}");
        let seen: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(seen, *expected, "{query}");
    }
    let other = request(Method::GET, &format!("{}?if=oic.if.b", path(1, LIGHT)));
    assert_eq!(
        unasked(&mut world, &other).status(),
        StatusCode::BAD_REQUEST
    );
}

#[test]
fn a_device_that_cannot_be_asked_cannot_be_updated_and_has_told_nothing_at_first() {
    let mut world = World::new();
    world.light();
    let update = post(&path(1, LIGHT), "application/json", "{}");
    let response = unasked(&mut world, &update);
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET");
    let fresh = "/fresh";
    world.report(device(1), Occurrence::LinksPublished(vec![link(fresh)]));
    let read = request(Method::GET, &path(1, fresh));
    let response = unasked(&mut world, &read);
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(response.headers()["retry-after"], "60");
}

#[test]
fn a_link_that_is_withdrawn_while_its_device_is_asked_is_not_found() {
    let mut world = World::new();
    world.light();
    let read = request(Method::GET, &path(1, LIGHT));
    let id = world.start(&read, granted("alice", "g1"));
    let withdrawn = Occurrence::LinksWithdrawn(vec![LIGHT.parse().unwrap()]);
    world.report(device(1), withdrawn);
    let (ask, _) = world.asks.pop_front().unwrap();
    world
        .cloud
        .handle_answer(ask, DeviceAnswer::AsKnown, world.now);
    world.settle();
    assert_eq!(world.responses[&id].status(), StatusCode::NOT_FOUND);
}
