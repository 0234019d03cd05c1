//! Calls, tokens and what a call may be sent to.

use super::*;

#[test]
fn a_token_is_asked_for_again_once_after_401() {
    let mut world = World::new();
    world.cloud.script.push_back(Some(status(401)));
    let call = world
        .client
        .call(retrieve_devices::Request::new(BatchFormat::Base), world.now)
        .unwrap();
    world.run();
    assert_eq!(world.tokens, 2);
    assert_eq!(
        world.cloud.requests[1].headers()["authorization"],
        "Bearer token-2"
    );
    let answered = world.events.iter().any(|event| {
        matches!(event, Event::Answered { call: of, result: Ok(Reply::Devices(_)) } if *of == call)
    });
    assert!(answered);

    world
        .cloud
        .script
        .extend([Some(status(401)), Some(status(401))]);
    world
        .client
        .call(retrieve_devices::Request::new(BatchFormat::Base), world.now)
        .unwrap();
    world.run();
    assert_eq!(world.cloud.requests.len(), 4);
    assert!(matches!(
        world.events.last(),
        Some(Event::Answered { result: Err(failure), .. }) if failure.kind == FailureKind::Status(401)
    ));
}

#[test]
fn calls_carry_one_accept_and_no_other_query_than_content() {
    let mut world = World::new();
    for batch in [BatchFormat::Base, BatchFormat::All] {
        world
            .client
            .call(retrieve_devices::Request::new(batch), world.now)
            .unwrap();
    }
    world.run();
    let queries: Vec<_> = world
        .cloud
        .requests
        .iter()
        .map(|request| request.uri().query().unwrap())
        .collect();
    assert_eq!(queries, ["content=base", "content=all"]);
    for request in &world.cloud.requests {
        assert_eq!(request.headers()["accept"], "application/json");
    }
}

#[test]
fn retry_after_of_an_offline_device_reaches_the_caller_and_the_device_stays() {
    let mut world = World::new();
    live_light(&mut world);
    let mut offline = status(504);
    offline
        .headers_mut()
        .insert("retry-after", "30".parse().unwrap());
    world.cloud.script.push_back(Some(offline));
    let request =
        uci_model::api::retrieve_resource::Request::new(lamp(), "/light/1".parse().unwrap());
    world.client.call(request, world.now).unwrap();
    world.run();
    let Some(Event::Answered {
        result: Err(failure),
        ..
    }) = world.events.last()
    else {
        panic!()
    };
    assert_eq!(
        (failure.kind, failure.retry_after),
        (FailureKind::Status(504), Some(30 * SECOND))
    );
    assert_eq!(state(&world), Some(false));
}

#[test]
fn a_call_without_answer_times_out() {
    let mut world = World::new();
    world.cloud.script.push_back(None);
    world
        .client
        .call(retrieve_devices::Request::new(BatchFormat::Base), world.now)
        .unwrap();
    world.run();
    world.pass(31 * SECOND);
    assert!(matches!(
        world.events.last(),
        Some(Event::Answered { result: Err(failure), .. }) if failure.kind == FailureKind::Timeout
    ));
}

#[test]
fn only_https_is_configured() {
    let config = |base: &str, events: &str| {
        uci_client::Config::new(&base.parse().unwrap(), events.parse().unwrap()).is_ok()
    };
    assert!(config(
        "https://cloud.example/api/v1",
        "https://us.example/events"
    ));
    assert!(!config(
        "http://cloud.example/api/v1",
        "https://us.example/events"
    ));
    assert!(!config("/api/v1", "https://us.example/events"));
    assert!(!config(
        "https://cloud.example/api/v1",
        "http://us.example/events"
    ));
}
