//! `GET /devices/{deviceId}?content=base|all`
//!
//! Retrieves one device.
//! Definition: `oic.r.cloudapiforcloudservices`, `/api/v1/devices/{deviceId}?content=base` and `=all`.

use alloc::string::ToString;

use bytes::Bytes;
use http::{Method, Uri};

use super::{
    AccessToken, BatchFormat, BearerToken, Endpoint, IncomingRequest, IncomingResponse,
    OutgoingRequest, OutgoingResponse, RequestOptions, answer, message,
};
use crate::{
    content::{Content, ContentFormat},
    device::{Device, DeviceContentAll},
    error::Error,
    ids::DeviceId,
    limits::Limits,
};

/// The request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The device.
    pub device_id: DeviceId,
    /// Links or representations.
    pub batch_format: BatchFormat,
    /// Headers.
    pub options: RequestOptions,
}

impl Request {
    /// A request without optional headers.
    #[must_use]
    pub fn new(device_id: DeviceId, batch_format: BatchFormat) -> Self {
        Self {
            device_id,
            batch_format,
            options: RequestOptions::default(),
        }
    }
}

impl Endpoint for Request {
    const METHOD: Method = Method::GET;
    const PATH: &'static str = "/devices/{deviceId}";
    type Authentication = BearerToken;
    type Response = Response;
}

impl OutgoingRequest for Request {
    fn try_into_http_request(
        self,
        base: &Uri,
        credentials: &AccessToken,
    ) -> Result<http::Request<Bytes>, Error> {
        let query = Some(self.batch_format.query());
        message::outgoing::<Self>(
            base,
            &[&self.device_id.to_string()],
            query,
            &self.options,
            None,
            credentials,
        )
    }
}

impl IncomingRequest for Request {
    fn try_from_http_request(
        request: &http::Request<Bytes>,
        path_args: &[&str],
    ) -> Result<Self, Error> {
        Ok(Self {
            device_id: message::path_id(path_args, 0)?,
            batch_format: BatchFormat::from_uri(request.uri())?,
            options: RequestOptions::from_headers(request.headers())?,
        })
    }
}

/// The answer, decoded when its meaning is needed: only the request knows whether it asked for links.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The device as it travels.
    pub content: Content,
}

impl Response {
    /// An answer that is already encoded.
    #[must_use]
    pub const fn new(content: Content) -> Self {
        Self { content }
    }

    /// The answer to `content=base`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode).
    pub fn base(format: ContentFormat, device: &Device) -> Result<Self, Error> {
        Content::encode(format, device).map(Self::new)
    }

    /// The answer to `content=all`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode).
    pub fn all(format: ContentFormat, device: &DeviceContentAll) -> Result<Self, Error> {
        Content::encode(format, device).map(Self::new)
    }

    /// Reads the answer to `content=base`.
    ///
    /// # Errors
    ///
    /// Those of [`Content::decode_as`].
    pub fn decode_base(&self, limits: &Limits) -> Result<Device, Error> {
        self.content.decode_as(limits)
    }

    /// Reads the answer to `content=all`.
    ///
    /// # Errors
    ///
    /// Those of [`Content::decode_as`].
    pub fn decode_all(&self, limits: &Limits) -> Result<DeviceContentAll, Error> {
        self.content.decode_as(limits)
    }
}

impl OutgoingResponse for Response {
    fn try_into_http_response(self) -> Result<http::Response<Bytes>, Error> {
        Ok(answer::negotiated(self.content))
    }
}

impl IncomingResponse for Response {
    fn try_from_http_response(response: &http::Response<Bytes>) -> Result<Self, Error> {
        message::content(response.headers(), response.body()).map(Self::new)
    }
}
