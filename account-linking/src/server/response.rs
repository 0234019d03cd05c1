//! Answers: JSON, redirects and pages, each with the headers it must have.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, PRAGMA, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::server::access_token::{Algorithm, Refusal};
use crate::server::authorize::AuthorizeError;
use crate::server::dpop::DpopNonce;

/// The error codes of the token, revocation, introspection, pushed request and device authorization
/// endpoints (RFC 6749 5.2, RFC 8628 3.5, RFC 8707 2, RFC 9126 2.3, RFC 9449 5 and 8).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TokenError {
    InvalidRequest,
    InvalidClient {
        by_header: bool,
    },
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    InvalidDpopProof,
    UseDpopNonce,
    /// What is wrong with an authorization request that came from the client itself.
    Refused(AuthorizeError),
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    TemporarilyUnavailable,
}

impl TokenError {
    fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient { .. } => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::Refused(error) => error.code(),
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient { .. } => StatusCode::UNAUTHORIZED,
            Self::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::InvalidScope
            | Self::InvalidTarget
            | Self::InvalidDpopProof
            | Self::UseDpopNonce
            | Self::Refused(_)
            | Self::AuthorizationPending
            | Self::SlowDown
            | Self::AccessDenied
            | Self::ExpiredToken => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn response(self) -> Response<Bytes> {
        let mut response = json(self.status(), &json!({ "error": self.code() }));
        if self == (Self::InvalidClient { by_header: true }) {
            let challenge = HeaderValue::from_static(r#"Basic realm="token", charset="UTF-8""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        say_when_to_come_again(&mut response);
        response
    }
}

/// Whoever cannot be answered now may try again soon.
fn say_when_to_come_again(response: &mut Response<Bytes>) {
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        let soon = HeaderValue::from_static("1");
        response.headers_mut().insert(RETRY_AFTER, soon);
    }
}

/// A JSON answer that no cache may keep (RFC 6749 5.1).
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let mut response = public_json(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// As long as most JSON answers are, or longer.
const USUAL_LENGTH: usize = 1024;

/// A JSON answer that is the same for everyone.
pub(crate) fn public_json(body: &impl Serialize) -> Response<Bytes> {
    let mut text = Vec::with_capacity(USUAL_LENGTH);
    // Only a map whose keys are no texts cannot be written, and there is none.
    let _ = serde_json::to_writer(&mut text, body);
    let mut response = Response::new(Bytes::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// The answer of a resource that takes an access token.
pub(crate) fn token_refusal(refusal: Refusal, dpop: &[Algorithm]) -> Response<Bytes> {
    let mut response = empty(refusal.status());
    let challenge = refusal.challenge_with_dpop(dpop);
    if let Some(Ok(challenge)) = challenge.map(HeaderValue::try_from) {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    if let Some(nonce) = refusal.dpop_nonce() {
        say_nonce(&mut response, nonce);
    }
    say_when_to_come_again(&mut response);
    response
}

/// The nonce of the next proof (RFC 9449 8.2).
pub(crate) fn say_nonce(response: &mut Response<Bytes>, nonce: DpopNonce) {
    if let Ok(nonce) = HeaderValue::try_from(nonce.to_string()) {
        let name = HeaderName::from_static("dpop-nonce");
        response.headers_mut().insert(name, nonce);
    }
}

/// An answer without a body that no cache may keep.
pub(crate) fn empty(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

/// 405 with the methods that are allowed.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Response<Bytes> {
    let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

/// A page with the headers that every page carries.
pub(crate) fn page(status: StatusCode, html: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    protect(&mut response);
    say_when_to_come_again(&mut response);
    response
}

/// 303, so that no form is ever sent on (RFC 9700 4.12).
pub(crate) fn see_other(location: &str) -> Response<Bytes> {
    let Ok(location) = HeaderValue::from_str(location) else {
        return empty(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, location);
    protect(&mut response);
    response
}

fn protect(response: &mut Response<Bytes>) {
    // No `form-action`: some browsers apply it to the redirect that answers the consent form.
    const PAGE_HEADERS: [(&str, &str); 8] = [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=31536000"),
        ("cross-origin-opener-policy", "same-origin"),
        (
            "permissions-policy",
            // Chromium complains about names that it does not know, so `bluetooth` and `web-share`, which it has on some
            // systems only, are not among them.
            "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), \
             fullscreen=(), geolocation=(), gyroscope=(), hid=(), identity-credentials-get=(), \
             idle-detection=(), magnetometer=(), microphone=(), midi=(), payment=(), \
             publickey-credentials-create=(), publickey-credentials-get=(), screen-wake-lock=(), \
             serial=(), storage-access=(), usb=(), window-management=(), xr-spatial-tracking=()",
        ),
    ];
    for (name, value) in PAGE_HEADERS {
        let name = HeaderName::from_static(name);
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}
