//! A replica that has not heard of what another has written reads on before it refuses, and not more often than it must.

use std::time::Duration;

use account_linking::server::Event;

use crate::harness::*;
use crate::replicas::Replicas;

/// Two replicas, of which the second has read the user's grants before the link was made at the first.
fn behind(clients: &[account_linking::server::Registration]) -> (Replicas, Vec<Option<String>>) {
    let (mut world, secrets) = World::with_clients(clients);
    let before = link(&mut world, None, "client-app", "user-1");
    let mut both = Replicas::new(&config(), world);
    assert!(both.at(1).check(&before.access).is_ok());
    (both, secrets)
}

#[test]
fn a_replica_that_is_behind_reads_on_before_it_refuses() {
    let (mut both, secrets) = behind(&[public(), confidential()]);
    let secret = secrets[1].as_deref();
    let held = link(both.at(0), secret, "client-acme", "user-1");
    let loads = both.at(1).store.loads;
    assert!(both.at(1).check(&held.access).is_ok());
    assert_eq!(both.at(1).store.loads, loads + 1);
    // What it has read now it knows.
    assert!(both.at(1).check(&held.access).is_ok());
    assert_eq!(both.at(1).store.loads, loads + 1);

    let (mut both, secrets) = behind(&[public(), confidential()]);
    let secret = secrets[1].as_deref();
    let held = link(both.at(0), secret, "client-acme", "user-1")
        .refresh
        .unwrap();
    let asked = [("token", held.as_str())];
    let told = both.at(1).post(
        "/oauth/introspect",
        &[],
        form(&[
            asked[0],
            ("client_id", "client-acme"),
            ("client_secret", secret.unwrap()),
        ]),
    );
    assert_eq!(json(&told)["active"], true);

    let (mut both, secrets) = behind(&[public(), confidential()]);
    let secret = secrets[1].as_deref();
    let held = link(both.at(0), secret, "client-acme", "user-1")
        .refresh
        .unwrap();
    let answer = refresh(both.at(1), secret, "client-acme", &held);
    assert_eq!(answer.status(), 200);

    // Also a generation that was made elsewhere, and a code.
    let (mut both, _) = behind(&[public()]);
    let code = obtain_code(both.at(0), "client-app", "user-1", &[]);
    let first = tokens(&redeem(both.at(1), None, "client-app", &code));
    let next = tokens(&refresh(
        both.at(0),
        None,
        "client-app",
        &first.refresh.unwrap(),
    ));
    let last = refresh(both.at(1), None, "client-app", &next.refresh.unwrap());
    assert_eq!(last.status(), 200);
}

#[test]
fn a_replica_that_is_behind_revokes_what_it_has_not_heard_of() {
    for of_access in [false, true] {
        let (mut both, _) = behind(&[public()]);
        let held = link(both.at(0), None, "client-app", "user-1");
        let refresh = held.refresh.unwrap();
        let token = if of_access { &held.access } else { &refresh };
        let pairs = [("token", token.as_str()), ("client_id", "client-app")];
        let answer = both.at(1).post("/oauth/revoke", &[], form(&pairs));
        assert_eq!(answer.status(), 200);
        assert!(!both.admits(&held.access), "it was said to be revoked");
    }
}

#[test]
fn a_client_that_was_registered_elsewhere_is_known_within_a_second() {
    let mut both = Replicas::new(&config(), World::new(config()));
    let begin = |world: &mut World| {
        let path = authorize_path("client-app", &[]);
        world.get(&path, None).status()
    };
    let asked = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "none"),
        ("client_id", "client-app"),
    ];
    let error =
        |world: &mut World| json(&world.post("/oauth/token", &[], form(&asked)))["error"].clone();
    // Replica 1 has looked and found nobody.
    assert_eq!(begin(both.at(1)), 400);
    both.at(0).register(public());
    both.pass(Duration::from_millis(900));
    assert_eq!(error(both.at(1)), "invalid_client");
    both.pass(Duration::from_millis(100));
    assert_eq!(error(both.at(1)), "invalid_grant");
    assert_eq!(begin(both.at(1)), 303);
}

#[test]
fn a_secret_that_was_added_elsewhere_counts_and_guessing_reads_once_a_second() {
    let (world, secrets) = World::with_clients(&[confidential()]);
    let mut both = Replicas::new(&config(), world);
    let first = secrets[0].clone().unwrap();
    let error = |world: &mut World, secret: &str| {
        let asked = [
            ("grant_type", "refresh_token"),
            ("refresh_token", "none"),
            ("client_id", "client-acme"),
            ("client_secret", secret),
        ];
        json(&world.post("/oauth/token", &[], form(&asked)))["error"].clone()
    };
    assert_eq!(error(both.at(1), &first), "invalid_grant");
    let loads = both.at(1).store.loads;
    both.pass(Duration::from_secs(5));
    for _ in 0..100 {
        assert_eq!(error(both.at(1), "a guess"), "invalid_client");
    }
    assert_eq!(both.at(1).store.loads, loads + 1);
    let second = {
        let world = both.at(0);
        let (entropy, wall, now) = ([8; 32], world.wall, world.now);
        let client = "client-acme".parse().unwrap();
        world
            .server
            .add_client_secret(client, entropy, wall, now)
            .unwrap();
        world.pump();
        match world.events.last() {
            Some(Event::ClientRegistered {
                secret: Some(secret),
                ..
            }) => secret.expose().to_owned(),
            other => panic!("no secret: {other:?}"),
        }
    };
    both.pass(Duration::from_secs(1));
    assert_eq!(error(both.at(1), &second), "invalid_grant");
    // The one that is known needs no reading.
    let loads = both.at(1).store.loads;
    both.pass(Duration::from_secs(5));
    assert_eq!(error(both.at(1), &first), "invalid_grant");
    assert_eq!(both.at(1).store.loads, loads);
}

#[test]
fn what_is_over_is_refused_without_reading_again() {
    let (mut world, _) = World::with_clients(&[public()]);
    let held = link(&mut world, None, "client-app", "user-1");
    let pairs = [("token", held.access.as_str()), ("client_id", "client-app")];
    let other = link(&mut world, None, "client-app", "user-1");
    world.post("/oauth/revoke", &[], form(&pairs));
    let grant = claims(&other.access)["grant_id"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let account = "user-1".parse().unwrap();
    let (wall, now) = (world.wall, world.now);
    world.server.end_grant(account, grant, wall, now).unwrap();
    world.pump();
    let loads = world.store.loads;
    for _ in 0..3 {
        assert!(world.check(&other.access).is_err());
        assert!(world.check(&held.access).is_err());
    }
    assert_eq!(
        world.store.loads, loads,
        "a refused client has the store read"
    );
}
