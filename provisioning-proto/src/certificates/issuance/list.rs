use std::time::SystemTime;

use x509_cert::crl::{RevokedCert, TbsCertList};
use x509_cert::der::asn1::Uint;
use x509_cert::der::{self, Decode as _, Encode as _};
use x509_cert::ext::pkix::{CrlNumber, CrlReason};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::{AlgorithmIdentifier, Version, certificate::Rfc5280};

use super::write::{authority_key, extension, time};
use super::{Config, Issued, IssuedCertificates, Issuer, Reason, State};
use crate::certificates::{CertificateError, Serial, SignatureAlgorithm};
use crate::{CaId, Error, ErrorKind, SealedSecret};

const LIST_NUMBER: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("2.5.29.20");
const REASON: der::asn1::ObjectIdentifier = der::asn1::ObjectIdentifier::new_unwrap("2.5.29.21");

/// A list of revocations without its signature; as [`ToSign`](super::ToSign).
#[derive(Clone, Debug)]
pub struct ListToSign {
    pub(super) issuer: CaId,
    pub(super) number: u64,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) message: Vec<u8>,
    key: SealedSecret,
}

impl ListToSign {
    /// The bytes to be signed.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// How they are to be signed.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The issuer's private key, sealed.
    #[must_use]
    pub fn key(&self) -> &SealedSecret {
        &self.key
    }

    /// The issuer.
    #[must_use]
    pub fn issuer(&self) -> &CaId {
        &self.issuer
    }
}

impl IssuedCertificates {
    /// Writes the list of an issuer's revocations (RFC 5280, 5.1): what was revoked or superseded and has not ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAuthority`], and [`ErrorKind::Certificate`] if the issuer may not sign lists.
    pub fn prepare_list(
        &self,
        issuer: &CaId,
        config: &Config,
        wall: SystemTime,
    ) -> Result<ListToSign, Error> {
        let found = self
            .issuers
            .get(issuer)
            .ok_or(ErrorKind::UnknownAuthority)?;
        let algorithm = SignatureAlgorithm::for_issuer(found.certificate.public_key().algorithm())
            .ok_or(CertificateError::UnsupportedAlgorithm)?;
        if !found.certificate.extensions().may_sign_lists() {
            return Err(CertificateError::WrongUsage.into());
        }
        let identifier = algorithm
            .identifier()
            .ok_or(CertificateError::UnsupportedAlgorithm)?;
        let number = found.list_number.saturating_add(1);
        let next = wall.checked_add(config.list_lifetime);
        let entries: der::Result<Vec<_>> = self
            .certificates
            .iter()
            .filter(|(_, issued)| issued.issuer == *issuer)
            .filter_map(|(serial, issued)| entry(serial, issued))
            .collect();
        let message = entries
            .and_then(|entries| write(found, identifier, entries, number, (wall, next)))
            .map_err(|_| CertificateError::Malformed)?;
        Ok(ListToSign {
            issuer: issuer.clone(),
            number,
            algorithm,
            message,
            key: found.key.clone(),
        })
    }
}

fn write(
    issuer: &Issuer,
    signature: AlgorithmIdentifier,
    entries: Vec<RevokedCert>,
    number: u64,
    (this, next): (SystemTime, Option<SystemTime>),
) -> der::Result<Vec<u8>> {
    let number = CrlNumber(Uint::new(&number.to_be_bytes())?);
    TbsCertList::<Rfc5280> {
        version: Version::V2,
        signature,
        issuer: Name::from_der(issuer.certificate.subject())?,
        this_update: time(this)?,
        next_update: next.map(time).transpose()?,
        // RFC 5280, 5.1.2.6: absent where there are none.
        revoked_certificates: (!entries.is_empty()).then_some(entries),
        crl_extensions: Some(vec![
            authority_key(issuer)?,
            extension(LIST_NUMBER, false, &number)?,
        ]),
    }
    .to_der()
}

fn entry(serial: &Serial, issued: &Issued) -> Option<der::Result<RevokedCert>> {
    let (at, reason) = match &issued.state {
        State::PendingActivation { .. } | State::Active => return None,
        State::Superseded { at } => (*at, Some(CrlReason::Superseded)),
        State::Revoked { at, reason } => (*at, code(*reason)),
    };
    let write = || {
        let at = std::time::Duration::from_millis(at);
        let at = SystemTime::UNIX_EPOCH
            .checked_add(at)
            .ok_or(der::ErrorKind::DateTime)?;
        let reason =
            reason.map(|reason| Ok::<_, der::Error>(vec![extension(REASON, false, &reason)?]));
        Ok(RevokedCert {
            serial_number: SerialNumber::new(serial.as_bytes())?,
            revocation_date: time(at)?,
            crl_entry_extensions: reason.transpose()?,
        })
    };
    Some(write())
}

/// RFC 5280, 5.3.1: a reason that is not said is left out.
fn code(reason: Reason) -> Option<CrlReason> {
    match reason {
        Reason::Unspecified => None,
        Reason::KeyCompromise => Some(CrlReason::KeyCompromise),
        Reason::AffiliationChanged => Some(CrlReason::AffiliationChanged),
        Reason::CessationOfOperation => Some(CrlReason::CessationOfOperation),
        Reason::PrivilegeWithdrawn => Some(CrlReason::PrivilegeWithdrawn),
    }
}
