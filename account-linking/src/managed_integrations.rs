//! The connector of AWS IoT Device Management managed integrations: a cloud's devices offered to the customers of AWS.
//!
//! Managed integrations invoke a Lambda function with one of four operations. [`Request`] is what it gets, [`Answer`]
//! what it returns, [`SendConnectorEvent`] what it tells afterwards, and [`Connector`] is the machine between them: it
//! answers in time, does the work of a repeated request once, and names what is to be done: check a token, list devices,
//! set a property, send an event. [`matter`] translates between OCF resources and the Matter clusters that the interface
//! speaks of. The Lambda function, its signing (SigV4) and its way to the cloud are the caller's; the users are linked by
//! the authorization server of [`server`](crate::server), whose user ids fit.
//!
//! # Example
//!
//! ```
//! use std::time::Instant;
//!
//! use account_linking::managed_integrations::connector::{CheckFailure, Config, Connector, Output};
//! use account_linking::managed_integrations::matter::{self, OcfDevice, OcfResource};
//! use account_linking::managed_integrations::request::Authorization;
//! use account_linking::managed_integrations::{Answer, SendConnectorEvent, Value};
//!
//! /// A cloud with one plug, whose token is `good`.
//! struct Cloud {
//!     plug: OcfDevice,
//!     answers: Vec<Answer>,
//!     events: Vec<SendConnectorEvent>,
//! }
//!
//! impl Cloud {
//!     /// What a driver does; this one has no network and does it at once.
//!     fn run(&mut self, connector: &mut Connector, now: Instant) {
//!         while let Some(output) = connector.poll_output() {
//!             match output {
//!                 Output::Check { task, authorization: Authorization::OAuth { token } }
//!                     if token.expose() == "good" =>
//!                 {
//!                     connector.handle_checked(task, Ok("user-1".parse().unwrap()), now);
//!                 }
//!                 Output::Check { task, .. } => {
//!                     connector.handle_checked(task, Err(CheckFailure::Invalid), now);
//!                 }
//!                 Output::ListDevices { task, .. } => {
//!                     connector.handle_devices(task, Ok(vec![self.plug.clone()]), now);
//!                 }
//!                 Output::FindDevice { task, .. } => {
//!                     connector.handle_device(task, Ok(self.plug.clone()), now);
//!                 }
//!                 Output::Update { task, update, .. } => {
//!                     let switch = &mut self.plug.resources[0].representation;
//!                     switch.insert(update.property.to_owned(), update.value);
//!                     connector.handle_updated(task, Ok(()), now);
//!                 }
//!                 Output::Send { task, event } => {
//!                     self.events.push(event); // POST event.to_request(&region), signed
//!                     connector.handle_sent(task, Ok(()), now);
//!                 }
//!                 Output::Revoke { task, .. } => connector.handle_revoked(task, Ok(None), now),
//!                 Output::Answer { answer, .. } => self.answers.push(answer),
//!                 Output::Event(event) => println!("{event:?}"),
//!             }
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), account_linking::Error> {
//! let mut plug = OcfDevice::new("5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10".parse()?);
//! plug.types.push("oic.d.smartplug".to_owned());
//! let mut switch = OcfResource::new("/switch", "oic.r.switch.binary");
//! switch.representation.insert("value".to_owned(), Value::Bool(false));
//! plug.resources.push(switch);
//! let endpoint = matter::endpoints(&plug)?[0].id.clone();
//! let mut cloud = Cloud { plug, answers: Vec::new(), events: Vec::new() };
//!
//! # #[allow(clippy::disallowed_methods)]
//! let now = Instant::now();
//! let mut connector = Connector::new(Config::new("my-connector".parse()?));
//! let command = format!(
//!     r#"{{"header":{{"auth":{{"type":"OAuth2.0","token":"good"}}}},
//!         "payload":{{"operationName":"AWS.SendCommand","operationVersion":"1.0","connectorId":"my-connector",
//!         "traceId":"trace:1","connectorDeviceId":"5f3c2d6e-8a41-4a43-9d8e-0c1f6a7b2e10",
//!         "endpoints":[{{"id":"{endpoint}","clusters":[{{"id":"0x0006","commands":[{{"0x02":{{}}}}]}}]}}]}}}}"#
//! );
//! // Toggle; and the same once more, since the first answer was late.
//! for _ in 0..2 {
//!     connector.handle_invocation(command.as_bytes(), now);
//!     cloud.run(&mut connector, now);
//! }
//! let answer = r#"{"header":{"responseCode":200},"payload":{"responseMessage":"The command was received"}}"#;
//! assert_eq!(cloud.answers.iter().map(Answer::to_json).collect::<Vec<_>>(), [answer, answer]);
//! assert_eq!(cloud.plug.resources[0].representation["value"], Value::Bool(true));
//! assert_eq!(cloud.events.len(), 1);
//! assert_eq!(cloud.events[0].trace().map(|trace| trace.as_str()), Some("trace:1"));
//! # Ok(())
//! # }
//! ```
//!
//! # What is not verified
//!
//! The API model (2025-03-03) is exact about events, and every event is held against it. About the rest the public
//! documentation is silent in these points; nothing here has met the service itself:
//!
//! - The members of `AWS.DiscoverDevices` and `AWS.SendCommand` below the envelope, and the full answers. Requests are read
//!   under every name and in every shape that documentation and model suggest; the answers are `responseCode` 200 and a
//!   `responseMessage`.
//! - Whether a connector gets writes of attributes besides commands (they are carried out), and how it answers them
//!   (with the attributes that were written).
//! - Which values of `responseCode` are allowed besides 200: those of HTTP are used, 401 for a token that is no good,
//!   503 for what is worth a repetition.
//! - `errors{code, message}` beside a command in a response: whether `code` is a number. It is, the same one.
//! - Whether one command may be answered by several events, and one discovery by several lists: both are done where one
//!   event cannot say everything.
//! - A discovery that fails is a `DEVICE_DISCOVERY` with the code of the failure and without devices.
//! - `connectorId` in a request is taken for the id of the connector ([`connector::Config::checks_connector`]).
//! - Kinds of devices: an example has `Refrigerator`, so the words of Matter's device library are used. Revisions of
//!   clusters are those of Matter 1.4. Endpoints have ids like `9f86d081884c7d65`; examples have `1` and `EP1`.
//! - The callback URL of managed integrations, its `state`, its use of PKCE, how long it waits for a token, and whether it
//!   keeps a rotated refresh token.
//! - Whether managed integrations ever ask the authorization server for the user themselves; the connector does.
//!
//! # Security
//!
//! Tokens do not print and are wiped when they are dropped; what is remembered of a request is a hash of its token. The
//! buffer that the payload came in is the caller's. A PIN that comes with a door lock's command is refused, not dropped.
//! A repeated request is answered from memory only with the same token; with another one, that is checked first.

mod answer;
pub mod connector;
pub mod event;
mod id;
pub mod matter;
pub mod request;
mod text;
mod value;

pub use answer::Answer;
pub use connector::Connector;
pub use event::SendConnectorEvent;
pub use id::{AttributeId, ClusterId, CommandId, EventId};
pub use request::Request;
pub use text::{
    CapabilityName, ConnectorDeviceId, ConnectorDeviceName, ConnectorId, DeviceDiscoveryId,
    DeviceType, EndpointId, Message, NodeId, OperationVersion, SemanticTag, StatusCode, TraceId,
};
pub use value::Value;
