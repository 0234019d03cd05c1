//! `POST /devices/{deviceId}/{resourceLinkHref}`
//!
//! Updates one resource; the answer is what the device sent back, if anything.
//! Definition: `oic.r.cloudapiforcloudservices`, `/api/v1/devices/{deviceId}/{resourceLinkHref}`.

use alloc::string::ToString;

use bytes::Bytes;
use http::{Method, Uri};

use super::{
    AccessToken, BearerToken, Endpoint, IncomingRequest, OutgoingRequest, Representation,
    RequestOptions, message,
};
use crate::{content::Content, error::Error, href::Href, ids::DeviceId, resource_type::Interface};

/// The request. Content that is neither of the two formats is
/// [`ErrorKind::UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat) on reading; it is not decoded.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The device.
    pub device_id: DeviceId,
    /// The resource, as its device or as a link of its cloud names it.
    pub href: Href,
    /// The representation to set.
    pub content: Content,
    /// The view asked for: the query parameter `if`.
    pub interface: Option<Interface>,
    /// Headers.
    pub options: RequestOptions,
}

impl Request {
    /// A request without interface and optional headers.
    #[must_use]
    pub fn new(device_id: DeviceId, href: Href, content: Content) -> Self {
        Self {
            device_id,
            href,
            content,
            interface: None,
            options: RequestOptions::default(),
        }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::POST;
    const PATH: &'static str = "/devices/{deviceId}/{+resourceLinkHref}";
    type Authentication = BearerToken;
    type Response = Representation;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &AccessToken,
    ) -> Result<http::Request<Bytes>, Error> {
        let href = self.href.without_device(self.device_id);
        let path_args = [&*self.device_id.to_string(), href.as_str()];
        let query = self.interface.as_ref().map(message::interface_query);
        message::outgoing::<Self>(
            base,
            &path_args,
            query.as_deref(),
            &self.options,
            Some(self.content),
            credentials,
        )
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
            content: message::content(request.headers(), request.body())?,
            interface: message::interface(request.uri())?,
            options: RequestOptions::from_headers(request.headers())?,
        })
    }
}
