//! The bridge to the `oauth2` crate, and the only file that names it.
//!
//! That crate sends its requests itself. It does so through a closure, so a closure that keeps the request and fails
//! gives the request (capture), and one that returns the response gives its decoded form (replay).

use core::cell::RefCell;
use core::convert::Infallible;
use core::fmt;
use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use oauth2::basic::{
    BasicClient, BasicErrorResponseType, BasicRevocationErrorResponse, BasicTokenType,
};
use oauth2::{
    AuthType, AuthUrl, ClientId, CsrfToken, HttpRequest, HttpResponse, IntrospectionUrl,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError,
    RevocationErrorResponseType, RevocationUrl, Scope, StandardRevocableToken,
    TokenIntrospectionResponse, TokenResponse, TokenUrl,
};
use url::Url;

use super::callback::ErrorCode;
use super::cloud::{ClientAuthentication, Cloud};
use super::identity;
use super::token::TokenSet;
use crate::error::{Error, ErrorKind};
use crate::pkce::PkceVerifier;
use crate::redirect_uri::RedirectUri;
use crate::secret::{AccessToken, AuthorizationCode, RefreshToken};

/// What is asked of an authorization server.
pub(super) enum Question<'a> {
    /// RFC 6749, 4.1.3.
    Code {
        code: &'a AuthorizationCode,
        verifier: Option<&'a PkceVerifier>,
        redirect_uri: &'a RedirectUri,
    },
    /// RFC 6749, 6.
    Refresh(&'a RefreshToken),
    /// RFC 7662, 2.1.
    Introspect(&'a AccessToken),
    /// RFC 7009, 2.1.
    RevokeRefresh(&'a RefreshToken),
    /// RFC 7009, 2.1.
    RevokeAccess(&'a AccessToken),
}

/// What an authorization server answered.
#[derive(Debug)]
pub(super) enum Answer<T> {
    /// Success.
    Given(T),
    /// An error of RFC 6749, 5.2.
    Refused(ErrorCode),
    /// Anything that says nothing about the grant: 5xx, a redirect, a malformed body.
    Unclear,
}

/// The authorization request as an address.
pub(super) fn authorization_url(
    cloud: &Cloud,
    state: &str,
    verifier: Option<&PkceVerifier>,
) -> Result<Url, Error> {
    let redirect_uri = redirect_url(&cloud.redirect_uri)?;
    let client = BasicClient::new(ClientId::new(cloud.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(cloud.authorization_endpoint.clone()));
    let scopes = cloud
        .scopes
        .iter()
        .map(|scope| Scope::new(scope.as_str().to_owned()));
    let mut request = client
        .authorize_url(|| CsrfToken::new(state.to_owned()))
        .set_redirect_uri(Cow::Owned(redirect_uri))
        .add_scopes(scopes);
    if let Some(verifier) = verifier {
        let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
        request =
            request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    }
    Ok(request.url().0)
}

/// The request that asks `question` of `cloud`.
pub(super) fn request(
    cloud: &Cloud,
    question: &Question<'_>,
) -> Result<http::Request<Bytes>, Error> {
    let captured = RefCell::new(None);
    let capture = |request: HttpRequest| -> Result<HttpResponse, Captured> {
        captured.replace(Some(request));
        Err(Captured)
    };
    let client = client(cloud);
    // The results are the closure's own failure and say nothing.
    match question {
        Question::Code {
            code,
            verifier,
            redirect_uri,
        } => {
            let mut exchange = client
                .exchange_code(oauth2::AuthorizationCode::new(code.expose().to_owned()))
                .set_redirect_uri(Cow::Owned(redirect_url(redirect_uri)?));
            if let Some(verifier) = verifier {
                exchange =
                    exchange.set_pkce_verifier(PkceCodeVerifier::new(verifier.expose().to_owned()));
            }
            drop(exchange.request(&capture));
        }
        Question::Refresh(token) => {
            let token = oauth2::RefreshToken::new(token.expose().to_owned());
            drop(client.exchange_refresh_token(&token).request(&capture));
        }
        Question::Introspect(token) => {
            let endpoint = cloud
                .introspection_endpoint
                .clone()
                .ok_or(ErrorKind::InvalidConfig)?;
            let client = client.set_introspection_url(IntrospectionUrl::from_url(endpoint));
            let token = oauth2::AccessToken::new(token.expose().to_owned());
            drop(client.introspect(&token).request(&capture));
        }
        Question::RevokeRefresh(token) => {
            revoke(
                cloud,
                oauth2::RefreshToken::new(token.expose().to_owned()).into(),
                &capture,
            )?;
        }
        Question::RevokeAccess(token) => {
            revoke(
                cloud,
                oauth2::AccessToken::new(token.expose().to_owned()).into(),
                &capture,
            )?;
        }
    }
    let mut request = captured
        .into_inner()
        .ok_or(ErrorKind::InvalidConfig)?
        .map(Bytes::from);
    request
        .headers_mut()
        .insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    Ok(request)
}

/// Reads the answer to a code or refresh request.
pub(super) fn tokens(cloud: &Cloud, response: &http::Response<Bytes>) -> Answer<TokenSet> {
    // How an answer is read does not depend on the grant type, so any request may replay it.
    let client = client(cloud);
    let answer = client
        .exchange_client_credentials()
        .request(&replay(response));
    let answer = match answer {
        Ok(answer) => answer,
        Err(RequestTokenError::ServerResponse(error)) => return refusal(response, error.error()),
        Err(_) => return Answer::Unclear,
    };
    let Ok(access_token) = AccessToken::new(answer.access_token().secret().clone()) else {
        return Answer::Unclear;
    };
    let refresh_token = match answer
        .refresh_token()
        .map(|token| RefreshToken::new(token.secret().clone()))
    {
        None => None,
        Some(Ok(token)) => Some(token),
        Some(Err(_)) => return Answer::Unclear,
    };
    let scopes = answer.scopes().map(|words| {
        words
            .iter()
            .map(|word| word.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    });
    let Ok(scopes) = scopes.map(|text| text.parse()).transpose() else {
        return Answer::Unclear;
    };
    Answer::Given(TokenSet {
        access_token,
        refresh_token,
        expires_in: answer.expires_in(),
        scopes,
        is_bearer: *answer.token_type() == BasicTokenType::Bearer,
    })
}

/// Reads the answer to an introspection request: the subject of an active token, `None` when it is not active or has none.
pub(super) fn subject(cloud: &Cloud, response: &http::Response<Bytes>) -> Answer<Option<String>> {
    let Some(endpoint) = cloud.introspection_endpoint.clone() else {
        return Answer::Unclear;
    };
    let client = client(cloud).set_introspection_url(IntrospectionUrl::from_url(endpoint));
    let token = oauth2::AccessToken::new(String::new());
    match client.introspect(&token).request(&replay(response)) {
        Ok(answer) => {
            let subject = answer.sub().filter(|_| answer.active()).map(str::to_owned);
            Answer::Given(subject.and_then(identity::checked))
        }
        Err(RequestTokenError::ServerResponse(error)) => refusal(response, error.error()),
        Err(_) => Answer::Unclear,
    }
}

/// Reads the answer to a revocation request (RFC 7009, 2.2): a type that cannot be revoked is as good as revoked.
pub(super) fn revoked(cloud: &Cloud, response: &http::Response<Bytes>) -> Answer<()> {
    let Some(endpoint) = cloud.revocation_endpoint.clone() else {
        return Answer::Unclear;
    };
    let client = client(cloud).set_revocation_url(RevocationUrl::from_url(endpoint));
    let token = StandardRevocableToken::from(oauth2::AccessToken::new(String::new()));
    let Ok(request) = client.revoke_token(token) else {
        return Answer::Unclear;
    };
    match request.request(&replay(response)) {
        Ok(()) => Answer::Given(()),
        Err(RequestTokenError::ServerResponse(error)) => match error.error() {
            RevocationErrorResponseType::UnsupportedTokenType => Answer::Given(()),
            RevocationErrorResponseType::Basic(error) => refusal(response, error),
        },
        Err(_) => Answer::Unclear,
    }
}

/// The seconds that a response asks to wait (RFC 9110, 10.2.3; the date form is not read).
pub(super) fn retry_after(response: &http::Response<Bytes>) -> Option<core::time::Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    value
        .trim()
        .parse()
        .ok()
        .map(core::time::Duration::from_secs)
}

type Client = BasicClient<
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointSet,
>;

fn client(cloud: &Cloud) -> Client {
    let client = BasicClient::new(ClientId::new(cloud.client_id.clone()))
        .set_token_uri(TokenUrl::from_url(cloud.token_endpoint.clone()));
    let secret = |secret: &crate::secret::ClientSecret| {
        oauth2::ClientSecret::new(secret.expose().to_owned())
    };
    match &cloud.authentication {
        ClientAuthentication::Basic(password) => client
            .set_auth_type(AuthType::BasicAuth)
            .set_client_secret(secret(password)),
        ClientAuthentication::Body(password) => client
            .set_auth_type(AuthType::RequestBody)
            .set_client_secret(secret(password)),
        ClientAuthentication::Public => client.set_auth_type(AuthType::RequestBody),
    }
}

fn revoke(
    cloud: &Cloud,
    token: StandardRevocableToken,
    capture: &impl Fn(HttpRequest) -> Result<HttpResponse, Captured>,
) -> Result<(), Error> {
    let endpoint = cloud
        .revocation_endpoint
        .clone()
        .ok_or(ErrorKind::InvalidConfig)?;
    let client = client(cloud).set_revocation_url(RevocationUrl::from_url(endpoint));
    let request = client
        .revoke_token(token)
        .map_err(|error| Error::new(ErrorKind::InvalidConfig, error))?;
    let _: Result<(), RequestTokenError<Captured, BasicRevocationErrorResponse>> =
        request.request(capture);
    Ok(())
}

fn redirect_url(uri: &RedirectUri) -> Result<RedirectUrl, Error> {
    RedirectUrl::new(uri.as_str().to_owned())
        .map_err(|error| Error::new(ErrorKind::InvalidRedirectUri, error))
}

fn replay(
    response: &http::Response<Bytes>,
) -> impl Fn(HttpRequest) -> Result<HttpResponse, Infallible> {
    let response = response.clone().map(|body| body.to_vec());
    move |_| Ok(response.clone())
}

/// An error of RFC 6749, 5.2 counts only with a status that the standard gives it; a 5xx with the same body is a fault.
fn refusal<T>(response: &http::Response<Bytes>, error: &BasicErrorResponseType) -> Answer<T> {
    if matches!(response.status().as_u16(), 400 | 401) {
        Answer::Refused(ErrorCode::from_peer(error.as_ref()))
    } else {
        Answer::Unclear
    }
}

/// The failure that the capturing closure returns.
#[derive(Debug)]
struct Captured;

impl fmt::Display for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was captured and not sent")
    }
}

impl core::error::Error for Captured {}

#[cfg(test)]
mod tests;
