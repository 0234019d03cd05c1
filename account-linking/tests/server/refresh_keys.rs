//! The roll of the keys of refresh tokens: no link ends by it.

use std::time::Duration;

use account_linking::SecretBytes;
use account_linking::server::{Algorithm, Config, Event, RefreshKey, Refusal, SigningKey};

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
fn keys_are_replaced_while_requests_are_under_way() {
    let (mut world, secrets) = World::with_settings(keys(&[1]), &[confidential()]);
    let secret = secrets[0].as_deref();
    let linked = link(&mut world, secret, "client-acme", "user-1");
    let first = linked.refresh.unwrap();
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"eA","y":"eg"}"#;
    let next = SigningKey::new("key-2", Algorithm::Es256, jwk).unwrap();
    let old = keys(&[2, 1]);
    // A request that waits for its append takes what comes of it to its end.
    world.store.faults.push_back(Fault::UnknownLost);
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.as_str()),
        ("client_id", "client-acme"),
        ("client_secret", secret.unwrap()),
    ];
    let request = http::Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form(&pairs).into())
        .unwrap();
    let waiting = world.send(&request);
    let signing = [vec![next.clone()], old.signing_keys.clone()].concat();
    world
        .server
        .replace_keys(signing, old.refresh_keys)
        .unwrap();
    world.pass(Duration::from_millis(100));
    let early = tokens(&world.responses.remove(&waiting).expect("an answer"));
    assert!(world.check(&early.access).is_ok() && world.check(&linked.access).is_ok());
    let kid = |token: &str| {
        use base64::Engine as _;
        let header = token.split('.').next().unwrap();
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(header)
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()["kid"].clone()
    };
    let renewed = tokens(&refresh(&mut world, secret, "client-acme", &first));
    assert_eq!(
        (kid(&early.access), kid(&renewed.access)),
        ("key-1".into(), "key-2".into())
    );
    let second = renewed.refresh.unwrap();
    let published = json(&world.get("/oauth/jwks", None));
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    // Nothing that cannot be used is taken.
    assert!(
        world
            .server
            .replace_keys(vec![], keys(&[2]).refresh_keys)
            .is_err()
    );
    assert!(
        world
            .server
            .replace_keys(vec![next.clone()], vec![])
            .is_err()
    );
    assert!(world.check(&renewed.access).is_ok());
    world
        .server
        .replace_keys(vec![next], keys(&[2]).refresh_keys)
        .unwrap();
    assert_eq!(world.check(&early.access), Err(Refusal::Invalid));
    assert!(world.check(&renewed.access).is_ok());
    assert_eq!(
        error(&refresh(&mut world, secret, "client-acme", &first)),
        "invalid_grant"
    );
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
