//! What the connector wants done, and what comes back.

use crate::managed_integrations::answer::Answer;
use crate::managed_integrations::event::{EventOperation, SendConnectorEvent};
use crate::managed_integrations::matter::{Unmapped, Update};
use crate::managed_integrations::request::Authorization;
use crate::managed_integrations::text::{ConnectorDeviceId, StatusCode};
use crate::user_id::UserId;

/// Names an invocation; one [`Output::Answer`] carries it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct InvocationId(pub(super) u64);

/// Names something that is to be done; its result carries it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct TaskId(pub(super) u64);

/// What the driver is to do.
#[must_use = "an output left undone stalls what waits for it"]
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a task that is not known stalls the machine"
)]
pub enum Output {
    /// Return this from the Lambda function.
    Answer {
        /// The invocation.
        invocation: InvocationId,
        /// The answer.
        answer: Answer,
    },
    /// Check the token, or read the secret, and find its user; answer with `handle_checked`. The authorization server of
    /// this crate does it by `authenticate`; others by introspection.
    Check {
        /// Names the task.
        task: TaskId,
        /// What to check.
        authorization: Authorization,
    },
    /// Revoke the token and the refresh token that came with it; answer with `handle_revoked`. The authorization server of
    /// this crate does it by `end_grant`, for the grant that `authenticate` finds.
    Revoke {
        /// Names the task.
        task: TaskId,
        /// What to revoke.
        authorization: Authorization,
    },
    /// Find the devices of a user; answer with `handle_devices`.
    ListDevices {
        /// Names the task.
        task: TaskId,
        /// The credentials that the request came with, for whoever asks another party.
        authorization: Authorization,
        /// The user.
        user: UserId,
    },
    /// Find a device, which must be this user's, with its state; answer with `handle_device`.
    FindDevice {
        /// Names the task.
        task: TaskId,
        /// The credentials that the request came with, for whoever asks another party.
        authorization: Authorization,
        /// The user.
        user: UserId,
        /// The device.
        device: ConnectorDeviceId,
    },
    /// Set a property of a resource; answer with `handle_updated`.
    Update {
        /// Names the task.
        task: TaskId,
        /// The credentials that the request came with, for whoever asks another party.
        authorization: Authorization,
        /// The user.
        user: UserId,
        /// The device.
        device: ConnectorDeviceId,
        /// What to set.
        update: Update,
    },
    /// Sign and send an event; answer with `handle_sent`.
    Send {
        /// Names the task.
        task: TaskId,
        /// The event.
        event: SendConnectorEvent,
    },
    /// Something to know.
    Event(Event),
}

/// Why there is no user for a token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CheckFailure {
    /// It is no good.
    Invalid,
    /// It is not known whether it is.
    Unavailable,
}

/// Why a device did not do something, or could not be found.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeviceFailure {
    /// The user has no such device, or the device no such resource.
    NotFound,
    /// It is not connected.
    Offline,
    /// It did not answer in time.
    TimedOut,
    /// It answered that it will not.
    Refused,
    /// Nothing is known of it now.
    Unavailable,
}

impl DeviceFailure {
    /// The code that tells it.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Offline | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::Refused => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The sentence that tells it.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::NotFound => "The device is not there",
            Self::Offline => "The device is not connected",
            Self::TimedOut => "The device did not answer in time",
            Self::Refused => "The device refused",
            Self::Unavailable => "The device cannot be asked now",
        }
    }
}

/// Why an event was not taken.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendFailure {
    /// Worth another attempt: no answer, 429, or any 5xx.
    Later,
    /// Refused for good: any other 4xx.
    Refused,
}

/// Something to know.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A user is linked: changes of their devices are worth a report from now on.
    Activated {
        /// The user.
        user: UserId,
    },
    /// A token of a user was revoked: unless they are linked otherwise, no more reports.
    Deactivated {
        /// The user; `None` when the token had none.
        user: Option<UserId>,
    },
    /// A device was left out of a discovery.
    LeftOut {
        /// The user.
        user: UserId,
        /// The device.
        device: ConnectorDeviceId,
        /// Whether it has nothing that Matter knows, or too much.
        reason: LeftOut,
    },
    /// A command could not be carried out by what the device is.
    NotPossible {
        /// The device.
        device: ConnectorDeviceId,
        /// Why.
        reason: Unmapped,
    },
    /// An event was given up.
    NotSent {
        /// What it was about.
        operation: EventOperation,
        /// The user.
        user: UserId,
    },
}

/// Why a device is not in a discovery.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeftOut {
    /// Nothing of it has a counterpart in Matter.
    NoCounterpart,
    /// It has more parts than a report can hold.
    TooLarge,
}
