//! The ledger of the certificates that a tenant gives its own devices, and of those who sign them.
//!
//! ```text
//!   prepare ─▶ (the caller signs) ─▶ record ─▶ PendingActivation ─token, within an hour─▶ Active ─▶ Superseded (a third became active)
//!                                      │               │                                    ├──▶ Revoked
//!                                      │               └─ unused ─▶ removed                  └──▶ removed at its end
//!                                      └─ a profile without tokens ─▶ Active
//! ```
//!
//! What is signed is written here, so that nothing in it comes from the device but its key; the signature is the caller's
//! ([`ToSign`]), whose private key this crate never sees but sealed.

mod apply;
mod change;
mod decide;
mod list;
mod prepare;
mod profile;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Certificate, CertificateError, Digest, Serial};
use crate::{CaId, ProfileId, RegistrationId, SealedSecret, TenantId};

pub use change::{Change, Fact};
pub use decide::{Command, Decision, Reply};
pub use list::ListToSign;
pub use prepare::{Order, Subject, ToSign};
pub use profile::{Activation, Misnamed, Profile, Purpose};

/// The form in which [`IssuedCertificates::snapshot`] writes. A form with another number is refused.
pub const SNAPSHOT_FORMAT: u32 = 1;

/// The limits of the ledger.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The most certificates at a time, whatever their state; a million by default.
    pub max_certificates: usize,
    /// The most keys that are remembered as somebody's; four million by default.
    pub max_keys: usize,
    /// The most issuers, those out of use included; 10 by default.
    pub max_issuers: usize,
    /// The most profiles; 20 by default.
    pub max_profiles: usize,
    /// How long a token is good for; an hour by default.
    pub token_lifetime: Duration,
    /// For how long a list of revocations counts; a week by default.
    pub list_lifetime: Duration,
    /// How long before now a certificate begins, for devices whose clock is late; five minutes by default.
    pub backdate: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_certificates: 1_000_000,
            max_keys: 4_000_000,
            max_issuers: 10,
            max_profiles: 20,
            token_lifetime: Duration::from_secs(3600),
            list_lifetime: Duration::from_secs(7 * 24 * 3600),
            backdate: Duration::from_secs(300),
        }
    }
}

/// The most certificates of one device that wait for their token; the oldest goes when there is one more.
const MAX_PENDING: usize = 2;

/// The most active certificates of one device: the one in use and the one that takes its place.
const MAX_ACTIVE: usize = 2;

/// The certificates that one tenant issued.
///
/// Kept in one stream a tenant, see [`IssuedCertificates::stream`].
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(from = "change::Written")]
pub struct IssuedCertificates {
    issuers: BTreeMap<CaId, Issuer>,
    /// The issuer that signs from now on.
    current: Option<CaId>,
    profiles: BTreeMap<ProfileId, Profile>,
    certificates: BTreeMap<Serial, Issued>,
    /// Whose each key is. A key stays its device's when its certificates are gone.
    keys: BTreeMap<Digest, RegistrationId>,
    /// The latest time seen, in Unix milliseconds; later decisions are never dated before it.
    latest: u64,
    /// The certificates of each device; follows from `certificates`.
    #[serde(skip)]
    by_id: BTreeMap<RegistrationId, BTreeSet<Serial>>,
    /// When something is to be removed, in Unix milliseconds; follows from `certificates`.
    #[serde(skip)]
    due: BTreeSet<(u64, Serial)>,
}

impl IssuedCertificates {
    /// The name of the stream that keeps a tenant's issued certificates.
    #[must_use]
    pub fn stream(tenant: &TenantId) -> String {
        format!("certificates/{tenant}")
    }

    /// The name of the field under which an issuer's private key is sealed in the stream.
    #[must_use]
    pub fn issuer_key_field(issuer: &CaId) -> String {
        format!("issuing key {issuer}")
    }

    /// Those who sign, by their ids.
    #[must_use]
    pub fn issuers(&self) -> &BTreeMap<CaId, Issuer> {
        &self.issuers
    }

    /// The one who signs from now on.
    #[must_use]
    pub fn current_issuer(&self) -> Option<(&CaId, &Issuer)> {
        self.issuers.get_key_value(self.current.as_ref()?)
    }

    /// The profiles, by their ids.
    #[must_use]
    pub fn profiles(&self) -> &BTreeMap<ProfileId, Profile> {
        &self.profiles
    }

    /// One certificate.
    #[must_use]
    pub fn certificate(&self, serial: &Serial) -> Option<&Issued> {
        self.certificates.get(serial)
    }

    /// The certificates of a device, by their serial numbers.
    pub fn certificates_of(&self, id: &RegistrationId) -> impl Iterator<Item = (&Serial, &Issued)> {
        let serials = self.by_id.get(id).into_iter().flatten();
        serials.filter_map(|serial| self.certificates.get_key_value(serial))
    }

    /// How many certificates are held, whatever their state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.certificates.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty()
    }

    /// The device to which a certificate was issued, if it may still be used for it. That its key is the peer's is for the
    /// handshake to prove.
    ///
    /// # Errors
    ///
    /// [`CertificateError::UnknownAuthority`] if it was not issued here or is gone, [`CertificateError::Denied`] if it is not
    /// active, [`CertificateError::NotYetValid`], [`CertificateError::Expired`].
    pub fn authenticate(
        &self,
        leaf: &Certificate,
        at: SystemTime,
    ) -> Result<&RegistrationId, CertificateError> {
        let issued = self
            .certificates
            .get(leaf.serial())
            .filter(|issued| issued.digest == Digest::of(leaf.der()))
            .ok_or(CertificateError::UnknownAuthority)?;
        if issued.state != State::Active {
            return Err(CertificateError::Denied);
        }
        leaf.check_validity(at)?;
        Ok(&issued.id)
    }

    /// When [`Command::Expire`] has something to do next.
    #[must_use]
    pub fn next_due(&self) -> Option<SystemTime> {
        let (at, _) = self.due.first()?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(*at))
    }
}

/// One who signs.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Issuer {
    /// Its certificate.
    pub certificate: Certificate,
    /// Its private key, sealed.
    pub key: SealedSecret,
    /// Where its list of revocations is fetched, if it is written into certificates.
    pub list_url: Option<String>,
    /// The number of its latest list of revocations.
    pub list_number: u64,
}

/// A certificate that was issued.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Issued {
    /// The device.
    pub id: RegistrationId,
    /// Who signed it.
    pub issuer: CaId,
    /// SHA-256 of the certificate.
    pub digest: Digest,
    /// SHA-256 of its `SubjectPublicKeyInfo`.
    pub key: Digest,
    /// When it was issued, in Unix milliseconds.
    pub issued_at: u64,
    /// When it ends, in Unix milliseconds.
    pub not_after: u64,
    /// Where it stands.
    pub state: State,
}

/// Where an issued certificate stands.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Of no use until its token is shown.
    PendingActivation {
        /// SHA-256 of the token.
        token: Digest,
        /// When it is removed otherwise, in Unix milliseconds.
        expires_at: u64,
    },
    /// In use.
    Active,
    /// Out of use, since later ones of the same device are active.
    Superseded {
        /// Since when, in Unix milliseconds.
        at: u64,
    },
    /// Out of use for ever.
    Revoked {
        /// Since when, in Unix milliseconds.
        at: u64,
        /// Why.
        reason: Reason,
    },
}

/// Why a certificate was revoked (RFC 5280, 5.3.1).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is not said.
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// The device is another's now.
    AffiliationChanged,
    /// The device is out of service.
    CessationOfOperation,
    /// What the certificate allowed is allowed no more.
    PrivilegeWithdrawn,
}
