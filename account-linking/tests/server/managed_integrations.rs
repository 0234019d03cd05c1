//! The managed-integrations connector with the authorization server whose tokens it is given: one user, from the link to its end.

use account_linking::managed_integrations::connector::{
    CheckFailure, Config, Connector, Event, Output,
};
use account_linking::managed_integrations::request::Authorization;
use account_linking::managed_integrations::{Answer, StatusCode};
use account_linking::server::{EndReason, Refusal};
use serde_json::json;

use crate::harness::*;

fn token(authorization: &Authorization) -> &str {
    match authorization {
        Authorization::OAuth { token } => token.expose(),
        other => panic!("{other:?}"),
    }
}

/// What the connector answers, when the server is asked whatever it asks.
fn ask(
    connector: &mut Connector,
    world: &mut World,
    token_text: &str,
    operation: &str,
) -> (Answer, Vec<Event>) {
    let auth = json!({"type": "OAuth2.0", "token": token_text});
    let payload = json!({"operationName": operation, "operationVersion": "1.0", "connectorId": "c-1", "deviceDiscoveryId": "d1"});
    let request = json!({"header": {"auth": auth}, "payload": payload}).to_string();
    connector.handle_invocation(request.as_bytes(), world.now);
    let (mut answered, mut events) = (None, Vec::new());
    while let Some(output) = connector.poll_output() {
        match output {
            Output::Answer { answer, .. } => answered = Some(answer),
            Output::Check {
                task,
                authorization,
            } => {
                let user = match world.check(token(&authorization)) {
                    Ok(principal) => Ok(principal.account),
                    Err(Refusal::Unavailable) => Err(CheckFailure::Unavailable),
                    Err(_) => Err(CheckFailure::Invalid),
                };
                connector.handle_checked(task, user, world.now);
            }
            Output::Revoke {
                task,
                authorization,
            } => {
                let ended = match world.check(token(&authorization)) {
                    Ok(principal) => {
                        let user = principal.account.clone();
                        let (wall, now) = (world.wall, world.now);
                        world
                            .server
                            .end_grant(principal.account, principal.grant, wall, now)
                            .unwrap();
                        world.pump();
                        Ok(Some(user))
                    }
                    Err(Refusal::Unavailable) => Err(CheckFailure::Unavailable),
                    Err(_) => Err(CheckFailure::Invalid),
                };
                connector.handle_revoked(task, ended, world.now);
            }
            Output::ListDevices { task, .. } => {
                connector.handle_devices(task, Ok(Vec::new()), world.now);
            }
            Output::Send { task, .. } => connector.handle_sent(task, Ok(()), world.now),
            Output::Event(event) => events.push(event),
            other => panic!("{other:?}"),
        }
    }
    (answered.unwrap(), events)
}

#[test]
fn the_connector_names_the_user_of_a_token_and_ends_the_grant_behind_it() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let linked = link(&mut world, Some(&secret), "client-acme", "user-1");
    let mut connector = Connector::new(Config::new("c-1".parse().unwrap()));

    let (answer, events) = ask(
        &mut connector,
        &mut world,
        &linked.access,
        "AWS.ActivateUser",
    );
    let user = "user-1".parse().unwrap();
    assert_eq!(
        (answer.status(), answer.user()),
        (StatusCode::OK, Some(&user))
    );
    assert_eq!(events, [Event::Activated { user: user.clone() }]);

    // Access and refresh token die together, and only once.
    for repeat in 0..5 {
        let (answer, events) = ask(
            &mut connector,
            &mut world,
            &linked.access,
            "AWS.DeactivateUser",
        );
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(events.len(), usize::from(repeat == 0));
    }
    assert_eq!(ends(&world, EndReason::Unlinked), 1);
    assert_eq!(world.check(&linked.access), Err(Refusal::Invalid));
    let refreshed = refresh(
        &mut world,
        Some(&secret),
        "client-acme",
        &linked.refresh.unwrap(),
    );
    assert_eq!(error(&refreshed), "invalid_grant");
    let (answer, events) = ask(
        &mut connector,
        &mut world,
        &linked.access,
        "AWS.DiscoverDevices",
    );
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(events, []);
}

#[test]
fn a_token_of_nobody_activates_nobody() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut connector = Connector::new(Config::new("c-1".parse().unwrap()));
    let (answer, events) = ask(&mut connector, &mut world, "made-up", "AWS.ActivateUser");
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(events, []);
}
