//! `POST {eventsUrl}`
//!
//! Tells a client cloud what happened.
//! Definition: `oic.r.cloudapiforcloudservices`, `{eventsUrl}`.

use alloc::format;

use bytes::Bytes;
use http::{Method, StatusCode, Uri};

use super::{
    AuthScheme, Endpoint, EventSignature, IncomingRequest, IncomingResponse, OutgoingRequest,
    OutgoingResponse, answer, message,
};
use crate::{
    content::Content,
    error::{Error, ErrorKind},
    event::{EventType, NotificationHeaders, SigningKey},
};

/// The request.
///
/// The events URL is the whole address: pass it as `base`, its path and query are kept.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// Which notification of which subscription.
    pub headers: NotificationHeaders,
    /// The body, as [`Event::encode`](crate::Event::encode) makes it; none for `subscription_cancelled`.
    pub content: Option<Content>,
}

impl Request {
    /// A notification.
    #[must_use]
    pub const fn new(headers: NotificationHeaders, content: Option<Content>) -> Self {
        Self { headers, content }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "";
    type Authentication = EventSignature;
    type Response = Response;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &SigningKey,
    ) -> Result<http::Request<Bytes>, Error> {
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = Self::METHOD;
        *request.uri_mut() = base.clone();
        let headers = request.headers_mut();
        for (name, text) in [
            (
                NotificationHeaders::EVENT_TYPE,
                self.headers.event_type.as_str(),
            ),
            (
                NotificationHeaders::SUBSCRIPTION_ID,
                &format!("{}", self.headers.subscription_id),
            ),
            (
                NotificationHeaders::SEQUENCE_NUMBER,
                &format!("{}", self.headers.sequence_number),
            ),
            (
                NotificationHeaders::EVENT_TIMESTAMP,
                &format!("{}", self.headers.timestamp),
            ),
        ] {
            headers.insert(name, message::header_value(text)?);
        }
        if let Some(id) = &self.headers.correlation_id {
            headers.insert(
                NotificationHeaders::CORRELATION_ID,
                message::header_value(id.as_str())?,
            );
        }
        if let Some(content) = self.content {
            message::set_content_type(headers, content.format());
            *request.body_mut() = content.into_body();
        }
        EventSignature::add(&mut request, credentials)?;
        Ok(request)
    }
}

impl IncomingRequest for Request {
    fn try_from_http_request(request: &http::Request<Bytes>, _: &[&str]) -> Result<Self, Error> {
        let headers = NotificationHeaders::parse(|name| {
            // A repeated or unreadable header counts as missing.
            message::single_header(request.headers(), name)
                .ok()
                .flatten()
        })?;
        // The definition has no 415 here: a wrong media type is one malformed header among others.
        let content = message::optional_content(request.headers(), request.body())
            .map_err(message::invalid_header)?;
        if content.is_none() && headers.event_type != EventType::SubscriptionCancelled {
            return Err(Error::new(ErrorKind::InvalidHeader));
        }
        Ok(Self { headers, content })
    }
}

/// The answer: received. Any 2xx says so; it is written as 200, because a sender in the field takes no other.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response;

impl OutgoingResponse for Response {
    fn try_into_http_response(self) -> Result<http::Response<Bytes>, Error> {
        Ok(answer::empty(StatusCode::OK))
    }
}

impl IncomingResponse for Response {
    fn try_from_http_response(_: &http::Response<Bytes>) -> Result<Self, Error> {
        Ok(Self)
    }
}
