use bytes::Bytes;

use crate::allocation::{AccessPoint, FunctionUrn, Target};
use crate::model::{Assignment, Cause, InitialConfig, Record};
use crate::roster::{self, Roster};
use crate::tenant::{self, Tenant};
use crate::{AccountId, ErrorKind, RegistrationId, SealedSecret, TenantId};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub struct $name(pub(crate) u64);
    };
}

number!(
    /// One request of a device.
    OperationId
);
number!(
    /// One question to the outside, and its answer.
    ExchangeId
);
number!(
    /// One command of an operator.
    CommandId
);

/// Names an append for the journal; the same for a repetition, different from every other, also of another run.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AppendId(pub(crate) [u8; 16]);

impl AppendId {
    /// The bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// A stream of the journal.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a stream left out would not be stored"
)]
pub enum StreamId {
    /// A tenant's settings.
    Settings(TenantId),
    /// Some of a tenant's devices.
    Roster(TenantId, u8),
}

impl StreamId {
    /// Its name in the journal.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Settings(tenant) => Tenant::stream(tenant),
            Self::Roster(tenant, shard) => Roster::stream(tenant, *shard),
        }
    }
}

/// Changes to be made durable.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Append {
    /// Its name.
    pub id: AppendId,
    /// Where to.
    pub stream: StreamId,
    /// The version that the stream has before.
    pub expected_version: u64,
    /// The changes, encoded.
    pub changes: Vec<Bytes>,
}

/// What became of an [`Append`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "as the journal's answers are")]
pub enum Stored {
    /// It is durable; the stream has this version.
    Done {
        /// The version.
        version: u64,
    },
    /// Another wrote the stream meanwhile; it is to be loaded again.
    Conflict,
    /// Nobody knows; it is repeated.
    Unknown,
}

/// What is to be done. Each is answered by the `handle_` method that its text names, sooner or later or never.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "an output left undone stalls its operation until the deadline"]
#[expect(
    clippy::exhaustive_enums,
    reason = "an output left out stalls its operation"
)]
pub enum Output {
    /// Make changes durable; [`handle_stored`](super::Registrations::handle_stored).
    Append(Append),
    /// Load a stream again; [`handle_loaded_tenant`](super::Registrations::handle_loaded_tenant) or
    /// [`handle_loaded_roster`](super::Registrations::handle_loaded_roster).
    Reload(StreamId),
    /// Ask the tenant's function; [`handle_hook_reply`](super::Registrations::handle_hook_reply).
    InvokeHook {
        /// For the answer.
        exchange: ExchangeId,
        /// The tenant.
        tenant: TenantId,
        /// The function.
        function: FunctionUrn,
        /// What to ask it: JSON, without a secret.
        question: String,
    },
    /// Make a device known at a target, or known with what is new;
    /// [`handle_target_reply`](super::Registrations::handle_target_reply). To do it twice is to do it once. What concerns the targets
    /// of one device is done in the order in which it comes.
    UpsertDevice {
        /// For the answer.
        exchange: ExchangeId,
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// Its assignment.
        assignment: Box<Assignment>,
        /// Where that leads.
        access_point: Box<AccessPoint>,
        /// The account that owns the device there.
        owner: Option<AccountId>,
        /// The secret that the device will use there.
        secret: Option<DeviceSecret>,
        /// The target whose data of the device are to be carried over.
        carry_from: Option<Target>,
    },
    /// Make a former target forget a device; [`handle_target_reply`](super::Registrations::handle_target_reply).
    RetireDevice {
        /// For the answer.
        exchange: ExchangeId,
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// The former assignment.
        assignment: Box<Assignment>,
        /// Where that led; none when the access point is no longer known.
        access_point: Option<Box<AccessPoint>>,
    },
    /// Sign a certificate for the device; [`handle_issuer_reply`](super::Registrations::handle_issuer_reply).
    SignCsr {
        /// For the answer.
        exchange: ExchangeId,
        /// The tenant.
        tenant: TenantId,
        /// The device, which becomes the subject.
        id: RegistrationId,
        /// The request.
        csr: Bytes,
    },
    /// The end of a [`handle_request`](super::Registrations::handle_request).
    Answer {
        /// Which.
        operation: OperationId,
        /// Where the device belongs, or why it is not told.
        result: Result<Box<Answer>, Cause>,
    },
    /// The end of a [`command`](super::Registrations::command).
    Done {
        /// Which.
        command: CommandId,
        /// What came of it.
        result: Result<Reply, ErrorKind>,
    },
    /// Something happened to a device, for the log; it is in the ledger already.
    Audit {
        /// The tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// What happened.
        record: Record,
    },
}

/// What came of a command of an operator.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reply {
    /// It is done.
    Done,
    /// The version that the entry has.
    Version(u64),
}

impl From<tenant::Reply> for Reply {
    fn from(reply: tenant::Reply) -> Self {
        match reply {
            tenant::Reply::Done => Self::Done,
            tenant::Reply::Version(version) => Self::Version(version),
        }
    }
}

impl From<roster::Reply> for Reply {
    fn from(reply: roster::Reply) -> Self {
        match reply {
            roster::Reply::Done | roster::Reply::Generation(_) => Self::Done,
            roster::Reply::Version(version) => Self::Version(version),
        }
    }
}

/// A sealed secret and the stream and field that it is sealed for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeviceSecret {
    /// The stream.
    pub stream: String,
    /// The field.
    pub field: String,
    /// The secret.
    pub sealed: SealedSecret,
}

impl DeviceSecret {
    pub(super) fn own(tenant: &TenantId, id: &RegistrationId, sealed: SealedSecret) -> Self {
        Self {
            stream: Roster::stream(tenant, Roster::shard_of(id)),
            field: Roster::own_secret_field(id),
            sealed,
        }
    }

    pub(super) fn enrolled(tenant: &TenantId, id: &RegistrationId, sealed: SealedSecret) -> Self {
        Self {
            stream: Roster::stream(tenant, Roster::shard_of(id)),
            field: Roster::enrolled_secret_field(id),
            sealed,
        }
    }
}

/// Where a device belongs: of no protocol.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The tenant.
    pub tenant: TenantId,
    /// The device.
    pub id: RegistrationId,
    /// Its assignment.
    pub assignment: Assignment,
    /// The access point, with its addresses by protocol.
    pub access_point: AccessPoint,
    /// The secret that it was given; none for one that keeps its own.
    pub device_secret: Option<DeviceSecret>,
    /// The certificate that it asked for.
    pub certificate: Option<Bytes>,
}

impl Answer {
    /// What the device is given beside its address.
    #[must_use]
    pub fn initial_config(&self) -> Option<&InitialConfig> {
        self.assignment.initial_config.as_ref()
    }
}
