//! The roll of the keys of refresh tokens: no link ends by it.

use std::time::Duration;

use account_linking::SecretBytes;
use account_linking::server::{Config, Event, RefreshKey};

use crate::harness::*;

/// Settings with these keys, the first of which makes new tokens.
fn keys(ids: &[u8]) -> Config {
    let mut settings = config();
    let key = |id: &u8| RefreshKey::new(*id, SecretBytes::new([*id; 32]));
    settings.refresh_keys = ids.iter().map(key).collect();
    settings
}

fn restarted(world: World, ids: &[u8], start: u8) -> World {
    let (now, wall) = (world.now, world.wall);
    let mut world = World::with_store(keys(ids), world.store, start);
    (world.now, world.wall) = (now, wall);
    world
}

/// The keys that the user's refresh tokens are made with.
fn key_in_use(world: &mut World) -> Option<u8> {
    let user = "user-1".parse().unwrap();
    let (wall, now) = (world.wall, world.now);
    world.server.list_grants(user, wall, now).unwrap();
    world.pump();
    match world.events.last() {
        Some(Event::Grants { grants, .. }) => grants[0].refresh_key,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refresh_token_that_stays_moves_to_the_new_key() {
    let (world, secrets) = World::with_settings(keys(&[1]), &[confidential()]);
    let secret = secrets[0].as_deref();
    let mut world = world;
    let first = link(&mut world, secret, "client-acme", "user-1")
        .refresh
        .unwrap();
    assert_eq!(key_in_use(&mut world), Some(1));
    let mut world = restarted(world, &[2, 1], 2);
    let renewed = tokens(&refresh(&mut world, secret, "client-acme", &first));
    let second = renewed.refresh.expect("a token made with the new key");
    assert_ne!(first, second);
    assert_eq!(key_in_use(&mut world), Some(2));
    // The answer may have been lost, several workers may hold the old one, or the client keeps to what it has:
    // it always gets the same successor, until its key is gone.
    for _ in 0..2 {
        world.pass(Duration::from_secs(24 * 3600));
        let again = tokens(&refresh(&mut world, secret, "client-acme", &first));
        assert_eq!(again.refresh.as_ref(), Some(&second));
        assert!(world.check(&again.access).is_ok());
    }
    // The successor stays as the first did.
    let kept = tokens(&refresh(&mut world, secret, "client-acme", &second));
    assert_eq!(kept.refresh, None);
    // Both are the client's, for as long as they are good.
    for token in [&first, &second] {
        let pairs = [
            ("token", token.as_str()),
            ("client_id", "client-acme"),
            ("client_secret", secret.unwrap()),
        ];
        let told = json(&world.post("/oauth/introspect", &[], form(&pairs)));
        assert_eq!(told["active"], true);
    }
    let mut world = restarted(world, &[2], 3);
    let refused = refresh(&mut world, secret, "client-acme", &first);
    assert_eq!(error(&refused), "invalid_grant");
    assert!(
        tokens(&refresh(&mut world, secret, "client-acme", &second))
            .refresh
            .is_none()
    );
}

#[test]
fn two_rolls_one_after_the_other_lose_nobody() {
    let (mut world, secrets) = World::with_settings(keys(&[1]), &[confidential()]);
    let secret = secrets[0].as_deref();
    let first = link(&mut world, secret, "client-acme", "user-1")
        .refresh
        .unwrap();
    let mut world = restarted(world, &[2, 1], 2);
    let second = tokens(&refresh(&mut world, secret, "client-acme", &first))
        .refresh
        .unwrap();
    let mut world = restarted(world, &[3, 2, 1], 3);
    // Whoever has not taken the second gets it still.
    let again = tokens(&refresh(&mut world, secret, "client-acme", &first));
    assert_eq!(again.refresh.as_ref(), Some(&second));
    let third = tokens(&refresh(&mut world, secret, "client-acme", &second))
        .refresh
        .unwrap();
    assert!(![&first, &second].contains(&&third));
    // Two behind is too old; it ends nothing.
    assert_eq!(
        error(&refresh(&mut world, secret, "client-acme", &first)),
        "invalid_grant"
    );
    assert_eq!(
        tokens(&refresh(&mut world, secret, "client-acme", &second))
            .refresh
            .as_ref(),
        Some(&third)
    );
    assert!(
        tokens(&refresh(&mut world, secret, "client-acme", &third))
            .refresh
            .is_none()
    );
}

#[test]
fn a_token_that_rotates_has_its_window_over_a_roll() {
    let (mut world, _) = World::with_settings(keys(&[1]), &[public()]);
    let first = link(&mut world, None, "client-app", "user-1")
        .refresh
        .unwrap();
    let second = tokens(&refresh(&mut world, None, "client-app", &first))
        .refresh
        .unwrap();
    let mut world = restarted(world, &[2, 1], 2);
    // The successor was made with the key of then, so it is the same one.
    let again = tokens(&refresh(&mut world, None, "client-app", &first)).refresh;
    assert_eq!(again.as_ref(), Some(&second));
    let third = tokens(&refresh(&mut world, None, "client-app", &second))
        .refresh
        .unwrap();
    assert_eq!(key_in_use(&mut world), Some(2));
    let mut world = restarted(world, &[2], 3);
    assert_eq!(
        error(&refresh(&mut world, None, "client-app", &second)),
        "invalid_grant"
    );
    assert!(
        tokens(&refresh(&mut world, None, "client-app", &third))
            .refresh
            .is_some()
    );
}
