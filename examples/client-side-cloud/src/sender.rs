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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::tls;

    /// Makes a certificate for `localhost` and its key in `folder`.
    fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.join(name), folder.join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    /// Answers every request with 204 over TLS.
    async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not believe the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 1024];
            if stream.read(&mut request).await.unwrap() > 0 {
                let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn only_https_under_a_certificate_that_verifies_is_sent_to() {
        let folder = std::env::temp_dir().join(format!("sender-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (own, key) = certificate(&folder, "own.pem");
        let (other, _) = certificate(&folder, "other.pem");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = tls::server(&own, &key).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config))));

        for (believed, host, sent) in [
            (&own, format!("https://localhost:{port}"), true),
            (&other, format!("https://localhost:{port}"), false),
            // The certificate is for another name.
            (&own, format!("https://127.0.0.1:{port}"), false),
            (&own, format!("http://localhost:{port}"), false),
        ] {
            let sender = Sender::new(tls::client(believed).unwrap());
            let request = http::Request::get(&host).body(Bytes::new()).unwrap();
            match sender.send(request).await {
                Ok(response) => assert!(sent && response.status() == 204, "{host}"),
                Err(error) => assert!(!sent && matches!(error, SendError::NotSent), "{host}"),
            }
        }
    }
}
