//! What all answers have in common: whom they let read, which words they use, how hard they are to guess.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::Request;

use crate::harness::*;

#[test]
fn no_endpoint_lets_other_origins_read_its_answers() {
    let (mut world, _) = World::with_clients(&[public()]);
    for path in [
        "/oauth/authorize",
        "/oauth/token",
        "/oauth/par",
        "/oauth/revoke",
        "/oauth/introspect",
        "/oauth/userinfo",
        "/oauth/jwks",
        "/oauth/.well-known/openid-configuration",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("origin", "https://client.example")
                .header("access-control-request-method", "POST")
                .header("content-type", "application/x-www-form-urlencoded")
                .body(Bytes::from_static(b"client_id=client-app"))
                .unwrap();
            let answer = world.request(&request);
            let allows = |name: &&http::HeaderName| name.as_str().starts_with("access-control-");
            assert!(
                answer.headers().keys().find(allows).is_none(),
                "{method} {path}"
            );
        }
    }
}

#[test]
fn an_error_sent_back_is_a_registered_code_with_state_and_issuer_and_nothing_else() {
    let registered = [
        "invalid_request",
        "unauthorized_client",
        "access_denied",
        "unsupported_response_type",
        "invalid_scope",
        "invalid_target",
        "server_error",
        "temporarily_unavailable",
        "request_not_supported",
        "request_uri_not_supported",
    ];
    let (mut world, _) = World::with_clients(&[public()]);
    let mut seen = BTreeSet::new();
    for changed in [
        ("response_type", "token\r\nx: y"),
        ("response_type", ""),
        ("response_mode", "<script>"),
        ("scope", "every\"thing"),
        ("scope", " "),
        ("code_challenge", "\u{fc}"),
        ("code_challenge_method", "plain"),
        ("resource", "javascript:alert(1)"),
        ("resource", "no uri"),
        ("request", "\\"),
        ("request_uri", "https://evil.example/"),
    ] {
        let mut browser = Browser::default();
        let page = browser.open(&mut world, &authorize_path("client-app", &[changed]));
        let answer = browser.log_in(&mut world, &page, "user-1");
        let location = answer.headers()["location"].to_str().unwrap();
        let (_, query) = location.split_once('?').unwrap();
        let names: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, _)| name.into_owned())
            .collect();
        assert_eq!(names, ["error", "state", "iss"], "{changed:?}");
        let error = parameter(&answer, "error").unwrap();
        assert!(registered.contains(&error.as_str()), "{error}");
        seen.insert(error);
    }
    assert!(seen.len() > 4, "{seen:?}");
}

#[test]
fn whatever_has_to_be_secret_has_256_random_bits() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].as_deref().unwrap();
    assert_eq!(BASE64.decode(secret).unwrap().len(), 32);
    let mut tails = BTreeSet::new();
    for _ in 0..3 {
        let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
        let bytes = BASE64.decode(&code).unwrap();
        // Kind, length and text of the user, the grant, and then the secret.
        let known = 2 + "user-1".len() + 16;
        assert_eq!(bytes.len(), known + 32);
        assert!(tails.insert(bytes[known..].to_vec()));
        let linked = tokens(&redeem(&mut world, Some(secret), "client-acme", &code));
        let bytes = BASE64.decode(linked.refresh.unwrap()).unwrap();
        // The same, with key and generation, and then the MAC.
        let known = known + 1 + 8;
        assert_eq!(bytes.len(), known + 32);
        assert!(tails.insert(bytes[known..].to_vec()));
        let name = claims(&linked.access)["jti"].as_str().unwrap().to_owned();
        assert!(tails.insert(BASE64.decode(name).unwrap()));
    }
    let path = authorize_path("client-acme", &[]);
    let body = format!("{}&client_secret={secret}", path.split_once('?').unwrap().1);
    for _ in 0..2 {
        let pushed = json(&world.post("/oauth/par", &[], body.clone()));
        let reference = pushed["request_uri"]
            .as_str()
            .unwrap()
            .rsplit(':')
            .next()
            .unwrap();
        assert!(tails.insert(BASE64.decode(reference).unwrap()));
    }
    let mut browser = Browser::default();
    browser.open(&mut world, &path);
    assert!(tails.insert(BASE64.decode(browser.cookie.unwrap()).unwrap()));
    assert!(tails.iter().all(|tail| tail.len() == 32));
    assert_eq!(tails.len(), 12);
}
