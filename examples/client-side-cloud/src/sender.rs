//! Requests to the device-side cloud.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

/// The longest body that is read: a list of some ten thousand devices.
const MAX_BODY: usize = 64 * 1024 * 1024;
/// How long a request may take; the machines have shorter times of their own.
const LONGEST: Duration = Duration::from_secs(60);

/// Sends requests over HTTPS and follows no redirects.
#[derive(Clone, Debug)]
pub(crate) struct Sender(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// How a request failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SendError {
    /// There was no connection: the other side cannot have acted on it.
    NotSent,
    /// The other side may have acted on it.
    Interrupted,
}

impl Sender {
    /// A sender that believes what `tls` says.
    pub(crate) fn new(tls: rustls::ClientConfig) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .build();
        Self(Client::builder(TokioExecutor::new()).build(connector))
    }

    /// Sends a request and reads its answer whole.
    pub(crate) async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        timeout(LONGEST, self.exchange(request))
            .await
            .unwrap_or(Err(SendError::Interrupted))
    }

    async fn exchange(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, SendError> {
        let uri = request.uri().clone();
        let response = self
            .0
            .request(request.map(Full::new))
            .await
            .map_err(|error| {
                tracing::debug!(host = uri.host(), path = uri.path(), %error, "no answer");
                if error.is_connect() {
                    SendError::NotSent
                } else {
                    SendError::Interrupted
                }
            })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY)
            .collect()
            .await
            .map_err(|_| SendError::Interrupted)?;
        Ok(http::Response::from_parts(head, body.to_bytes()))
    }
}
