use serde::{Deserialize, Serialize};

use crate::model::{InitialConfig, Migration};
use crate::{GroupId, PolicyId};

pub use crate::allocation::Target;

/// Where a device belongs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Assignment {
    /// Counts up with every new assignment of the device; what arrives under a smaller number is of the past.
    pub generation: u64,
    /// How far it has come.
    pub state: AssignmentState,
    /// The access point and the application there.
    pub target: Target,
    /// The policy that chose it; none for an entry that names its access point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// The group through which the device came; none for one that was enrolled itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// The version of the enrollment or group that it was decided on.
    pub entry_version: u64,
    /// What the device proved itself with.
    pub class: EvidenceClass,
    /// Whether its data come along.
    pub migration: Migration,
    /// What it is given beside its address, as it was when this was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_config: Option<InitialConfig>,
    /// When it was decided, in Unix milliseconds.
    pub decided_at: u64,
}

/// How far an assignment has come.
///
/// ```text
/// Pending ─▶ Committed ─▶ Confirmed ─▶ Superseded ─▶ Retired
///    └────────────┴─────────────────────────▲
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum AssignmentState {
    /// It was decided; its target does not know the device yet.
    Pending,
    /// The target knows the device, which may be told.
    Committed,
    /// The device was seen there.
    Confirmed,
    /// Another took its place, or it came to nothing; the target may still know the device.
    Superseded,
    /// The target has forgotten the device.
    Retired,
}

/// How strong the proof of a device was, weakest first. A device is not moved by a weaker proof than that of its first assignment.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum EvidenceClass {
    /// What follows from a secret that a whole group shares.
    GroupKey,
    /// A secret of its own.
    OwnSecret,
    /// A certificate.
    Certificate,
}
