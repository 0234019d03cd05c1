use bytes::Bytes;

use super::{Plans, Stage};
use crate::registration::{AppendId, CommandId};
use crate::{AccessPointId, ErrorKind, RegistrationId, TenantId, TransferId};

/// Changes to be made durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Append {
    /// Its name.
    pub id: AppendId,
    /// Whose migrations they are of.
    pub tenant: TenantId,
    /// The version that the stream has before.
    pub expected_version: u64,
    /// The changes, encoded.
    pub changes: Vec<Bytes>,
}

impl Append {
    /// The stream's name in the journal.
    #[must_use]
    pub fn stream(&self) -> String {
        Plans::stream(&self.tenant)
    }
}

/// What is to be done. What is not answered is asked for again; to do it twice is to do it once.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "an output left undone stalls its migration"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output left out stalls its migration"
)]
pub enum Output {
    /// Make changes durable; [`handle_stored`](super::Migrations::handle_stored).
    Append(Append),
    /// Load a tenant's migrations again; [`handle_loaded`](super::Migrations::handle_loaded).
    Reload(TenantId),
    /// Say how a device is registered here; [`handle_registration`](super::Migrations::handle_registration).
    Look {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
    },
    /// Send a device to an access point when it registers next ([`roster::Command::Direct`](crate::roster::Command::Direct)), and
    /// then say how it is registered. Directions of one device are given in the order in which they come: the last one counts.
    Direct {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// Where to.
        to: AccessPointId,
    },
    /// Ask a device to register again, wherever it is connected; nobody waits for an answer.
    Trigger {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
    },
    /// Give a device's registration to another instance as a [`Bundle`](super::Bundle);
    /// [`News::Accepted`](super::News::Accepted) or [`News::Refused`](super::News::Refused).
    Offer {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// The transfer.
        transfer: TransferId,
        /// The other instance.
        instance: String,
    },
    /// Ask another instance whether it has seen the device; [`News::Seen`](super::News::Seen) if so.
    Ask {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// The transfer.
        transfer: TransferId,
        /// The other instance.
        instance: String,
    },
    /// Ask another instance to give a registration back ([`roster::Command::Withdraw`](crate::roster::Command::Withdraw) there);
    /// [`News::Withdrawn`](super::News::Withdrawn), or [`News::Seen`](super::News::Seen) when it is too late.
    Withdraw {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// The transfer.
        transfer: TransferId,
        /// The other instance.
        instance: String,
    },
    /// Take a device that has gone out of service here ([`roster::Command::Retire`](crate::roster::Command::Retire)), and then say
    /// how it is registered.
    Retire {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
    },
    /// The end of a [`plan`](super::Migrations::plan) or an [`abort`](super::Migrations::abort).
    Done {
        /// Which.
        command: CommandId,
        /// What came of it.
        result: Result<(), ErrorKind>,
    },
    /// A migration has come this far, for the log; it is in the ledger already.
    Moved {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// How far.
        stage: Stage,
    },
}
