//! Answers that several endpoints share.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

use super::{IncomingResponse, OutgoingResponse, message};
use crate::{
    content::{Content, ContentFormat},
    error::Error,
    ids::SubscriptionId,
    limits::Limits,
};

/// A response with this status and nothing else.
pub(super) fn empty(status: StatusCode) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

/// A response with content whose format was negotiated.
pub(super) fn negotiated(content: Content) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    let headers = response.headers_mut();
    message::set_content_type(headers, content.format());
    // RFC 9110, 12.5.5: a cache must not hand it to a client that asked for the other format.
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    *response.body_mut() = content.into_body();
    response
}

/// The answer of a resource: its representation, when there is one.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Representation {
    /// What the device sent.
    pub content: Option<Content>,
}

impl Representation {
    /// An answer with what the device sent, if anything.
    #[must_use]
    pub const fn new(content: Option<Content>) -> Self {
        Self { content }
    }
}

impl OutgoingResponse for Representation {
    fn try_into_http_response(self) -> Result<http::Response<Bytes>, Error> {
        // 200 also without a body: a peer in the field takes 204 for an error.
        Ok(self
            .content
            .map_or_else(|| empty(StatusCode::OK), negotiated))
    }
}

impl IncomingResponse for Representation {
    fn try_from_http_response(response: &http::Response<Bytes>) -> Result<Self, Error> {
        message::optional_content(response.headers(), response.body()).map(Self::new)
    }
}

/// The answer to a subscribe request.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Subscribed {
    /// The subscription that was made.
    #[serde(rename = "subscriptionId")]
    pub subscription_id: SubscriptionId,
}

impl Subscribed {
    /// The answer that names this subscription.
    #[must_use]
    pub const fn new(subscription_id: SubscriptionId) -> Self {
        Self { subscription_id }
    }
}

impl OutgoingResponse for Subscribed {
    fn try_into_http_response(self) -> Result<http::Response<Bytes>, Error> {
        // Always JSON: the request's `Accept` is for the notifications.
        let content = Content::encode(ContentFormat::Json, &self)?;
        let mut response = empty(StatusCode::CREATED);
        message::set_content_type(response.headers_mut(), content.format());
        *response.body_mut() = content.into_body();
        Ok(response)
    }
}

impl IncomingResponse for Subscribed {
    fn try_from_http_response(response: &http::Response<Bytes>) -> Result<Self, Error> {
        message::content(response.headers(), response.body())?.decode_as(&Limits::default())
    }
}

/// The answer to an unsubscribe request: accepted, the subscription ends.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Unsubscribed;

impl OutgoingResponse for Unsubscribed {
    fn try_into_http_response(self) -> Result<http::Response<Bytes>, Error> {
        Ok(empty(StatusCode::ACCEPTED))
    }
}

impl IncomingResponse for Unsubscribed {
    fn try_from_http_response(_: &http::Response<Bytes>) -> Result<Self, Error> {
        Ok(Self)
    }
}
