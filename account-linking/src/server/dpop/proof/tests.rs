use serde_json::json;

use super::*;

const WALL: Duration = Duration::from_secs(1_562_262_620);

fn jwk() -> Value {
    // RFC 9449, 4.1
    json!({
        "kty": "EC",
        "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    })
}

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk()})
}

/// RFC 9449, 7.1.
fn claims() -> Value {
    json!({
        "jti": "e1j3V_bKic8-LAEB",
        "htm": "GET",
        "htu": "https://resource.example.org/protectedresource",
        "iat": 1_562_262_618,
        "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo",
    })
}

fn proof(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| base64url(value.to_string().as_bytes());
    format!("{}.{}.{}", part(header), part(claims), base64url(&[0; 64]))
}

fn target() -> Url {
    let url = "https://resource.example.org/protectedresource";
    Url::parse(url).unwrap()
}

fn is_good(header: &Value, claims: &Value) -> bool {
    let settings = Dpop::default();
    let text = proof(header, claims);
    check_proof_unverified(&text, &Method::GET, &target(), WALL, &settings).is_ok()
}

#[test]
fn the_proof_of_rfc_9449_is_for_its_request_and_its_token() {
    let proof = Proof::parse(&proof(&header(), &claims()), &Dpop::default()).unwrap();
    assert!(proof.is_for(&Method::GET, &target(), WALL, &Dpop::default()));
    assert!(proof.is_with("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"));
    assert!(!proof.is_with("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxV"));
}

#[test]
fn headers_of_another_kind_are_refused() {
    assert!(is_good(&header(), &claims()));
    let mut private = jwk();
    private["d"] = json!("AA");
    for (name, value) in [
        ("typ", json!("jwt")),
        ("typ", json!("at+jwt")),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("EdDSA")),
        ("jwk", json!("x")),
        ("jwk", private),
        ("crit", json!(["b64"])),
    ] {
        let mut bad = header();
        bad[name] = value.clone();
        assert!(!is_good(&bad, &claims()), "{name} {value}");
    }
    for missing in ["typ", "alg", "jwk"] {
        let mut bad = header();
        bad.as_object_mut().unwrap().remove(missing);
        assert!(!is_good(&bad, &claims()), "{missing}");
    }
}

#[test]
fn claims_of_another_request_or_time_are_refused() {
    let time = |offset: i64| json!(1_562_262_620 + offset);
    for (name, value) in [
        ("jti", json!("")),
        ("jti", json!("j".repeat(MAX_JTI_LENGTH + 1))),
        ("jti", json!(1)),
        ("htm", json!("POST")),
        ("htm", json!("get")),
        ("htu", json!("https://resource.example.org/other")),
        ("htu", json!("https://other.example/protectedresource")),
        (
            "htu",
            json!("http://resource.example.org/protectedresource"),
        ),
        ("htu", json!("/protectedresource")),
        ("iat", time(-61)),
        ("iat", time(61)),
        ("iat", json!("1562262618")),
        ("iat", json!(-1)),
        ("iat", json!(1e300)),
    ] {
        let mut bad = claims();
        bad[name] = value.clone();
        assert!(!is_good(&header(), &bad), "{name} {value}");
    }
    for missing in ["jti", "htm", "htu", "iat"] {
        let mut bad = claims();
        bad.as_object_mut().unwrap().remove(missing);
        assert!(!is_good(&header(), &bad), "{missing}");
    }
    for (name, value) in [
        (
            "htu",
            json!("https://resource.example.org/protectedresource?query#part"),
        ),
        (
            "htu",
            json!("HTTPS://Resource.Example.org:443/protectedresource"),
        ),
        ("iat", json!(1_562_262_618.5)),
        ("iat", time(-60)),
        ("iat", time(60)),
    ] {
        let mut good = claims();
        good[name] = value.clone();
        assert!(is_good(&header(), &good), "{name} {value}");
    }
}

#[test]
fn a_request_has_one_proof() {
    let text = proof(&header(), &claims());
    let mut headers = HeaderMap::new();
    let settings = Dpop::default();
    assert_eq!(Proof::presented(&headers, &settings), Ok(None));
    headers.append("dpop", text.parse().unwrap());
    assert!(Proof::presented(&headers, &settings).unwrap().is_some());
    headers.append("dpop", text.parse().unwrap());
    assert_eq!(
        Proof::presented(&headers, &settings),
        Err(Unproven::Invalid)
    );
    let long = format!("{}.{}.{}", "a".repeat(MAX_PROOF_LENGTH), "b", "c");
    assert!(Proof::parse(&long, &settings).is_none());
}
