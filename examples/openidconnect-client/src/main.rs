//! Links an account with the `openidconnect` crate, refreshes, introspects and revokes; `openidconnect-client TASK`, TASK in JSON.
//!
//! It says on standard output where a browser has to go, as `{"url":"..."}`, reads on standard input where the browser was sent,
//! and says in the end what it saw.

mod curl;

use std::error::Error;
use std::io::BufRead as _;

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreJsonWebKeySet, CoreRevocableToken,
};
use openidconnect::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, IntrospectionUrl,
    IssuerUrl, Nonce, OAuth2TokenResponse as _, PkceCodeChallenge, RedirectUrl, RequestTokenError,
    RevocationUrl, Scope, TokenIntrospectionResponse as _, TokenUrl,
};
use serde_json::{Value, json};

use curl::Curl;

fn main() -> Result<(), Box<dyn Error>> {
    let task: Value = serde_json::from_str(&std::env::args().nth(1).unwrap_or_default())?;
    let text = |name: &str| {
        task.get(name)
            .and_then(Value::as_str)
            .map(ToOwned::to_owned)
    };
    let needed = |name: &str| text(name).ok_or_else(|| format!("the task has no {name}"));
    let curl = Curl::new(needed("ca")?);

    // RFC 8414; what the crate reads itself is of OpenID Connect, which wants more than there is to be found.
    let issuer = needed("issuer")?;
    let url = format!("{issuer}/.well-known/oauth-authorization-server");
    let metadata: Value = serde_json::from_slice(&curl.get(&url, None)?.1)?;
    let at = |name: &str| {
        let found = metadata.get(name).and_then(Value::as_str);
        found
            .map(ToOwned::to_owned)
            .ok_or_else(|| format!("the metadata has no {name}"))
    };
    let auth_type = if needed("kind")? == "basic" {
        AuthType::BasicAuth
    } else {
        AuthType::RequestBody
    };
    let secret = text("client_secret").map(ClientSecret::new);
    let is_public = secret.is_none();
    let client = CoreClient::new(
        ClientId::new(needed("client_id")?),
        IssuerUrl::new(issuer)?,
        CoreJsonWebKeySet::default(),
    );
    let client = match secret {
        Some(secret) => client.set_client_secret(secret),
        None => client,
    };
    let client = client
        .set_auth_type(auth_type)
        .disable_openid_scope()
        .set_auth_uri(AuthUrl::new(at("authorization_endpoint")?)?)
        .set_token_uri(TokenUrl::new(at("token_endpoint")?)?)
        .set_introspection_url(IntrospectionUrl::new(at("introspection_endpoint")?)?)
        .set_revocation_url(RevocationUrl::new(at("revocation_endpoint")?)?)
        .set_redirect_uri(RedirectUrl::new(needed("redirect_uri")?)?);
    let send = |request| curl.send(&request);

    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, _) = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            CsrfToken::new_random,
            Nonce::new_random,
        )
        .add_scopes(["r:*", "w:*", "offline_access"].map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .url();
    say(&json!({ "url": url.as_str() }));
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    let answer = openidconnect::url::Url::parse(answer.trim())?;
    let of_answer = |name: &str| {
        let mut pairs = answer.query_pairs();
        let found = pairs
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned());
        found.ok_or_else(|| format!("the answer has no {name}"))
    };
    if of_answer("state")? != *state.secret() {
        return Err("the answer is to another request".into());
    }

    let devices = needed("devices")?;
    let status = |token: &str| curl.get(&devices, Some(token)).map(|(status, _)| status);
    let first = client
        .exchange_code(AuthorizationCode::new(of_answer("code")?))
        .set_pkce_verifier(verifier)
        .request(&send)?;
    let linked = status(first.access_token().secret())?;
    let held = first.refresh_token().ok_or("no refresh token")?;
    let second = client.exchange_refresh_token(held).request(&send)?;
    let refreshed = status(second.access_token().secret())?;
    // A client whose refresh token stays is not given it again.
    let newest = second.refresh_token().unwrap_or(held);
    let mut told = json!({
        "linked": linked,
        "refreshed": refreshed,
        "rotated": newest.secret() != held.secret(),
    });
    let mut tell = |name: &str, value: Value| {
        if let Some(told) = told.as_object_mut() {
            told.insert(name.to_owned(), value);
        }
    };
    let is_active = || -> Result<bool, Box<dyn Error>> {
        Ok(client
            .introspect(second.access_token())
            .request(&send)?
            .active())
    };
    if !is_public {
        tell("active", is_active()?.into());
    }
    client
        .revoke_token(CoreRevocableToken::from(newest.clone()))?
        .request(&send)?;
    tell("revoked", status(second.access_token().secret())?.into());
    if !is_public {
        tell("active_after", is_active()?.into());
    }
    match client.exchange_refresh_token(newest).request(&send) {
        Ok(_) => {}
        Err(RequestTokenError::ServerResponse(refused)) => {
            tell("refused", refused.error().as_ref().into())
        }
        Err(other) => return Err(other.into()),
    }
    say(&told);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what whoever started it reads")]
fn say(line: &Value) {
    println!("{line}");
}
