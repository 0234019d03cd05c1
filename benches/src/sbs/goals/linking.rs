//! The check of an access token and the issue of one, ES256 by ring on both sides.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use account_linking::server::AuthorizationServer;
use account_linking::server::driver::{Handle, drive};
use bench_harness::{Limit, Run};

use crate::sbs::authorization::{Keys, Linked, Rig, Streams};
use crate::sbs::goals::journal::Folder;
use crate::sbs::net::{self, Measured, Server};
use crate::sbs::peer::{OidcProvider, refresh, rotate};

const CONNECTIONS: usize = 64;

/// A check of a token beside the verification of its signature; and of one that was verified before, beside a look at such tokens.
pub(super) fn check(run: &mut Run) {
    let keys = Arc::new(Keys::new());
    let mut rig = Rig::new(Arc::clone(&keys), 0);
    rig.register();
    let linked = rig.link("user-1");
    let request = Rig::request(&linked.access);
    let (input, signature) = Keys::signed(&linked.access);
    let digest: [u8; 32] = Sha256::digest(&linked.access).into();
    let known = std::collections::BTreeMap::from([(digest, ())]);
    let mut remembering = Rig::new(Arc::clone(&keys), 16_384);
    remembering.register();
    let same = Rig::request(&remembering.link("user-1").access);
    let [ours, verification, again, look] = run.medians([
        run.computing(|| rig.check(black_box(&request))),
        run.computing(|| assert!(keys.verify(black_box(&input), &signature))),
        run.computing(|| remembering.check(black_box(&same))),
        run.computing(|| {
            // Of a digest of the token, as long as another one.
            let digest: [u8; 32] = Sha256::digest(black_box(&digest)).into();
            black_box(known.get(&digest));
        }),
    ]);
    run.row(
        "an access token is checked, ring verifying its signature",
        "ns",
        (ours, verification),
        Limit::AtMost(1.15),
    );
    run.row(
        "the same of a token that was verified before, SHA-256 of 32 B and a look into a tree",
        "ns",
        (again, look),
        Limit::AtMost(3.0),
    );
}

/// `POST /token` with a refresh token, beside an axum handler that signs one JWT of the same kind, and beside `oidc-provider` where
/// it is installed: what it changes kept in memory, as there, and in a journal, each of the connections for a user of its own.
pub(super) fn issue(run: &mut Run) {
    let runtime = net::runtime();
    let keys = Arc::new(Keys::new());
    let mut rig = Rig::new(Arc::clone(&keys), 16_384);
    rig.register();
    let users: Vec<_> = (0..CONNECTIONS).map(|n| format!("user-{n:02}")).collect();
    let linked: Vec<_> = users.iter().map(|user| rig.link(user)).collect();
    let (input, _) = Keys::signed(&linked.first().expect("a user").access);
    let requests = |linked: Vec<Linked>, secret: &str| -> Vec<Vec<u8>> {
        let request =
            |one: &Linked| refresh("/token", "localhost", &one.refresh, "client-acme", secret);
        linked.iter().map(request).collect()
    };
    let mut our_requests = requests(linked, &rig.secret);
    let mut reference_requests = our_requests.clone();
    let folder = Folder::new();
    let mut other = Rig::new(Arc::clone(&keys), 16_384);
    other.register();
    let linked = users.iter().map(|user| other.link(user)).collect();
    let mut durable_requests = requests(linked, &other.secret);
    let (server, kept) = rig.into_parts();
    let ours = start(server, Streams::new(kept, Arc::clone(&keys)), ready(()));
    let (server, kept) = other.into_parts();
    let journal = folder.file("tokens");
    let (streams, answers) = Streams::durable(kept, Arc::clone(&keys), &journal);
    let durable = start(server, streams, answers);
    let durable = WithJournal(durable);
    let reference = Server::start(move |listener| serve_signed(listener, keys, input));
    let mut peer = OidcProvider::start(CONNECTIONS);
    if peer.is_none() {
        run.note("oidc-provider is not installed: scripts/bench tokens installs it");
    }
    let mut their_requests = peer
        .as_mut()
        .map_or(Vec::new(), |peer| core::mem::take(&mut peer.requests));
    let duration = Duration::from_millis(run.scaled(250, 20) as u64);
    let [ours, durable, reference, theirs] = run.medians([
        Box::new(|| {
            let load = net::load_going_on(&ours, &mut our_requests, rotate, duration);
            runtime.block_on(load) / 1000.0
        }),
        Box::new(|| {
            let load = net::load_going_on(&durable, &mut durable_requests, rotate, duration);
            runtime.block_on(load) / 1000.0
        }),
        Box::new(|| {
            let load = net::load_going_on(&reference, &mut reference_requests, |_, _| (), duration);
            runtime.block_on(load) / 1000.0
        }),
        Box::new(|| match &peer {
            Some(peer) => {
                let load = net::load_going_on(peer, &mut their_requests, rotate, duration);
                runtime.block_on(load) / 1000.0
            }
            None => 0.0,
        }),
    ]);
    run.row(
        "an access token for a refresh token, axum signing one JWT with ring",
        "µs",
        (ours, reference),
        Limit::AtMost(1.8),
    );
    if peer.is_some() {
        run.row(
            "the same, oidc-provider, both with everything in memory",
            "µs",
            (ours, theirs),
            Limit::AtMost(0.1),
        );
        run.row(
            "the same with every rotation durable, oidc-provider with everything in memory",
            "µs",
            (durable, theirs),
            Limit::AtMost(0.1),
        );
    }
}

fn start(
    server: AuthorizationServer,
    outside: Streams,
    beside: impl Future<Output = ()> + Send + 'static,
) -> Server {
    Server::start(move |listener| async move {
        tokio::spawn(beside);
        let (handle, task) = drive(server, outside, 1024);
        tokio::spawn(task);
        serve(listener, handle).await;
    })
}

/// A server together with the journal's thread, of which there is one here.
struct WithJournal(Server);

impl Measured for WithJournal {
    fn address(&self) -> SocketAddr {
        self.0.address
    }

    async fn cpu(&self) -> u64 {
        let journal = net::threads_cpu(std::process::id(), |name| name == "journal");
        self.0.side.cpu().await + journal
    }
}

/// The authorization server behind hyper.
async fn serve(listener: TcpListener, handle: Handle) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let handle = handle.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let handle = handle.clone();
                async move { Ok::<_, Infallible>(answer(request, &handle).await) }
            });
            // As in the program.
            let connection = http1::Builder::new()
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

async fn answer(request: Request<Incoming>, handle: &Handle) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    handle
        .answer(Request::from_parts(head, body))
        .await
        .map(Full::new)
}

/// The reference: reads the request, signs, answers.
async fn serve_signed(listener: TcpListener, keys: Arc<Keys>, input: Vec<u8>) {
    let handler = move |request: Bytes| {
        let (keys, input) = (Arc::clone(&keys), input.clone());
        async move {
            black_box(request);
            let token = keys.jwt(&input);
            let body =
                format!(r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":3600}}"#);
            ([("content-type", "application/json")], body)
        }
    };
    let routes = Router::new().route("/token", post(handler));
    axum::serve(listener, routes).await.expect("served");
}
