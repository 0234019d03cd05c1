//! Resource indicators (RFC 8707): which API a token is for, and that it opens no other.

use account_linking::server::{Config, Refusal, Registration};
use bytes::Bytes;
use http::Response;

use crate::harness::*;

const VIDEO: &str = "https://video.example/api";
const ENERGY: &str = "https://energy.example/api";
const SECRET: &str = "https://secret.example/api";

fn settings() -> Config {
    let mut settings = config();
    let known = [VIDEO, ENERGY, SECRET];
    settings.resources = known.map(|one| one.parse().unwrap()).into();
    settings
}

fn client() -> Registration {
    let mut client = confidential();
    client.resources = [VIDEO, ENERGY].map(|one| one.parse().unwrap()).into();
    client
}

fn world() -> (World, String) {
    let (world, secrets) = World::with_settings(settings(), &[client()]);
    (world, secrets[0].clone().unwrap())
}

/// An authorization request that names these.
fn path(resources: &[&str]) -> String {
    let mut path = authorize_path("client-acme", &[]);
    for resource in resources {
        path.push_str(&format!("&{}", form(&[("resource", resource)])));
    }
    path
}

fn answer(world: &mut World, resources: &[&str]) -> Response<Bytes> {
    let mut browser = Browser::default();
    let page = browser.open(world, &path(resources));
    let page = browser.log_in(world, &page, "user-1");
    if page.status() == 303 {
        return page;
    }
    let html = String::from_utf8(page.body().to_vec()).unwrap();
    assert!(resources.iter().all(|one| html.contains(one)), "{html}");
    browser.submit(world, &page, "/oauth/consent", &[("decision", "allow")])
}

fn code(world: &mut World, resources: &[&str]) -> String {
    parameter(&answer(world, resources), "code").expect("a code")
}

fn exchange(world: &mut World, secret: &str, code: &str, resources: &[&str]) -> Response<Bytes> {
    let verifier = verifier();
    let mut pairs = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ];
    pairs.extend(resources.iter().map(|one| ("resource", *one)));
    world.token(Some(secret), "client-acme", &pairs)
}

fn renew(world: &mut World, secret: &str, token: &str, resources: &[&str]) -> Response<Bytes> {
    let mut pairs = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    pairs.extend(resources.iter().map(|one| ("resource", *one)));
    world.token(Some(secret), "client-acme", &pairs)
}

/// Which of the APIs a token opens.
fn opens(world: &mut World, token: &str) -> Vec<&'static str> {
    let request = api_request(token).body(Bytes::new()).unwrap();
    let mut opened = Vec::new();
    if world.judge(None, &request).is_ok() {
        opened.push(AUDIENCE);
    }
    for resource in [VIDEO, ENERGY, SECRET] {
        match world.judge(Some(resource), &request) {
            Ok(_) => opened.push(resource),
            Err(refusal) => assert_eq!(refusal, Refusal::Invalid),
        }
    }
    opened
}

#[test]
fn a_token_opens_the_apis_that_were_named_and_no_other() {
    for named in [
        &[][..],
        &[AUDIENCE],
        &[VIDEO],
        &[VIDEO, ENERGY],
        &[AUDIENCE, VIDEO],
    ] {
        let (mut world, secret) = world();
        let code = code(&mut world, named);
        let linked = tokens(&exchange(&mut world, &secret, &code, &[]));
        let expected = if named.is_empty() { &[AUDIENCE] } else { named };
        assert_eq!(opens(&mut world, &linked.access), expected);
        let audience = &claims(&linked.access)["aud"];
        let told: Vec<_> = match audience.as_array() {
            Some(many) => many.iter().map(|one| one.as_str().unwrap()).collect(),
            None => vec![audience.as_str().unwrap()],
        };
        let mut sorted = expected.to_vec();
        sorted.sort_unstable();
        assert_eq!(told, sorted);
    }
}

#[test]
fn resources_that_are_unknown_or_not_for_the_client_are_invalid_target() {
    let (mut world, _) = world();
    for wrong in [
        "https://unknown.example/api",
        SECRET,
        "/api",
        "https://video.example/api#part",
        "https://video.example/api/",
        "HTTPS://video.example/api",
    ] {
        for named in [&[wrong][..], &[VIDEO, wrong]] {
            let answer = answer(&mut world, named);
            assert_eq!(
                parameter(&answer, "error").as_deref(),
                Some("invalid_target"),
                "{wrong}"
            );
            assert_eq!(parameter(&answer, "state").as_deref(), Some("st&te 1"));
        }
    }
    let many: Vec<_> = (0..9).map(|n| format!("https://{n}.example")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let answer = answer(&mut world, &many);
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("invalid_target")
    );
}

#[test]
fn a_token_request_names_some_of_what_was_granted_and_never_more() {
    let (mut world, secret) = world();
    let code = code(&mut world, &[VIDEO, ENERGY]);
    for more in [&[AUDIENCE][..], &[VIDEO, AUDIENCE], &[SECRET], &["no uri"]] {
        let refused = exchange(&mut world, &secret, &code, more);
        assert_eq!(
            (refused.status().as_u16(), error(&refused).as_str()),
            (400, "invalid_target")
        );
    }
    // The code is not spent by that.
    let linked = tokens(&exchange(&mut world, &secret, &code, &[VIDEO]));
    assert_eq!(opens(&mut world, &linked.access), [VIDEO]);
    let refresh_token = linked.refresh.unwrap();
    for (named, expected) in [
        (&[ENERGY][..], Some(&[ENERGY][..])),
        (&[], Some(&[VIDEO, ENERGY])),
        (&[VIDEO, ENERGY], Some(&[VIDEO, ENERGY])),
        (&[AUDIENCE], None),
        (&[VIDEO, SECRET], None),
    ] {
        let answer = renew(&mut world, &secret, &refresh_token, named);
        match expected {
            Some(expected) => {
                let renewed = tokens(&answer);
                assert_eq!(opens(&mut world, &renewed.access), expected);
            }
            None => assert_eq!(error(&answer), "invalid_target"),
        }
    }
}

#[test]
fn a_grant_without_resources_is_for_the_usual_api() {
    let (mut world, secret) = world();
    let code = code(&mut world, &[]);
    let refused = exchange(&mut world, &secret, &code, &[VIDEO]);
    assert_eq!(error(&refused), "invalid_target");
    let linked = tokens(&exchange(&mut world, &secret, &code, &[AUDIENCE]));
    assert_eq!(opens(&mut world, &linked.access), [AUDIENCE]);
}

#[test]
fn an_api_that_is_gone_gets_no_more_tokens() {
    let (mut world, secret) = world();
    let both = code(&mut world, &[VIDEO, ENERGY]);
    let both = tokens(&exchange(&mut world, &secret, &both, &[]));
    let one = code(&mut world, &[VIDEO]);
    let one = tokens(&exchange(&mut world, &secret, &one, &[]));
    let mut settings = settings();
    settings.resources.remove(&VIDEO.parse().unwrap());
    let mut world = World::with_store(settings, world.store, 2);
    let request = api_request(&one.access).body(Bytes::new()).unwrap();
    assert_eq!(world.judge(Some(VIDEO), &request), Err(Refusal::Invalid));
    let renewed = tokens(&renew(&mut world, &secret, &both.refresh.unwrap(), &[]));
    assert_eq!(opens(&mut world, &renewed.access), [ENERGY]);
    let refused = renew(&mut world, &secret, &one.refresh.unwrap(), &[]);
    assert_eq!(error(&refused), "invalid_target");
}

#[test]
fn introspection_tells_a_resource_server_of_its_own_apis_only() {
    let mut server = confidential();
    server.client_id = "client-video".parse().unwrap();
    server.redirect_uris.clear();
    server.resource_server = true;
    server.resources = [VIDEO.parse().unwrap()].into();
    let (mut world, secrets) = World::with_settings(settings(), &[client(), server]);
    let secret = secrets[0].clone().unwrap();
    for (named, active) in [
        (&[VIDEO][..], true),
        (&[VIDEO, ENERGY], true),
        (&[ENERGY], false),
        (&[], false),
    ] {
        let code = code(&mut world, named);
        let linked = tokens(&exchange(&mut world, &secret, &code, &[]));
        let pairs = [
            ("token", linked.access.as_str()),
            ("client_id", "client-video"),
            ("client_secret", secrets[1].as_deref().unwrap()),
        ];
        let told = json(&world.post("/oauth/introspect", &[], form(&pairs)));
        assert_eq!(told["active"], active, "{named:?}");
        if active {
            assert_eq!(told["aud"], claims(&linked.access)["aud"]);
        }
    }
}

#[test]
fn only_resource_may_come_more_than_once() {
    let (mut world, secret) = world();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("resource", VIDEO),
        ("resource", ENERGY),
    ];
    let answer = world.token(Some(&secret), "client-acme", &pairs);
    assert_eq!(error(&answer), "invalid_grant");
    let twice = [&pairs[..], &[("scope", "r:*"), ("scope", "r:*")]].concat();
    let answer = world.token(Some(&secret), "client-acme", &twice);
    assert_eq!(error(&answer), "invalid_request");
    let mut path = path(&[VIDEO]);
    path.push_str("&scope=r:*&scope=r:*");
    let mut browser = Browser::default();
    let page = browser.open(&mut world, &path);
    let answer = browser.log_in(&mut world, &page, "user-1");
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("invalid_request")
    );
    let about = [("token", "x"), ("resource", VIDEO), ("resource", ENERGY)];
    let answer = world.post("/oauth/revoke", &[], form(&about));
    assert_eq!(error(&answer), "invalid_request");
}

#[test]
fn the_metadata_names_the_apis_when_there_are_several() {
    let (mut world, _) = world();
    let told = json(&world.get("/oauth/.well-known/openid-configuration", None));
    let named = told["protected_resources"].as_array().unwrap();
    assert_eq!(named.len(), 4);
    assert!(named.contains(&AUDIENCE.into()) && named.contains(&VIDEO.into()));
    let mut plain = World::new(config());
    let told = json(&plain.get("/oauth/.well-known/openid-configuration", None));
    assert!(told.get("protected_resources").is_none());
}
