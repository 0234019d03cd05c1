//! Pushed authorization requests (RFC 9126): checked at once, referred to once, and required where asked.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use crate::harness::*;

const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";

/// The parameters of a good request of a client, with some changed; an empty one is left out.
fn push(
    world: &mut World,
    client: &str,
    secret: Option<&str>,
    changed: &[(&str, &str)],
) -> Response<Bytes> {
    let path = authorize_path(client, changed);
    let mut body = path.split_once('?').unwrap().1.to_owned();
    if let Some(secret) = secret {
        body.push_str(&format!("&client_secret={secret}"));
    }
    world.post("/oauth/par", &[], body)
}

fn reference(response: &Response<Bytes>) -> String {
    assert_eq!(response.status(), 201, "{:?}", response.body());
    json(response)["request_uri"].as_str().unwrap().to_owned()
}

fn open(world: &mut World, client: &str, reference: &str, more: &str) -> Response<Bytes> {
    let pairs = [("client_id", client), ("request_uri", reference)];
    let path = format!("/oauth/authorize?{}{more}", form(&pairs));
    world.get(&path, None)
}

#[test]
fn a_pushed_request_is_used_once_and_what_the_browser_adds_counts_for_nothing() {
    for (client, registration) in [("client-acme", confidential()), ("client-app", public())] {
        let (mut world, secrets) = World::with_clients(&[registration]);
        let secret = secrets[0].as_deref();
        let pushed = push(&mut world, client, secret, &[("scope", "r:*")]);
        assert_eq!(pushed.headers()["cache-control"], "no-store");
        assert_eq!(json(&pushed)["expires_in"], 60);
        let reference = reference(&pushed);
        assert!(reference.starts_with(PREFIX) && reference.len() == PREFIX.len() + 43);

        let mut browser = Browser::default();
        let arrival = open(
            &mut world,
            client,
            &reference,
            "&scope=w:*&redirect_uri=https://evil.example&state=x",
        );
        assert_eq!(arrival.status(), 303);
        browser.keep_cookie(&arrival);
        let login = arrival.headers()["location"].to_str().unwrap().to_owned();
        let page = browser.open(&mut world, &login);
        let page = browser.log_in(&mut world, &page, "user-1");
        let answer = browser.submit(
            &mut world,
            &page,
            "/oauth/consent",
            &[("decision", "allow")],
        );
        assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
        assert!(
            answer.headers()["location"]
                .to_str()
                .unwrap()
                .starts_with(REDIRECT)
        );
        let code = parameter(&answer, "code").unwrap();
        assert_eq!(
            tokens(&redeem(&mut world, secret, client, &code)).scope,
            "r:*"
        );

        let again = open(&mut world, client, &reference, "");
        assert_eq!(again.status(), 400);
        assert!(again.headers().get("location").is_none());
    }
}

#[test]
fn a_reference_is_for_its_client_and_its_time() {
    let (mut world, secrets) = World::with_clients(&[confidential(), public()]);
    let secret = secrets[0].as_deref();
    let get = |world: &mut World| reference(&push(world, "client-acme", secret, &[]));
    let first = get(&mut world);
    assert_eq!(open(&mut world, "client-app", &first, "").status(), 400);
    assert_eq!(
        open(&mut world, "client-acme", &format!("{PREFIX}x"), "").status(),
        400
    );
    let twice = format!("&{}", form(&[("request_uri", &first)]));
    assert_eq!(
        open(&mut world, "client-acme", &first, &twice).status(),
        400
    );
    let twice = "&client_id=client-acme";
    assert_eq!(open(&mut world, "client-acme", &first, twice).status(), 400);
    // None of this spends it.
    assert_eq!(open(&mut world, "client-acme", &first, "").status(), 303);
    let second = get(&mut world);
    assert_ne!(first, second);
    world.pass(Duration::from_secs(60));
    assert_eq!(open(&mut world, "client-acme", &second, "").status(), 400);
    // A restart forgets it, as it forgets sessions.
    let third = get(&mut world);
    let mut world = World::with_store(config(), world.store, 2);
    assert_eq!(open(&mut world, "client-acme", &third, "").status(), 400);
}

#[test]
fn what_is_wrong_with_a_pushed_request_is_said_at_once() {
    let (mut world, secrets) = World::with_clients(&[confidential(), public()]);
    let secret = secrets[0].as_deref();
    for (changed, expected) in [
        (("redirect_uri", "https://evil.example/"), "invalid_request"),
        (("client_id", "client-app"), "invalid_client"),
        (("response_type", "token"), "unsupported_response_type"),
        (("response_type", ""), "invalid_request"),
        (("response_mode", "fragment"), "invalid_request"),
        (("scope", "everything"), "invalid_scope"),
        (("resource", "https://unknown.example"), "invalid_target"),
        (("code_challenge", ""), "invalid_request"),
        (("code_challenge", "short"), "invalid_request"),
        (("code_challenge_method", "plain"), "invalid_request"),
        (("code_challenge_method", ""), "invalid_request"),
        (
            ("request_uri", "urn:ietf:params:oauth:request_uri:x"),
            "invalid_request",
        ),
        (("request", "e30.e30."), "request_not_supported"),
        (("state", &"s".repeat(2049)), "invalid_request"),
    ] {
        let answer = push(&mut world, "client-acme", secret, &[changed]);
        assert_eq!(error(&answer), expected, "{changed:?}");
        let status = if expected == "invalid_client" {
            401
        } else {
            400
        };
        assert_eq!(answer.status(), status, "{changed:?}");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
    for secret in [None, Some("wrong")] {
        let answer = push(&mut world, "client-acme", secret, &[]);
        assert_eq!(
            (answer.status().as_u16(), error(&answer).as_str()),
            (401, "invalid_client")
        );
    }
    let twice = push(&mut world, "client-app", None, &[("state", "a&state=b")]);
    assert_eq!(
        twice.status(),
        201,
        "an escaped ampersand is no second parameter"
    );
    let path = authorize_path("client-app", &[]);
    let body = format!("{}&state=b", path.split_once('?').unwrap().1);
    assert_eq!(
        error(&world.post("/oauth/par", &[], body)),
        "invalid_request"
    );
    let wrong_method = world.get("/oauth/par", None);
    assert_eq!(wrong_method.status(), 405);
    assert_eq!(wrong_method.headers()["allow"], "POST");
    let large = "a".repeat(account_linking::form::MAX_FORM_LENGTH + 1);
    assert_eq!(world.post("/oauth/par", &[], large).status(), 413);
}

#[test]
fn where_pushing_is_required_a_plain_request_is_refused() {
    let mut strict = confidential();
    strict.require_pushed_requests = true;
    let mut everyone = config();
    everyone.require_pushed_requests = true;
    for (settings, client, told) in [(config(), strict, false), (everyone, confidential(), true)] {
        let (mut world, secrets) = World::with_settings(settings, &[client, public()]);
        let mut browser = Browser::default();
        let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
        let answer = browser.log_in(&mut world, &page, "user-1");
        assert_eq!(
            parameter(&answer, "error").as_deref(),
            Some("invalid_request")
        );
        let pushed = push(&mut world, "client-acme", secrets[0].as_deref(), &[]);
        let reference = reference(&pushed);
        assert_eq!(
            open(&mut world, "client-acme", &reference, "").status(),
            303
        );
        let other = browser.open(&mut world, &authorize_path("client-app", &[]));
        assert_eq!(other.status() == 200, !told, "the other client");
        let metadata = json(&world.get("/oauth/.well-known/openid-configuration", None));
        assert_eq!(metadata["require_pushed_authorization_requests"], told);
        assert_eq!(
            metadata["pushed_authorization_request_endpoint"],
            format!("{ISSUER}/par")
        );
    }
}

#[test]
fn pushed_requests_over_the_limit_are_answered_later() {
    let mut settings = config();
    settings.max_pushed_requests = 1;
    let (mut world, secrets) = World::with_settings(settings, &[confidential(), public()]);
    let secret = secrets[0].as_deref();
    let first = reference(&push(&mut world, "client-acme", secret, &[]));
    // A client that proves nothing does not drive out one that does.
    let refused = push(&mut world, "client-app", None, &[]);
    assert_eq!(
        (refused.status().as_u16(), error(&refused).as_str()),
        (503, "temporarily_unavailable")
    );
    let second = reference(&push(&mut world, "client-acme", secret, &[]));
    assert_eq!(open(&mut world, "client-acme", &first, "").status(), 400);
    assert_eq!(open(&mut world, "client-acme", &second, "").status(), 303);
    assert_eq!(push(&mut world, "client-app", None, &[]).status(), 201);
}

#[test]
fn a_store_in_trouble_keeps_nothing_of_a_pushed_request() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let mut world = World::with_store(config(), core::mem::take(&mut world.store), 2);
    world.store.faults.push_back(Fault::LoadFailed);
    let answer = push(&mut world, "client-acme", secrets[0].as_deref(), &[]);
    assert_eq!(
        (answer.status().as_u16(), error(&answer).as_str()),
        (503, "temporarily_unavailable")
    );
}
