//! The answers to HTTP requests.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use crate::authorization::Refusal;
use crate::error::{Error, ErrorKind};
use crate::router::RouteError;
use crate::status::wants_retry_after;

/// An answer that is not a success: a status, a header that explains it, and a sentence for a person.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    header: Option<(HeaderName, HeaderValue)>,
    negotiated: bool,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: &str) -> Self {
        Self {
            status,
            header: None,
            negotiated: false,
            detail: detail.to_owned(),
        }
    }

    fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let detail = match refusal {
            Refusal::Unauthenticated => "a bearer token is needed",
            Refusal::InvalidToken => "the bearer token is not valid",
            Refusal::InsufficientScope { .. } => "the bearer token lacks a scope",
        };
        Self::new(refusal.status(), detail).with_header(WWW_AUTHENTICATE, refusal.challenge())
    }

    pub(crate) fn bad_request(detail: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn not_acceptable() -> Self {
        let detail = "only application/json and application/vnd.ocf+cbor are offered";
        let mut problem = Self::new(StatusCode::NOT_ACCEPTABLE, detail);
        problem.negotiated = true;
        problem
    }

    pub(crate) fn content_too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long")
    }

    pub(crate) fn try_again(status: StatusCode, detail: &str, after: Duration) -> Self {
        Self::new(status, detail).with_header(RETRY_AFTER, HeaderValue::from(whole_seconds(after)))
    }

    pub(crate) fn failed(error: &Error, retry_after: Duration) -> Self {
        let detail = match std::error::Error::source(error) {
            // Of the other kinds the source is not for the client.
            Some(reason) if error.kind() == ErrorKind::Full => format!("{error}: {reason}"),
            _ => error.to_string(),
        };
        match error.status() {
            StatusCode::UNAUTHORIZED => Self::refused(Refusal::InvalidToken),
            status if wants_retry_after(status) => Self::try_again(status, &detail, retry_after),
            status => Self::new(status, &detail),
        }
    }

    /// A device refused the method; what it may take instead is the other one.
    pub(crate) fn method_not_allowed(allow: &'static str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "the method is not allowed here",
        )
        .with_header(ALLOW, HeaderValue::from_static(allow))
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(self.detail));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if let Some((name, value)) = self.header {
            headers.insert(name, value);
        }
        if self.negotiated {
            headers.insert(VARY, HeaderValue::from_static("Accept"));
        }
        response
    }
}

impl From<RouteError> for Problem {
    fn from(error: RouteError) -> Self {
        match error {
            RouteError::Malformed(problem) => Self::bad_request(&problem.to_string()),
            RouteError::NotFound => Self::new(StatusCode::NOT_FOUND, "not found"),
            RouteError::MethodNotAllowed { allow } => Self::method_not_allowed(allow),
        }
    }
}

/// What a peer sent cannot be read. The model's errors repeat nothing of it.
impl From<uci_model::Error> for Problem {
    fn from(error: uci_model::Error) -> Self {
        let detail = match std::error::Error::source(&error) {
            Some(reason) => format!("{error}: {reason}"),
            None => error.to_string(),
        };
        Self::new(error.status(), &detail)
    }
}

/// Rounded up, so that nobody comes back too early.
fn whole_seconds(duration: Duration) -> u64 {
    let more = u64::from(duration.subsec_nanos() > 0);
    duration.as_secs().saturating_add(more)
}
