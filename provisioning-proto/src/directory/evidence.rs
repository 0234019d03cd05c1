use crate::certificates::Certificate;
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
        /// What stands in it, for a tenant's function that is asked.
        names: CertificateNames,
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
    /// What stands in its certificate, for a tenant's function that is asked.
    pub certificate: IssuerNames,
}

/// What stands in a device's certificate, in words.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct CertificateNames {
    /// The common name.
    pub subject: String,
    /// The issuer's common name.
    pub issuer: String,
}

impl CertificateNames {
    /// The names of a certificate; empty where it has none.
    #[must_use]
    pub fn of(certificate: &Certificate) -> Self {
        Self {
            subject: certificate.common_name().unwrap_or_default().to_owned(),
            issuer: certificate
                .issuer_common_name()
                .unwrap_or_default()
                .to_owned(),
        }
    }
}

/// What an authority is called.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct IssuerNames {
    /// The name that the tenant gave it.
    pub name: String,
    /// The common name of its certificate.
    pub subject: String,
    /// SHA-256 of its certificate in hexadecimal digits.
    pub fingerprint: String,
}

impl Issuer {
    /// An authority.
    #[must_use]
    pub fn new(tenant: TenantId, ca: CaId, expired: bool) -> Self {
        Self {
            tenant,
            ca,
            expired,
            certificate: IssuerNames::default(),
        }
    }

    /// The same authority with what it is called.
    #[must_use]
    pub fn named(mut self, name: &str, certificate: &Certificate) -> Self {
        self.certificate = IssuerNames {
            name: name.to_owned(),
            subject: certificate.common_name().unwrap_or_default().to_owned(),
            fingerprint: certificate.fingerprint(),
        };
        self
    }
}
