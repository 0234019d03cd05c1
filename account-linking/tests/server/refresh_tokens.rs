//! Refresh tokens: kept or rotated, with one successor, and never with more scope.

use std::time::Duration;

use account_linking::server::{EndReason, Event, Refusal};

use crate::harness::*;

#[test]
fn a_confidential_client_keeps_its_refresh_token() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let linked = link(&mut world, Some(&secret), "client-acme", "user-1");
    let token = linked.refresh.unwrap();
    let mut last = linked.access;
    for _ in 0..3 {
        world.pass(Duration::from_secs(1));
        let renewed = tokens(&refresh(&mut world, Some(&secret), "client-acme", &token));
        assert!(renewed.refresh.is_none());
        assert_ne!(renewed.access, last);
        last = renewed.access;
    }
    world.pass(Duration::from_secs(181 * 24 * 3600));
    let idle = refresh(&mut world, Some(&secret), "client-acme", &token);
    assert_eq!(error(&idle), "invalid_grant");
}

#[test]
fn a_narrower_scope_concerns_the_new_access_token_only() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[("scope", "r:*")]);
    let linked = tokens(&redeem(&mut world, Some(&secret), "client-acme", &code));
    assert_eq!(linked.scope, "r:*");
    let token = linked.refresh.unwrap();
    let ask = |world: &mut World, scope: &str| {
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
            ("scope", scope),
        ];
        world.token(Some(&secret), "client-acme", &pairs)
    };
    let wider = ask(&mut world, "r:* w:*");
    assert_eq!(
        (wider.status().as_u16(), error(&wider).as_str()),
        (400, "invalid_scope")
    );
    let same = tokens(&ask(&mut world, "r:*"));
    assert_eq!(same.scope, "r:*");
    assert!(!world.check(&same.access).unwrap().scopes.contains("w:*"));
    let whole = link(&mut world, Some(&secret), "client-acme", "user-1")
        .refresh
        .unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", whole.as_str()),
        ("scope", "w:*"),
    ];
    assert_eq!(
        tokens(&world.token(Some(&secret), "client-acme", &pairs)).scope,
        "w:*"
    );
    assert_eq!(
        tokens(&refresh(&mut world, Some(&secret), "client-acme", &whole)).scope,
        "r:* w:*"
    );
    assert_eq!(error(&ask(&mut world, " ")), "invalid_scope");
}

#[test]
fn a_public_client_rotates_with_one_successor_and_a_window() {
    let (mut world, _) = World::with_clients(&[public()]);
    let first = link(&mut world, None, "client-app", "user-1")
        .refresh
        .unwrap();
    let second = tokens(&refresh(&mut world, None, "client-app", &first))
        .refresh
        .unwrap();
    assert_ne!(first, second);
    for _ in 0..3 {
        world.pass(Duration::from_secs(3));
        let again = tokens(&refresh(&mut world, None, "client-app", &first));
        assert_eq!(again.refresh.as_ref(), Some(&second), "the same successor");
    }
    let used = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::RetryWindowUsed { .. }));
    assert_eq!(used.count(), 3);
    let third = tokens(&refresh(&mut world, None, "client-app", &second));
    // The successor was used: the window is closed, and either holder may be the thief.
    let replayed = refresh(&mut world, None, "client-app", &first);
    assert_eq!(error(&replayed), "invalid_grant");
    assert_eq!(ends(&world, EndReason::RefreshTokenReplayed), 1);
    assert_eq!(world.check(&third.access), Err(Refusal::Invalid));
    let dead = refresh(&mut world, None, "client-app", &third.refresh.unwrap());
    assert_eq!(error(&dead), "invalid_grant");
}

#[test]
fn a_successor_has_the_whole_scope_though_its_access_token_had_less() {
    let (mut world, _) = World::with_clients(&[public()]);
    let first = link(&mut world, None, "client-app", "user-1")
        .refresh
        .unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", first.as_str()),
        ("scope", "r:*"),
    ];
    let less = tokens(&world.token(None, "client-app", &pairs));
    assert_eq!(less.scope, "r:*");
    assert_eq!(claims(&less.access)["scope"], "r:*");
    assert_eq!(claims(&less.access)["aud"], AUDIENCE);
    let whole = refresh(&mut world, None, "client-app", &less.refresh.unwrap());
    assert_eq!(tokens(&whole).scope, "r:* w:*");
}

#[test]
fn outside_the_window_a_superseded_token_ends_the_grant_of_a_public_client_only() {
    let mut rotating = confidential();
    rotating.rotation_window = Some(Duration::from_secs(60));
    let (mut world, secrets) = World::with_clients(&[public(), rotating]);
    let old = link(&mut world, None, "client-app", "user-1")
        .refresh
        .unwrap();
    let new = tokens(&refresh(&mut world, None, "client-app", &old))
        .refresh
        .unwrap();
    world.pass(Duration::from_secs(11));
    assert_eq!(
        error(&refresh(&mut world, None, "client-app", &old)),
        "invalid_grant"
    );
    assert_eq!(
        error(&refresh(&mut world, None, "client-app", &new)),
        "invalid_grant"
    );
    let secret = secrets[1].clone().unwrap();
    let old = link(&mut world, Some(&secret), "client-acme", "user-1")
        .refresh
        .unwrap();
    let new = tokens(&refresh(&mut world, Some(&secret), "client-acme", &old))
        .refresh
        .unwrap();
    world.pass(Duration::from_secs(61));
    assert_eq!(
        error(&refresh(&mut world, Some(&secret), "client-acme", &old)),
        "invalid_grant"
    );
    assert_eq!(
        refresh(&mut world, Some(&secret), "client-acme", &new).status(),
        200
    );
    let foreign = refresh(&mut world, None, "client-app", &new);
    assert_eq!(error(&foreign), "invalid_grant");
    assert_eq!(ends(&world, EndReason::RefreshTokenReplayed), 1);
}

#[test]
fn a_client_without_refresh_tokens_gets_none() {
    let mut once = confidential();
    once.refresh_tokens = false;
    let (mut world, secrets) = World::with_clients(&[once]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    assert!(linked.refresh.is_none());
    let asked = refresh(&mut world, secrets[0].as_deref(), "client-acme", "x");
    assert_eq!(error(&asked), "unauthorized_client");
}
