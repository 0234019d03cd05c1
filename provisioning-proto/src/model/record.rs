use serde::{Deserialize, Serialize};

use crate::model::Target;
use crate::{GroupId, PolicyId};

/// One step in the life of a registration: what happened, when, and why. Holds no secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Record {
    /// Counts the device's records; a gap before the first kept one says how many were forgotten.
    pub number: u64,
    /// When, in Unix milliseconds.
    pub at: u64,
    /// What happened.
    pub step: Step,
    /// The generation of the assignment that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Where that leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The policy that chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyId>,
    /// The group through which the device came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// What can happen to a registration.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// An operator enrolled the device, or changed its enrollment.
    Enrolled,
    /// An operator removed the enrollment.
    EnrollmentRemoved,
    /// The first certificate that came was pinned.
    CertificatePinned,
    /// An assignment was decided.
    Proposed,
    /// Its target knows the device, which may be told.
    Committed,
    /// The device was told the assignment that it has.
    Returned,
    /// The device was seen at its target.
    Confirmed,
    /// A target has forgotten the device.
    TargetRetired,
    /// A decided assignment came to nothing.
    Abandoned,
    /// The device was refused after it had proved itself.
    Refused,
    /// An operator asked it to register again.
    Triggered,
    /// An operator allowed its group's credential once more.
    RebindApproved,
    /// An operator took it out of service.
    Retired,
    /// An operator put it back into service, with no assignment and no secret of its own.
    Reset,
    /// Its registration was taken over from another instance.
    Imported,
    /// The registration that was taken over was given back before the device was seen.
    Withdrawn,
    /// An operator sent it to one access point, or left it to the policies again.
    Directed,
}

/// Why a registration failed. The words are for the operator; how much of them a device sees is the composition's choice.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize, thiserror::Error,
)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// What the device presented proves nothing here.
    #[error("the device did not prove who it is")]
    Unauthenticated,
    /// The enrollment or the group was disabled.
    #[error("the entry is disabled")]
    Disabled,
    /// The device was taken out of service.
    #[error("the device was taken out of service")]
    Retired,
    /// The id is not one that the group lets in.
    #[error("the group does not let this id in")]
    IdRefused,
    /// The group has as many devices as it may, or takes no more within the hour.
    #[error("the group takes no further device")]
    GroupFull,
    /// It has a credential of its own, and the group's is refused.
    #[error("the device has a credential of its own and must use it")]
    RebindRefused,
    /// No policy chose an access point.
    #[error("no policy matches the device")]
    NoMatch,
    /// No access point lies near the device's address.
    #[error("no access point for the device's address")]
    NoneNearby,
    /// A policy denied it.
    #[error("a policy denied the device")]
    Denied,
    /// The hook was too slow, or its answer was not sound.
    #[error("the hook gave no sound answer")]
    HookFailed,
    /// The access point is gone, full, or not for this tenant.
    #[error("the access point takes no device of this tenant")]
    TargetRefused,
    /// The access point could not be told of the device.
    #[error("the access point could not be told of the device")]
    TargetFailed,
    /// No certificate was issued.
    #[error("no certificate was issued")]
    IssuerFailed,
    /// What it was decided on had changed meanwhile, again and again.
    #[error("the entry changed meanwhile")]
    Conflict,
    /// It took too long.
    #[error("it took too long")]
    TimedOut,
    /// The device or its connection went away.
    #[error("it was cancelled")]
    Cancelled,
    /// There is too much to do, or another registration of the device is under way.
    #[error("busy")]
    Busy,
    /// The changes could not be stored.
    #[error("the journal is not available")]
    Unavailable,
    /// The program ended while it was under way.
    #[error("it was interrupted")]
    Interrupted,
}
