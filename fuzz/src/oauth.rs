//! Targets of `account-linking`.

use std::sync::LazyLock;
use std::time::Duration;

use account_linking::client::Callback;
use account_linking::form::Form;
use account_linking::server::access_token::check_claims_unverified;
use account_linking::server::authorize::check_query;
use account_linking::server::client_assertion::check_assertion_unverified;
use account_linking::server::client_authentication::parse_basic;
use account_linking::server::device::UserCode;
use account_linking::server::dpop::check_proof_unverified;
use account_linking::server::token::check_form;
use account_linking::server::{
    Algorithm, ClientAssertions, ClientId, ClientKey, Config, Dpop, Issuer, RefreshKey,
    Registration, SigningKey,
};
use account_linking::{
    PkceChallenge, PkceVerifier, RedirectUri, Resource, ScopeSet, SecretBytes, UserId,
};
use bytes::Bytes;

mod grants;
mod links;

pub use self::links::token_response;

static REGISTRATION: LazyLock<Registration> = LazyLock::new(|| {
    Registration::public(
        "client-a".parse().expect("an id"),
        "A client",
        vec![
            "https://client.example/callback"
                .parse()
                .expect("a redirect URI"),
        ],
        "r:* w:*".parse().expect("scopes"),
    )
});

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let key = r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#;
    Config::new(
        Issuer::new("https://cloud.example").expect("an issuer"),
        "https://cloud.example/api/v1",
        SigningKey::new("k1", Algorithm::Es256, key).expect("a key"),
        RefreshKey::new(1, SecretBytes::new([7; 32])),
    )
    .expect("a configuration")
});

/// Any form, and a token request.
pub fn token_form(bytes: &[u8]) {
    let form = Form::parse(bytes);
    if check_form(bytes).is_ok() {
        let form = form.expect("a token request is a form");
        assert!(form.get("grant_type").is_some());
        assert!(
            !form.has_repeats_but("resource"),
            "RFC 6749, 3.2: no parameter twice"
        );
    }
}

/// The query of an authorization request: an answer goes only to a registered URI.
pub fn authorize_query(bytes: &[u8]) {
    if let Ok(target) = check_query(bytes, &REGISTRATION, &CONFIG) {
        assert!(REGISTRATION.redirect_uris.contains(&target));
    }
}

/// The value of an `Authorization: Basic` header.
pub fn basic_header(bytes: &[u8]) {
    let _ = parse_basic(bytes);
}

/// A redirect URI that somebody registers.
pub fn redirect_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(uri) = text.parse::<RedirectUri>() {
        assert_eq!(uri.as_str(), text, "compared as text, so kept as text");
    }
}

/// A code that a person types: what is read is shown again as one that reads the same.
pub fn user_code(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(code) = text.parse::<UserCode>() {
        let shown = code.to_string();
        assert_eq!(shown.len(), 9, "two groups of four");
        assert_eq!(shown.parse::<UserCode>().expect("its own form"), code);
    }
}

/// The claims of an access token: nothing without our issuer and audience passes, nor after its time.
pub fn access_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = check_claims_unverified(text, &CONFIG, Duration::from_secs(1_700_000_000));
    let end_of_time = Duration::from_secs(u64::MAX);
    assert!(
        check_claims_unverified(text, &CONFIG, end_of_time).is_err(),
        "a token without end"
    );
}

/// A proof of possession: one that passes is of its time.
pub fn dpop_proof(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let url = "https://cloud.example/token".parse().expect("a URL");
    let mut settings = Dpop::default();
    settings.algorithms = vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256];
    let good = |seconds| {
        let wall = Duration::from_secs(seconds);
        check_proof_unverified(text, &http::Method::POST, &url, wall, &settings).ok()
    };
    let (then, later) = (good(1_700_000_000), good(1_800_000_000));
    assert!(then.is_none() || later.is_none(), "a proof without end");
}

/// A client's assertion: one that passes is of its time, and names whom it is of.
pub fn client_assertion(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut config = CONFIG.clone();
    config.client_assertions = Some(ClientAssertions::default());
    let good =
        |seconds| check_assertion_unverified(text, &config, Duration::from_secs(seconds)).ok();
    let (then, later) = (good(1_700_000_000), good(1_800_000_000));
    assert!(
        then.is_none() || later.is_none(),
        "an assertion without end"
    );
    assert!(check_assertion_unverified(text, &CONFIG, Duration::from_secs(1_700_000_000)).is_err());
}

/// The texts that registrations and requests are made of: what is read is written as it was, or as what reads the same.
pub fn text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = text.parse::<ClientKey>() {
        let written = String::from(key.clone());
        assert_eq!(written.parse::<ClientKey>().expect("its own text"), key);
    }
    if let Ok(resource) = text.parse::<Resource>() {
        assert_eq!(resource.as_str(), text, "compared as text, so kept as text");
    }
    if let Ok(scopes) = text.parse::<ScopeSet>() {
        let written = scopes.to_string();
        assert_eq!(written.parse::<ScopeSet>().expect("its own text"), scopes);
    }
    if let Ok(challenge) = PkceChallenge::try_from(text.to_owned()) {
        assert_eq!(challenge.as_str(), text);
    }
    let user = text.parse::<UserId>();
    let client = text.parse::<ClientId>();
    assert!(user.is_err() || client.is_err(), "a user or a client");
    let _ = PkceVerifier::new(text);
    let _ = SigningKey::new("k", Algorithm::Es256, text);
    let _ = Issuer::new(text);
}

/// The query of a callback, as the client reads it.
pub fn callback(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Callback::parse(text);
    }
}

/// A stored change, and a stored snapshot, of every ledger: what reads is written as what reads the same.
pub fn stored(bytes: &[u8]) {
    let bytes = Bytes::copy_from_slice(bytes);
    links::stored(&bytes);
    grants::stored(&bytes);
}
