//! The ledger of the registrations of some devices of a tenant: who is enrolled, and where each device belongs.
//!
//! A tenant's devices are spread over [`Roster::SHARDS`] rosters by a hash of their ids, each kept in a stream of its own. One
//! stream for a whole tenant would make 100,000 devices queue for one another's writes; one for each device would make a restart
//! read 100,000 streams. A shard holds some thousand devices, its writes are grouped, and a restart reads 64 streams a tenant.

mod apply;
mod change;
mod decide;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::model::{Assignment, Enrollment, Record, Target};
use crate::{AccessPointId, RegistrationId, SealedSecret, TenantId, TransferId};

pub use change::{Change, Fact};
pub use decide::{Command, Decision, Proposal, Reply};

/// The form in which [`Roster::snapshot`] writes. A form with another number is refused.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// How many records are kept of a device.
const MAX_RECORDS: usize = 16;
/// How many targets of a device may wait to be told that it has gone.
const MAX_PREVIOUS: usize = 8;
/// How many transfers that were taken back are remembered of a device, so that a late offer of one is refused.
const MAX_WITHDRAWN: usize = 8;

/// The registrations of one shard of a tenant's devices.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Roster {
    registrations: BTreeMap<RegistrationId, Registration>,
    /// The latest time seen, in Unix milliseconds; later decisions are never dated before it.
    latest: u64,
}

impl Roster {
    /// How many rosters a tenant's devices are spread over.
    pub const SHARDS: u8 = 64;

    /// The roster of a device: FNV-1a of its id, modulo [`SHARDS`](Self::SHARDS). Never changes.
    #[must_use]
    pub fn shard_of(id: &RegistrationId) -> u8 {
        let hash = id
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        hash.checked_rem(Self::SHARDS.into())
            .and_then(|shard| u8::try_from(shard).ok())
            .unwrap_or(0)
    }

    /// The name of the stream that keeps a roster.
    #[must_use]
    pub fn stream(tenant: &TenantId, shard: u8) -> String {
        format!("provisioning/{tenant}/{shard:02}")
    }

    /// The name of the field under which an enrollment's secret is sealed in its roster's stream.
    #[must_use]
    pub fn enrolled_secret_field(id: &RegistrationId) -> String {
        format!("enrolled secret {id}")
    }

    /// The name of the field under which the secret that a device was given is sealed in its roster's stream.
    #[must_use]
    pub fn own_secret_field(id: &RegistrationId) -> String {
        format!("own secret {id}")
    }

    /// The registrations, by their ids.
    #[must_use]
    pub fn registrations(&self) -> &BTreeMap<RegistrationId, Registration> {
        &self.registrations
    }

    /// One registration.
    #[must_use]
    pub fn registration(&self, id: &RegistrationId) -> Option<&Registration> {
        self.registrations.get(id)
    }
}

/// What is known of one device.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Registration {
    /// Its individual enrollment.
    pub enrollment: Option<Enrollment>,
    /// Counts up with every change of the enrollment, across its removal too; the ETag.
    pub entry_version: u64,
    /// When it was enrolled or seen first, in Unix milliseconds.
    pub created_at: u64,
    /// The assignment that it has: committed or confirmed.
    pub current: Option<Assignment>,
    /// When that was committed, in Unix milliseconds.
    pub committed_at: u64,
    /// The assignment that is being prepared.
    pub pending: Option<Pending>,
    /// Assignments of which the targets have not been told yet that the device has gone. One a target.
    pub previous: Vec<Assignment>,
    /// The largest generation that was ever given out.
    pub generation: u64,
    /// The secret that it was given with its assignment.
    pub own_secret: Option<SealedSecret>,
    /// When it was assigned first, in Unix milliseconds.
    pub first_assigned_at: Option<u64>,
    /// An operator asked it to register again.
    pub triggered: bool,
    /// An operator let the policies be asked again, whatever the re-provisioning policy says.
    pub reset: bool,
    /// An operator lets it use its group's credential once more.
    pub rebind_approved: bool,
    /// An operator took it out of service.
    pub retired: bool,
    /// The one access point that it is sent to, whatever its entry and the policies say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directed: Option<AccessPointId>,
    /// The transfer that brought its registration from another instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer>,
    /// Transfers that were taken back.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub withdrawn: VecDeque<TransferId>,
    /// What happened to it last, oldest first.
    pub records: VecDeque<Record>,
    /// How many records there ever were.
    pub record_count: u64,
}

/// An assignment that is being prepared, with what comes with it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Pending {
    /// The assignment.
    pub assignment: Assignment,
    /// The secret that the device is given with it.
    pub own_secret: Option<SealedSecret>,
}

/// A registration that came from another instance.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Transfer {
    /// The transfer.
    pub id: TransferId,
    /// The generation that the assignment has here.
    pub generation: u64,
    /// Whether its enrollment came along.
    pub enrolled: bool,
}

impl Registration {
    /// Whether the device was seen here after this transfer brought its registration, so that it can no more be taken back.
    #[must_use]
    pub fn was_seen_after(&self, transfer: &TransferId) -> bool {
        let taken = self.transfer.as_ref().filter(|one| one.id == *transfer);
        taken.is_some_and(|taken| {
            self.current.as_ref().is_none_or(|current| {
                current.generation != taken.generation
                    || current.state == crate::model::AssignmentState::Confirmed
            })
        })
    }

    /// The first assignment whose target is to be told now that the device has gone: the present one was seen to work, there is
    /// none, or the other came to nothing. A target that was superseded otherwise waits until `superseded_before`.
    #[must_use]
    pub fn to_retire(&self, superseded_before: u64) -> Option<&Assignment> {
        self.previous.iter().find(|previous| {
            self.current.as_ref().is_none_or(|current| {
                previous.generation > current.generation
                    || current.state == crate::model::AssignmentState::Confirmed
                    || self.committed_at <= superseded_before
            })
        })
    }

    fn has(&self, target: &Target) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.target == *target)
    }

    /// Whether nothing is worth keeping of it.
    fn is_void(&self) -> bool {
        self.enrollment.is_none()
            && self.generation == 0
            && !self.retired
            && self.withdrawn.is_empty()
    }
}
