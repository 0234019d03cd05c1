//! The provisioning service.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;

/// The provisioning service.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Provisioning {
    /// Whether there is one.
    pub(crate) enabled: bool,
    /// When a former access point is told that a device has gone although the device was not seen at the new one, in seconds.
    pub(crate) grace_seconds: u64,
    /// How long until a migration asks again for what was not answered, in seconds; doubled each time, up to an hour.
    pub(crate) migration_retry_seconds: NonZeroU32,
    /// How many requests of one device are answered at once; then there is one more every ten seconds.
    pub(crate) requests_per_device: NonZeroU32,
    /// How many requests from one address are answered at once; then there is one more every hundredth of a second.
    pub(crate) requests_per_source: NonZeroU32,
    /// How many requests of one tenant are answered at once; then there are as many more in each second as the next says.
    pub(crate) requests_per_tenant: NonZeroU32,
    /// How many requests of one tenant are answered in each second after that.
    pub(crate) requests_per_tenant_and_second: NonZeroU32,
    /// Who may use the HTTPS interface, and for which tenant.
    pub(crate) operators: Vec<ProvisioningOperator>,
    /// A file that says where networks are, for policies that choose the nearest access point.
    pub(crate) geography: Option<PathBuf>,
    /// Functions that custom policies may name; no other is asked.
    pub(crate) functions: Vec<ProvisioningFunction>,
    /// Other instances, to which registrations can go and from which they come.
    pub(crate) instances: Vec<ProvisioningInstance>,
}

/// Another instance of a provisioning service, for one tenant. Its `Debug` leaves out all but its name.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvisioningInstance {
    /// The tenant, which has the same id at both.
    pub(crate) tenant: String,
    /// What operators call it.
    pub(crate) name: String,
    /// Its address, over HTTPS; without one, files are carried.
    pub(crate) url: Option<String>,
    /// A file with the token that it wants to see.
    pub(crate) token_file: PathBuf,
    /// SHA-256 of the token that it shows, in hexadecimal digits.
    pub(crate) token_sha256: String,
    /// A file with the key that both have, in hexadecimal digits.
    pub(crate) key_file: PathBuf,
    /// The access point here to which devices come that it hands over.
    pub(crate) access_point: String,
}

impl fmt::Debug for ProvisioningInstance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvisioningInstance")
            .field("tenant", &self.tenant)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A function of a tenant that says where a device belongs. Its `Debug` leaves out where it is asked: such addresses hold keys.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvisioningFunction {
    /// The tenant.
    pub(crate) tenant: String,
    /// What policies call it.
    pub(crate) urn: String,
    /// Where it is asked, over HTTPS.
    pub(crate) url: String,
}

impl fmt::Debug for ProvisioningFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvisioningFunction")
            .field("tenant", &self.tenant)
            .field("urn", &self.urn)
            .finish_non_exhaustive()
    }
}

/// Someone who may use the HTTPS interface of the provisioning service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProvisioningOperator {
    /// The tenant.
    pub(crate) tenant: String,
    /// SHA-256 of the token, in hexadecimal digits.
    pub(crate) token_sha256: String,
}

impl Default for Provisioning {
    fn default() -> Self {
        Self {
            enabled: false,
            grace_seconds: 86_400,
            migration_retry_seconds: NonZeroU32::new(30).unwrap_or(NonZeroU32::MIN),
            requests_per_device: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            requests_per_source: NonZeroU32::new(2000).unwrap_or(NonZeroU32::MIN),
            requests_per_tenant: NonZeroU32::new(2000).unwrap_or(NonZeroU32::MIN),
            requests_per_tenant_and_second: NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN),
            operators: Vec::new(),
            geography: None,
            functions: Vec::new(),
            instances: Vec::new(),
        }
    }
}
