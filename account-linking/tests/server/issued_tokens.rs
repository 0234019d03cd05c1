//! What issued tokens open, who may ask about them, and how they end.

use std::time::Duration;

use account_linking::server::{EndReason, Event, Refusal};
use bytes::Bytes;
use http::Request;

use crate::harness::*;

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
    for malformed in ["Bearer", "Bearer a b", "Bearer \"", "Bearer abc"] {
        assert_eq!(
            check(Some(malformed), "/x"),
            Err(Refusal::Invalid),
            "{malformed}"
        );
    }
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
    assert_eq!(ends(&world, EndReason::Unlinked), 1);
    // The composition could not end what was made under the grant; the stream is still due.
    world
        .server
        .wake("grants/user-1", world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(ends(&world, EndReason::Unlinked), 2);
    // The composition crashes before it has ended what was made under the grant.
    assert!(world.store.due.contains_key("grants/user-1"));
    let mut world = World::with_store(config(), world.store, 2);
    world
        .server
        .wake("grants/user-1", world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(ends(&world, EndReason::Unlinked), 1);
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

/// I15: what has expired, or was refused as expired, is not revived by a clock that is set back.
#[test]
fn a_clock_that_is_set_back_revives_nothing() {
    let (mut world, _) = World::with_clients(&[public()]);
    let early = world.wall;
    let held = link(&mut world, None, "client-app", "user-1");
    let code = obtain_code(&mut world, "client-app", "user-1", &[]);
    let is_refused = |world: &mut World| {
        assert!(world.check(&held.access).is_err());
        assert_eq!(
            error(&redeem(world, None, "client-app", &code)),
            "invalid_grant"
        );
    };
    world.pass(Duration::from_secs(3601));
    is_refused(&mut world);
    world.wall = early;
    is_refused(&mut world);
    world.pass(Duration::from_secs(1));
    is_refused(&mut world);
    // The links that there are live on meanwhile, and what is new as well.
    let answer = refresh(
        &mut world,
        None,
        "client-app",
        held.refresh.as_deref().unwrap(),
    );
    let next = tokens(&answer);
    assert!(world.check(&next.access).is_ok());
}
