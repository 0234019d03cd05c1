//! HTTPS requests that leave this program: notifications, questions to tenants' functions, and the demo's browser.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tower_service::Service;
use uci_server_core::DeliveryRules;

use crate::error::Error;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 4 << 20;

/// How much is read of the answer to a notification, in bytes.
const MAX_RECEIPT: usize = 16 << 10;

/// Says whether a connection may be made to an address.
pub(crate) type AddressRule = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// An HTTPS client with kept-alive connections per host, a time limit, no redirects, and a rule on addresses.
#[derive(Clone)]
pub(crate) struct Outbound {
    client: Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>,
    rule: AddressRule,
    timeout: Duration,
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound").finish_non_exhaustive()
    }
}

/// Which schemes are spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Schemes {
    /// HTTPS and nothing else.
    HttpsOnly,
    /// Plain HTTP as well, for commands on loopback.
    AlsoHttp,
}

impl Outbound {
    /// A client that trusts the roots of `tls` and connects only where `rule` allows.
    pub(crate) fn new(
        tls: rustls::ClientConfig,
        schemes: Schemes,
        rule: AddressRule,
        timeout: Duration,
    ) -> Self {
        let mut http = HttpConnector::new_with_resolver(Resolver {
            rule: Arc::clone(&rule),
        });
        http.enforce_http(false);
        http.set_connect_timeout(Some(timeout));
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let https = match schemes {
            Schemes::HttpsOnly => https.https_only(),
            Schemes::AlsoHttp => https.https_or_http(),
        };
        let https = https.enable_http1().enable_http2().wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            // As many as may be in use at once, so that none is closed between two notifications.
            .pool_max_idle_per_host(DeliveryRules::default().max_concurrent_per_host)
            .build(https);
        Self {
            client,
            rule,
            timeout,
        }
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// The address is not allowed, the peer cannot be reached or verified, it took too long or answers too much.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        self.ask(request, MAX_ANSWER).await
    }

    /// Sends one request and reads an answer of so many bytes at most.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn ask(
        &self,
        request: Request<Bytes>,
        most: usize,
    ) -> Result<Response<Bytes>, Error> {
        self.exchange(request, |body| async move {
            let body = Limited::new(body, most).collect().await;
            body.map(Collected::to_bytes)
                .map_err(|cause| Error::new("the answer could not be read", cause))
        })
        .await
    }

    /// Sends one request whose answer says all with its status. Of the body so much is read that the connection can be used
    /// again after a usual answer.
    ///
    /// # Errors
    /// The address is not allowed, the peer cannot be reached or verified, or it took too long.
    pub(crate) async fn notify(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Error> {
        self.exchange(request, |body| async {
            drop(Limited::new(body, MAX_RECEIPT).collect().await);
            Ok(Bytes::new())
        })
        .await
    }

    async fn exchange<F: Future<Output = Result<Bytes, Error>>>(
        &self,
        request: Request<Bytes>,
        read: impl FnOnce(Incoming) -> F,
    ) -> Result<Response<Bytes>, Error> {
        // A literal address never passes the resolver.
        let literal = request.uri().host().and_then(|host| {
            host.trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>()
                .ok()
        });
        if literal.is_some_and(|address| !(self.rule)(address)) {
            return Err(Error::plain("the address is not public"));
        }
        let exchange = async {
            let response = self
                .client
                .request(request.map(Full::new))
                .await
                .map_err(|cause| Error::new("the request failed", cause))?;
            let (head, body) = response.into_parts();
            Ok(Response::from_parts(head, read(body).await?))
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(Error::plain("no answer in time")))
    }
}

/// The system's resolver, less the addresses that the rule refuses: judged at each connect, so that a name that turns to
/// an inner address after the subscription was made is still refused.
#[derive(Clone)]
struct Resolver {
    rule: AddressRule,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let rule = Arc::clone(&self.rule);
        Box::pin(async move {
            let allowed: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await?
                .filter(|address| rule(address.ip()))
                .collect();
            if allowed.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    "the name has no address that may be connected to",
                ));
            }
            Ok(allowed.into_iter())
        })
    }
}

#[cfg(test)]
mod tests;
