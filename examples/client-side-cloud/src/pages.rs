//! The few pages that a person sees.

use axum::response::{Html, IntoResponse, Response};
use http::header::{self, HeaderName};
use http::{HeaderValue, StatusCode};

/// Where a person begins.
pub(crate) fn start() -> Response {
    page(
        StatusCode::OK,
        "Client-side cloud",
        "<form action=\"/link\" method=\"get\"><p><label>Your name here <input name=\"user\" required></label> \
         <button>Link your account at the device-side cloud</button></p></form>",
    )
}

/// The account is linked.
pub(crate) fn linked() -> Response {
    page(
        StatusCode::OK,
        "Linked",
        "<p>Your account is linked. You can close this page.</p>",
    )
}

/// The account is not linked.
pub(crate) fn not_linked() -> Response {
    page(
        StatusCode::OK,
        "Not linked",
        "<p>Your account was not linked.</p><p><a href=\"/\">Begin again</a></p>",
    )
}

/// Something is wrong with what was asked for; nothing of it is shown.
pub(crate) fn refused(status: StatusCode) -> Response {
    page(
        status,
        "Not possible",
        "<p>That is not possible now.</p><p><a href=\"/\">Begin again</a></p>",
    )
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title></head>\
         <body><h1>{title}</h1>{body}</body></html>"
    );
    let mut response = (status, Html(html)).into_response();
    protect(&mut response);
    response
}

/// What every answer to a browser carries: it is not framed, not kept, and tells no one where it came from.
pub(crate) fn protect(response: &mut Response) {
    let fields: [(HeaderName, &str); 7] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fields {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
}
