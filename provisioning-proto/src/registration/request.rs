use std::net::IpAddr;

use bytes::Bytes;

use crate::directory::Principal;
use crate::{RegistrationId, SealedSecret, TenantId, roster, tenant};

/// What a device that proved who it is wants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RegistrationRequest {
    /// The device.
    pub principal: Principal,
    /// Where it comes from.
    pub peer: Option<IpAddr>,
    /// A keyword that it says itself: good for choosing among what the policies offer, and nothing else.
    pub keyword: Option<String>,
    /// A secret that it is given with its first assignment, sealed for the field
    /// [`own_secret_field`](roster::Roster::own_secret_field); none for a device that keeps the one it has.
    pub fresh_secret: Option<SealedSecret>,
    /// A certificate signing request.
    pub csr: Option<Bytes>,
    /// Whether the answer is held until [`handle_subscribed`](super::Registrations::handle_subscribed).
    pub hold: bool,
}

impl RegistrationRequest {
    /// A request of a device that says no more than who it is.
    #[must_use]
    pub fn new(principal: Principal) -> Self {
        Self {
            principal,
            peer: None,
            keyword: None,
            fresh_secret: None,
            csr: None,
            hold: false,
        }
    }
}

/// What an operator wants.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// Something of a tenant's settings.
    Settings {
        /// The tenant.
        tenant: TenantId,
        /// What.
        command: tenant::Command,
    },
    /// Something of one device.
    Registration {
        /// Its tenant.
        tenant: TenantId,
        /// The device.
        id: RegistrationId,
        /// What: of the commands that are the operator's.
        command: roster::Command,
    },
}
