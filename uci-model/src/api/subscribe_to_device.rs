//! `POST /devices/{deviceId}/subscriptions`
//!
//! Subscribes to the links of one device.
//! Definition: `oic.r.cloudapiforcloudservices`, `/api/v1/devices/{deviceId}/subscriptions`.

use alloc::string::ToString;

use bytes::Bytes;
use http::{Method, Uri};

use super::{
    AccessToken, BearerToken, Endpoint, IncomingRequest, OutgoingRequest, RequestOptions,
    Subscribed, message,
};
use crate::{error::Error, event::SubscriptionLevel, ids::DeviceId, subscription::SubscribeBody};

/// The request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// The device.
    pub device_id: DeviceId,
    /// Where to notify, what, and how it is signed.
    pub body: SubscribeBody,
    /// Headers. `accept` is the format of the notifications, `correlation_id` goes into each of them.
    pub options: RequestOptions,
}

impl Request {
    /// A request without optional headers.
    #[must_use]
    pub fn new(device_id: DeviceId, body: SubscribeBody) -> Self {
        Self {
            device_id,
            body,
            options: RequestOptions::default(),
        }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/devices/{deviceId}/subscriptions";
    type Authentication = BearerToken;
    type Response = Subscribed;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &AccessToken,
    ) -> Result<http::Request<Bytes>, Error> {
        let path_args: &[&str] = &[&*self.device_id.to_string()];
        let content = Some(self.body.encode()?);
        message::outgoing::<Self>(base, path_args, None, &self.options, content, credentials)
    }
}

impl IncomingRequest for Request {
    fn try_from_http_request(
        request: &http::Request<Bytes>,
        path_args: &[&str],
    ) -> Result<Self, Error> {
        Ok(Self {
            device_id: message::path_id(path_args, 0)?,
            body: message::subscribe_body(SubscriptionLevel::Device, request)?,
            options: RequestOptions::from_headers(request.headers())?,
        })
    }
}
