//! What is stored. The written form is forever: a variant is never removed or given another meaning, and a field is only
//! added with a default.

use serde::{Deserialize, Serialize};

use super::{CertificateAuthorities, Denial, Reference, SNAPSHOT_FORMAT};
use crate::CaId;
use crate::certificates::Certificate;
use crate::ledger::ledger;

/// The longest change, in bytes: a certificate and a name.
const MAX_CHANGE: usize = 32 << 10;

ledger!(CertificateAuthorities, Change, longest: MAX_CHANGE, snapshot: SNAPSHOT_FORMAT);

/// Something that happened to an authority, and when.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Unix milliseconds, never less than in the change before.
    pub at: u64,
    /// The authority.
    pub ca: CaId,
    /// What happened.
    pub fact: Fact,
}

/// The facts that the ledger is made of.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// An authority was uploaded; its key is not yet proved.
    Uploaded {
        /// A name for people.
        name: String,
        /// Its certificate.
        certificate: Certificate,
    },
    /// Another certificate took the place of its own; the key has to be proved again.
    CertificateReplaced {
        /// The certificate from now on.
        certificate: Certificate,
    },
    /// A code was made.
    CodeGenerated {
        /// The code.
        code: String,
        /// When it ends, in Unix milliseconds.
        expires_at: u64,
        /// How many wrong certificates end it.
        tries: u8,
    },
    /// A certificate was shown that does not prove the key.
    VerificationFailed,
    /// The key was proved; the code is used up.
    Verified,
    /// Whether devices are still taken after the authority's end.
    AcceptExpiredSet {
        /// Whether they are.
        accept: bool,
    },
    /// It was taken out of use.
    Revoked,
    /// It was deleted.
    Deleted,
    /// Something refers to it.
    Referred {
        /// What.
        reference: Reference,
    },
    /// Something refers to it no more.
    Unreferred {
        /// What.
        reference: Reference,
    },
    /// A certificate below it was refused.
    Denied {
        /// Which.
        denial: Denial,
    },
    /// A certificate below it is not refused any more.
    Allowed {
        /// Which.
        denial: Denial,
    },
}
