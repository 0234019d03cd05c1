//! The HTTP listeners: TLS or none, bounded bodies, bounded connections, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

/// How long a peer may take for its TLS handshake, its request head, and its request body, each.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long open requests may go on after the program was told to stop.
const FAREWELL: Duration = Duration::from_secs(10);

/// What is bounded at the listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a request body.
    pub(crate) max_body_bytes: usize,
    /// Connections open at once; further ones wait in the kernel's queue.
    pub(crate) max_connections: usize,
}

/// What is spoken below HTTP.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    /// Nothing: the operator's tools, on an address of their own.
    Plain,
    /// TLS. A connection gets the settings that stand when it begins, and keeps them.
    Tls(watch::Receiver<Arc<rustls::ServerConfig>>),
}

/// Serves until `stop` turns true, then lets open requests finish for a while.
pub(crate) async fn serve<H, F>(
    listener: TcpListener,
    transport: Transport,
    limits: Limits,
    handler: H,
    mut stop: watch::Receiver<bool>,
) where
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Bytes>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        // What was asked is done all the same when its sender has gone: looking for that would be a read for every request.
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(Some(Duration::from_secs(30)));
    loop {
        let next = async {
            // A connection is taken from the kernel's queue only when there is room for it.
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                // Out of file descriptors, mostly: pause, or the loop would spin.
                warn!(%cause, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let acceptor = match &transport {
            Transport::Plain => None,
            Transport::Tls(settings) => Some(TlsAcceptor::from(Arc::clone(&settings.borrow()))),
        };
        let handler = handler.clone();
        let builder = builder.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _permit = permit;
            let ended = match acceptor {
                None => converse(stream, &builder, watcher, limits, handler).await,
                Some(acceptor) => {
                    match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
                        Ok(Ok(stream)) => {
                            converse(stream, &builder, watcher, limits, handler).await
                        }
                        Ok(Err(cause)) => return debug!(%peer, %cause, "TLS handshake failed"),
                        Err(_) => return debug!(%peer, "TLS handshake took too long"),
                    }
                }
            };
            if let Err(cause) = ended {
                debug!(%peer, %cause, "connection ended with an error");
            }
        });
    }
    if tokio::time::timeout(FAREWELL, graceful.shutdown())
        .await
        .is_err()
    {
        warn!("some connections were cut: they had not finished in time");
    }
}

/// Answers the requests of one connection until it ends.
async fn converse<S, H, F>(
    stream: S,
    builder: &Builder<TokioExecutor>,
    watcher: Watcher,
    limits: Limits,
    handler: H,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    H: Fn(Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Bytes>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = handler.clone();
        async move {
            let response = match collect(request, limits.max_body_bytes).await {
                Ok(request) => handler(request).await,
                Err(refusal) => refusal,
            };
            Ok::<_, Infallible>(response.map(Full::new))
        }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection.into_owned()).await
}

async fn collect(
    request: Request<Incoming>,
    max_body_bytes: usize,
) -> Result<Request<Bytes>, Response<Bytes>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, max_body_bytes).collect();
    match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => Err(refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the request body is larger than this server takes",
        )),
        Ok(Err(_)) => Err(refusal(
            StatusCode::BAD_REQUEST,
            "the request body could not be read",
        )),
        Err(_) => Err(refusal(
            StatusCode::REQUEST_TIMEOUT,
            "the request body did not arrive in time",
        )),
    }
}

/// A plain-text answer.
pub(crate) fn refusal(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests;
