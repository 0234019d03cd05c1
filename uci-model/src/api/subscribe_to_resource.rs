//! `POST /devices/{deviceId}/{resourceLinkHref}/subscriptions`
//!
//! Subscribes to the representation of one resource.
//! Definition: `oic.r.cloudapiforcloudservices`, `/api/v1/devices/{deviceId}/{resourceLinkHref}/subscriptions`.

use alloc::string::ToString;

use bytes::Bytes;
use http::{Method, Uri};

use super::{
    AccessToken, BearerToken, Endpoint, IncomingRequest, OutgoingRequest, RequestOptions,
    Subscribed, message,
};
use crate::{
    error::Error, event::SubscriptionLevel, href::Href, ids::DeviceId, subscription::SubscribeBody,
};

/// The request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The device.
    pub device_id: DeviceId,
    /// The resource, as its device or as a link of its cloud names it.
    pub href: Href,
    /// Where to notify, what, and how it is signed.
    pub body: SubscribeBody,
    /// Headers. `accept` is the format of the notifications, `correlation_id` goes into each of them.
    pub options: RequestOptions,
}

impl Request {
    /// A request without optional headers.
    #[must_use]
    pub fn new(device_id: DeviceId, href: Href, body: SubscribeBody) -> Self {
        Self {
            device_id,
            href,
            body,
            options: RequestOptions::default(),
        }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/devices/{deviceId}/{+resourceLinkHref}/subscriptions";
    type Authentication = BearerToken;
    type Response = Subscribed;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &AccessToken,
    ) -> Result<http::Request<Bytes>, Error> {
        let href = self.href.without_device(self.device_id);
        let path_args: &[&str] = &[&*self.device_id.to_string(), href.as_str()];
        let content = Some(self.body.encode()?);
        message::outgoing::<Self>(base, path_args, None, &self.options, content, credentials)
    }
}

impl IncomingRequest for Request {
    fn try_from_http_request(
        request: &http::Request<Bytes>,
        path_args: &[&str],
    ) -> Result<Self, Error> {
        let (device_id, href) = message::path_resource(path_args)?;
        Ok(Self {
            device_id,
            href,
            body: message::subscribe_body(SubscriptionLevel::Resource, request)?,
            options: RequestOptions::from_headers(request.headers())?,
        })
    }
}
