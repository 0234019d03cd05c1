//! The device-side cloud of the OCF Universal Cloud Interface as a sans-IO core: routing, accounts, subscriptions, signed notifications.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod account;
mod append;
mod authorization;
mod backoff;
mod cloud;
mod config;
mod delivery;
mod device_port;
#[cfg(feature = "tokio")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
pub mod driver;
mod entropy;
mod error;
mod events_url;
mod ids;
mod negotiation;
mod output;
mod ownership;
mod request;
mod response;
pub mod router;
mod sealer;
mod status;
mod time;

pub use append::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};
pub use authorization::{Authentication, Principal, READ_SCOPE, WRITE_SCOPE};
pub use backoff::Backoff;
pub use cloud::DeviceCloud;
pub use config::{AccountLimits, Config, DeliveryRules, QueueRules};
pub use device_port::{
    DeliveryOutcome, DeviceAnswer, DeviceReport, DeviceRequest, Occurrence, Operation,
    TransportFailure,
};
pub use error::{Error, ErrorKind, Fault};
pub use events_url::{EventsUrlError, EventsUrlPolicy};
pub use ids::{
    AccountId, AskId, ClientId, DeliveryId, GrantEndId, GrantId, ParseIdError, ReportId, RequestId,
};
pub use negotiation::{notification_format, response_format};
pub use output::{Event, Output};
pub use sealer::{Opened, SealError, Sealer};
pub use status::http_status;
pub use time::UnixMillis;
