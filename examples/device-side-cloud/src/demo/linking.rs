//! The story's own OAuth client: a second client-side cloud in a few lines, for tokens that the story needs to see.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::error::Error;

use super::browser::{Browser, Page};
use super::story::Story;

/// Where the story's client says it wants its codes; nobody listens there.
pub(crate) const REDIRECT_URI: &str = "https://localhost:1/callback";

/// A registered client of the story.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// The tokens of one link, and what they were got with.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    code: String,
    verifier: String,
}

/// Logs in and allows, on the pages of the authorization server.
///
/// # Errors
/// A page is not what it should be.
pub(crate) async fn log_in_and_allow(
    browser: &mut Browser,
    page: Page,
    user: &str,
    password: &str,
) -> Result<Page, Error> {
    let consent = browser
        .submit(&page, &[("username", user), ("password", password)])
        .await?;
    if consent.status != StatusCode::OK {
        return Err(Error::plain(format!(
            "after the login there should be a consent page, and there is {} at {}",
            consent.status, consent.uri
        )));
    }
    browser.submit(&consent, &[("decision", "allow")]).await
}

/// Links an account to the story's client, with PKCE S256, and redeems the code.
///
/// # Errors
/// The authorization server does not do its part.
pub(crate) async fn link(
    story: &mut Story,
    client: &Client,
    user: &str,
    password: &str,
    scope: &str,
) -> Result<Tokens, Error> {
    let verifier = URL_SAFE_NO_PAD.encode(clock::entropy::<32>()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", REDIRECT_URI)
        .append_pair("scope", scope)
        .append_pair("state", "story")
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .finish();
    let mut browser = Browser::new(story.http()?.clone()).stopping_at(REDIRECT_URI);
    let page = browser
        .open(&format!("{}/authorize?{query}", story.cloud_url()))
        .await?;
    let end = log_in_and_allow(&mut browser, page, user, password).await?;
    let code = code_in(&end.uri)
        .ok_or_else(|| Error::plain(format!("there is no code in {}", end.uri)))?;
    let (status, body) = redeem(story, client, &code, &verifier).await?;
    let text = |name: &str| {
        body.get(name)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
            .ok_or_else(|| Error::plain(format!("the token answer ({status}) has no {name}")))
    };
    let tokens = Tokens {
        access: text("access_token")?,
        refresh: text("refresh_token")?,
        code,
        verifier,
    };
    story.overheard(&browser);
    for (what, secret) in [
        ("an access token", &tokens.access),
        ("a refresh token", &tokens.refresh),
        ("an authorization code", &tokens.code),
        ("a code verifier", &tokens.verifier),
    ] {
        story.secrets.add(what, secret);
    }
    Ok(tokens)
}

/// The authorization code in the address that the browser was sent back to.
pub(crate) fn code_in(callback: &Uri) -> Option<String> {
    let query = callback.query().unwrap_or_default();
    form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "code")
        .map(|(_, value)| value.into_owned())
}

/// Gives a link's code to the authorization server once more, as a thief would.
///
/// # Errors
/// The server cannot be reached.
pub(crate) async fn redeem_again(
    story: &Story,
    client: &Client,
    tokens: &Tokens,
) -> Result<(StatusCode, Value), Error> {
    redeem(story, client, &tokens.code, &tokens.verifier).await
}

async fn redeem(
    story: &Story,
    client: &Client,
    code: &str,
    verifier: &str,
) -> Result<(StatusCode, Value), Error> {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", verifier),
    ];
    form(story, client, "/token", &fields).await
}

/// The header and the claims of a JWT (RFC 7519, 3).
///
/// # Errors
/// The token is none.
pub(crate) fn read_jwt(token: &str) -> Result<(Value, Value), Error> {
    let [header, claims, _signature] = token.split('.').collect::<Vec<_>>()[..] else {
        return Err(Error::plain("a JWT has three parts, and the token has not"));
    };
    let read = |part: &str| {
        let json = URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|cause| Error::new("a part of the token is not base64url", cause))?;
        serde_json::from_slice(&json)
            .map_err(|cause| Error::new("a part of the token is no JSON", cause))
    };
    Ok((read(header)?, read(claims)?))
}

/// Posts a form to an endpoint of the authorization server, with HTTP Basic.
///
/// # Errors
/// The server cannot be reached.
pub(crate) async fn form(
    story: &Story,
    client: &Client,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<(StatusCode, Value), Error> {
    let body = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let basic = base64::engine::general_purpose::STANDARD
        .encode(format!("{}:{}", client.id, client.secret));
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}{path}", story.cloud_url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("authorization", format!("Basic {basic}"))
        .body(Bytes::from(body))
        .map_err(|cause| Error::new("the request cannot be made", cause))?;
    let response = story.http()?.send(request).await?;
    let value = serde_json::from_slice(response.body()).unwrap_or_default();
    Ok((response.status(), value))
}
