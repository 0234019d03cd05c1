//! OAuth 2.0 account linking as sans-IO machines and ledgers, authorization server and client role.
//!
//! A user of one cloud allows another cloud to act for them: the authorization code flow with PKCE
//! (RFC 6749, RFC 7636), hardened as RFC 9700 asks. [`server`] is the side that owns the users,
//! [`client`] the side that is allowed to act for them and keeps their tokens fresh. Nothing here
//! opens a socket, reads a clock, draws random numbers or stores anything: time and entropy are
//! arguments, and whatever has to be done leaves as an output and comes back as an input.
//!
//! [`managed_integrations`] offers the devices behind such a server to AWS IoT Device Management.
//!
//! It does not render a product's pages ([`server::PlainPages`] are plain), check passwords, hold
//! private signing keys, register clients over the wire, or offer OpenID Connect id tokens or the
//! device flow.
//!
//! # The authorization server
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::{Instant, SystemTime};
//!
//! use account_linking::server::{
//!     Algorithm, AuthorizationServer, Config, Event, Issuer, Output, PlainPages, RefreshKey,
//!     Registration, SigningKey,
//! };
//! use account_linking::{Appended, Loaded, PkceVerifier, SecretBytes};
//! use bytes::Bytes;
//! use http::{Request, Response};
//!
//! /// What a driver does; this one keeps its streams in a map and answers at once.
//! fn drive(
//!     server: &mut AuthorizationServer,
//!     store: &mut BTreeMap<String, Vec<Bytes>>,
//!     now: Instant,
//! ) -> Option<Response<Bytes>> {
//!     let mut answer = None;
//!     while let Some(output) = server.poll_output() {
//!         match output {
//!             Output::Respond { response, .. } => answer = Some(response),
//!             Output::Authenticated { request, result } => println!("{request}: {result:?}"),
//!             Output::VerifyPassword { request, user_name, password } => {
//!                 let known = user_name == "ada" && password.expose() == "correct horse";
//!                 let user = known.then(|| "user-1".parse().unwrap());
//!                 server.handle_password(request, user, now);
//!             }
//!             // The private key is elsewhere: in `ring`, a key service, a security module.
//!             Output::Sign { request, .. } => {
//!                 server.handle_signature(request, Some(&[0; 64]), now);
//!             }
//!             Output::Verify { request, .. } | Output::VerifyProof { request, .. } => {
//!                 server.handle_verification(request, true, now);
//!             }
//!             Output::Load { stream } => {
//!                 let changes = store.get(&stream).cloned().unwrap_or_default();
//!                 let loaded = Loaded::new(changes.len() as u64, None, changes);
//!                 server.handle_loaded(&stream, &loaded, now);
//!             }
//!             Output::Append(append) => {
//!                 let mut versions = Vec::new();
//!                 for part in append.streams {
//!                     let held = store.entry(part.stream).or_default();
//!                     held.extend(part.changes);
//!                     versions.push(held.len() as u64);
//!                 }
//!                 server.handle_appended(append.id, &Appended::Done { versions }, now);
//!             }
//!             Output::SaveSnapshot { .. } => {}
//!             Output::Event(Event::GrantEnded { grant, .. }) => println!("{grant} ended"),
//!             Output::Event(_) => {}
//!         }
//!     }
//!     answer
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A product draws all of these from the operating system.
//! let (seed, mut entropy) = ([1; 32], (2..).map(|byte| [byte; 32]));
//! let (now, wall) = (Instant::now(), SystemTime::now());
//! let config = Config::new(
//!     Issuer::new("https://cloud.example")?,
//!     "https://cloud.example/api",
//!     SigningKey::new("key-1", Algorithm::Es256, r#"{"kty":"EC","crv":"P-256","x":"","y":""}"#)?,
//!     RefreshKey::new(1, SecretBytes::new([9; 32])),
//! )?;
//! let mut server = AuthorizationServer::new(config, Box::new(PlainPages), seed, now)?;
//! let mut store = BTreeMap::new();
//!
//! let app = Registration::public(
//!     "client-app".parse()?,
//!     "The App",
//!     vec!["https://app.example/callback".parse()?],
//!     "r:* w:*".parse()?,
//! );
//! server.register_client(app, entropy.next().unwrap(), wall, now)?;
//! drive(&mut server, &mut store, now);
//!
//! // A browser arrives from the client and is sent to the login page, with a session cookie.
//! let challenge = PkceVerifier::generate(entropy.next().unwrap()).challenge();
//! let request = Request::get(format!(
//!     "/authorize?response_type=code&client_id=client-app&state=xyz\
//!      &code_challenge={}&code_challenge_method=S256",
//!     challenge.as_str(),
//! ));
//! let request = request.body(Bytes::new())?;
//! server.handle_request(&request, entropy.next().unwrap(), wall, now);
//! let response = drive(&mut server, &mut store, now).unwrap();
//! assert_eq!(response.status(), 303);
//! let cookie = response.headers()["set-cookie"].to_str()?;
//! let cookie = cookie.split(';').next().unwrap();
//!
//! let login = response.headers()["location"].to_str()?;
//! let request = Request::get(login).header("cookie", cookie).body(Bytes::new())?;
//! server.handle_request(&request, entropy.next().unwrap(), wall, now);
//! let page = drive(&mut server, &mut store, now).unwrap();
//! assert_eq!(page.headers()["x-frame-options"], "DENY");
//! assert!(String::from_utf8_lossy(page.body()).contains("The App wants to use your devices"));
//! # Ok(())
//! # }
//! ```
//!
//! From here the browser posts the login form, sees the consent page, and is sent back with a code
//! that the client exchanges at `/token`; `tests/server/` goes all the way. The client role has its
//! own example in [`client`].
//!
//! # In an axum server
//!
//! With the feature `tokio` each role is a task with handles to it. The authorization server answers what the rest of a program
//! has no route for, and says who calls the rest; `server::driver::Outside` is where its password check, keys and store are.
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use account_linking::server::driver::{Handle, Outside, drive};
//! use account_linking::server::{AuthorizationServer, Principal};
//! use axum::Router;
//! use axum::body::{Body, to_bytes};
//! use axum::extract::{FromRequestParts, Request, State};
//! use axum::http::{StatusCode, request::Parts};
//! use axum::routing::get;
//! # use axum::response::{IntoResponse, Response};
//!
//! async fn linking(State(linking): State<Handle>, request: Request) -> Response {
//!     let (head, body) = request.into_parts();
//!     match to_bytes(body, 64 << 10).await {
//!         Ok(body) => linking.answer(Request::from_parts(head, body)).await.map(Body::from),
//!         Err(_) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
//!     }
//! }
//!
//! struct Caller(Principal);
//!
//! impl FromRequestParts<Handle> for Caller {
//!     type Rejection = StatusCode; // A product sends `Refusal::challenge` in WWW-Authenticate too.
//!
//!     async fn from_request_parts(head: &mut Parts, linking: &Handle) -> Result<Self, StatusCode> {
//!         linking.authenticate(head).await.map(Self).map_err(|refusal| refusal.status())
//!     }
//! }
//!
//! async fn devices(Caller(principal): Caller) -> String {
//!     format!("the devices of {}", principal.account)
//! }
//!
//! async fn serve(server: AuthorizationServer, outside: impl Outside) -> std::io::Result<()> {
//!     let (handle, task) = drive(server, outside, 1024);
//!     tokio::spawn(task);
//!     let app = Router::new().route("/api/devices", get(devices)).fallback(linking).with_state(handle);
//!     axum::serve(tokio::net::TcpListener::bind("127.0.0.1:8080").await?, app).await
//! }
//! ```
//!
//! The whole program, with a key, a user and streams in memory, is `cargo run --example axum --features tokio`. The client role
//! has two routes of its own; `client::driver::World` is where its HTTP client and store are. Who is signed in here, and the
//! cookie that ties what comes back to this browser, are the program's own:
//!
#![cfg_attr(feature = "tokio", doc = "```no_run")]
#![cfg_attr(not(feature = "tokio"), doc = "```ignore")]
//! use account_linking::client::driver::{Handle, World, drive};
//! use account_linking::client::{Event, Links, Start};
//! use account_linking::{SecretBytes, UserId};
//! use axum::Router;
//! use axum::extract::{RawQuery, State};
//! use axum::http::HeaderMap;
//! use axum::response::Redirect;
//! use axum::routing::get;
//!
//! # fn session(_: &HeaderMap) -> (UserId, SecretBytes) { ("ann".parse().unwrap(), SecretBytes::new([2; 32])) }
//! # fn entropy() -> [u8; 32] { [3; 32] }
//! async fn link(State(links): State<Handle>, headers: HeaderMap) -> Redirect {
//!     let (user, cookie) = session(&headers);
//!     let begun = links.command(move |links, now| {
//!         let start = Start::new(user, "lamps".parse()?, cookie, "/linked");
//!         links.start(start, entropy(), entropy(), now)
//!     });
//!     match begun.await {
//!         Ok(Event::Redirect { location, .. }) => Redirect::to(location.url().as_str()),
//!         _ => Redirect::to("/not-linked"),
//!     }
//! }
//!
//! async fn callback(State(links): State<Handle>, headers: HeaderMap, RawQuery(query): RawQuery) -> Redirect {
//!     let ((user, cookie), query) = (session(&headers), query.unwrap_or_default());
//!     let back = links.command(move |links, now| {
//!         links.callback(&user, &cookie, "https://us.example/callback", &query, now)
//!     });
//!     match back.await {
//!         Ok(Event::Linked { return_page, .. }) => Redirect::to(&return_page),
//!         _ => Redirect::to("/not-linked"),
//!     }
//! }
//!
//! fn routes(links: Links, world: impl World) -> Router {
//!     let (events, mut heard) = tokio::sync::mpsc::channel(64);
//!     let (handle, task) = drive(links, world, events, 64);
//!     tokio::spawn(task);
//!     tokio::spawn(async move { while heard.recv().await.is_some() {} });
//!     Router::new().route("/link", get(link)).route("/callback", get(callback)).with_state(handle)
//! }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `tokio` | `client::driver` and `server::driver`, each role as a task |
//!
//! # Security
//!
//! A ledger holds no secret of the server: codes and client secrets as SHA-256 of 256 random bits,
//! refresh tokens as a generation and a salt, from which only [`server::RefreshKey`] makes the
//! token; the tokens of the client role are sealed ([`client::Sealer`]). Secrets are types that do
//! not print, compare in constant time and are wiped on drop. Sessions and half-done logins are in
//! memory: a restart asks people to start again.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod client;
pub mod error;
pub mod form;
pub mod managed_integrations;
pub mod pkce;
pub mod redirect_uri;
pub mod resource;
pub mod scope;
pub mod secret;
pub mod server;
pub mod stream;
pub mod user_id;

pub use error::{Error, ErrorKind, Fault};
pub use pkce::{PkceChallenge, PkceVerifier};
pub use redirect_uri::RedirectUri;
pub use resource::Resource;
pub use scope::{Scope, ScopeSet};
pub use secret::{
    AccessToken, AuthorizationCode, ClientSecret, Password, RefreshToken, SecretBytes,
};
pub use stream::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};
pub use user_id::UserId;

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;
