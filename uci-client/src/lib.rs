//! The client-side cloud of the OCF Universal Cloud Interface as a sans-IO core.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod append;
mod backoff;
mod calls;
mod client;
mod config;
mod credentials;
#[cfg(feature = "tokio")]
pub mod driver;
mod error;
mod exchange;
mod ledger;
mod mirror;
mod notifications;
mod output;
mod random;
mod seal;
mod subscriptions;
mod sync;
mod timers;

pub use append::{Append, AppendId, Appended, Loaded, Snapshot, StreamAppend};
pub use backoff::Backoff;
pub use calls::{Call, Reply};
pub use client::Client;
pub use config::Config;
pub use error::{Error, ErrorKind};
pub use ledger::{SubscribeId, Target};
pub use mirror::{Mirror, MirrorChange, MirroredDevice};
pub use notifications::{Notification, Refusal};
pub use output::{
    CallId, EndReason, Event, ExchangeId, Failure, FailureKind, Output, RequestId, RetryReason,
    StopReason, TransportFailure,
};
pub use seal::{Opened, SealError, Sealer};
