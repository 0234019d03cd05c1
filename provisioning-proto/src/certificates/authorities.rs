//! The ledger of the certificate authorities that a tenant trusts.
//!
//! ```text
//!   upload ─▶ Unverified ─generate code─▶ Challenged ─verify─▶ Verified ─30 days before its end─▶ Expiring ─▶ Expired
//!                 ▲                        │                      │                                  │          │
//!                 ├── too many failures, ──┘                      └────────────── revoke ────────────┴──────────┤
//!                 │   or the code ends                                                                          ▼
//!                 └────────────────────────────── another certificate (replace) ──────────────────────────── Revoked
//! ```
//!
//! Whoever uploads an authority proves that its key is theirs by signing a certificate whose common name is the code.

mod apply;
mod change;
mod decide;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Certificate, CertificateError, Serial};
use crate::time::unix_millis;
use crate::{CaId, Fingerprint, GroupId, PolicyId, RegistrationId, TenantId};

pub use change::{Change, Fact};
pub use decide::{Command, Decision, Reply};

/// The form in which [`CertificateAuthorities::snapshot`] writes. A form with another number is refused.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// How long before its end an authority counts as expiring.
const EXPIRING: Duration = Duration::from_secs(30 * 24 * 3600);

/// The limits of the ledger.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The most authorities of a tenant; 100 by default.
    pub max_authorities: usize,
    /// How long a code is good for; a day by default.
    pub code_lifetime: Duration,
    /// How many wrong certificates end a code; 5 by default.
    pub code_tries: u8,
    /// The most denied certificates of one authority; 10,000 by default.
    pub max_denials: usize,
    /// The most groups, devices and policies that refer to one authority; 100,000 by default.
    pub max_references: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_authorities: 100,
            code_lifetime: Duration::from_secs(24 * 3600),
            code_tries: 5,
            max_denials: 10_000,
            max_references: 100_000,
        }
    }
}

/// The certificate authorities of one tenant.
///
/// Kept in one stream a tenant, see [`CertificateAuthorities::stream`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct CertificateAuthorities {
    authorities: BTreeMap<CaId, Authority>,
    /// The latest time seen, in Unix milliseconds; later decisions are never dated before it.
    latest: u64,
}

impl CertificateAuthorities {
    /// The name of the stream that keeps a tenant's authorities.
    #[must_use]
    pub fn stream(tenant: &TenantId) -> String {
        format!("authorities/{tenant}")
    }

    /// The authorities, by their ids.
    #[must_use]
    pub fn authorities(&self) -> &BTreeMap<CaId, Authority> {
        &self.authorities
    }

    /// One authority.
    #[must_use]
    pub fn authority(&self, ca: &CaId) -> Option<&Authority> {
        self.authorities.get(ca)
    }
}

/// One certificate authority.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Authority {
    /// A name for people.
    pub name: String,
    /// Its certificate.
    pub certificate: Certificate,
    /// Whether the tenant has proved that the key is its own, for this certificate.
    pub verified: bool,
    /// The code to be signed, and until when.
    pub challenge: Option<Challenge>,
    /// An operator took it out of use.
    pub revoked: bool,
    /// Whether devices are still taken after its end.
    pub accept_expired: bool,
    /// What refers to it.
    pub references: BTreeSet<Reference>,
    /// Certificates below it that are refused.
    pub denials: BTreeSet<Denial>,
    /// When it was uploaded first, in Unix milliseconds.
    pub uploaded_at: u64,
}

impl Authority {
    /// Where it stands at a time.
    #[must_use]
    pub fn state(&self, at: SystemTime) -> State {
        if self.revoked {
            return State::Revoked;
        }
        if !self.verified {
            let open = |challenge: &Challenge| challenge.expires_at > unix_millis(at);
            return if self.challenge.as_ref().is_some_and(open) {
                State::Challenged
            } else {
                State::Unverified
            };
        }
        let soon = at.checked_add(EXPIRING);
        if self.certificate.check_validity(at) == Err(CertificateError::Expired) {
            State::Expired
        } else if soon.is_none_or(|soon| soon > self.certificate.not_after()) {
            State::Expiring
        } else {
            State::Verified
        }
    }

    /// Whether devices below it are taken at a time: verified, and not past its end unless that is accepted, here or by
    /// whoever asks.
    #[must_use]
    pub fn is_usable(&self, at: SystemTime, accept_expired: bool) -> bool {
        match self.state(at) {
            State::Verified | State::Expiring => true,
            State::Expired => accept_expired || self.accept_expired,
            State::Unverified | State::Challenged | State::Revoked => false,
        }
    }

    /// Whether a certificate below it is refused.
    #[must_use]
    pub fn denies(&self, certificate: &Certificate) -> bool {
        let issued = *certificate.issuer() == *self.certificate.subject();
        (issued
            && self
                .denials
                .contains(&Denial::Serial(certificate.serial().clone())))
            || [certificate.fingerprint(), certificate.fingerprint_sha1()]
                .into_iter()
                .filter_map(|digits| Fingerprint::try_from(digits).ok())
                .any(|fingerprint| self.denials.contains(&Denial::Certificate(fingerprint)))
    }
}

/// Where an authority stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Nobody has proved that the key is theirs: of no use.
    Unverified,
    /// The same, while a code is waiting to be signed.
    Challenged,
    /// In use.
    Verified,
    /// In use, and within 30 days of its end.
    Expiring,
    /// Past its end: in use only where that is accepted.
    Expired,
    /// Taken out of use.
    Revoked,
}

impl State {
    /// What a list shows of its end: 0 usable, 1 within 30 days, 2 past it (the member `expired` of Huawei IoTDP).
    #[must_use]
    pub fn expired_value(self) -> u8 {
        match self {
            Self::Unverified | Self::Challenged | Self::Verified | Self::Revoked => 0,
            Self::Expiring => 1,
            Self::Expired => 2,
        }
    }
}

/// A code that is to be signed with an authority's key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Challenge {
    /// The code: 40 hexadecimal digits. No secret, for it is of use to the holder of the key alone.
    pub code: String,
    /// When it ends, in Unix milliseconds.
    pub expires_at: u64,
    /// How many more wrong certificates it bears.
    pub tries: u8,
}

/// What refers to an authority, which can then not be deleted.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// A group; an authority has one at most.
    Group(GroupId),
    /// A device of its own enrollment.
    Device(RegistrationId),
    /// An allocation policy.
    Policy(PolicyId),
}

/// A certificate below an authority that is refused.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// By its serial number, where the authority itself issued it.
    Serial(Serial),
    /// By its fingerprint, wherever below the authority it is.
    Certificate(Fingerprint),
}
