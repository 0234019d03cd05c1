#![allow(clippy::arithmetic_side_effects)]

use std::time::{Duration, UNIX_EPOCH};

use http::Method;

use super::*;
use crate::router::route;

fn principal(scope: &str) -> Principal {
    let expires = UNIX_EPOCH + Duration::from_secs(100);
    Principal::new(
        "a".parse().unwrap(),
        "c".parse().unwrap(),
        "g".parse().unwrap(),
        scope,
        expires,
    )
}

fn refusal(scope: &str, method: &Method, path: &str) -> Option<Refusal> {
    authorize(&principal(scope), &route("", method, path).unwrap()).err()
}

const DEVICE: &str = "/api/v1/devices/53080a4f-5e3e-4291-802f-3436238232d2";

#[test]
fn scopes_are_whole_tokens() {
    for scope in ["r:*", "x r:* y", "r:* offline_access"] {
        assert_eq!(refusal(scope, &Method::GET, DEVICE), None, "{scope}");
    }
    for scope in ["", "user:read", "order:*", "r:", "r:*x", "w:*"] {
        let refusal = refusal(scope, &Method::GET, DEVICE).unwrap();
        assert_eq!(refusal.status(), 403, "{scope}");
        assert_eq!(
            refusal.challenge(),
            "Bearer error=\"insufficient_scope\", scope=\"r:*\"",
            "{scope}"
        );
    }
}

#[test]
fn an_update_needs_both_scopes() {
    let light = format!("{DEVICE}/light/1");
    assert_eq!(refusal("r:* w:*", &Method::POST, &light), None);
    for scope in ["r:*", "w:*", ""] {
        let refusal = refusal(scope, &Method::POST, &light).unwrap();
        assert_eq!(
            refusal.challenge(),
            "Bearer error=\"insufficient_scope\", scope=\"r:* w:*\"",
            "{scope}"
        );
    }
}

#[test]
fn subscribing_and_unsubscribing_need_reading_only() {
    let id = "1eeb465c-5e8d-4305-a366-bbf035fff671";
    for level in [
        "/api/v1/devices".to_owned(),
        DEVICE.to_owned(),
        format!("{DEVICE}/light/1"),
    ] {
        let subscriptions = format!("{level}/subscriptions");
        assert_eq!(
            refusal("r:*", &Method::POST, &subscriptions),
            None,
            "{level}"
        );
        let one = format!("{subscriptions}/{id}");
        assert_eq!(refusal("r:*", &Method::DELETE, &one), None, "{level}");
    }
}

#[test]
fn a_token_is_good_until_it_expires() {
    let wall = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
    let granted = || Authentication::Granted(principal("r:*"));
    assert!(authenticate(granted(), wall(99)).is_ok());
    assert_eq!(
        authenticate(granted(), wall(100)),
        Err(Refusal::InvalidToken)
    );
    assert_eq!(
        authenticate(Authentication::Invalid, wall(0)),
        Err(Refusal::InvalidToken)
    );
    let missing = authenticate(Authentication::Missing, wall(0)).unwrap_err();
    assert_eq!(
        (missing.status().as_u16(), missing.challenge()),
        (401, "Bearer".parse().unwrap())
    );
    assert_eq!(
        Refusal::InvalidToken.challenge(),
        "Bearer error=\"invalid_token\""
    );
}
