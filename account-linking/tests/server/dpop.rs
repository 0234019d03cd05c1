//! Tokens bound to a key (DPoP, RFC 9449): useless without it, and each proof good once.

use std::collections::BTreeSet;
use std::time::Duration;

use account_linking::server::{Algorithm, Refusal};
use bytes::Bytes;
use http::Request;
use proptest::prelude::*;

use crate::harness::*;
use crate::proofs::*;

/// A public client with a link bound to a key.
fn bound() -> (World, Holder, Tokens) {
    let (mut world, _) = World::with_settings(settings(), &[public()]);
    let mut holder = Holder::new(1);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let proof = holder.for_token(&world);
    let answer = redeem_with(&mut world, None, "client-app", &proof, &code);
    assert_eq!(json(&answer)["token_type"], "DPoP");
    let linked = tokens(&answer);
    (world, holder, linked)
}

#[test]
fn a_token_is_bound_to_the_key_of_its_proof() {
    let (mut world, mut holder, linked) = bound();
    assert_eq!(claims(&linked.access)["cnf"]["jkt"], holder.thumbprint());
    let proof = holder.for_api(&world, &linked.access);
    let principal = world
        .judge(None, &bound_request(&linked.access, &proof))
        .unwrap();
    assert_eq!(principal.account.as_str(), "user-1");
    // The same proof once more.
    let again = world.judge(None, &bound_request(&linked.access, &proof));
    assert_eq!(again, Err(Refusal::InvalidProof));
    // Without a proof, by either scheme.
    assert_eq!(world.check(&linked.access), Err(Refusal::Invalid));
    let mut bare = bound_request(&linked.access, "x");
    bare.headers_mut().remove("dpop");
    assert_eq!(world.judge(None, &bare), Err(Refusal::InvalidProof));
    // With somebody else's key.
    let stolen = Holder::new(2).for_api(&world, &linked.access);
    assert_eq!(
        world.judge(None, &bound_request(&linked.access, &stolen)),
        Err(Refusal::InvalidProof)
    );
    // Two proofs.
    let mut two = bound_request(&linked.access, &holder.for_api(&world, &linked.access));
    let second = holder.for_api(&world, &linked.access).parse().unwrap();
    two.headers_mut().append("dpop", second);
    assert_eq!(world.judge(None, &two), Err(Refusal::InvalidProof));
    // What is not a token is no better with a proof.
    let proof = holder.for_api(&world, "x");
    assert_eq!(
        world.judge(None, &bound_request("x", &proof)),
        Err(Refusal::InvalidBound)
    );
}

#[test]
fn a_proof_at_the_protected_api_is_for_that_request() {
    let (mut world, mut holder, linked) = bound();
    let url = "https://cloud.example/api/v1/devices";
    let hash = {
        use base64::Engine as _;
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(&linked.access);
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest)
    };
    let wall = holder.claims(&world, "GET", url)["iat"].as_u64().unwrap();
    for (name, value, good) in [
        ("htm", "GET".into(), true),
        ("htu", format!("{url}?page=2").into(), true),
        ("iat", (wall - 60).into(), true),
        ("iat", (wall + 60).into(), true),
        ("htm", "POST".into(), false),
        ("htu", "https://cloud.example/api/v1/other".into(), false),
        ("htu", "https://other.example/api/v1/devices".into(), false),
        ("iat", (wall - 61).into(), false),
        ("iat", (wall + 61).into(), false),
        ("ath", "x".into(), false),
        ("ath", serde_json::Value::Null, false),
    ] {
        let mut claims = holder.claims(&world, "GET", url);
        claims["ath"] = hash.clone().into();
        claims[name] = value;
        let proof = holder.sign(&claims);
        let result = world.judge(None, &bound_request(&linked.access, &proof));
        let expected = (!good).then_some(Refusal::InvalidProof);
        assert_eq!(result.err(), expected, "{claims}");
    }
    // A signature that is not of the key.
    let proof = holder.for_api(&world, &linked.access);
    let (input, _) = proof.rsplit_once('.').unwrap();
    let forged = bound_request(&linked.access, &format!("{input}.AAAA"));
    assert_eq!(world.judge(None, &forged), Err(Refusal::InvalidProof));
}

#[test]
fn a_token_that_is_not_bound_is_not_taken_with_the_other_scheme() {
    let (mut world, _) = World::with_settings(settings(), &[public()]);
    let linked = link(&mut world, None, "client-app", "user-1");
    assert!(claims(&linked.access).get("cnf").is_none());
    assert!(world.check(&linked.access).is_ok());
    let proof = Holder::new(1).for_api(&world, &linked.access);
    assert_eq!(
        world.judge(None, &bound_request(&linked.access, &proof)),
        Err(Refusal::InvalidBound)
    );
}

#[test]
fn proofs_that_are_not_for_the_token_request_are_refused_and_spend_no_code() {
    let (mut world, secrets) = World::with_settings(settings(), &[confidential()]);
    let secret = secrets[0].as_deref();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let mut holder = Holder::new(1);
    let url = format!("{ISSUER}/token");
    let wall = holder.claims(&world, "POST", &url)["iat"].as_u64().unwrap();
    for (name, value) in [
        ("htm", "GET".into()),
        ("htu", format!("{ISSUER}/revoke").into()),
        ("htu", "https://other.example/oauth/token".into()),
        ("iat", (wall - 61).into()),
        ("iat", (wall + 61).into()),
        ("jti", "".into()),
    ] {
        let mut claims = holder.claims(&world, "POST", &url);
        claims[name] = value;
        let refused = redeem_with(
            &mut world,
            secret,
            "client-acme",
            &holder.sign(&claims),
            &code,
        );
        assert_eq!(
            (refused.status().as_u16(), error(&refused).as_str()),
            (400, "invalid_dpop_proof"),
            "{claims}"
        );
    }
    for proof in ["x", "", "a.b.c"] {
        let refused = redeem_with(&mut world, secret, "client-acme", proof, &code);
        assert_eq!(error(&refused), "invalid_dpop_proof", "{proof:?}");
    }
    let proof = holder.for_token(&world);
    let (input, _) = proof.rsplit_once('.').unwrap();
    let forged = format!("{input}.AAAA");
    let refused = redeem_with(&mut world, secret, "client-acme", &forged, &code);
    assert_eq!(error(&refused), "invalid_dpop_proof");
    let answer = redeem_with(&mut world, secret, "client-acme", &proof, &code);
    let linked = tokens(&answer);
    // A proof that was accepted is not accepted again, whatever it comes with.
    let refresh_token = linked.refresh.unwrap();
    let refused = refresh_with(&mut world, secret, "client-acme", &proof, &refresh_token);
    assert_eq!(error(&refused), "invalid_dpop_proof");
    let next = holder.for_token(&world);
    tokens(&refresh_with(
        &mut world,
        secret,
        "client-acme",
        &next,
        &refresh_token,
    ));
}

#[test]
fn the_refresh_token_of_a_public_client_is_bound_to_its_key() {
    let (mut world, mut holder, linked) = bound();
    let token = linked.refresh.unwrap();
    let thief = Holder::new(2).for_token(&world);
    let refused = refresh_with(&mut world, None, "client-app", &thief, &token);
    assert_eq!(error(&refused), "invalid_grant");
    let refused = refresh(&mut world, None, "client-app", &token);
    assert_eq!(error(&refused), "invalid_grant");
    // The link is as it was, also after a restart.
    let (now, wall) = (world.now, world.wall);
    let mut world = World::with_store(settings(), world.store, 2);
    (world.now, world.wall) = (now, wall);
    let own = holder.for_token(&world);
    let answer = refresh_with(&mut world, None, "client-app", &own, &token);
    assert_eq!(json(&answer)["token_type"], "DPoP");
    let renewed = tokens(&answer);
    assert_eq!(claims(&renewed.access)["cnf"]["jkt"], holder.thumbprint());
    let refused = refresh(&mut world, None, "client-app", &renewed.refresh.unwrap());
    assert_eq!(error(&refused), "invalid_grant");
}

#[test]
fn a_client_with_a_secret_may_change_its_key_and_introspection_tells_it() {
    let (mut world, secrets) = World::with_settings(settings(), &[confidential()]);
    let secret = secrets[0].as_deref();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let proof = Holder::new(1).for_token(&world);
    let linked = tokens(&redeem_with(
        &mut world,
        secret,
        "client-acme",
        &proof,
        &code,
    ));
    let refresh_token = linked.refresh.unwrap();
    let mut second = Holder::new(2);
    let proof = second.for_token(&world);
    let renewed = tokens(&refresh_with(
        &mut world,
        secret,
        "client-acme",
        &proof,
        &refresh_token,
    ));
    let introspect = |world: &mut World, token: &str| {
        let pairs = [
            ("token", token),
            ("client_id", "client-acme"),
            ("client_secret", secret.unwrap()),
        ];
        json(&world.post("/oauth/introspect", &[], form(&pairs)))
    };
    let told = introspect(&mut world, &renewed.access);
    assert_eq!(told["active"], true);
    assert_eq!(told["token_type"], "DPoP");
    assert_eq!(told["cnf"]["jkt"], second.thumbprint());
    let plain = tokens(&refresh(&mut world, secret, "client-acme", &refresh_token));
    let told = introspect(&mut world, &plain.access);
    assert_eq!(told["token_type"], "Bearer");
    assert!(told.get("cnf").is_none());
}

#[test]
fn a_code_is_bound_to_the_key_that_its_request_named() {
    for pushed in [false, true] {
        let (mut world, secrets) = World::with_settings(settings(), &[confidential()]);
        let secret = secrets[0].as_deref();
        let mut holder = Holder::new(1);
        let thumbprint = holder.thumbprint();
        let code = if pushed {
            let path = authorize_path("client-acme", &[]);
            let body = format!(
                "{}&client_secret={}",
                path.split_once('?').unwrap().1,
                secret.unwrap()
            );
            let claims = holder.claims(&world, "POST", &format!("{ISSUER}/par"));
            let proof = holder.sign(&claims);
            let answer = world.post("/oauth/par", &[("dpop", &proof)], body.clone());
            let reference = json(&answer)["request_uri"].as_str().unwrap().to_owned();
            let wrong = format!("{body}&dpop_jkt={}", Holder::new(2).thumbprint());
            let claims = holder.claims(&world, "POST", &format!("{ISSUER}/par"));
            let proof = holder.sign(&claims);
            let answer = world.post("/oauth/par", &[("dpop", &proof)], wrong);
            assert_eq!(error(&answer), "invalid_request");
            let answer = world.post("/oauth/par", &[("dpop", "x")], body);
            assert_eq!(error(&answer), "invalid_dpop_proof");
            let mut browser = Browser::default();
            let query = form(&[("client_id", "client-acme"), ("request_uri", &reference)]);
            let page = browser.open(&mut world, &format!("/oauth/authorize?{query}"));
            let page = browser.log_in(&mut world, &page, "user-1");
            let answer = browser.submit(
                &mut world,
                &page,
                "/oauth/consent",
                &[("decision", "allow")],
            );
            parameter(&answer, "code").unwrap()
        } else {
            obtain_code(
                &mut world,
                "client-acme",
                "user-1",
                &[("dpop_jkt", &thumbprint)],
            )
        };
        let other = Holder::new(2).for_token(&world);
        let refused = redeem_with(&mut world, secret, "client-acme", &other, &code);
        assert_eq!(error(&refused), "invalid_grant");
        assert_eq!(
            error(&redeem(&mut world, secret, "client-acme", &code)),
            "invalid_grant"
        );
        let proof = holder.for_token(&world);
        tokens(&redeem_with(
            &mut world,
            secret,
            "client-acme",
            &proof,
            &code,
        ));
    }
    let (mut world, _) = World::with_settings(settings(), &[public()]);
    let mut browser = Browser::default();
    let page = browser.open(
        &mut world,
        &authorize_path("client-app", &[("dpop_jkt", "short")]),
    );
    let answer = browser.log_in(&mut world, &page, "user-1");
    assert_eq!(
        parameter(&answer, "error").as_deref(),
        Some("invalid_request")
    );
}

#[test]
fn where_nonces_are_demanded_a_proof_needs_one_of_lately() {
    let mut settings = settings();
    settings.dpop.as_mut().unwrap().nonce_lifetime = Some(Duration::from_secs(30));
    let (mut world, _) = World::with_settings(settings, &[public()]);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let mut holder = Holder::new(1);
    let proof = holder.for_token(&world);
    let refused = redeem_with(&mut world, None, "client-app", &proof, &code);
    assert_eq!(
        (refused.status().as_u16(), error(&refused).as_str()),
        (400, "use_dpop_nonce")
    );
    let nonce = refused.headers()["dpop-nonce"].to_str().unwrap().to_owned();
    let mut with = |world: &World, nonce: &str| {
        let mut claims = holder.claims(world, "POST", &format!("{ISSUER}/token"));
        claims["nonce"] = nonce.into();
        holder.sign(&claims)
    };
    let proof = with(&world, "made up");
    let refused = redeem_with(&mut world, None, "client-app", &proof, &code);
    assert_eq!(error(&refused), "use_dpop_nonce");
    let proof = with(&world, &nonce);
    let answer = redeem_with(&mut world, None, "client-app", &proof, &code);
    assert!(answer.headers().contains_key("dpop-nonce"));
    let linked = tokens(&answer);
    world.pass(Duration::from_secs(61));
    let token = linked.refresh.unwrap();
    let proof = with(&world, &nonce);
    let refused = refresh_with(&mut world, None, "client-app", &proof, &token);
    assert_eq!(error(&refused), "use_dpop_nonce");
    let nonce = refused.headers()["dpop-nonce"].to_str().unwrap().to_owned();
    let proof = with(&world, &nonce);
    tokens(&refresh_with(
        &mut world,
        None,
        "client-app",
        &proof,
        &token,
    ));
}

#[test]
fn where_apis_demand_nonces_too_a_proof_there_needs_one_of_lately() {
    let mut settings = settings();
    let dpop = settings.dpop.as_mut().unwrap();
    dpop.nonces_at_apis = true;
    assert!(settings.check().is_err(), "nobody says for how long");
    settings.dpop.as_mut().unwrap().nonce_lifetime = Some(Duration::from_secs(30));
    let (mut world, _) = World::with_settings(settings, &[public()]);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let mut holder = Holder::new(1);
    let proof = holder.for_token(&world);
    let refused = redeem_with(&mut world, None, "client-app", &proof, &code);
    let nonce = refused.headers()["dpop-nonce"].to_str().unwrap().to_owned();
    let mut claims = holder.claims(&world, "POST", &format!("{ISSUER}/token"));
    claims["nonce"] = nonce.into();
    let proof = holder.sign(&claims);
    let linked = tokens(&redeem_with(&mut world, None, "client-app", &proof, &code));

    let bare = bound_request(&linked.access, &holder.for_api(&world, &linked.access));
    let refused = world.judge(None, &bare).unwrap_err();
    assert_eq!(refused.status(), 401);
    let challenge = refused.challenge_with_dpop(&[Algorithm::Es256]).unwrap();
    assert_eq!(challenge, r#"DPoP error="use_dpop_nonce", algs="ES256""#);
    let nonce = refused.dpop_nonce().unwrap().to_string();
    let mut with = |world: &mut World, nonce: &str| {
        let proof = holder.for_api_with(world, &linked.access, Some(nonce));
        world.judge(None, &bound_request(&linked.access, &proof))
    };
    assert!(matches!(
        with(&mut world, "made up"),
        Err(Refusal::NonceNeeded(_))
    ));
    assert!(with(&mut world, &nonce).is_ok());
    world.pass(Duration::from_secs(61));
    assert!(matches!(
        with(&mut world, &nonce),
        Err(Refusal::NonceNeeded(_))
    ));
    let mut userinfo = bare.clone();
    *userinfo.uri_mut() = "/oauth/userinfo".parse().unwrap();
    let claims = holder.claims_for(&world, "GET", &format!("{ISSUER}/userinfo"), &linked.access);
    let proof = holder.sign(&claims).parse().unwrap();
    userinfo.headers_mut().insert("dpop", proof);
    let answer = world.request(&userinfo);
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("dpop-nonce"));
}

#[test]
fn a_client_registered_for_bound_tokens_gets_no_others() {
    let mut strict = confidential();
    strict.dpop_bound_access_tokens = true;
    let (mut world, secrets) = World::with_settings(settings(), &[strict]);
    let secret = secrets[0].as_deref();
    let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
    let refused = redeem(&mut world, secret, "client-acme", &code);
    assert_eq!(
        (refused.status().as_u16(), error(&refused).as_str()),
        (400, "invalid_dpop_proof")
    );
    let proof = Holder::new(1).for_token(&world);
    let answer = redeem_with(&mut world, secret, "client-acme", &proof, &code);
    assert_eq!(json(&answer)["token_type"], "DPoP");
}

#[test]
fn where_dpop_is_not_offered_proofs_are_ignored() {
    let (mut world, _) = World::with_clients(&[public()]);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let proof = Holder::new(1).for_token(&world);
    let answer = redeem_with(&mut world, None, "client-app", &proof, &code);
    assert_eq!(json(&answer)["token_type"], "Bearer");
    let linked = tokens(&answer);
    assert_eq!(
        world.judge(None, &bound_request(&linked.access, &proof)),
        Err(Refusal::Missing)
    );
    let metadata = json(&world.get("/oauth/.well-known/openid-configuration", None));
    assert!(metadata.get("dpop_signing_alg_values_supported").is_none());
    let (mut world, _) = World::with_settings(settings(), &[public()]);
    let metadata = json(&world.get("/oauth/.well-known/openid-configuration", None));
    assert_eq!(
        metadata["dpop_signing_alg_values_supported"],
        serde_json::json!(["ES256"])
    );
}

#[test]
fn userinfo_takes_bound_tokens_with_their_proof_and_says_how_to_come() {
    let (mut world, mut holder, linked) = bound();
    let ask = |world: &mut World, authorization: Option<String>, proof: Option<String>| {
        let mut request = Request::get("/oauth/userinfo");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(proof) = proof {
            request = request.header("dpop", proof);
        }
        world.request(&request.body(Bytes::new()).unwrap())
    };
    let challenge = |response: &http::Response<Bytes>| {
        assert_eq!(response.status(), 401);
        response.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let mut claims = holder.claims(&world, "GET", &format!("{ISSUER}/userinfo"));
    claims["ath"] = {
        use base64::Engine as _;
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(&linked.access);
        base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(digest)
            .into()
    };
    let proof = holder.sign(&claims);
    let with = Some(format!("DPoP {}", linked.access));
    let answer = ask(&mut world, with.clone(), Some(proof.clone()));
    assert_eq!(json(&answer)["sub"], "user-1");
    let replayed = ask(&mut world, with, Some(proof));
    assert_eq!(
        challenge(&replayed),
        r#"DPoP error="invalid_dpop_proof", algs="ES256""#
    );
    let missing = ask(&mut world, None, None);
    assert_eq!(challenge(&missing), r#"Bearer, DPoP algs="ES256""#);
    let bearer = ask(&mut world, Some(format!("Bearer {}", linked.access)), None);
    assert_eq!(
        challenge(&bearer),
        r#"Bearer error="invalid_token", DPoP algs="ES256""#
    );
    let both = [Algorithm::Es256, Algorithm::EdDsa];
    assert_eq!(
        Refusal::InvalidBound.challenge_with_dpop(&both).unwrap(),
        r#"DPoP error="invalid_token", algs="ES256 EdDSA""#
    );
    assert_eq!(Refusal::Unavailable.challenge_with_dpop(&both), None);
}

#[test]
fn proofs_beyond_the_limit_are_not_taken_unremembered() {
    let mut settings = settings();
    settings.dpop.as_mut().unwrap().max_proofs = 2;
    let (mut world, _) = World::with_settings(settings, &[public()]);
    let mut holder = Holder::new(1);
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let proof = holder.for_token(&world);
    let linked = tokens(&redeem_with(&mut world, None, "client-app", &proof, &code));
    let request = |world: &World, holder: &mut Holder| {
        bound_request(&linked.access, &holder.for_api(world, &linked.access))
    };
    let second = request(&world, &mut holder);
    assert!(world.judge(None, &second).is_ok());
    let third = request(&world, &mut holder);
    assert_eq!(world.judge(None, &third), Err(Refusal::Unavailable));
    let proof = holder.for_token(&world);
    let token = linked.refresh.clone().unwrap();
    let refused = refresh_with(&mut world, None, "client-app", &proof, &token);
    assert_eq!(
        (refused.status().as_u16(), error(&refused).as_str()),
        (503, "temporarily_unavailable")
    );
    world.pass(Duration::from_secs(62));
    let later = request(&world, &mut holder);
    assert!(world.judge(None, &later).is_ok());
}

#[derive(Clone, Debug)]
enum Act {
    /// Refresh with one of the last proofs, or a new one.
    Refresh(usize),
    /// Ask the API with one of the last proofs, or a new one.
    Ask(usize),
    Pass(u16),
    Fault(Fault),
}

fn act() -> impl Strategy<Value = Act> {
    let fault = prop_oneof![
        Just(Fault::UnknownWritten),
        Just(Fault::UnknownLost),
        Just(Fault::Fenced),
        Just(Fault::Silent),
    ];
    prop_oneof![
        4 => (0..4_usize).prop_map(Act::Refresh),
        4 => (0..4_usize).prop_map(Act::Ask),
        1 => (0..80_u16).prop_map(Act::Pass),
        1 => fault.prop_map(Act::Fault),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// I42: a proof counts once, whatever comes between, and its token is never taken without one.
    #[test]
    fn no_proof_is_accepted_twice(acts in proptest::collection::vec(act(), 1..40)) {
        let (mut world, mut holder, linked) = bound();
        let mut held = linked.refresh.unwrap();
        let mut access = linked.access;
        let (mut for_token, mut for_api) = (Vec::new(), Vec::new());
        let mut accepted = BTreeSet::new();
        for act in acts {
            match act {
                Act::Refresh(back) => {
                    if back == 0 || for_token.len() < back {
                        for_token.push(holder.for_token(&world));
                    }
                    let proof: String = for_token[for_token.len() - back.clamp(1, for_token.len())].clone();
                    let pairs = [
                        ("grant_type", "refresh_token"),
                        ("refresh_token", held.as_str()),
                        ("client_id", "client-app"),
                    ];
                    let request = Request::post("/oauth/token")
                        .header("content-type", "application/x-www-form-urlencoded")
                        .header("dpop", &proof)
                        .body(form(&pairs).into())
                        .unwrap();
                    let id = world.send(&request);
                    world.pass(Duration::from_millis(100));
                    if !world.responses.contains_key(&id) {
                        world.pass(Duration::from_secs(10));
                    }
                    let answer = world.responses.remove(&id).unwrap();
                    if answer.status() == 200 {
                        prop_assert!(accepted.insert(proof), "accepted twice");
                        let renewed = tokens(&answer);
                        held = renewed.refresh.unwrap();
                        access = renewed.access;
                    } else {
                        let said = error(&answer);
                        prop_assert!(["invalid_dpop_proof", "temporarily_unavailable"].contains(&said.as_str()), "{said}");
                    }
                }
                Act::Ask(back) => {
                    if back == 0 || for_api.len() < back {
                        for_api.push((access.clone(), holder.for_api(&world, &access)));
                    }
                    let (token, proof) = for_api[for_api.len() - back.clamp(1, for_api.len())].clone();
                    let faults = core::mem::take(&mut world.store.faults);
                    let result = world.judge(None, &bound_request(&token, &proof));
                    prop_assert!(world.check(&token).is_err());
                    world.store.faults = faults;
                    if result.is_ok() {
                        prop_assert!(accepted.insert(proof), "accepted twice");
                    }
                }
                Act::Pass(seconds) => world.pass(Duration::from_secs(u64::from(seconds))),
                Act::Fault(fault) => {
                    world.store.faults.clear();
                    world.store.faults.push_back(fault);
                }
            }
        }
    }
}
