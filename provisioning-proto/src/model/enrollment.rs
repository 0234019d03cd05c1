use serde::{Deserialize, Serialize};

use crate::model::{Attestation, InitialConfig};
use crate::{AccessPointId, AccountId, PolicyId, RegistrationId};

/// What is the same for one device and for a group: where it goes and what it gets.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// False keeps it out, whatever it proves.
    pub enabled: bool,
    /// The one access point that it goes to, whatever the policies say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_point: Option<AccessPointId>,
    /// The policies that choose among access points, in the order in which they are asked; none means all of the tenant, oldest
    /// first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<PolicyId>,
    /// What happens when the device comes again.
    pub reprovisioning: ReprovisioningPolicy,
    /// What the device is given beside its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_config: Option<InitialConfig>,
    /// The account that owns the device at its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<AccountId>,
}

impl Entry {
    /// An entry that is enabled, with every policy of the tenant and nothing else.
    #[must_use]
    pub fn enabled() -> Self {
        Self {
            enabled: true,
            ..Self::default()
        }
    }
}

/// One device that was registered beforehand (individual enrollment).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Enrollment {
    /// A name for people, 1 to 256 bytes, against which keywords match; its id where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it proves who it is.
    pub attestation: Attestation,
    /// Where it goes.
    pub entry: Entry,
}

impl Enrollment {
    /// A device without a name of its own.
    #[must_use]
    pub fn new(attestation: Attestation, entry: Entry) -> Self {
        Self {
            name: None,
            attestation,
            entry,
        }
    }

    /// The name against which keywords match.
    #[must_use]
    pub fn name<'a>(&'a self, id: &'a RegistrationId) -> &'a str {
        self.name.as_deref().unwrap_or(id.as_str())
    }
}

/// What happens when a device that has an assignment registers again.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum ReprovisioningPolicy {
    /// It is told its assignment again, whatever the policies say now, until an operator resets it.
    Never,
    /// The policies are asked again, and it starts with the initial configuration of now.
    Reset,
    /// The policies are asked again, and it keeps its data and configuration.
    #[default]
    Migrate,
    /// As `Migrate`, but only after an operator triggered it; otherwise as `Never`.
    OnTrigger,
}

/// Whether a device's data go with it to another target.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between the two")]
#[serde(rename_all = "snake_case")]
pub enum Migration {
    /// They are carried over.
    Carry,
    /// It starts anew.
    Reset,
}

/// A thing that an operator edits, with its version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Versioned<T> {
    /// Counts up with every accepted change; its ETag.
    pub version: u64,
    /// When it was created, in Unix milliseconds.
    pub created_at: u64,
    /// The thing.
    pub value: T,
}

/// The version that an operator believes to be changing.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_enums, reason = "HTTP has no further condition")]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// Whatever there is.
    #[default]
    Any,
    /// Nothing yet (`If-None-Match: *`).
    Absent,
    /// This version (`If-Match`).
    Version(u64),
}

impl Expected {
    /// Whether `present` is as expected.
    #[must_use]
    pub fn is_met(self, present: Option<u64>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => present.is_none(),
            Self::Version(version) => present == Some(version),
        }
    }
}
