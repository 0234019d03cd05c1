//! `DELETE /devices/{deviceId}/subscriptions/{subscriptionId}`
//!
//! Ends a subscription to the links of one device.
//! Definition: `oic.r.cloudapiforcloudservices`, `/api/v1/devices/{deviceId}/subscriptions/{subscriptionId}`.

use alloc::string::ToString;

use bytes::Bytes;
use http::{Method, Uri};

use super::{
    AccessToken, BearerToken, Endpoint, IncomingRequest, OutgoingRequest, RequestOptions,
    Unsubscribed, message,
};
use crate::{
    error::Error,
    ids::{DeviceId, SubscriptionId},
};

/// The request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The device.
    pub device_id: DeviceId,
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Headers.
    pub options: RequestOptions,
}

impl Request {
    /// A request without optional headers.
    #[must_use]
    pub fn new(device_id: DeviceId, subscription_id: SubscriptionId) -> Self {
        Self {
            device_id,
            subscription_id,
            options: RequestOptions::default(),
        }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::DELETE;
    const PATH: &'static str = "/devices/{deviceId}/subscriptions/{subscriptionId}";
    type Authentication = BearerToken;
    type Response = Unsubscribed;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &AccessToken,
    ) -> Result<http::Request<Bytes>, Error> {
        let path_args: &[&str] = &[
            &*self.device_id.to_string(),
            &*self.subscription_id.to_string(),
        ];
        message::outgoing::<Self>(base, path_args, None, &self.options, None, credentials)
    }
}

impl IncomingRequest for Request {
    fn try_from_http_request(
        request: &http::Request<Bytes>,
        path_args: &[&str],
    ) -> Result<Self, Error> {
        Ok(Self {
            device_id: message::path_id(path_args, 0)?,
            subscription_id: message::path_id(path_args, 1)?,
            options: RequestOptions::from_headers(request.headers())?,
        })
    }
}
