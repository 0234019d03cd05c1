use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{CaId, SealedSecret};

pub use crate::ids::{Fingerprint, PskIdentity};
pub use crate::mqtt::Derivation;

/// How one device proves who it is, as an operator configured it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Attestation {
    /// A secret of its own, with which it signs the time or opens a session.
    SymmetricKey {
        /// The secret.
        primary: SealedSecret,
        /// Another that is good too, for changing secrets without an outage.
        secondary: Option<SealedSecret>,
    },
    /// A certificate that is pinned.
    X509Leaf {
        /// The fingerprints of the certificates that are good.
        fingerprints: BTreeSet<Fingerprint>,
        /// Until when, in Unix milliseconds, the first certificate that comes is pinned if there is none. Zero is never: the first
        /// comer wins, so it is to be a short time.
        first_use_until: u64,
    },
    /// Any certificate for its id below a certificate authority.
    X509Ca {
        /// The authority.
        ca: CaId,
        /// Whether the authority may have ended.
        accept_expired: bool,
    },
    /// A pre-shared key of DTLS (LwM2M security mode 0).
    DtlsPsk {
        /// The identity that it names in the handshake.
        identity: PskIdentity,
        /// The key.
        key: SealedSecret,
    },
}

/// How the devices of a group prove who they are.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum GroupAttestation {
    /// With a secret that is derived from the group's and the device's id.
    GroupKey {
        /// The group's secret, which no device should hold.
        primary: SealedSecret,
        /// Another that is good too.
        secondary: Option<SealedSecret>,
        /// How a device's secret follows from it.
        derivation: Derivation,
    },
    /// With a certificate below a certificate authority.
    X509Ca {
        /// The authority, which serves no other group.
        ca: CaId,
        /// Whether the authority may have ended.
        accept_expired: bool,
    },
}

impl GroupAttestation {
    /// The certificate authority, if it is one's.
    #[must_use]
    pub fn ca(&self) -> Option<&CaId> {
        match self {
            Self::GroupKey { .. } => None,
            Self::X509Ca { ca, .. } => Some(ca),
        }
    }
}

impl Attestation {
    /// The certificate authority, if it is one's.
    #[must_use]
    pub fn ca(&self) -> Option<&CaId> {
        match self {
            Self::X509Ca { ca, .. } => Some(ca),
            _ => None,
        }
    }
}
