//! Reading devices over HTTP, credentials included, beside an axum server whose handler returns bytes that it has.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use uci_server_core::driver::{Handle, handle, run};
use uci_server_core::{Authentication, DeviceCloud, Occurrence, Principal};

use crate::sbs::fixtures;
use crate::sbs::net::{self, Server};
use crate::sbs::outside::{Outside, report};
use crate::sbs::world::{self, Unsealed};
use bench_harness::{Case, Limit, Run};

const ACCOUNT: &str = "alice";
const CONNECTIONS: usize = 32;

/// Access tokens that were checked before, by their digest.
type Tokens = BTreeMap<[u8; 32], Principal>;

/// 20 devices of 10 links are 43 KB; of 4 links they are the page of 20 KB.
pub(super) fn page(run: &mut Run) {
    compare(run, "20 devices of 4 links", (20, 4), "", None, 1.3);
}

pub(super) fn whole_list(run: &mut Run) {
    let devices = run.scaled(1000, 2);
    compare(
        run,
        "1,000 devices of 10 links",
        (devices, 10),
        "",
        None,
        1.5,
    );
}

pub(super) fn device(run: &mut Run) {
    let path = format!("/{}", fixtures::device_id(7));
    compare(
        run,
        "one of 20 devices, 4 links",
        (20, 4),
        &path,
        Some(200),
        1.25,
    );
}

/// Compares `GET /devices{path}` with a fixed body of `fixed` bytes, or of the same length.
fn compare(
    run: &mut Run,
    what: &str,
    (devices, links): (usize, usize),
    path: &str,
    fixed: Option<usize>,
    most: f64,
) {
    let request = format!(
        "GET /api/v1/devices{path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\
         authorization: Bearer 0123456789abcdef0123456789abcdef\r\n\r\n"
    );
    let request: &'static [u8] = Box::leak(request.into_bytes().into_boxed_slice());
    let runtime = net::runtime();
    let ours = Server::start(move |listener| serve(listener, devices, links));
    let length = fixed.unwrap_or_else(|| runtime.block_on(net::content_length(&ours, request)));
    let reference = Server::start(move |listener| serve_fixed(listener, length));
    let duration = Duration::from_millis(run.scaled(250, 20) as u64);
    let [ours, reference] = run.medians([
        loaded(&runtime, &ours, request, duration),
        loaded(&runtime, &reference, request, duration),
    ]);
    run.row(
        &format!("{what}, axum with {length} fixed bytes"),
        "µs",
        (ours, reference),
        Limit::AtMost(most),
    );
}

/// Microseconds of CPU time for each request.
fn loaded<'a>(
    runtime: &'a Runtime,
    server: &'a Server,
    request: &'static [u8],
    duration: Duration,
) -> Case<'a> {
    Box::new(move || {
        let requests = [request; CONNECTIONS];
        runtime.block_on(net::load(server, &requests, duration)) / 1000.0
    })
}

/// The cloud behind hyper.
async fn serve(listener: TcpListener, devices: usize, links: usize) {
    let outside = Arc::new(Outside::new());
    let cloud = DeviceCloud::new(world::config(), [7; 32], Arc::new(Unsealed));
    let (handle, commands) = handle(1024);
    tokio::spawn(run(cloud, commands, outside));
    for number in 0..devices {
        let id = fixtures::device_id(number);
        for what in [
            Occurrence::Registered,
            Occurrence::Online,
            Occurrence::Described(Box::new(fixtures::properties(number))),
            Occurrence::LinksPublished(fixtures::links(number, links)),
        ] {
            report(&handle, ACCOUNT, id, what).await;
        }
    }
    let token = b"0123456789abcdef0123456789abcdef";
    let digest: [u8; 32] = Sha256::digest(token).into();
    let tokens = Arc::new(Tokens::from([(digest, world::principal(ACCOUNT))]));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (handle, tokens) = (handle.clone(), Arc::clone(&tokens));
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let (handle, tokens) = (handle.clone(), Arc::clone(&tokens));
                async move { Ok::<_, Infallible>(answer(request, &handle, &tokens).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    handle: &Handle,
    tokens: &Tokens,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = if body.is_end_stream() {
        Bytes::new()
    } else {
        body.collect().await.expect("a body").to_bytes()
    };
    let authentication = authenticate(&head.headers, tokens);
    let mut request = Request::from_parts(head, body);
    request.extensions_mut().insert(authentication);
    handle.answer(request).await.map(Full::new)
}

fn authenticate(headers: &HeaderMap, tokens: &Tokens) -> Authentication {
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Authentication::Missing;
    };
    let token = header.as_bytes().strip_prefix(b"Bearer ");
    let known = token.and_then(|token| {
        let digest: [u8; 32] = Sha256::digest(token).into();
        tokens.get(&digest)
    });
    known.map_or(Authentication::Invalid, |principal| {
        Authentication::Granted(principal.clone())
    })
}

/// The reference.
async fn serve_fixed(listener: TcpListener, length: usize) {
    let body = Bytes::from(vec![b'x'; length]);
    let handler = move || {
        let body = body.clone();
        async move { ([("content-type", "application/json")], body) }
    };
    let routes = Router::new()
        .route("/api/v1/devices", get(handler.clone()))
        .route("/api/v1/devices/{device}", get(handler));
    axum::serve(listener, routes).await.expect("served");
}
