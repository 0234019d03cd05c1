//! The ledger of a tenant's migrations.

mod apply;
mod change;
mod decide;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AccessPointId, RegistrationId, TenantId, TransferId};

pub use change::{Change, Fact};
pub use decide::{Command, Decision};

/// The form in which [`Plans::snapshot`] writes. A form with another number is refused.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// The migrations of a tenant's devices: of each the last.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Plans {
    migrations: BTreeMap<RegistrationId, Migration>,
    /// How many were ever planned.
    planned: u64,
    /// The latest time seen, in Unix milliseconds; later decisions are never dated before it.
    latest: u64,
}

impl Plans {
    /// The name of the stream that keeps a tenant's migrations.
    #[must_use]
    pub fn stream(tenant: &TenantId) -> String {
        format!("provisioning/{tenant}/migrations")
    }

    /// The migrations, by the devices' ids.
    #[must_use]
    pub fn migrations(&self) -> &BTreeMap<RegistrationId, Migration> {
        &self.migrations
    }

    /// A device's last migration.
    #[must_use]
    pub fn migration(&self, id: &RegistrationId) -> Option<&Migration> {
        self.migrations.get(id)
    }
}

/// One migration of one device.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Migration {
    /// Counts the tenant's migrations.
    pub number: u64,
    /// Where the device was.
    pub from: AccessPointId,
    /// How it is moved, and where to.
    pub way: Way,
    /// How far it has come.
    pub stage: Stage,
    /// Why it was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<AbortCause>,
    /// Whether it was aborted without the word of the other instance, and what that said then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Alone>,
    /// When it was planned, in Unix milliseconds.
    pub planned_at: u64,
    /// When it came this far, in Unix milliseconds.
    pub moved_at: u64,
    /// When it is aborted if the device was not seen at the new place, in Unix milliseconds.
    pub ends_at: u64,
}

/// How a device is moved.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// It knows provisioning: it is directed to another access point and triggered.
    Direct {
        /// The access point.
        to: AccessPointId,
    },
    /// It does not: its registration goes to another instance, and then its address.
    Transfer {
        /// The transfer.
        transfer: TransferId,
        /// The other instance, in the operator's words: 1 to 256 bytes.
        instance: String,
    },
}

/// How far a migration has come.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is wanted.
    Planned,
    /// The device is directed, or its registration offered.
    Begun,
    /// The new place knows the device, with its credentials.
    Prepared,
    /// The device was seen there.
    Confirmed,
    /// The old place has forgotten it.
    Finished,
    /// It is being undone.
    Aborting,
    /// Everything is as it was.
    Aborted,
}

impl Stage {
    /// Whether something is still to be done.
    #[must_use]
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Finished | Self::Aborted)
    }

    /// Whether it can be aborted.
    #[must_use]
    pub fn can_abort(self) -> bool {
        matches!(self, Self::Planned | Self::Begun | Self::Prepared)
    }
}

/// Why a migration was aborted.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum AbortCause {
    /// An operator wanted it.
    Operator,
    /// Its time was over.
    TimedOut,
    /// The other instance did not take the device.
    Refused,
}

/// What is known of the other instance where a transfer was aborted without its word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Alone {
    /// Nothing: an operator affirms that it has not the device.
    Unheard,
    /// It has given the device back since.
    GivenBack,
    /// It has the device, and has seen it: both have it, until an operator lets it go at one of them.
    Seen,
}

/// A migration as it is wanted.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// Where the device is.
    pub from: AccessPointId,
    /// How it is moved, and where to.
    pub way: Way,
    /// How long it may take until the device is seen at the new place; by default a week.
    pub patience: Duration,
}

impl Plan {
    /// A migration that may take a week.
    #[must_use]
    pub fn new(from: AccessPointId, way: Way) -> Self {
        Self {
            from,
            way,
            patience: Duration::from_secs(7 * 86_400),
        }
    }
}
