//! What a [`DeviceCloud`](crate::DeviceCloud) wants done and has to tell.

use bytes::Bytes;
use uci_model::{DeviceId, SubscriptionId};

use crate::account::{EndCause, Export};
use crate::append::{Append, Snapshot};
use crate::device_port::DeviceRequest;
use crate::error::Error;
use crate::ids::{
    AccountId, AskId, DeliveryId, ErasureId, ExportId, GrantEndId, OwnerChangeId, ReportId,
    RequestId,
};

/// Something to be done, in this order.
#[derive(Debug)]
#[must_use = "an output left undone stalls what waits for it"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output that is not done stalls: a new one must not compile"
)]
pub enum Output {
    /// Send the answer to an HTTP request.
    Respond {
        /// Which request.
        request: RequestId,
        /// The answer.
        response: http::Response<Bytes>,
    },
    /// Ask a device; answer with [`handle_answer`](crate::DeviceCloud::handle_answer).
    Ask {
        /// The question's id.
        ask: AskId,
        /// The question.
        request: DeviceRequest,
    },
    /// Deliver a notification, signed and complete; answer with [`handle_delivery`](crate::DeviceCloud::handle_delivery).
    Deliver {
        /// The attempt's id.
        delivery: DeliveryId,
        /// The request; its URI is the `eventsUrl`.
        request: http::Request<Bytes>,
    },
    /// Stop an attempt to deliver: what it has not sent yet must not be sent. If it is not answered yet, answer with
    /// [`handle_delivery`](crate::DeviceCloud::handle_delivery) when it sends nothing any more.
    Abort {
        /// The attempt's id.
        delivery: DeliveryId,
    },
    /// Read a stream; answer with [`handle_loaded`](crate::DeviceCloud::handle_loaded).
    Load {
        /// Which stream.
        stream: String,
    },
    /// Make changes durable; answer with [`handle_appended`](crate::DeviceCloud::handle_appended).
    Append(Append),
    /// Keep a snapshot, so that loading gets shorter, and remove the changes that it covers; answer with
    /// [`handle_saved`](crate::DeviceCloud::handle_saved). Until it is done, secrets and owners that are to be forgotten are
    /// still in the history: then it is asked for again after a failure, and when the stream is loaded the next time.
    SaveSnapshot {
        /// Of which stream.
        stream: String,
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// Erase a stream: its changes, its snapshots, and the key under which its secrets are sealed; answer with
    /// [`handle_erased`](crate::DeviceCloud::handle_erased).
    Erase {
        /// Which stream.
        stream: String,
    },
    /// Take note.
    Event(Event),
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A device report is durable, or refused. Final for its id.
    Reported {
        /// Which report.
        report: ReportId,
        /// What became of it.
        result: Result<(), Error>,
    },
    /// A grant's subscriptions are ended, durably, and none of them is being told anything but its end. Final for its id.
    GrantEnded {
        /// Which call.
        end: GrantEndId,
        /// What became of it.
        result: Result<(), Error>,
    },
    /// A device has another owner or none, durably, or the change was refused. Final for its id.
    OwnerChanged {
        /// Which call.
        change: OwnerChangeId,
        /// The generation in which the device is now, or was last. After a transfer whoever carries the device reports
        /// under it, and has the device publish anew; after a removal the device needs a later one to be registered again.
        result: Result<u64, Error>,
    },
    /// An account as data, or why there is none. Final for its id.
    AccountExported {
        /// Which call.
        export: ExportId,
        /// What the account holds.
        result: Result<Box<Export>, Error>,
    },
    /// Nothing of an account is kept any more, or it could not be erased now. Final for its id.
    AccountErased {
        /// Which call.
        erasure: ErasureId,
        /// What became of it.
        result: Result<(), Error>,
    },
    /// A subscription will get no further notification but its cancellation.
    SubscriptionEnded {
        /// Whose.
        account: AccountId,
        /// Which.
        subscription: SubscriptionId,
        /// Why.
        cause: EndCause,
    },
    /// An account was loaded in which this device counts as online. Whoever carries devices reports it offline unless it
    /// shows up in due time: sessions do not survive a restart.
    PresumedOnline {
        /// Whose.
        account: AccountId,
        /// The device.
        device: DeviceId,
        /// The ownership to report it under.
        generation: u64,
    },
    /// An account could not be loaded. Its notifications rest until a request, a report or
    /// [`wake`](crate::DeviceCloud::wake) needs it again: whoever runs the cloud wakes it after a while.
    Stalled {
        /// Which account.
        account: AccountId,
    },
    /// A stream could not be read: it holds what this release does not understand.
    Unreadable {
        /// Which stream.
        stream: String,
        /// Why.
        error: Error,
    },
    /// Another node owns a stream now; this one forgot it.
    Fenced {
        /// Which stream.
        stream: String,
    },
}
