//! What is stored. The written form is forever: a variant is never removed or given another meaning, and a field is only
//! added with a default.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Issued, IssuedCertificates, Issuer, Profile, Reason, SNAPSHOT_FORMAT};
use crate::certificates::{Certificate, Digest, Serial};
use crate::ledger::ledger;
use crate::{CaId, ProfileId, RegistrationId, SealedSecret};

/// The longest change, in bytes: a certificate, a sealed key and a URL.
const MAX_CHANGE: usize = 32 << 10;

ledger!(IssuedCertificates, Change, longest: MAX_CHANGE, snapshot: SNAPSHOT_FORMAT);

/// Something that happened to a certificate, an issuer or a profile, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Unix milliseconds, never less than in the change before.
    pub at: u64,
    /// What happened.
    pub fact: Fact,
}

/// The facts that the ledger is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Somebody signs from now on.
    IssuerAdded {
        /// Its id.
        issuer: CaId,
        /// Its certificate.
        certificate: Box<Certificate>,
        /// Its private key.
        key: SealedSecret,
        /// Where its list of revocations is fetched.
        list_url: Option<String>,
    },
    /// A profile was made or changed.
    ProfileSet {
        /// Its id.
        profile: ProfileId,
        /// The profile.
        settings: Profile,
    },
    /// A profile was removed.
    ProfileRemoved {
        /// Its id.
        profile: ProfileId,
    },
    /// A certificate was issued.
    CertificateIssued {
        /// Its serial number.
        serial: Serial,
        /// What is known of it.
        issued: Issued,
    },
    /// A certificate became active by its token.
    CertificateActivated {
        /// Its serial number.
        serial: Serial,
    },
    /// A certificate is out of use, since later ones are active.
    CertificateSuperseded {
        /// Its serial number.
        serial: Serial,
    },
    /// A certificate is out of use for ever.
    CertificateRevoked {
        /// Its serial number.
        serial: Serial,
        /// Why.
        reason: Reason,
    },
    /// A certificate was never activated.
    PendingRemoved {
        /// Its serial number.
        serial: Serial,
    },
    /// A certificate is past its end.
    CertificateExpired {
        /// Its serial number.
        serial: Serial,
    },
    /// The keys of a device are nobody's again.
    KeysReleased {
        /// The device.
        id: RegistrationId,
    },
    /// A list of revocations was issued.
    ListIssued {
        /// By whom.
        issuer: CaId,
        /// Its number.
        number: u64,
    },
}

/// The ledger as it is written, without what follows from the rest.
#[derive(Deserialize)]
pub(super) struct Written {
    issuers: BTreeMap<CaId, Issuer>,
    current: Option<CaId>,
    profiles: BTreeMap<ProfileId, Profile>,
    certificates: BTreeMap<Serial, Issued>,
    keys: BTreeMap<Digest, RegistrationId>,
    latest: u64,
}

impl From<Written> for IssuedCertificates {
    fn from(written: Written) -> Self {
        let mut by_id: BTreeMap<RegistrationId, BTreeSet<Serial>> = BTreeMap::new();
        let mut due = BTreeSet::new();
        for (serial, issued) in &written.certificates {
            by_id
                .entry(issued.id.clone())
                .or_default()
                .insert(serial.clone());
            due.insert((issued.due(), serial.clone()));
        }
        Self {
            issuers: written.issuers,
            current: written.current,
            profiles: written.profiles,
            certificates: written.certificates,
            keys: written.keys,
            latest: written.latest,
            by_id,
            due,
        }
    }
}
