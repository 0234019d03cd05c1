//! The side that is linked to a device-side cloud: an OAuth 2.0 client that keeps many users' links.
//!
//! [`Links`] is the machine. It is told of users who want to link, of browsers that come back, of responses and of time,
//! and asks for requests to be sent and changes to be stored. [`Cloud`] describes the other side, [`Sealer`] keeps the
//! tokens unreadable in the store. The `driver` module (feature `tokio`) runs it.
//!
//! # Example
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Arc;
//! use std::time::{Duration, Instant, UNIX_EPOCH};
//!
//! use account_linking::client::{
//!     ClientAuthentication, Cloud, Config, Event, Links, OpenedSecret, Output, SealError, Sealer, Start,
//! };
//! use account_linking::{Appended, ClientSecret, Loaded, SecretBytes};
//! # use bytes::Bytes;
//!
//! // A real one encrypts under a key per stream.
//! struct InClear;
//! impl Sealer for InClear {
//!     fn seal(&self, _: &str, _: &str, _: [u8; 32], secret: &[u8]) -> Result<Vec<u8>, SealError> {
//!         Ok(secret.to_vec())
//!     }
//!     fn open(&self, _: &str, _: &str, sealed: &[u8]) -> Result<OpenedSecret, SealError> {
//!         Ok(OpenedSecret::new(sealed.to_vec()))
//!     }
//! }
//!
//! /// Does what the machine asks for, until it asks for nothing; a scripted server stands in for the other side.
//! fn run(links: &mut Links, store: &mut BTreeMap<String, Vec<Bytes>>, now: Instant) -> Vec<Event> {
//!     let mut events = Vec::new();
//!     while let Some(output) = links.poll_output() {
//!         match output {
//!             Output::Load { stream } => {
//!                 let changes = store.get(&stream).cloned().unwrap_or_default();
//!                 links.handle_loaded(&stream, &Loaded::new(changes.len() as u64, None, changes), now);
//!             }
//!             Output::Append(append) => {
//!                 let mut versions = Vec::new();
//!                 for part in append.streams {
//!                     let stream = store.entry(part.stream).or_default();
//!                     stream.extend(part.changes);
//!                     versions.push(stream.len() as u64);
//!                 }
//!                 links.handle_appended(append.id, &Appended::Done { versions }, now);
//!             }
//!             Output::Send { exchange, request } => {
//!                 assert_eq!(request.uri(), "https://cloud.example/token");
//!                 // {"iss":"https://cloud.example","sub":"u-1"}
//!                 let claims = "eyJpc3MiOiJodHRwczovL2Nsb3VkLmV4YW1wbGUiLCJzdWIiOiJ1LTEifQ";
//!                 let tokens = format!(
//!                     r#"{{"access_token":"e30.{claims}.c2ln","token_type":"Bearer","expires_in":3600,"refresh_token":"r"}}"#
//!                 );
//!                 links.handle_response(exchange, &http::Response::new(Bytes::from(tokens)), now);
//!             }
//!             Output::Snapshot { .. } => {}
//!             Output::Event(event) => events.push(event),
//!         }
//!     }
//!     events
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cloud = Cloud::new(
//!     "lamps".parse()?,
//!     "https://cloud.example",
//!     "https://cloud.example/authorize",
//!     "https://cloud.example/token",
//!     "our-id",
//!     ClientAuthentication::Basic(ClientSecret::new("our-secret")?),
//!     "https://us.example/callback".parse()?,
//! )?;
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
//! // Entropy and seeds come from the operating system.
//! let seed = SecretBytes::new([1; 32]);
//! let mut links = Links::new(Config::new("home"), [cloud], Arc::new(InClear), seed, wall, now)?;
//! let mut store = BTreeMap::new();
//!
//! // A user presses "link". The cookie of the browser session ties what follows to this browser.
//! let cookie = SecretBytes::new([2; 32]);
//! links.start(Start::new("ann".parse()?, "lamps".parse()?, cookie.clone(), "home"), [3; 32], [4; 32], now)?;
//! let events = run(&mut links, &mut store, now);
//! let [Event::Redirect { location, .. }] = &events[..] else { panic!("answer with 303") };
//! let (_, state) = location.url().query_pairs().find(|(name, _)| name == "state").ok_or("no state")?;
//!
//! // The user has agreed over there, and the browser comes back.
//! let query = format!("code=abc&state={state}&iss=https://cloud.example");
//! links.callback(&"ann".parse()?, &cookie, "https://us.example/callback", &query, now)?;
//! let events = run(&mut links, &mut store, now);
//! let [Event::Linked { link, return_page, .. }] = &events[..] else { panic!("not linked") };
//! assert_eq!((link.remote_user.as_str(), return_page.as_str()), ("u-1", "home"));
//!
//! // From now on there is a token whenever one is needed.
//! links.token(&"ann".parse()?, &"lamps".parse()?, None, now)?;
//! assert!(matches!(&run(&mut links, &mut store, now)[..], [Event::Token { .. }]));
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! The `oauth2` crate, which builds and reads the messages, keeps secrets in plain strings for the length of a call;
//! everywhere else they are wiped when they are dropped. Whoever can write to the store can end links; whoever can read
//! it learns which users are linked, and no token.

mod authorization;
mod callback;
mod claim;
mod cloud;
#[cfg(feature = "tokio")]
pub mod driver;
mod identity;
mod links;
mod oauth;
mod seal;
mod token;
mod user_links;

pub use authorization::Location;
pub use callback::{Answer, Callback, ErrorCode, MAX_QUERY};
pub use cloud::{ClientAuthentication, Cloud, CloudId, Identity};
pub use identity::subject_of;
pub use links::{
    Config, Event, ExchangeId, Failure, LinkSummary, Links, OperationId, Output, Refusal, Start,
    TransportFailure, check_change,
};
pub use seal::{OpenedSecret, SealError, Sealer};
pub use user_links::RelinkReason;
