//! `POST /devices/subscriptions`
//!
//! Subscribes to the set of devices.
//! Definition: `oic.r.cloudapiforcloudservices`, `/api/v1/devices/subscriptions`.

use bytes::Bytes;
use http::{Method, Uri};

use super::{
    AccessToken, BearerToken, Endpoint, IncomingRequest, OutgoingRequest, RequestOptions,
    Subscribed, message,
};
use crate::{error::Error, event::SubscriptionLevel, subscription::SubscribeBody};

/// The request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Where to notify, what, and how it is signed.
    pub body: SubscribeBody,
    /// Headers. `accept` is the format of the notifications, `correlation_id` goes into each of them.
    pub options: RequestOptions,
}

impl Request {
    /// A request without optional headers.
    #[must_use]
    pub fn new(body: SubscribeBody) -> Self {
        Self {
            body,
            options: RequestOptions::default(),
        }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/devices/subscriptions";
    type Authentication = BearerToken;
    type Response = Subscribed;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &AccessToken,
    ) -> Result<http::Request<Bytes>, Error> {
        let content = Some(self.body.encode()?);
        message::outgoing::<Self>(base, &[], None, &self.options, content, credentials)
    }
}

impl IncomingRequest for Request {
    fn try_from_http_request(request: &http::Request<Bytes>, _: &[&str]) -> Result<Self, Error> {
        Ok(Self {
            body: message::subscribe_body(SubscriptionLevel::Devices, request)?,
            options: RequestOptions::from_headers(request.headers())?,
        })
    }
}
