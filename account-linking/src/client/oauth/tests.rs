use super::*;
use crate::secret::ClientSecret;

fn cloud(authentication: ClientAuthentication) -> Cloud {
    let mut cloud = Cloud::new(
        "devices".parse().unwrap(),
        "https://as.example",
        "https://as.example/authorize",
        "https://as.example/token",
        "me:1",
        authentication,
        "https://me.example/callback".parse().unwrap(),
    )
    .unwrap();
    cloud.revocation_endpoint = Some("https://as.example/revoke".parse().unwrap());
    cloud.introspection_endpoint = Some("https://as.example/introspect".parse().unwrap());
    cloud
}

fn response(status: u16, body: &str) -> http::Response<Bytes> {
    http::Response::builder()
        .status(status)
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

fn body(request: &http::Request<Bytes>) -> &str {
    core::str::from_utf8(request.body()).unwrap()
}

#[test]
fn each_way_to_authenticate_is_what_rfc_6749_says() {
    let secret = || ClientSecret::new("p w").unwrap();
    let token = RefreshToken::new("r/1").unwrap();
    let ask = |authentication| request(&cloud(authentication), &Question::Refresh(&token)).unwrap();

    let basic = ask(ClientAuthentication::Basic(secret()));
    // Both parts are form-encoded before base64: "me%3A1:p+w".
    assert_eq!(basic.headers()["authorization"], "Basic bWUlM0ExOnArdw==");
    assert_eq!(body(&basic), "grant_type=refresh_token&refresh_token=r%2F1");

    let in_body = ask(ClientAuthentication::Body(secret()));
    assert!(!in_body.headers().contains_key("authorization"));
    assert_eq!(
        body(&in_body),
        "grant_type=refresh_token&refresh_token=r%2F1&client_id=me%3A1&client_secret=p+w"
    );

    let public = ask(ClientAuthentication::Public);
    assert_eq!(
        body(&public),
        "grant_type=refresh_token&refresh_token=r%2F1&client_id=me%3A1"
    );
}

#[test]
fn a_code_goes_with_its_verifier_and_the_stored_redirect_uri() {
    let cloud = cloud(ClientAuthentication::Public);
    let code = AuthorizationCode::new("c").unwrap();
    let verifier = PkceVerifier::generate([7; 32]);
    let redirect_uri = "https://me.example/callback".parse().unwrap();
    let question = Question::Code {
        code: &code,
        verifier: Some(&verifier),
        redirect_uri: &redirect_uri,
    };
    let request = request(&cloud, &question).unwrap();
    assert_eq!(
        (request.method(), request.uri().to_string().as_str()),
        (&http::Method::POST, "https://as.example/token")
    );
    let expected = format!(
        "grant_type=authorization_code&code=c&code_verifier={}&client_id=me%3A1&redirect_uri=https%3A%2F%2Fme.example%2Fcallback",
        verifier.expose()
    );
    assert_eq!(body(&request), expected);
}

#[test]
fn tokens_are_read_and_anything_else_is_unclear() {
    let cloud = cloud(ClientAuthentication::Public);
    let read = |status, body: &str| tokens(&cloud, &response(status, body));
    let Answer::Given(given) = read(
        200,
        r#"{"access_token":"a","token_type":"bEaReR","expires_in":60,"scope":"r:* w:*"}"#,
    ) else {
        panic!("not read")
    };
    assert_eq!((given.access_token.expose(), given.is_bearer), ("a", true));
    assert_eq!(
        (given.expires_in, given.refresh_token),
        (Some(core::time::Duration::from_secs(60)), None)
    );
    assert_eq!(given.scopes, Some("r:* w:*".parse().unwrap()));

    for (status, body) in [
        (200, ""),
        (200, "{}"),
        (200, r#"{"access_token":"a"}"#),
        (200, r#"{"access_token":"","token_type":"bearer"}"#),
        (
            200,
            "{\"access_token\":\"a\\nb\",\"token_type\":\"bearer\"}",
        ),
        (201, r#"{"access_token":"a","token_type":"bearer"}"#),
        (302, r#"{"error":"invalid_grant"}"#),
        (400, "<html>"),
        (503, r#"{"error":"temporarily_unavailable"}"#),
    ] {
        assert!(
            matches!(read(status, body), Answer::Unclear),
            "{status} {body}"
        );
    }
    assert!(
        matches!(read(400, r#"{"error":"invalid_grant"}"#), Answer::Refused(code) if code.as_str() == "invalid_grant")
    );
    assert!(
        matches!(read(401, r#"{"error":"odd"}"#), Answer::Refused(code) if code.as_str() == "odd")
    );
}

#[test]
fn only_an_active_token_has_a_subject() {
    let cloud = cloud(ClientAuthentication::Public);
    let read = |body: &str| subject(&cloud, &response(200, body));
    assert!(
        matches!(read(r#"{"active":true,"sub":"u-1"}"#), Answer::Given(Some(subject)) if subject == "u-1")
    );
    assert!(matches!(
        read(r#"{"active":false,"sub":"u-1"}"#),
        Answer::Given(None)
    ));
    assert!(matches!(read(r#"{"active":true}"#), Answer::Given(None)));
    assert!(matches!(read(r#"{"sub":"u-1"}"#), Answer::Unclear));
}

#[test]
fn a_token_type_that_cannot_be_revoked_is_as_good_as_revoked() {
    let cloud = cloud(ClientAuthentication::Public);
    let read = |status, body: &str| revoked(&cloud, &response(status, body));
    assert!(matches!(read(200, ""), Answer::Given(())));
    assert!(matches!(
        read(400, r#"{"error":"unsupported_token_type"}"#),
        Answer::Given(())
    ));
    assert!(matches!(
        read(401, r#"{"error":"invalid_client"}"#),
        Answer::Refused(_)
    ));
    assert!(matches!(read(503, ""), Answer::Unclear));
}

#[test]
fn retry_after_is_read_in_seconds() {
    let mut answer = response(503, "");
    assert_eq!(retry_after(&answer), None);
    answer
        .headers_mut()
        .insert(RETRY_AFTER, http::HeaderValue::from_static("120"));
    assert_eq!(
        retry_after(&answer),
        Some(core::time::Duration::from_secs(120))
    );
}
