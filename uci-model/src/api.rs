//! The typed endpoints, as `http` requests and responses.
//!
//! One module per endpoint, named by the standard's verb; client and server share it. A request goes out with
//! [`OutgoingRequest`] and comes in with [`IncomingRequest`]; its answer goes out with [`OutgoingResponse`] and
//! comes in with [`decode_response`]. Which endpoint a path means is the server's routing; negotiation over
//! `Accept` is the server's too.
//!
//! | module | operation |
//! | --- | --- |
//! | [`retrieve_devices`] | `GET /devices?content=base\|all` |
//! | [`retrieve_device`] | `GET /devices/{deviceId}?content=base\|all` |
//! | [`retrieve_resource`] | `GET /devices/{deviceId}/{resourceLinkHref}` |
//! | [`update_resource`] | `POST /devices/{deviceId}/{resourceLinkHref}` |
//! | [`subscribe_to_devices`] | `POST /devices/subscriptions` |
//! | [`subscribe_to_device`] | `POST /devices/{deviceId}/subscriptions` |
//! | [`subscribe_to_resource`] | `POST /devices/{deviceId}/{resourceLinkHref}/subscriptions` |
//! | [`unsubscribe_from_devices`] | `DELETE /devices/subscriptions/{subscriptionId}` |
//! | [`unsubscribe_from_device`] | `DELETE /devices/{deviceId}/subscriptions/{subscriptionId}` |
//! | [`unsubscribe_from_resource`] | `DELETE /devices/{deviceId}/{resourceLinkHref}/subscriptions/{subscriptionId}` |
//! | [`notify`] | `POST {eventsUrl}` |

mod answer;
mod auth;
mod message;
pub mod notify;
mod path;
pub mod retrieve_device;
pub mod retrieve_devices;
pub mod retrieve_resource;
mod retry_after;
pub mod subscribe_to_device;
pub mod subscribe_to_devices;
pub mod subscribe_to_resource;
pub mod unsubscribe_from_device;
pub mod unsubscribe_from_devices;
pub mod unsubscribe_from_resource;
pub mod update_resource;

use bytes::Bytes;

pub use answer::{Representation, Subscribed, Unsubscribed};
pub use auth::{AccessToken, AuthScheme, BearerToken, EventSignature, SignedNotification};
pub use message::{BatchFormat, RequestOptions};
pub use path::match_path;
pub use retry_after::retry_after;

use crate::error::Error;

/// One operation of the interface.
pub trait Endpoint: Sized {
    /// Its method.
    const METHOD: http::Method;
    /// Its path after the API root, variables in braces; `{+name}` takes several segments (RFC 6570, 3.2.3).
    const PATH: &'static str;
    /// How a request proves who sent it.
    type Authentication: AuthScheme;
    /// What answers it.
    type Response;
}

/// A request that can be sent.
pub trait OutgoingRequest: Endpoint<Response: IncomingResponse> {
    /// The request to send.
    ///
    /// `base` is the API root, `https://host/api/v1` with any prefix; for [`notify`] it is the events URL.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) when `base` is not absolute or a value does not fit its
    /// header.
    fn try_into_http_request(
        self,
        base: &http::Uri,
        credentials: <Self::Authentication as AuthScheme>::Input<'_>,
    ) -> Result<http::Request<Bytes>, Error>;
}

/// A request that can be received.
pub trait IncomingRequest: Endpoint<Response: OutgoingResponse> {
    /// Reads a request whose path was found to be this endpoint's; `path_args` are the variables in order, still
    /// percent-encoded.
    ///
    /// Credentials are not looked at: see [`AuthScheme::extract`].
    ///
    /// # Errors
    ///
    /// Those of the endpoint, each with its [`status`](Error::status).
    fn try_from_http_request(
        request: &http::Request<Bytes>,
        path_args: &[&str],
    ) -> Result<Self, Error>;
}

/// An answer that can be received.
pub trait IncomingResponse: Sized {
    /// Reads an answer whose status says success; [`decode_response`] checks that first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnsupportedFormat`](crate::ErrorKind::UnsupportedFormat) or those of decoding the body.
    fn try_from_http_response(response: &http::Response<Bytes>) -> Result<Self, Error>;
}

/// An answer that can be sent.
pub trait OutgoingResponse {
    /// The response to send.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode).
    fn try_into_http_response(self) -> Result<http::Response<Bytes>, Error>;
}

/// Reads the answer to a request.
///
/// # Errors
///
/// [`ErrorKind::Status`](crate::ErrorKind::Status) unless the status is 2xx, with the start of the body in
/// [`Error::response_body`]; otherwise those of
/// [`try_from_http_response`](IncomingResponse::try_from_http_response).
pub fn decode_response<R: IncomingResponse>(response: &http::Response<Bytes>) -> Result<R, Error> {
    const MAX_ERROR_BODY: usize = 4096;
    let status = response.status();
    if status.is_success() {
        return R::try_from_http_response(response);
    }
    let body = response.body();
    let start = body.slice(..body.len().min(MAX_ERROR_BODY));
    Err(Error::from_status(status.as_u16(), start))
}
