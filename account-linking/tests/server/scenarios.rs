//! The person's part, the metadata, revocation and the protected API.

use std::time::Duration;

use account_linking::server::{EndReason, Event, Refusal};
use bytes::Bytes;
use http::{Request, Response};

use crate::harness::*;

const PAGE_HEADERS: [&str; 8] = [
    "content-security-policy",
    "x-frame-options",
    "referrer-policy",
    "cache-control",
    "x-content-type-options",
    "strict-transport-security",
    "cross-origin-opener-policy",
    "permissions-policy",
];

fn assert_page_headers(response: &Response<Bytes>) {
    for name in PAGE_HEADERS {
        assert!(response.headers().contains_key(name), "{name}");
    }
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.contains("frame-ancestors 'none'"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["referrer-policy"], "no-referrer");
    assert!(
        !response
            .headers()
            .contains_key("access-control-allow-origin")
    );
}

#[test]
fn an_account_is_linked_in_fourteen_steps() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let login = browser.open(&mut world, &authorize_path("client-acme", &[]));
    assert_eq!(login.status(), 200);
    assert_page_headers(&login);
    let anonymous = browser.cookie.clone().unwrap();
    let consent = browser.log_in(&mut world, &login, "user-1");
    assert_page_headers(&consent);
    let html = String::from_utf8(consent.body().to_vec()).unwrap();
    assert!(html.contains("Acme &#60;Home&#62;") && html.contains("r:*"));
    assert_ne!(browser.cookie.as_ref(), Some(&anonymous));
    let answer = browser.submit(
        &mut world,
        &consent,
        "/oauth/consent",
        &[("decision", "allow")],
    );
    assert_eq!(answer.status(), 303);
    assert_page_headers(&answer);
    assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
    assert_eq!(parameter(&answer, "iss").as_deref(), Some(ISSUER));
    // A login that lasts asks again all the same.
    let again = browser.open(&mut world, &authorize_path("client-acme", &[]));
    assert!(String::from_utf8_lossy(again.body()).contains("value=\"allow\""));
    let code = parameter(&answer, "code").unwrap();
    let response = redeem(&mut world, secrets[0].as_deref(), "client-acme", &code);
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["pragma"], "no-cache");
    assert_eq!(json(&response)["token_type"], "Bearer");
    assert_eq!(json(&response)["expires_in"], 3600);
    let tokens = tokens(&response);
    assert_eq!(tokens.scope, "r:* w:*");
    assert!(tokens.refresh.is_some());
    let principal = world.check(&tokens.access).unwrap();
    assert_eq!(principal.account.as_str(), "user-1");
    assert_eq!(principal.client.as_str(), "client-acme");
    assert!(principal.scopes.contains("w:*"));
    let started = |event: &Event| matches!(event, Event::GrantStarted { grant, .. } if *grant == principal.grant);
    assert_eq!(
        world.events.iter().filter(|event| started(event)).count(),
        1
    );
}

#[test]
fn requests_with_an_untrusted_destination_get_a_page_and_no_redirect() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let doubled = format!(
        "{}&redirect_uri=https%3A%2F%2Fevil.example",
        authorize_path("client-acme", &[])
    );
    let long_state = "x".repeat(3000);
    for path in [
        authorize_path("client-unknown", &[]),
        authorize_path("not a client", &[]),
        authorize_path("client-acme", &[("client_id", "")]),
        authorize_path(
            "client-acme",
            &[("redirect_uri", "https://evil.example/cb")],
        ),
        authorize_path(
            "client-acme",
            &[("redirect_uri", "https://client.example/cb/")],
        ),
        authorize_path(
            "client-acme",
            &[("redirect_uri", "https://CLIENT.example/cb")],
        ),
        authorize_path(
            "client-acme",
            &[("redirect_uri", "https://client.example/%63b")],
        ),
        authorize_path("client-acme", &[("redirect_uri", "javascript:alert(1)")]),
        authorize_path("client-acme", &[("state", &long_state)]),
        doubled,
        "/oauth/authorize?client_id=%zz".to_owned(),
    ] {
        let response = world.get(&path, None);
        assert_eq!(response.status(), 400, "{path}");
        assert!(response.headers().get("location").is_none());
        assert_page_headers(&response);
        assert!(!String::from_utf8_lossy(response.body()).contains("evil"));
    }
}

#[test]
fn errors_reach_the_client_only_after_the_user_is_known() {
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[("response_type", "")], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (
            &[("response_type", "code id_token")],
            "unsupported_response_type",
        ),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "S512")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("scope", "admin")], "invalid_scope"),
        (&[("scope", "R:*")], "invalid_scope"),
        (&[("request", "x")], "request_not_supported"),
        (
            &[("request_uri", "https://x.example")],
            "request_uri_not_supported",
        ),
    ];
    for (extra, expected) in cases {
        let (mut world, _) = World::with_clients(&[confidential()]);
        let mut browser = Browser::default();
        let page = browser.open(&mut world, &authorize_path("client-acme", extra));
        assert_eq!(page.status(), 200, "a login page for {extra:?}");
        let answer = browser.log_in(&mut world, &page, "user-1");
        assert_eq!(answer.status(), 303);
        assert_eq!(
            parameter(&answer, "error").as_deref(),
            Some(expected),
            "{extra:?}"
        );
        assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
        assert_eq!(parameter(&answer, "iss").as_deref(), Some(ISSUER));
        assert_eq!(parameter(&answer, "code"), None);
        // Logged in already: the answer comes at once.
        let again = browser.open(&mut world, &authorize_path("client-acme", extra));
        assert_eq!(
            parameter(&again, "error").as_deref(),
            Some(expected),
            "{extra:?}"
        );
    }
}

#[test]
fn cancelling_is_access_denied_and_leaves_no_grant() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let page = browser.log_in(&mut world, &page, "user-1");
    let answer = browser.submit(
        &mut world,
        &page,
        "/oauth/consent",
        &[("decision", "cancel")],
    );
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("access_denied")
    );
    assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
    assert!(!world.store.streams.contains_key("grants/user-1"));
}

#[test]
fn an_interaction_is_decided_once_and_by_its_own_browser() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let page = browser.log_in(&mut world, &page, "user-1");
    let mut other = Browser::default();
    let theirs = other.open(&mut world, &authorize_path("client-acme", &[]));
    other.log_in(&mut world, &theirs, "user-2");
    let stolen = other.submit(
        &mut world,
        &page,
        "/oauth/consent",
        &[("decision", "allow")],
    );
    assert_eq!(stolen.status(), 400);
    let allow = [("decision", "allow")];
    let first = browser.submit(&mut world, &page, "/oauth/consent", &allow);
    assert!(parameter(&first, "code").is_some());
    let second = browser.submit(&mut world, &page, "/oauth/consent", &allow);
    assert_eq!(second.status(), 400);
    assert!(second.headers().get("location").is_none());
}

#[test]
fn forms_without_the_csrf_token_or_from_another_origin_do_nothing() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let page = browser.log_in(&mut world, &page, "user-1");
    let html = String::from_utf8(page.body().to_vec()).unwrap();
    let forged = html.replace("name=\"csrf\" value=\"", "name=\"csrf\" value=\"x");
    let forged = Response::new(Bytes::from(forged));
    let allow = [("decision", "allow")];
    let answer = browser.submit(&mut world, &forged, "/oauth/consent", &allow);
    assert_eq!(answer.status(), 400);
    let cookie = format!("__Host-session={}", browser.cookie.clone().unwrap());
    let headers = [
        ("cookie", cookie.as_str()),
        ("origin", "https://evil.example"),
    ];
    let answer = world.post("/oauth/consent", &headers, "decision=allow".to_owned());
    assert_eq!(answer.status(), 400);
    let answer = browser.submit(&mut world, &page, "/oauth/consent", &allow);
    assert!(parameter(&answer, "code").is_some());
}

#[test]
fn the_session_before_login_is_dead_after_it() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let mut fixed = browser.clone();
    let consent = browser.log_in(&mut world, &page, "user-1");
    let answer = fixed.submit(
        &mut world,
        &consent,
        "/oauth/consent",
        &[("decision", "allow")],
    );
    assert_eq!(answer.status(), 400);
    let unknown = Browser {
        cookie: Some("chosen-by-an-attacker".to_owned()),
    };
    let response = world.get(
        &authorize_path("client-acme", &[]),
        unknown.cookie.as_deref(),
    );
    let set = response.headers()["set-cookie"].to_str().unwrap();
    assert!(!set.contains("chosen-by-an-attacker"));
    for part in [
        "__Host-session=",
        "Secure",
        "HttpOnly",
        "SameSite=Lax",
        "Path=/",
    ] {
        assert!(set.contains(part), "{part}");
    }
}

#[test]
fn wrong_passwords_are_answered_alike_and_not_without_end() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let mut page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let wrong = [("username", "user-1"), ("password", "wrong")];
    for _ in 0..30 {
        page = browser.submit(&mut world, &page, "/oauth/login", &wrong);
        assert_eq!(page.status(), 200);
        assert!(String::from_utf8_lossy(page.body()).contains("did not work"));
    }
    assert_eq!(world.passwords_asked, 10);
    let refused = browser.log_in(&mut world, &page, "user-1");
    assert!(String::from_utf8_lossy(refused.body()).contains("did not work"));
    world.pass(Duration::from_secs(901));
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let consent = browser.log_in(&mut world, &page, "user-1");
    assert!(String::from_utf8_lossy(consent.body()).contains("value=\"allow\""));
}

#[test]
fn passwords_cannot_be_tried_side_by_side() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let wrong = [("username", "user-1"), ("password", "wrong")];
    let request = browser.form(&page, "/oauth/login", &wrong);
    for _ in 0..30 {
        let entropy = world.entropy();
        world
            .server
            .handle_request(&request, entropy, world.wall, world.now);
    }
    world.pump();
    assert_eq!(world.passwords_asked, 10);
}

#[test]
fn a_session_is_over_even_when_the_driver_is_late() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    browser.open(&mut world, &authorize_path("client-acme", &[]));
    world.now += Duration::from_secs(601);
    let again = world.get(
        &authorize_path("client-acme", &[]),
        browser.cookie.as_deref(),
    );
    assert!(again.headers().contains_key("set-cookie"));
}

#[test]
fn pages_expire() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &authorize_path("client-acme", &[]));
    let page = browser.log_in(&mut world, &page, "user-1");
    world.pass(Duration::from_secs(601));
    let answer = browser.submit(
        &mut world,
        &page,
        "/oauth/consent",
        &[("decision", "allow")],
    );
    assert_eq!(answer.status(), 400);
}

#[test]
fn a_revoked_refresh_token_ends_everything_and_a_repeat_is_fine() {
    let (mut world, secrets) = World::with_clients(&[confidential(), public()]);
    let secret = secrets[0].clone().unwrap();
    let linked = link(&mut world, Some(&secret), "client-acme", "user-1");
    let other = link(&mut world, None, "client-app", "user-1");
    let revoke =
        |world: &mut World, token: &str, client: &str, secret: Option<&str>, hint: &str| {
            let mut pairs = vec![
                ("token", token),
                ("client_id", client),
                ("token_type_hint", hint),
            ];
            if let Some(secret) = secret {
                pairs.push(("client_secret", secret));
            }
            world.post("/oauth/revoke", &[], form(&pairs))
        };
    let refresh_token = linked.refresh.clone().unwrap();
    // A foreign client is refused and nothing happens.
    let foreign = revoke(
        &mut world,
        &refresh_token,
        "client-app",
        None,
        "refresh_token",
    );
    assert_eq!(error(&foreign), "invalid_grant");
    let foreign = revoke(
        &mut world,
        &linked.access,
        "client-app",
        None,
        "access_token",
    );
    assert_eq!(error(&foreign), "invalid_grant");
    assert!(world.check(&linked.access).is_ok());
    // An access token ends alone.
    let done = revoke(
        &mut world,
        &linked.access,
        "client-acme",
        Some(&secret),
        "refresh_token",
    );
    assert_eq!(
        (done.status().as_u16(), done.body().as_ref()),
        (200, b"{}".as_slice())
    );
    assert_eq!(world.check(&linked.access), Err(Refusal::Invalid));
    let renewed = refresh(&mut world, Some(&secret), "client-acme", &refresh_token);
    let renewed = tokens(&renewed);
    assert!(world.check(&renewed.access).is_ok());
    // A refresh token ends the grant, whatever the hint says.
    for _ in 0..2 {
        let done = revoke(
            &mut world,
            &refresh_token,
            "client-acme",
            Some(&secret),
            "access_token",
        );
        assert_eq!(
            (done.status().as_u16(), done.body().as_ref()),
            (200, b"{}".as_slice())
        );
        assert_eq!(done.headers()["content-type"], "application/json");
    }
    assert_eq!(world.check(&renewed.access), Err(Refusal::Invalid));
    let refused = refresh(&mut world, Some(&secret), "client-acme", &refresh_token);
    assert_eq!(error(&refused), "invalid_grant");
    // Other grants of the same user live on.
    assert!(world.check(&other.access).is_ok());
    let ended = |event: &&Event| {
        matches!(
            event,
            Event::GrantEnded {
                reason: EndReason::Revoked,
                ..
            }
        )
    };
    assert_eq!(world.events.iter().filter(ended).count(), 1);
    let unknown = revoke(&mut world, "unknown", "client-app", None, "");
    assert_eq!(
        (unknown.status().as_u16(), unknown.body().as_ref()),
        (200, b"{}".as_slice())
    );
    let missing = world.post("/oauth/revoke", &[], form(&[("client_id", "client-app")]));
    assert_eq!(
        (missing.status().as_u16(), error(&missing).as_str()),
        (400, "invalid_request")
    );
    let nobody = world.post("/oauth/revoke", &[], form(&[("token", &refresh_token)]));
    assert_eq!(
        (nobody.status().as_u16(), error(&nobody).as_str()),
        (401, "invalid_client")
    );
}

#[test]
fn revoking_what_has_expired_is_fine_and_writes_nothing() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    world.pass(Duration::from_secs(3600));
    let before = world.store.streams["grants/user-1"].len();
    let pairs = [
        ("token", linked.access.as_str()),
        ("client_id", "client-acme"),
        ("client_secret", secrets[0].as_deref().unwrap()),
    ];
    let done = world.post("/oauth/revoke", &[], form(&pairs));
    assert_eq!(done.status(), 200);
    assert_eq!(world.store.streams["grants/user-1"].len(), before);
}

#[test]
fn introspection_tells_owners_and_resource_servers_only() {
    let mut server = confidential();
    server.client_id = "client-resources".parse().unwrap();
    server.redirect_uris.clear();
    server.resource_server = true;
    let mut stranger = confidential();
    stranger.client_id = "client-stranger".parse().unwrap();
    let (mut world, secrets) = World::with_clients(&[confidential(), server, stranger, public()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let ask = |world: &mut World, index: usize, client: &str, token: &str| {
        let secret = secrets[index].clone().unwrap();
        let pairs = [
            ("token", token),
            ("client_id", client),
            ("client_secret", &secret),
        ];
        world.post("/oauth/introspect", &[], form(&pairs))
    };
    let own = json(&ask(&mut world, 0, "client-acme", &linked.access));
    assert_eq!(own["active"], true);
    for (name, value) in [
        ("sub", "user-1"),
        ("client_id", "client-acme"),
        ("iss", ISSUER),
        ("aud", AUDIENCE),
        ("scope", "r:* w:*"),
        ("token_type", "Bearer"),
    ] {
        assert_eq!(own[name], value);
    }
    let before = world.store.streams["grants/user-1"].len();
    assert_eq!(
        json(&ask(&mut world, 1, "client-resources", &linked.access))["active"],
        true
    );
    let refresh_token = linked.refresh.unwrap();
    assert_eq!(
        json(&ask(&mut world, 0, "client-acme", &refresh_token))["active"],
        true
    );
    assert_eq!(
        world.store.streams["grants/user-1"].len(),
        before,
        "asking changes nothing"
    );
    let foreign = ask(&mut world, 2, "client-stranger", &linked.access);
    let foreign_refresh = ask(&mut world, 2, "client-stranger", &refresh_token);
    let unknown = ask(&mut world, 0, "client-acme", "unknown");
    let forged = ask(&mut world, 0, "client-acme", &format!("{}x", linked.access));
    for inactive in [&foreign, &foreign_refresh, &unknown, &forged] {
        assert_eq!(inactive.body().as_ref(), b"{\"active\":false}");
        assert_eq!(inactive.status(), 200);
    }
    let anonymous = world.post(
        "/oauth/introspect",
        &[],
        form(&[("token", "x"), ("client_id", "client-app")]),
    );
    assert_eq!(anonymous.status(), 401);
    assert_eq!(world.get("/oauth/introspect", None).status(), 405);
    world.pass(Duration::from_secs(3601));
    let expired = ask(&mut world, 0, "client-acme", &linked.access);
    assert_eq!(expired.body(), unknown.body());
}

#[test]
fn the_protected_api_judges_what_it_is_given() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let mut check = |header: Option<&str>, uri: &str| {
        let mut request = Request::get(uri);
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        let request = request.body(Bytes::new()).unwrap();
        let id = world.server.authenticate(&request, world.wall, world.now);
        world.pump();
        world.access.remove(&id).unwrap().map(|_| ())
    };
    assert_eq!(check(None, "/x"), Err(Refusal::Missing));
    assert_eq!(check(Some("Basic abc"), "/x"), Err(Refusal::Missing));
    assert_eq!(check(Some("Bearer"), "/x"), Err(Refusal::Malformed));
    assert_eq!(check(Some("Bearer a b"), "/x"), Err(Refusal::Malformed));
    assert_eq!(check(Some("Bearer abc"), "/x"), Err(Refusal::Invalid));
    assert_eq!(
        check(Some(&format!("bearer {}", linked.access)), "/x"),
        Ok(())
    );
    let both = check(
        Some(&format!("Bearer {}", linked.access)),
        "/x?access_token=1",
    );
    assert_eq!(both, Err(Refusal::Malformed));
    let as_access = check(
        Some(&format!("Bearer {}", linked.refresh.clone().unwrap())),
        "/x",
    );
    assert_eq!(as_access, Err(Refusal::Invalid));
    assert_eq!(Refusal::Missing.challenge(), Some("Bearer"));
    assert_eq!(Refusal::Missing.status(), 401);
    assert_eq!(
        Refusal::Invalid.challenge(),
        Some("Bearer error=\"invalid_token\"")
    );
}

#[test]
fn tokens_with_foreign_headers_or_claims_are_refused() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let mut parts = linked.access.split('.');
    let decode = |part: &str| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode(part)
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()
    };
    let encode = |value: &serde_json::Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let (header, claims) = (decode(parts.next().unwrap()), decode(parts.next().unwrap()));
    assert_eq!(header["typ"], "at+jwt");
    for name in [
        "iss",
        "exp",
        "aud",
        "sub",
        "client_id",
        "iat",
        "jti",
        "scope",
    ] {
        assert!(claims.get(name).is_some(), "{name}");
    }
    let forge = |part: &str, name: &str, value: serde_json::Value| {
        let (mut header, mut claims) = (header.clone(), claims.clone());
        if part == "header" {
            header[name] = value;
        } else {
            claims[name] = value;
        }
        let input = format!("{}.{}", encode(&header), encode(&claims));
        let signature = {
            use base64::Engine as _;
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sign(input.as_bytes()))
        };
        format!("{input}.{signature}")
    };
    assert!(
        world
            .check(&forge("header", "typ", "application/at+jwt".into()))
            .is_ok()
    );
    let past = claims["iat"].as_u64().unwrap();
    for token in [
        forge("header", "typ", "JWT".into()),
        forge("header", "alg", "none".into()),
        forge("header", "alg", "HS256".into()),
        forge("header", "kid", "other".into()),
        forge("header", "crit", serde_json::json!(["x"])),
        forge("claims", "iss", "https://evil.example".into()),
        forge("claims", "aud", "https://other.example".into()),
        forge("claims", "exp", past.into()),
        forge("claims", "nbf", (past + 100).into()),
        forge("claims", "sub", "user-2".into()),
        forge("claims", "client_id", "client-other".into()),
        forge("claims", "grant_id", "AAAAAAAAAAAAAAAAAAAAAA".into()),
    ] {
        assert_eq!(world.check(&token), Err(Refusal::Invalid), "{token}");
    }
}

#[test]
fn the_user_unlinks_and_the_end_is_told_until_it_is_settled() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let principal = world.check(&linked.access).unwrap();
    let user = principal.account.clone();
    let list = world
        .server
        .list_grants(user.clone(), world.wall, world.now)
        .unwrap();
    world.pump();
    let listed = world.events.iter().any(|event| matches!(event, Event::Grants { command, grants } if *command == list && grants.len() == 1 && grants[0].grant == principal.grant));
    assert!(listed);
    world
        .server
        .end_grant(user.clone(), principal.grant, world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(world.check(&linked.access), Err(Refusal::Invalid));
    let ends = |world: &World| {
        world
            .events
            .iter()
            .filter(|event| {
                matches!(
                    event,
                    Event::GrantEnded {
                        reason: EndReason::Unlinked,
                        ..
                    }
                )
            })
            .count()
    };
    assert_eq!(ends(&world), 1);
    // The composition could not end what was made under the grant; the stream is still due.
    world
        .server
        .wake("grants/user-1", world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(ends(&world), 2);
    // The composition crashes before it has ended what was made under the grant.
    assert!(world.store.due.contains_key("grants/user-1"));
    let mut world = World::with_store(config(), world.store, 2);
    world
        .server
        .wake("grants/user-1", world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(ends(&world), 1);
    let settled = world
        .server
        .settle_grant_end(user.clone(), principal.grant, world.wall, world.now)
        .unwrap();
    world.pump();
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, Event::Done { command } if *command == settled))
    );
    assert!(!world.store.due.contains_key("grants/user-1"));
    // Linked anew, nothing of the old link comes back.
    let secret = secrets[0].clone();
    let again = link(&mut world, secret.as_deref(), "client-acme", "user-1");
    assert_ne!(again.refresh, linked.refresh);
    assert_eq!(world.check(&linked.access), Err(Refusal::Invalid));
    assert!(world.check(&again.access).is_ok());
}

#[test]
fn metadata_is_served_at_both_places_and_says_what_is_so() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let first = world.get("/.well-known/oauth-authorization-server/oauth", None);
    let second = world.get("/oauth/.well-known/openid-configuration", None);
    assert_eq!(first.body(), second.body());
    let metadata = json(&first);
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(
        metadata["code_challenge_methods_supported"],
        serde_json::json!(["S256"])
    );
    assert_eq!(
        metadata["response_types_supported"],
        serde_json::json!(["code"])
    );
    assert_eq!(
        metadata["grant_types_supported"],
        serde_json::json!(["authorization_code", "refresh_token"])
    );
    assert_eq!(
        metadata["authorization_response_iss_parameter_supported"],
        true
    );
    for (name, method) in [
        ("authorization_endpoint", "GET"),
        ("token_endpoint", "POST"),
        ("revocation_endpoint", "POST"),
        ("introspection_endpoint", "POST"),
        ("userinfo_endpoint", "GET"),
        ("jwks_uri", "GET"),
    ] {
        let url = metadata[name].as_str().unwrap();
        let path = url.strip_prefix("https://cloud.example").unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Bytes::new())
            .unwrap();
        let status = world.request(&request).status();
        assert!(status != 404 && status != 405, "{name}: {status}");
    }
    let empty = metadata
        .as_object()
        .unwrap()
        .values()
        .any(|value| value.as_array().is_some_and(Vec::is_empty));
    assert!(!empty);
    let keys = json(&world.get("/oauth/jwks", None));
    assert_eq!(keys["keys"][0]["kid"], "key-1");
    assert_eq!(keys["keys"][0]["alg"], "ES256");
    assert_eq!(world.get("/oauth/unknown", None).status(), 404);
    assert_eq!(world.get("/oauth/.well-known", None).status(), 404);
    assert_eq!(world.get("/oauth/token", None).status(), 405);
}

#[test]
fn userinfo_names_the_user() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let bearer = format!("Bearer {}", linked.access);
    let request = Request::get("/oauth/userinfo")
        .header("authorization", &bearer)
        .body(Bytes::new())
        .unwrap();
    assert_eq!(
        json(&world.request(&request)),
        serde_json::json!({"sub": "user-1"})
    );
    let posted = world.post(
        "/oauth/userinfo",
        &[("authorization", &bearer)],
        String::new(),
    );
    assert_eq!(json(&posted)["sub"], "user-1");
    let twice = world.post(
        "/oauth/userinfo",
        &[("authorization", &bearer)],
        "access_token=x".to_owned(),
    );
    assert_eq!(twice.status(), 400);
    let in_query = Request::get("/oauth/userinfo?access%5Ftoken=x")
        .header("authorization", &bearer)
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.request(&in_query).status(), 400);
    let missing = world.get("/oauth/userinfo", None);
    assert_eq!(
        (
            missing.status().as_u16(),
            missing.headers()["www-authenticate"].to_str().unwrap()
        ),
        (401, "Bearer")
    );
}

#[test]
fn one_of_several_redirect_uris_has_to_be_named() {
    let mut several = confidential();
    several.client_id = "client-several".parse().unwrap();
    let other = "https://client.example/other".parse().unwrap();
    several.redirect_uris.push(other);
    let (mut world, secrets) = World::with_clients(&[several, confidential()]);
    let unnamed = [("redirect_uri", "")];
    let refused = world.get(&authorize_path("client-several", &unnamed), None);
    assert_eq!(refused.status(), 400);
    let code = obtain_code(&mut world, "client-acme", "user-1", &unnamed);
    let verifier = verifier();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("code_verifier", verifier.expose()),
    ];
    let answer = world.token(secrets[1].as_deref(), "client-acme", &pairs);
    assert_eq!(
        answer.status(),
        200,
        "what was not sent need not be repeated"
    );
}

#[test]
fn tokens_of_a_key_that_is_retired_stay_good_while_it_is_published() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let linked = link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
    let jwk = r#"{"kty":"EC","crv":"P-256","x":"eA","y":"eg"}"#;
    let next = account_linking::server::SigningKey::new(
        "key-2",
        account_linking::server::Algorithm::Es256,
        jwk,
    )
    .unwrap();
    let mut settings = config();
    settings.signing_keys.insert(0, next.clone());
    let mut rolled = World::with_store(settings, world.store.clone(), 2);
    assert!(rolled.check(&linked.access).is_ok());
    let keys = json(&rolled.get("/oauth/jwks", None));
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    let refresh_token = linked.refresh.unwrap();
    let secret = secrets[0].as_deref();
    let renewed = tokens(&refresh(&mut rolled, secret, "client-acme", &refresh_token));
    assert!(rolled.check(&renewed.access).is_ok());
    let mut settings = config();
    settings.signing_keys = vec![next];
    let mut retired = World::with_store(settings, rolled.store, 3);
    assert_eq!(retired.check(&linked.access), Err(Refusal::Invalid));
    assert!(retired.check(&renewed.access).is_ok());
}
