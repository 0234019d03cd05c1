//! The token endpoint: every refusal exact, and codes used once.

use std::time::Duration;

use account_linking::ErrorKind;
use account_linking::server::{AuthenticationMethod, EndReason, Event, Refusal};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Request;

use crate::harness::*;

#[test]
fn malformed_requests_are_refused_with_the_exact_code() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].as_deref().unwrap();
    let me = format!("client_id=client-acme&client_secret={secret}");
    let long = format!(
        "{me}&grant_type=authorization_code&code={}",
        "x".repeat(9000)
    );
    for (body, status, code) in [
        (me.clone(), 400, "invalid_request"),
        (format!("{me}&grant_type="), 400, "invalid_request"),
        (
            format!("{me}&grant_type=password&username=a&password=b"),
            400,
            "unsupported_grant_type",
        ),
        (
            format!("{me}&grant_type=client_credentials"),
            400,
            "unsupported_grant_type",
        ),
        (
            format!("{me}&grant_type=authorization_code"),
            400,
            "invalid_request",
        ),
        (
            format!("{me}&grant_type=authorization_code&code=x"),
            400,
            "invalid_grant",
        ),
        (
            format!("{me}&grant_type=authorization_code&grant_type=authorization_code"),
            400,
            "invalid_request",
        ),
        (
            format!("{me}&grant_type=refresh_token"),
            400,
            "invalid_request",
        ),
        (
            format!("{me}&grant_type=refresh_token&refresh_token=x"),
            400,
            "invalid_grant",
        ),
        (
            format!("{me}&grant_type=refresh_token&refresh_token=%00"),
            400,
            "invalid_request",
        ),
        (
            format!("{me}&grant_type=refresh_token&refresh_token=%ff"),
            400,
            "invalid_request",
        ),
        (format!("{me}&grant_type=%4"), 400, "invalid_request"),
        (long, 400, "invalid_grant"),
        (
            "grant_type=authorization_code&code=x".to_owned(),
            401,
            "invalid_client",
        ),
    ] {
        let response = world.post("/oauth/token", &[], body.clone());
        assert_eq!(
            (response.status().as_u16(), error(&response).as_str()),
            (status, code),
            "{body}"
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let huge = world.post("/oauth/token", &[], "x".repeat(20_000));
    assert_eq!(huge.status(), 413);
    let json_body = Request::post("/oauth/token")
        .header("content-type", "application/json")
        .body(Bytes::from_static(b"{}"))
        .unwrap();
    assert_eq!(error(&world.request(&json_body)), "invalid_request");
    let in_uri = format!("/oauth/token?client_secret={secret}");
    let in_uri = world.post(
        &in_uri,
        &[],
        "client_id=client-acme&grant_type=refresh_token".to_owned(),
    );
    assert_eq!(error(&in_uri), "invalid_request");
}

#[test]
fn clients_prove_who_they_are_in_one_way() {
    let mut basic_only = confidential();
    basic_only.client_id = "client-basic".parse().unwrap();
    basic_only.authentication = [AuthenticationMethod::ClientSecretBasic].into();
    let (mut world, secrets) = World::with_clients(&[confidential(), basic_only, public()]);
    let secret = secrets[0].clone().unwrap();
    let basic =
        |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let body = "grant_type=refresh_token&refresh_token=x";
    let good = basic("client-acme", &secret);
    // Past the authentication, the token is what is wrong.
    let passed = world.post("/oauth/token", &[("authorization", &good)], body.to_owned());
    assert_eq!(error(&passed), "invalid_grant");
    let wrong = basic("client-acme", "wrong");
    let wrong = world.post(
        "/oauth/token",
        &[("authorization", &wrong)],
        body.to_owned(),
    );
    let unknown = basic("client-nobody", "wrong");
    let unknown = world.post(
        "/oauth/token",
        &[("authorization", &unknown)],
        body.to_owned(),
    );
    assert_eq!(
        (wrong.status().as_u16(), error(&wrong).as_str()),
        (401, "invalid_client")
    );
    assert!(
        wrong.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Basic ")
    );
    assert_eq!(wrong.headers(), unknown.headers());
    assert_eq!(wrong.body(), unknown.body());
    let both = format!("{body}&client_secret={secret}");
    let both = world.post("/oauth/token", &[("authorization", &good)], both);
    assert_eq!(
        (both.status().as_u16(), error(&both).as_str()),
        (400, "invalid_request")
    );
    for (client, secret) in [
        ("client-acme", None),
        ("client-acme", Some("wrong")),
        ("client-nobody", Some("wrong")),
        ("client-app", Some("anything")),
        ("client-basic", secrets[1].as_deref()),
    ] {
        let response = world.token(
            secret,
            client,
            &[("grant_type", "refresh_token"), ("refresh_token", "x")],
        );
        assert_eq!(
            (response.status().as_u16(), error(&response).as_str()),
            (401, "invalid_client"),
            "{client}"
        );
        assert!(!response.headers().contains_key("www-authenticate"));
    }
    let failures = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::ClientAuthenticationFailed { .. }));
    assert_eq!(failures.count(), 7);
}

#[test]
fn a_code_is_bound_to_its_client_redirect_uri_and_verifier() {
    let mut other = confidential();
    other.client_id = "client-other".parse().unwrap();
    let (mut world, secrets) = World::with_clients(&[confidential(), other]);
    let secret = secrets[0].clone().unwrap();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let verifier = verifier();
    let good = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ];
    let with = |name: &str, value: &'static str| {
        let mut pairs = good.to_vec();
        pairs.retain(|(other, _)| *other != name);
        pairs.push(("_", "_"));
        if !value.is_empty() {
            pairs.push((
                if name == "redirect_uri" {
                    "redirect_uri"
                } else {
                    "code_verifier"
                },
                value,
            ));
        }
        pairs
    };
    let other_verifier = "v".repeat(43);
    let mut wrong_verifier = with("code_verifier", "");
    wrong_verifier.push(("code_verifier", &other_verifier));
    for pairs in [
        with("redirect_uri", ""),
        with("redirect_uri", "https://client.example/other"),
        with("code_verifier", ""),
        wrong_verifier,
    ] {
        let response = world.token(Some(&secret), "client-acme", &pairs);
        assert_eq!(
            (response.status().as_u16(), error(&response).as_str()),
            (400, "invalid_grant")
        );
    }
    let too_short = world.token(
        Some(&secret),
        "client-acme",
        &with("code_verifier", "short"),
    );
    assert_eq!(error(&too_short), "invalid_grant");
    // The code is still good for its owner.
    assert_eq!(
        world.token(Some(&secret), "client-acme", &good).status(),
        200
    );
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let stolen = redeem(&mut world, secrets[1].as_deref(), "client-other", &code);
    assert_eq!(error(&stolen), "invalid_grant");
    for _ in 0..4 {
        redeem(&mut world, secrets[1].as_deref(), "client-other", &code);
    }
    let burnt = redeem(&mut world, Some(&secret), "client-acme", &code);
    assert_eq!(
        error(&burnt),
        "invalid_grant",
        "five wrong attempts spend a code"
    );
}

#[test]
fn a_verifier_for_a_code_without_a_challenge_is_refused() {
    let mut legacy = confidential();
    legacy.pkce_required = false;
    let (mut world, secrets) = World::with_clients(&[legacy]);
    let without = [("code_challenge", ""), ("code_challenge_method", "")];
    let code = obtain_code(&mut world, "client-acme", "user-1", &without);
    let downgraded = redeem(&mut world, secrets[0].as_deref(), "client-acme", &code);
    assert_eq!(error(&downgraded), "invalid_grant");
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", REDIRECT),
    ];
    assert_eq!(
        world
            .token(secrets[0].as_deref(), "client-acme", &pairs)
            .status(),
        200
    );
}

#[test]
fn the_second_use_of_a_code_revokes_what_the_first_gave() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let first = tokens(&redeem(&mut world, Some(&secret), "client-acme", &code));
    assert!(world.check(&first.access).is_ok());
    let second = redeem(&mut world, Some(&secret), "client-acme", &code);
    assert_eq!(
        (second.status().as_u16(), error(&second).as_str()),
        (400, "invalid_grant")
    );
    assert_eq!(world.check(&first.access), Err(Refusal::Invalid));
    let refused = refresh(
        &mut world,
        Some(&secret),
        "client-acme",
        &first.refresh.unwrap(),
    );
    assert_eq!(error(&refused), "invalid_grant");
    assert_eq!(ends(&world, EndReason::CodeReplayed), 1);
}

#[test]
fn codes_expire_after_a_minute() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    world.pass(Duration::from_secs(60));
    let late = redeem(&mut world, secrets[0].as_deref(), "client-acme", &code);
    assert_eq!(error(&late), "invalid_grant");
    world.wall -= Duration::from_secs(3600);
    let stepped_back = redeem(&mut world, secrets[0].as_deref(), "client-acme", &code);
    assert_eq!(
        error(&stepped_back),
        "invalid_grant",
        "a clock step revives nothing"
    );
}

#[test]
fn tokens_of_one_kind_are_not_taken_for_another() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let linked = link(&mut world, Some(&secret), "client-acme", "user-1");
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    for wrong in [&linked.access, &code] {
        let response = refresh(&mut world, Some(&secret), "client-acme", wrong);
        assert_eq!(error(&response), "invalid_grant");
    }
    for wrong in [&linked.access, linked.refresh.as_ref().unwrap()] {
        let response = redeem(&mut world, Some(&secret), "client-acme", wrong);
        assert_eq!(error(&response), "invalid_grant");
    }
    assert_eq!(world.check(&code), Err(Refusal::Invalid));
}

#[test]
fn a_store_in_trouble_is_never_answered_with_invalid_grant() {
    for fault in [
        Fault::Fenced,
        Fault::Silent,
        Fault::LoadFailed,
        Fault::SilentLoad,
    ] {
        let (mut world, secrets) = World::with_clients(&[confidential()]);
        let secret = secrets[0].clone().unwrap();
        let token = link(&mut world, Some(&secret), "client-acme", "user-1")
            .refresh
            .unwrap();
        let mut world = World::with_store(config(), world.store, 2);
        world.store.faults.push_back(fault);
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.as_str()),
            ("client_id", "client-acme"),
            ("client_secret", secret.as_str()),
        ];
        let request = Request::post("/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(&pairs).into())
            .unwrap();
        let id = world.send(&request);
        world.pass(Duration::from_secs(11));
        let response = world.responses.remove(&id).unwrap();
        assert_eq!(
            (response.status().as_u16(), error(&response).as_str()),
            (503, "temporarily_unavailable"),
            "{fault:?}"
        );
        let after = refresh(&mut world, Some(&secret), "client-acme", &token);
        assert_eq!(after.status(), 200, "{fault:?}: the link lives on");
    }
}

#[test]
fn an_append_of_unknown_outcome_is_repeated_and_spends_a_code_once() {
    for fault in [Fault::UnknownWritten, Fault::UnknownLost] {
        let (mut world, secrets) = World::with_clients(&[confidential()]);
        let secret = secrets[0].clone().unwrap();
        let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
        world.store.faults.push_back(fault);
        let verifier = verifier();
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier.expose()),
            ("client_id", "client-acme"),
            ("client_secret", secret.as_str()),
        ];
        let request = Request::post("/oauth/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(&pairs).into())
            .unwrap();
        let first = world.send(&request);
        let second = world.send(&request);
        assert!(
            world.responses.is_empty(),
            "nothing is said before it is durable"
        );
        world.pass(Duration::from_millis(100));
        assert_eq!(world.responses[&first].status(), 200, "{fault:?}");
        assert_eq!(error(&world.responses[&second]), "invalid_grant");
    }
}

#[test]
fn a_conflict_is_decided_again_on_what_is_there_now() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    // Another node redeems the same code first.
    world.store.faults.push_back(Fault::Overtaken);
    let late = redeem(&mut world, secrets[0].as_deref(), "client-acme", &code);
    assert_eq!(error(&late), "invalid_grant");
    assert_eq!(ends(&world, EndReason::CodeReplayed), 1);
}

#[test]
fn a_key_that_cannot_sign_spends_no_code() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    world.refuse_to_sign = true;
    let failed = redeem(&mut world, secrets[0].as_deref(), "client-acme", &code);
    assert_eq!(failed.status(), 503);
    assert_eq!(failed.headers()["retry-after"], "1");
    world.refuse_to_sign = false;
    assert_eq!(
        redeem(&mut world, secrets[0].as_deref(), "client-acme", &code).status(),
        200
    );
}

#[test]
fn a_secret_is_replaced_without_a_pause() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let old = secrets[0].clone().unwrap();
    let client: account_linking::server::ClientId = "client-acme".parse().unwrap();
    let entropy = world.entropy();
    world
        .server
        .add_client_secret(client.clone(), entropy, world.wall, world.now)
        .unwrap();
    world.pump();
    let Some(Event::ClientRegistered {
        secret: Some(new), ..
    }) = world.events.last().cloned()
    else {
        panic!("no new secret");
    };
    link(&mut world, Some(&old), "client-acme", "user-1");
    link(&mut world, Some(new.expose()), "client-acme", "user-1");
    world
        .server
        .retire_client_secrets(client, world.wall, world.now)
        .unwrap();
    world.pump();
    link(&mut world, Some(new.expose()), "client-acme", "user-1");
    assert_eq!(
        error(&refresh(&mut world, Some(&old), "client-acme", "x")),
        "invalid_client"
    );
}

#[test]
fn a_client_identifier_is_given_once() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let entropy = world.entropy();
    let again = world
        .server
        .register_client(confidential(), entropy, world.wall, world.now)
        .unwrap();
    world.pump();
    assert!(matches!(
        world.events.last(),
        Some(Event::CommandFailed { command, kind: ErrorKind::Exists }) if *command == again
    ));
    link(&mut world, secrets[0].as_deref(), "client-acme", "user-1");
}

#[test]
fn a_public_client_has_to_name_itself() {
    let (mut world, _) = World::with_clients(&[public()]);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let verifier = verifier();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ];
    let nameless = world.post("/oauth/token", &[], form(&pairs));
    assert_eq!(error(&nameless), "invalid_client");
    assert_eq!(redeem(&mut world, None, "client-app", &code).status(), 200);
}

#[test]
fn a_failed_authentication_is_told_with_its_request() {
    let (mut world, _) = World::with_clients(&[confidential()]);
    let request = Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", "x"),
            ("client_id", "client-acme"),
            ("client_secret", "wrong"),
        ])))
        .unwrap();
    let id = world.send(&request);
    assert_eq!(world.responses[&id].status(), 401);
    assert!(matches!(
        world.events.last(),
        Some(Event::ClientAuthenticationFailed { request }) if *request == id
    ));
}

#[test]
fn a_code_does_not_show_its_challenge() {
    let (mut world, _) = World::with_clients(&[public()]);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let challenge = verifier().challenge();
    let hash = URL_SAFE_NO_PAD.decode(challenge.as_str()).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(&code).unwrap();
    assert!(!code.contains(challenge.as_str()));
    assert!(!bytes.windows(hash.len()).any(|window| window == hash));
}

#[test]
fn a_client_is_answered_sooner_than_a_person() {
    let (world, secrets) = World::with_clients(&[confidential()]);
    let body = form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", "x"),
        ("client_id", "client-acme"),
        ("client_secret", secrets[0].as_deref().unwrap()),
    ]);
    let token = Request::post("/oauth/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(body))
        .unwrap();
    let page = Request::get(authorize_path("client-acme", &[]))
        .body(Bytes::new())
        .unwrap();
    for (request, patience) in [(token, 2000), (page, 10_000)] {
        let mut world = World::with_store(config(), world.store.clone(), 2);
        world.store.faults.push_back(Fault::SilentLoad);
        let id = world.send(&request);
        world.pass(Duration::from_millis(patience - 1));
        assert!(!world.responses.contains_key(&id));
        world.pass(Duration::from_millis(1));
        assert_eq!(world.responses[&id].status(), 503);
    }
}
