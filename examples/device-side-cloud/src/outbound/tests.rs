//! Real connections to a listener on loopback, which counts them.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{StatusCode, header};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::certificates::client_config;

/// A server on a loopback address: every path but `/` leads to `/`.
#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    requests: AtomicUsize,
}

impl Counts {
    fn seen(&self) -> (usize, usize) {
        let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
        (count(&self.connections), count(&self.requests))
    }
}

async fn listen(address: &str) -> (u16, Arc<Counts>) {
    let listener = TcpListener::bind((address, 0)).await.expect("listener");
    let port = listener.local_addr().expect("address").port();
    let counts = Arc::new(Counts::default());
    let counted = Arc::clone(&counts);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.connections.fetch_add(1, Ordering::SeqCst);
            let counted = Arc::clone(&counted);
            let service = service_fn(move |request: Request<Incoming>| {
                counted.requests.fetch_add(1, Ordering::SeqCst);
                let mut response = Response::new(Full::new(Bytes::from_static(b"here")));
                if request.uri().path() != "/" {
                    *response.status_mut() = StatusCode::FOUND;
                    let home = header::HeaderValue::from_static("/");
                    response.headers_mut().insert(header::LOCATION, home);
                }
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    (port, counts)
}

fn outbound(rule: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Outbound {
    let tls = client_config(&[]).expect("settings");
    let patience = Duration::from_secs(10);
    Outbound::new(tls, Schemes::AlsoHttp, Arc::new(rule), patience)
}

fn request(uri: &str) -> Request<Bytes> {
    Request::post(uri).body(Bytes::new()).expect("request")
}

#[tokio::test]
async fn nobody_is_connected_to_at_an_address_that_the_rule_refuses() {
    let (port, counts) = listen("127.0.0.1").await;
    let refusing = outbound(|_| false);
    // A literal never passes the resolver; a name does, whatever it was when the subscription was made.
    for host in ["127.0.0.1", "localhost", "LOCALHOST."] {
        let uri = format!("http://{host}:{port}/");
        assert!(refusing.notify(request(&uri)).await.is_err(), "{host}");
    }
    assert_eq!(counts.seen(), (0, 0));
    let public_only = outbound(|address| !address.is_loopback());
    let uri = format!("http://localhost:{port}/");
    assert!(public_only.notify(request(&uri)).await.is_err());
    assert_eq!(counts.seen(), (0, 0));
    let allowing = outbound(|address| address.is_loopback());
    let answer = allowing.notify(request(&uri)).await.expect("answer");
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(counts.seen(), (1, 1));
}

#[tokio::test]
async fn of_a_name_only_the_allowed_addresses_are_used() {
    let rule: AddressRule = Arc::new(|address| address.is_ipv4());
    let mut resolver = Resolver { rule };
    let name: Name = "localhost".parse().expect("name");
    let found: Vec<_> = resolver.call(name).await.expect("addresses").collect();
    assert!(!found.is_empty() && found.iter().all(SocketAddr::is_ipv4));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (port, counts) = listen("127.0.0.1").await;
    let uri = format!("http://127.0.0.1:{port}/moved");
    let answer = outbound(|_| true).notify(request(&uri)).await;
    assert_eq!(answer.expect("answer").status(), StatusCode::FOUND);
    assert_eq!(counts.seen(), (1, 1));
}

#[tokio::test]
async fn one_connection_carries_one_request_after_the_other() {
    let (port, counts) = listen("127.0.0.1").await;
    let outbound = outbound(|_| true);
    let uri = format!("http://127.0.0.1:{port}/");
    for _ in 0..20 {
        let answer = outbound.notify(request(&uri)).await.expect("answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(counts.seen(), (1, 20));
}
