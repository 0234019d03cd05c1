//! What is stored. The written form is forever: a variant is never removed or given another meaning, and a field is only
//! added with a default. `tests/journal_compat` holds what every release wrote.

use serde::{Deserialize, Serialize};

use crate::ledger::ledger;
use crate::model::{Assignment, Cause, Enrollment, Fingerprint, Target};
use crate::roster::{Roster, SNAPSHOT_FORMAT};
use crate::{AccessPointId, GroupId, RegistrationId, SealedSecret, TransferId};

/// The longest change, in bytes; the longest possible one holds two initial configurations.
const MAX_CHANGE: usize = 256 << 10;

ledger!(Roster, Change, longest: MAX_CHANGE, snapshot: SNAPSHOT_FORMAT);

/// Something that happened to a device's registration, and when.
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

/// The facts that registrations are made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The device was enrolled, or its enrollment changed.
    Enrolled {
        /// The enrollment from now on.
        enrollment: Enrollment,
    },
    /// The enrollment was removed.
    EnrollmentRemoved,
    /// The first certificate that came was pinned.
    CertificatePinned {
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// An assignment was decided.
    Proposed {
        /// The assignment.
        assignment: Assignment,
        /// The secret that the device is given with it.
        own_secret: Option<SealedSecret>,
    },
    /// The target of the decided assignment knows the device.
    Committed {
        /// Its generation.
        generation: u64,
    },
    /// The device was told the assignment that it has.
    Returned {
        /// Its generation.
        generation: u64,
    },
    /// The device was seen at its target.
    Confirmed {
        /// The generation of its assignment.
        generation: u64,
    },
    /// A former target has forgotten the device.
    TargetRetired {
        /// The target.
        target: Target,
    },
    /// The decided assignment came to nothing.
    Abandoned {
        /// Its generation.
        generation: u64,
        /// Why.
        cause: Cause,
    },
    /// The device proved itself and was refused.
    Refused {
        /// Why.
        cause: Cause,
        /// The group through which it came.
        group: Option<GroupId>,
    },
    /// The device was asked to register again.
    Triggered,
    /// Its group's credential is let in once more.
    RebindApproved,
    /// It was taken out of service.
    Retired,
    /// It was put back into service and forgot its own secret; the policies are asked again.
    Reset,
    /// Its assignment was taken over from another instance.
    Imported {
        /// The assignment.
        assignment: Assignment,
        /// The secret that the device was given with it.
        own_secret: Option<SealedSecret>,
        /// The transfer that brought it; none where an operator wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        transfer: Option<TransferId>,
        /// The enrollment that came with it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enrollment: Option<Box<Enrollment>>,
    },
    /// A transfer was taken back before the device was seen.
    Withdrawn {
        /// The transfer.
        transfer: TransferId,
    },
    /// It was sent to one access point, whatever the policies say, or left to the policies again.
    Directed {
        /// Where to.
        to: Option<AccessPointId>,
    },
}
