//! An authorization server and the interface it protects, in one axum program: `cargo run --example axum --features tokio`.
//!
//! Then `curl -i http://127.0.0.1:8080/api/devices` is refused, and a browser at
//! `http://127.0.0.1:8080/authorize?response_type=code&client_id=client-app&state=s&code_challenge_method=S256&code_challenge=...`
//! sees the login page: the user is `ada`, the password `correct horse`. Streams are kept in memory and there is no TLS: a
//! product has a store and a certificate.
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use account_linking::server::driver::{Handle, Outside, drive};
use account_linking::server::{
    Algorithm, AuthorizationServer, Config, Event, Issuer, PlainPages, Principal, RefreshKey,
    Registration, SigningKey,
};
use account_linking::{Append, Appended, Loaded, Password, SecretBytes, Snapshot, UserId};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header::WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use tokio::net::TcpListener;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The endpoints of the authorization server.
async fn linking(State(linking): State<Handle>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match to_bytes(body, 64 << 10).await {
        Ok(body) => linking
            .answer(Request::from_parts(head, body))
            .await
            .map(Body::from),
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    }
}

/// Who calls: an argument of every handler of the protected interface.
struct Caller(Principal);

impl FromRequestParts<Handle> for Caller {
    type Rejection = Response;

    async fn from_request_parts(head: &mut Parts, linking: &Handle) -> Result<Self, Response> {
        linking
            .authenticate(head)
            .await
            .map(Self)
            .map_err(|refusal| {
                let mut response = refusal.status().into_response();
                if let Some(challenge) = refusal.challenge().and_then(|text| text.parse().ok()) {
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                }
                response
            })
    }
}

async fn devices(Caller(principal): Caller) -> String {
    format!("the devices of {}", principal.account)
}

/// Everything that this program serves.
pub(crate) fn app(handle: Handle) -> Router {
    Router::new()
        .route("/api/devices", get(devices))
        .fallback(linking)
        .with_state(handle)
}

/// The key that signs, and the streams.
pub(crate) struct Here {
    key: EcdsaKeyPair,
    random: SystemRandom,
    streams: Mutex<BTreeMap<String, Vec<Bytes>>>,
}

impl Here {
    /// With a new key.
    pub(crate) fn new() -> Result<Self, Failure> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(|_| "no entropy")?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random)
            .map_err(|rejected| rejected.to_string())?;
        Ok(Self {
            key,
            random,
            streams: Mutex::default(),
        })
    }

    /// The public half as a JWK (RFC 7518, 6.2.1).
    fn jwk(&self) -> String {
        let point = self.key.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Vec<Bytes>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outside for Here {
    #[allow(clippy::disallowed_methods, reason = "a program has a clock")]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn entropy(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        self.random.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    // A product has a table of argon2id hashes.
    async fn verify_password(&self, user_name: String, password: Password) -> Option<UserId> {
        let good = user_name == "ada" && password.expose() == "correct horse";
        good.then(|| "user-1".parse().ok()).flatten()
    }

    async fn sign(&self, _: String, _: Algorithm, input: Bytes) -> Option<Vec<u8>> {
        let signature = self.key.sign(&self.random, &input).ok()?;
        Some(signature.as_ref().to_vec())
    }

    async fn verify(&self, _: String, _: Algorithm, input: Bytes, signature: Bytes) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key())
            .verify(&input, &signature)
            .is_ok()
    }

    async fn load(&self, stream: String) -> Option<Loaded> {
        let changes = self.streams().get(&stream).cloned().unwrap_or_default();
        Some(Loaded::new(changes.len() as u64, None, changes))
    }

    // The machine is the only writer and the memory never fails: there are no conflicts to tell.
    async fn append(&self, append: Append) -> Appended {
        let mut streams = self.streams();
        let versions = append.streams.into_iter().map(|part| {
            let held = streams.entry(part.stream).or_default();
            held.extend(part.changes);
            held.len() as u64
        });
        Appended::Done {
            versions: versions.collect(),
        }
    }

    async fn save_snapshot(&self, _: String, _: Snapshot) {}

    fn note(&self, event: Event) {
        println!("{event:?}");
    }
}

/// Starts the authorization server for `origin`, with a client that comes back to `redirect_uri`.
pub(crate) async fn start(origin: &str, redirect_uri: &str) -> Result<Handle, Failure> {
    let here = Here::new()?;
    let entropy = || here.entropy().ok_or("no entropy");
    let config = Config::new(
        Issuer::dangerous_http_on_loopback(origin)?,
        format!("{origin}/api"),
        SigningKey::new("key-1", Algorithm::Es256, &here.jwk())?,
        RefreshKey::new(1, SecretBytes::new(entropy()?)),
    )?;
    let now = tokio::time::Instant::now().into_std();
    let server = AuthorizationServer::new(config, Box::new(PlainPages), entropy()?, now)?;
    let (handle, task) = drive(server, here, 1024);
    tokio::spawn(task);
    let app = Registration::public(
        "client-app".parse()?,
        "The App",
        vec![redirect_uri.parse()?],
        "r:* w:*".parse()?,
    );
    handle
        .command(move |server, entropy, wall, now| server.register_client(app, entropy, wall, now))
        .await?;
    Ok(handle)
}

#[allow(dead_code, reason = "the test of this program has another way in")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    let handle = start("http://127.0.0.1:8080", "http://127.0.0.1:8081/callback").await?;
    println!("listening on http://127.0.0.1:8080");
    Ok(axum::serve(listener, app(handle)).await?)
}
