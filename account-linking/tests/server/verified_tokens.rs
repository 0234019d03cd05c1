//! A signature that was found good is not verified again; everything else of its token is judged with every request.

use std::time::Duration;

use account_linking::server::{Algorithm, Config, Refusal, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::harness::*;

/// How many signatures of tokens the driver was asked to verify.
fn verifications(world: &World) -> usize {
    world.shown.matches("Verify {").count()
}

fn linked(settings: Config) -> (World, Option<String>, Tokens) {
    let (mut world, secrets) = World::with_settings(settings, &[confidential()]);
    let tokens = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    (world, secrets[0].clone(), tokens)
}

#[test]
fn a_signature_is_verified_once() {
    let (mut world, secret, tokens) = linked(config());
    let first = world.check(&tokens.access).unwrap();
    for _ in 0..3 {
        assert_eq!(world.check(&tokens.access).unwrap(), first);
    }
    let pairs = [
        ("token", tokens.access.as_str()),
        ("client_id", "client-acme"),
        ("client_secret", secret.as_deref().unwrap()),
    ];
    let told = world.post("/oauth/introspect", &[], form(&pairs));
    assert_eq!(json(&told)["active"], true);
    assert_eq!(verifications(&world), 1);
    let mut settings = config();
    settings.max_verified_tokens = 0;
    let (mut world, _, tokens) = linked(settings);
    for _ in 0..3 {
        assert_eq!(world.check(&tokens.access).unwrap().scopes, first.scopes);
    }
    assert_eq!(verifications(&world), 3);
}

#[test]
fn a_verified_token_is_judged_with_every_request() {
    let other = "https://other.example/api";
    let mut settings = config();
    settings.resources = [other.parse().unwrap()].into();
    let (mut world, secret, tokens) = linked(settings);
    let request = api_request(&tokens.access).body(bytes::Bytes::new());
    let request = request.unwrap();
    assert!(world.judge(None, &request).is_ok());
    // It is for another API, it comes in two ways, it comes twice.
    assert_eq!(world.judge(Some(other), &request), Err(Refusal::Invalid));
    let in_query = format!("/api/v1/devices?access_token={}", tokens.access);
    let mut twofold = request.clone();
    *twofold.uri_mut() = in_query.parse().unwrap();
    assert_eq!(world.judge(None, &twofold), Err(Refusal::Malformed));
    let mut twice = request.clone();
    let again = twice.headers()["authorization"].clone();
    twice.headers_mut().append("authorization", again);
    assert_eq!(world.judge(None, &twice), Err(Refusal::Malformed));
    // It is revoked.
    let fresh = refresh(
        &mut world,
        secret.as_deref(),
        "client-acme",
        tokens.refresh.as_deref().unwrap(),
    );
    let fresh = self::tokens(&fresh);
    assert!(world.check(&fresh.access).is_ok());
    let pairs = [
        ("token", fresh.access.as_str()),
        ("client_id", "client-acme"),
        ("client_secret", secret.as_deref().unwrap()),
    ];
    assert_eq!(world.post("/oauth/revoke", &[], form(&pairs)).status(), 200);
    assert_eq!(world.check(&fresh.access), Err(Refusal::Invalid));
    // It is over, to the second, also when the clock is set back then.
    let left = claims(&tokens.access)["exp"].as_u64().unwrap() - 1_800_000_000;
    world.wall += Duration::from_secs(left - 1);
    assert!(world.judge(None, &request).is_ok());
    world.wall += Duration::from_secs(1);
    assert_eq!(world.judge(None, &request), Err(Refusal::Invalid));
    world.wall -= Duration::from_secs(60);
    assert_eq!(world.judge(None, &request), Err(Refusal::Invalid));
    assert_eq!(verifications(&world), 2);
}

#[test]
fn the_end_of_a_grant_ends_its_verified_tokens_at_once() {
    let (mut world, _, tokens) = linked(config());
    let principal = world.check(&tokens.access).unwrap();
    world
        .server
        .end_grant(principal.account, principal.grant, world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(world.check(&tokens.access), Err(Refusal::Invalid));
    assert_eq!(verifications(&world), 1);
}

#[test]
fn another_token_with_a_verified_signature_is_verified_and_refused() {
    let (mut world, _, tokens) = linked(config());
    assert!(world.check(&tokens.access).is_ok());
    let parts: Vec<_> = tokens.access.split('.').collect();
    let mut claims = claims(&tokens.access);
    claims["sub"] = "user-2".into();
    let payload = BASE64.encode(claims.to_string());
    let forged = format!("{}.{payload}.{}", parts[0], parts[2]);
    assert_eq!(world.check(&forged), Err(Refusal::Invalid));
    // Once refused, it is not believed later either.
    assert_eq!(world.check(&forged), Err(Refusal::Invalid));
    assert_eq!(verifications(&world), 3);
    assert!(world.check(&tokens.access).is_ok());
    assert_eq!(verifications(&world), 3);
}

#[test]
fn a_key_that_is_gone_takes_its_verified_tokens_along() {
    let (mut world, _, tokens) = linked(config());
    assert!(world.check(&tokens.access).is_ok());
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"eA","y":"eg"}"#;
    let next = SigningKey::new("key-2", Algorithm::Es256, jwk).unwrap();
    world
        .server
        .replace_keys(vec![next], config().refresh_keys)
        .unwrap();
    assert_eq!(world.check(&tokens.access), Err(Refusal::Invalid));
}

#[test]
fn grants_that_were_unloaded_are_loaded_for_a_verified_token() {
    let mut settings = config();
    settings.max_streams = 1;
    let (mut world, secrets) = World::with_settings(settings, &[confidential()]);
    let [one, other] = ["user-1", "user-2"]
        .map(|user| link(&mut world, secrets[0].as_deref(), "client-acme", user));
    for _ in 0..3 {
        assert_eq!(world.check(&one.access).unwrap().account.as_str(), "user-1");
        assert_eq!(
            world.check(&other.access).unwrap().account.as_str(),
            "user-2"
        );
    }
    assert_eq!(verifications(&world), 2);
}
