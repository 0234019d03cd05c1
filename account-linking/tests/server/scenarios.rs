//! The person's part: from the request of a client to the redirect back; and the metadata.

use std::time::Duration;

use account_linking::server::Event;
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

/// What no page here needs.
const POWERS: [&str; 23] = [
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "display-capture",
    "fullscreen",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "publickey-credentials-create",
    "publickey-credentials-get",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "window-management",
    "xr-spatial-tracking",
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
    let denied = POWERS.map(|name| format!("{name}=()")).join(", ");
    assert_eq!(response.headers()["permissions-policy"], denied.as_str());
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
fn what_a_request_says_of_the_host_changes_nothing() {
    let mut world = World::new(config());
    let path = "/.well-known/oauth-authorization-server/oauth";
    let honest = world.get(path, None);
    let request = Request::get(path)
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "http")
        .header("forwarded", "host=evil.example")
        .body(Bytes::new())
        .unwrap();
    assert_eq!(world.request(&request).body(), honest.body());
    assert_eq!(json(&honest)["issuer"], ISSUER);
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
