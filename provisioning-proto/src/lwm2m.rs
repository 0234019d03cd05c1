//! LwM2M devices: the bootstrap server's side, with its three content formats. (OMA LwM2M 1.0, 1.1 and 1.2)
//!
//! [`Bootstraps`] is the machine. A client asks with `POST /bs`; it is told 2.04, asked what it has, written to as its [`Plan`] says,
//! and let go with Finish when it answered everything with 2.xx. Its bootstrap account is never touched, wherever it is. What a client is
//! to have is a [`Configuration`], checked before anything is sent; where it comes from, and who may have it, is the caller's.
//! Requests and responses are values; the caller carries them over CoAP, and DTLS.
//!
//! # Example
//!
//! One bootstrap, from the request to the end, of a client that is a table of answers.
//!
//! ```
//! use std::time::Instant;
//!
//! use provisioning_proto::lwm2m::objects::{Security, Server};
//! use provisioning_proto::lwm2m::{
//!     Account, Bootstraps, Client, Code, Config, Configuration, Event, Incoming, LINK_FORMAT, Method, Opaque, Output, PeerId,
//!     Request, RequestId, Response,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[expect(clippy::disallowed_methods, reason = "whoever runs a machine has a clock")]
//! let now = Instant::now();
//! let mut bootstraps = Bootstraps::new(Config::default());
//!
//! // CON POST /bs?ep=urn:imei:1&pct=11542 came on the DTLS session of an identity that is bound to this endpoint name.
//! let mut request = Request::new(Method::Post, &["bs"]);
//! request.query = vec!["ep=urn:imei:1".to_owned(), "pct=11542".to_owned()];
//! let client = Client { tenant: "acme".parse()?, endpoint: "urn:imei:1".parse()? };
//! bootstraps.handle_request(
//!     Incoming { id: RequestId(1), peer: PeerId(7), client, confidential: true, request: &request },
//!     now,
//! );
//!
//! let mut log = Vec::new();
//! while let Some(output) = bootstraps.poll_output() {
//!     match output {
//!         Output::Configure { bootstrap, .. } => {
//!             let key = Opaque::new(b"a key of 16 byte".to_vec());
//!             let security = Security::psk("coaps://target.example:5684", 101, b"urn:imei:1", key);
//!             let configuration = Configuration::new(vec![Account::new(security, Server::new(101, 300))]);
//!             bootstraps.handle_configuration(bootstrap, Ok(configuration), now);
//!         }
//!         Output::Respond { response, .. } => log.push(format!("{} to the client", response.code)),
//!         Output::Send { exchange, request, .. } => {
//!             log.push(format!("{:?} /{}", request.method, request.path.join("/")));
//!             let links = |text: &[u8]| Response::new(Code::CONTENT).with_payload(LINK_FORMAT, text.into());
//!             let response = match (request.method, log.len()) {
//!                 // What it has at first, and in the end.
//!                 (Method::Get, 2) => links(b"</>;lwm2m=1.1,</0/0>,</1>,</3/0>"),
//!                 (Method::Get, _) => links(b"</>;lwm2m=1.1,</0/0>,</0/1>;ssid=101,</1/1>;ssid=101,</3/0>"),
//!                 _ => Response::new(Code::CHANGED),
//!             };
//!             bootstraps.handle_response(exchange, &response, now);
//!         }
//!         Output::Event(Event::Finished { client, placed, .. }) => {
//!             log.push(format!("{} finished, its account is /0/{}", client.endpoint, placed[0].security));
//!         }
//!         Output::Event(event) => log.push(format!("{event:?}")),
//!         Output::Cancel { .. } => {}
//!     }
//! }
//! assert_eq!(log, [
//!     "2.04 to the client", "Get /", "Put /0/1", "Put /1/1", "Get /", "Post /bs",
//!     "urn:imei:1 finished, its account is /0/1",
//! ]);
//! # Ok(())
//! # }
//! ```
//!
//! # Security
//!
//! The caller says whose credential secures a request ([`Client`]); an endpoint name that is not bound to it is refused, so that no
//! client is given another's keys. Keys ([`Opaque`]) do not print, compare in constant time and are wiped; they go over a transport
//! that others can read only with [`Config::insecure`].

mod cbor;
mod check;
mod error;
mod format;
mod links;
mod message;
pub mod objects;
mod pack;
mod path;
mod plan;
mod request;
mod senml;
pub mod senml_cbor;
pub mod senml_json;
mod session;
pub mod tlv;
mod value;

pub use check::{Account, Clean, Configuration, MAX_ACCOUNTS, Unfit};
pub use error::{DecodeError, EncodeError};
pub use format::{ContentFormat, LINK_FORMAT};
pub use links::Discovery;
pub use message::{Code, Method, Request, Response};
pub use pack::pack;
pub use path::{MAX_ID, Path};
pub use plan::{Placed, Plan, PlanError, Step};
pub use request::{BootstrapRequest, Operation};
pub use session::{
    BootstrapId, Bootstraps, Client, Config, Event, ExchangeId, Failure, Incoming, Missing, Output,
    PeerId, RequestId, TransportFailure, Verify,
};
pub use value::{Instance, ObjectLink, Opaque, Resource, Value};
