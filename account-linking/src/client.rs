//! The side that is linked to a device-side cloud: an OAuth 2.0 client that keeps many users' links.
//!
//! [`Links`] is the machine. It is told of users who want to link, of browsers that come back, of responses and of time,
//! and asks for requests to be sent and changes to be stored. [`Cloud`] describes the other side, [`Sealer`] keeps the
//! tokens unreadable in the store.

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

pub use callback::{Answer, Callback, ErrorCode, MAX_QUERY};
pub use cloud::{ClientAuthentication, Cloud, CloudId, Identity};
pub use identity::subject_of;
pub use links::{
    Config, Event, ExchangeId, Failure, LinkSummary, Links, OperationId, Output, Refusal, Start,
    TransportFailure, check_change,
};
pub use seal::{OpenedSecret, SealError, Sealer};
pub use user_links::RelinkReason;
