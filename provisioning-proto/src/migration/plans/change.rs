//! What is stored. The written form is forever: a variant is never removed or given another meaning, and a field is only
//! added with a default. `tests/journal_compat` holds what every release wrote.

use serde::{Deserialize, Serialize};

use super::{AbortCause, Plans, SNAPSHOT_FORMAT, Way};
use crate::ledger::ledger;
use crate::{AccessPointId, RegistrationId};

/// The longest change, in bytes.
const MAX_CHANGE: usize = 4 << 10;

ledger!(Plans, Change, longest: MAX_CHANGE, snapshot: SNAPSHOT_FORMAT);

/// Something that happened to a device's migration, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Unix milliseconds, never less than in the change before.
    pub at: u64,
    /// The device.
    pub id: RegistrationId,
    /// What happened.
    pub fact: Fact,
}

/// The facts that migrations are made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// It was planned, in the place of the device's last one.
    Planned {
        /// Where the device is.
        from: AccessPointId,
        /// How it is moved, and where to.
        way: Way,
        /// When it is aborted, in Unix milliseconds.
        ends_at: u64,
    },
    /// The device is directed, or its registration is being offered.
    Begun,
    /// The new place knows the device.
    Prepared,
    /// The device was seen there.
    Confirmed,
    /// The old place has forgotten it.
    Finished,
    /// It is being undone.
    AbortBegun {
        /// Why.
        cause: AbortCause,
    },
    /// Everything is as it was.
    Aborted,
    /// One that has ended is not kept any longer.
    Forgotten,
    /// It was aborted without the word of the other instance: an operator affirms that this one has not the device.
    AbortedAlone,
    /// After that, the other instance said that it has given the device back.
    GivenBackLate,
    /// After that, it said that it has seen the device, and keeps it: both have it.
    SeenLate,
}
