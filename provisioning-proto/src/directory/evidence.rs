use crate::model::{Fingerprint, PskIdentity};
use crate::mqtt::TimedMac;
use crate::{CaId, RegistrationId, ScopeId, TenantId};

/// What a device presents to prove who it is.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Evidence {
    /// A MAC over its secret, or one that follows from its group's. Checked by [`Candidate::check`](super::Candidate::check).
    TimedMac {
        /// The scope that it names, if it comes through a group.
        scope: Option<ScopeId>,
        /// The id that it claims.
        id: RegistrationId,
        /// The password and how it was made.
        mac: TimedMac,
    },
    /// A certificate. The caller has verified that the device holds its key and that the chain leads to the issuers.
    Certificate {
        /// The scope that it names, if any.
        scope: Option<ScopeId>,
        /// The id that it claims, which the caller has found in the certificate too.
        id: RegistrationId,
        /// The enrolled authorities in the verified chain, nearest to the device first.
        issuers: Vec<Issuer>,
        /// The fingerprints of the device's own certificate, for one that is pinned.
        fingerprints: Vec<Fingerprint>,
    },
    /// A pre-shared key. The caller has completed a handshake with the key of this identity.
    Psk {
        /// The identity.
        identity: PskIdentity,
    },
}

/// An enrolled certificate authority that vouches for a device.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Issuer {
    /// Whose authority it is.
    pub tenant: TenantId,
    /// The authority.
    pub ca: CaId,
    /// Whether its own certificate has ended.
    pub expired: bool,
}

impl Issuer {
    /// An authority.
    #[must_use]
    pub fn new(tenant: TenantId, ca: CaId, expired: bool) -> Self {
        Self {
            tenant,
            ca,
            expired,
        }
    }
}
