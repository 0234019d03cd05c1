//! Clients that prove who they are by a key (`private_key_jwt`, RFC 7523): what is taken, once, and what is refused.

use std::time::{Duration, UNIX_EPOCH};

use account_linking::server::{
    Algorithm, ClientAssertions, ClientKey, Config, Event, Registration,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use http::Response;
use serde_json::{Value, json};

use crate::harness::*;

const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const CLIENT: &str = "client-keyed";

fn settings() -> Config {
    let mut settings = config();
    settings.client_assertions = Some(ClientAssertions::default());
    settings
}

fn key(x: u8, id: Option<&str>) -> ClientKey {
    let mut jwk = json!({
        "kty": "EC", "crv": "P-256", "alg": "ES256", "x": BASE64.encode([x; 32]), "y": BASE64.encode([9; 32]),
    });
    if let Some(id) = id {
        jwk["kid"] = id.into();
    }
    jwk.to_string().parse().unwrap()
}

fn keyed(keys: Vec<ClientKey>) -> Registration {
    Registration::with_keys(
        CLIENT.parse().unwrap(),
        "Keyed",
        vec![REDIRECT.parse().unwrap()],
        "r:* w:*".parse().unwrap(),
        keys,
    )
}

fn world() -> World {
    let (world, secrets) = World::with_settings(settings(), &[keyed(vec![key(1, Some("one"))])]);
    assert_eq!(secrets, [None], "it has no secret");
    world
}

fn seconds(world: &World) -> u64 {
    world.wall.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn good_claims(world: &mut World) -> Value {
    let jti = BASE64.encode(world.entropy());
    let now = seconds(world);
    json!({"iss": CLIENT, "sub": CLIENT, "aud": ISSUER, "exp": now + 60, "iat": now, "jti": jti})
}

fn sign_with(x: u8, header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let input = format!("{}.{}", part(header), part(claims));
    format!(
        "{input}.{}",
        BASE64.encode(signed_by(&[x; 32], input.as_bytes()))
    )
}

fn assertion(world: &mut World) -> String {
    let claims = good_claims(world);
    sign_with(1, &json!({"alg": "ES256", "kid": "one"}), &claims)
}

fn asserting(world: &mut World, path: &str, text: &str, pairs: &[(&str, &str)]) -> Response<Bytes> {
    let mut pairs = pairs.to_vec();
    pairs.extend([("client_assertion_type", KIND), ("client_assertion", text)]);
    world.post(path, &[], form(&pairs))
}

fn redeem_by(world: &mut World, text: &str, code: &str) -> Response<Bytes> {
    let verifier = verifier();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", verifier.expose()),
    ];
    asserting(world, "/oauth/token", text, &pairs)
}

#[test]
fn a_client_with_a_key_links_refreshes_introspects_and_revokes() {
    let mut world = world();
    let pushed = authorize_path(CLIENT, &[]);
    let pushed: Vec<(String, String)> =
        form_urlencoded::parse(pushed.split_once('?').unwrap().1.as_bytes())
            .into_owned()
            .collect();
    let pushed: Vec<_> = pushed
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let text = assertion(&mut world);
    assert_eq!(
        asserting(&mut world, "/oauth/par", &text, &pushed).status(),
        201
    );

    let code = obtain_code(&mut world, CLIENT, "user-1", &[]);
    let text = assertion(&mut world);
    let linked = tokens(&redeem_by(&mut world, &text, &code));
    let held = linked.refresh.unwrap();
    let text = assertion(&mut world);
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", held.as_str()),
        ("client_id", CLIENT),
    ];
    let again = tokens(&asserting(&mut world, "/oauth/token", &text, &pairs));
    assert_eq!(world.check(&again.access).unwrap().client.as_str(), CLIENT);
    let text = assertion(&mut world);
    let told = asserting(
        &mut world,
        "/oauth/introspect",
        &text,
        &[("token", &again.access)],
    );
    assert_eq!(json(&told)["active"], true);
    let text = assertion(&mut world);
    let gone = asserting(&mut world, "/oauth/revoke", &text, &[("token", &held)]);
    assert_eq!(gone.status(), 200);
    assert!(world.check(&again.access).is_err());
}

#[test]
fn every_audience_that_is_this_server_is_taken() {
    let mut world = world();
    for audience in [
        json!(ISSUER),
        json!(format!("{ISSUER}/token")),
        json!([ISSUER, format!("{ISSUER}/par")]),
    ] {
        let mut claims = good_claims(&mut world);
        claims["aud"] = audience.clone();
        let text = sign_with(1, &json!({"alg": "ES256"}), &claims);
        let past = asserting(
            &mut world,
            "/oauth/token",
            &text,
            &[("grant_type", "refresh_token"), ("refresh_token", "x")],
        );
        assert_eq!(error(&past), "invalid_grant", "{audience}");
    }
}

#[test]
fn assertions_that_are_not_of_this_client_for_this_server_now_are_refused_and_spend_no_code() {
    let mut world = world();
    let code = obtain_code(&mut world, CLIENT, "user-1", &[]);
    let now = seconds(&world);
    let spoil = |world: &mut World, name: &str, value: Value| {
        let mut claims = good_claims(world);
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        sign_with(1, &json!({"alg": "ES256"}), &claims)
    };
    let mut refused = Vec::new();
    for (name, value) in [
        ("aud", Value::Null),
        ("aud", json!("https://other.example/oauth")),
        ("aud", json!(format!("{ISSUER}/authorize"))),
        ("aud", json!(format!("{ISSUER}.evil.example"))),
        ("aud", json!([ISSUER, "https://other.example"])),
        ("aud", json!([])),
        ("exp", Value::Null),
        ("exp", json!(now - 30)),
        ("exp", json!(now + 3600 + 61)),
        ("exp", json!(-1)),
        ("exp", json!(1e300)),
        ("iat", json!(now + 31)),
        ("nbf", json!(now + 31)),
        ("jti", Value::Null),
        ("jti", json!("")),
        ("jti", json!("j".repeat(257))),
        ("iss", json!("client-other")),
        ("sub", json!("client-other")),
        ("sub", json!("user-1")),
    ] {
        refused.push((format!("{name} {value}"), spoil(&mut world, name, value)));
    }
    for (what, header) in [
        ("none", json!({"alg": "none"})),
        ("HMAC", json!({"alg": "HS256"})),
        ("another algorithm", json!({"alg": "RS256"})),
        ("a key it has not", json!({"alg": "ES256", "kid": "two"})),
        (
            "an extension",
            json!({"alg": "ES256", "crit": ["x"], "x": 1}),
        ),
    ] {
        let claims = good_claims(&mut world);
        refused.push((what.to_owned(), sign_with(1, &header, &claims)));
    }
    let claims = good_claims(&mut world);
    let own = json!({"alg": "ES256", "jwk": {"kty": "EC", "crv": "P-256", "x": BASE64.encode([2; 32]), "y": BASE64.encode([9; 32])}});
    refused.push(("the key it brings".to_owned(), sign_with(2, &own, &claims)));
    let mut unknown = good_claims(&mut world);
    (unknown["iss"], unknown["sub"]) = (json!("client-nobody"), json!("client-nobody"));
    refused.push((
        "nobody".to_owned(),
        sign_with(1, &json!({"alg": "ES256"}), &unknown),
    ));
    let good = assertion(&mut world);
    let unsigned = good.rsplit_once('.').unwrap().0;
    refused.push(("no signature".to_owned(), format!("{unsigned}.")));
    refused.push(("no JWT".to_owned(), "x".to_owned()));
    refused.push(("too long".to_owned(), format!("{}{good}", "x".repeat(4096))));

    let mut bodies = Vec::new();
    let failures = world.events.len();
    for (what, text) in &refused {
        let answer = redeem_by(&mut world, text, &code);
        assert_eq!(
            (answer.status().as_u16(), error(&answer).as_str()),
            (401, "invalid_client"),
            "{what}"
        );
        assert!(!answer.headers().contains_key("www-authenticate"));
        bodies.push((answer.headers().clone(), answer.body().clone()));
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "nobody is told why");
    let told = world.events[failures..].iter();
    let told = told.filter(|event| matches!(event, Event::ClientAuthenticationFailed { .. }));
    assert_eq!(told.count(), refused.len());
    tokens(&redeem_by(&mut world, &good, &code));
}

#[test]
fn an_assertion_counts_once_until_it_has_expired_and_never_unremembered() {
    let mut settings = settings();
    if let Some(assertions) = &mut settings.client_assertions {
        assertions.max_remembered = 2;
    }
    let (mut world, _) = World::with_settings(settings, &[keyed(vec![key(1, None)])]);
    let ask = |world: &mut World, text: &str| {
        error(&asserting(
            world,
            "/oauth/token",
            text,
            &[("grant_type", "refresh_token"), ("refresh_token", "x")],
        ))
    };
    let [first, second, third] = [(); 3].map(|()| assertion(&mut world));
    assert_eq!(ask(&mut world, &first), "invalid_grant");
    assert_eq!(ask(&mut world, &first), "invalid_client");
    assert_eq!(ask(&mut world, &second), "invalid_grant");
    assert_eq!(ask(&mut world, &third), "temporarily_unavailable");
    world.pass(Duration::from_secs(89));
    assert_eq!(
        ask(&mut world, &first),
        "invalid_client",
        "still remembered"
    );
    world.pass(Duration::from_secs(2));
    assert_eq!(ask(&mut world, &first), "invalid_client", "it has expired");
    let fresh = assertion(&mut world);
    assert_eq!(
        ask(&mut world, &fresh),
        "invalid_grant",
        "there is room again"
    );
}

#[test]
fn a_key_is_replaced_without_a_pause() {
    let mut world = world();
    let ask = |world: &mut World, x: u8, header: &Value| {
        let claims = good_claims(world);
        let text = sign_with(x, header, &claims);
        error(&asserting(
            world,
            "/oauth/token",
            &text,
            &[("grant_type", "refresh_token"), ("refresh_token", "x")],
        ))
    };
    let (named, unnamed) = (
        json!({"alg": "ES256", "kid": "two"}),
        json!({"alg": "ES256"}),
    );
    assert_eq!(ask(&mut world, 2, &unnamed), "invalid_client");
    let client = || CLIENT.parse().unwrap();
    let added = world
        .server
        .add_client_key(client(), key(2, Some("two")), world.wall, world.now)
        .unwrap();
    world.pump();
    assert!(matches!(world.events.last(), Some(Event::Done { command }) if *command == added));
    for (x, header) in [(1, &unnamed), (2, &unnamed), (2, &named)] {
        assert_eq!(ask(&mut world, x, header), "invalid_grant");
    }
    assert_eq!(
        ask(&mut world, 1, &named),
        "invalid_client",
        "a name is of one key"
    );
    world
        .server
        .retire_client_keys(client(), world.wall, world.now)
        .unwrap();
    world.pump();
    assert_eq!(ask(&mut world, 1, &unnamed), "invalid_client");
    assert_eq!(ask(&mut world, 2, &unnamed), "invalid_grant");
    // What happened is in the ledger.
    only_the_second_key_is_good(world.store);
}

/// Starts a server on what is stored, of which the client has replaced its key.
pub(crate) fn only_the_second_key_is_good(store: Store) {
    let mut world = World::with_store(settings(), store, 9);
    for (x, wanted) in [(1, "invalid_client"), (2, "invalid_grant")] {
        let claims = good_claims(&mut world);
        let text = sign_with(x, &json!({"alg": "ES256"}), &claims);
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        let answer = asserting(&mut world, "/oauth/token", &text, &pairs);
        assert_eq!(error(&answer), wanted);
    }
}

#[test]
fn a_client_authenticates_in_the_way_it_is_registered_for_and_in_one() {
    let (mut world, secrets) = World::with_settings(
        settings(),
        &[keyed(vec![key(1, None)]), confidential(), public()],
    );
    let grant = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    for client in ["client-acme", "client-app"] {
        let mut claims = good_claims(&mut world);
        (claims["iss"], claims["sub"]) = (client.into(), client.into());
        let text = sign_with(1, &json!({"alg": "ES256"}), &claims);
        let answer = asserting(&mut world, "/oauth/token", &text, &grant);
        assert_eq!(error(&answer), "invalid_client", "{client}");
    }
    for secret in [None, Some(""), Some("x"), secrets[1].as_deref()] {
        assert_eq!(
            error(&world.token(secret, CLIENT, &grant)),
            "invalid_client"
        );
    }
    for (more, what) in [
        (("client_secret", "x"), "a secret, too"),
        (("client_id", "client-acme"), "another client"),
    ] {
        let text = assertion(&mut world);
        let answer = asserting(
            &mut world,
            "/oauth/token",
            &text,
            &[grant[0], grant[1], more],
        );
        assert_eq!(
            (answer.status().as_u16(), error(&answer).as_str()),
            (400, "invalid_request"),
            "{what}"
        );
    }
    let text = assertion(&mut world);
    for pairs in [
        [grant[0], grant[1], ("client_assertion", text.as_str())],
        [grant[0], grant[1], ("client_assertion_type", KIND)],
    ] {
        assert_eq!(
            error(&world.post("/oauth/token", &[], form(&pairs))),
            "invalid_request"
        );
    }
    let pairs = [
        grant[0],
        grant[1],
        ("client_assertion", text.as_str()),
        ("client_assertion_type", "urn:other"),
    ];
    assert_eq!(
        error(&world.post("/oauth/token", &[], form(&pairs))),
        "invalid_client"
    );
    let answer = asserting(&mut world, "/oauth/token", &text, &grant);
    assert_eq!(error(&answer), "invalid_grant", "none of this has spent it");
}

#[test]
fn assertions_are_offered_where_they_are_taken() {
    let mut with = world();
    let mut without = World::new(config());
    let [told, not_told] = [&mut with, &mut without].map(|world| {
        let path = "/.well-known/oauth-authorization-server/oauth";
        json(&world.get(path, None))
    });
    for endpoint in ["token", "revocation", "introspection"] {
        let (methods, algorithms) = (
            format!("{endpoint}_endpoint_auth_methods_supported"),
            format!("{endpoint}_endpoint_auth_signing_alg_values_supported"),
        );
        let offers = |document: &Value| {
            document[&methods]
                .as_array()
                .unwrap()
                .contains(&json!("private_key_jwt"))
        };
        assert!(offers(&told) && !offers(&not_told), "{endpoint}");
        assert_eq!(told[&algorithms], json!(["ES256"]));
        assert!(not_told.get(&algorithms).is_none());
    }
    let mut refuse = |registration: Registration| {
        let (wall, now) = (without.wall, without.now);
        without
            .server
            .register_client(registration, [1; 32], wall, now)
            .is_err()
    };
    assert!(
        refuse(keyed(vec![key(1, None)])),
        "nothing here takes its assertions"
    );
    let rsa = json!({"kty": "RSA", "alg": "RS256", "n": BASE64.encode([1; 256]), "e": "AQAB"});
    let rsa: ClientKey = rsa.to_string().parse().unwrap();
    assert_eq!(rsa.algorithm(), Algorithm::Rs256);
    let (wall, now) = (with.wall, with.now);
    let refused = with
        .server
        .register_client(keyed(vec![rsa]), [1; 32], wall, now);
    assert!(refused.is_err(), "nor of this algorithm");
    assert!(
        keyed(Vec::new()).check().is_err(),
        "a client with keys has one"
    );
    assert!(
        keyed(vec![key(1, None); 5]).check().is_err(),
        "and four at most"
    );
    let mut both = confidential();
    both.keys = vec![key(1, None)];
    assert!(both.check().is_err(), "keys are for those who use them");
}
