//! From what a device shows to the authority that it is below (RFC 5280, 6.1, as far as device certificates need it).

use std::time::SystemTime;

use super::authorities::{Authority, CertificateAuthorities};
use super::{Certificate, CertificateError, Signatures};
use crate::CaId;

/// The most certificates that a device may show.
pub const MAX_CHAIN: usize = 8;

/// A chain that was followed to an enrolled authority.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Path {
    /// The enrolled authority at which it ends: the one nearest to the device.
    pub ca: CaId,
    /// The device's certificate and the intermediate ones, from it upwards, without the authority's own.
    pub certificates: Vec<Certificate>,
}

impl CertificateAuthorities {
    /// Follows a chain, the device's own certificate first and the others in any order, to the nearest enrolled authority.
    ///
    /// The nearest one decides: where it may not be used, one further up does not save the chain, and whatever is shown above it
    /// is not looked at. A chain that does not reach an enrolled authority by certificates that are all there is refused. Names
    /// are compared byte by byte, which is stricter than RFC 5280, 7.1. `accept_expired` is what the enrollment or group
    /// says about an authority past its end.
    ///
    /// # Errors
    ///
    /// Why it is refused; [`CertificateError::UnknownAuthority`] if it reaches none.
    pub fn verify_chain(
        &self,
        shown: &[Certificate],
        accept_expired: bool,
        signatures: &dyn Signatures,
        at: SystemTime,
    ) -> Result<Path, CertificateError> {
        let (leaf, others) = shown.split_first().ok_or(CertificateError::Malformed)?;
        if shown.len() > MAX_CHAIN {
            return Err(CertificateError::TooLong);
        }
        check_leaf(leaf)?;
        let mut path = Vec::with_capacity(shown.len());
        let mut current = leaf;
        loop {
            current.check_validity(at)?;
            if current.extensions().unknown_critical {
                return Err(CertificateError::CriticalExtension);
            }
            path.push(current.clone());
            if let Some((ca, authority)) = self.issuer_of(current, signatures) {
                authority.admit(&path, accept_expired, at)?;
                return Ok(Path {
                    ca: ca.clone(),
                    certificates: path,
                });
            }
            // One that is on the path already would go round in a circle.
            current = others
                .iter()
                .filter(|other| !path.contains(other))
                .find(|other| current.check_issued_by(other, signatures).is_ok())
                .ok_or(CertificateError::UnknownAuthority)?;
            check_issuer(current, &path)?;
        }
    }

    fn issuer_of(
        &self,
        certificate: &Certificate,
        signatures: &dyn Signatures,
    ) -> Option<(&CaId, &Authority)> {
        self.authorities().iter().find(|(_, authority)| {
            certificate
                .check_issued_by(&authority.certificate, signatures)
                .is_ok()
        })
    }
}

impl Authority {
    fn admit(
        &self,
        path: &[Certificate],
        accept_expired: bool,
        at: SystemTime,
    ) -> Result<(), CertificateError> {
        if !self.is_usable(at, accept_expired) {
            return Err(CertificateError::UnusableAuthority);
        }
        if self.certificate.check_validity(at) == Err(CertificateError::NotYetValid) {
            return Err(CertificateError::NotYetValid);
        }
        check_issuer(&self.certificate, path)?;
        if path.iter().any(|certificate| self.denies(certificate)) {
            return Err(CertificateError::Denied);
        }
        Ok(())
    }
}

fn check_leaf(leaf: &Certificate) -> Result<(), CertificateError> {
    // An authority's key makes devices and is none.
    if leaf.extensions().authority {
        return Err(CertificateError::NotDevice);
    }
    if leaf.extensions().may_authenticate_client() {
        Ok(())
    } else {
        Err(CertificateError::WrongUsage)
    }
}

/// RFC 5280, 6.1.4 (k) to (n): an authority, with room for the intermediates below it, that may sign certificates.
fn check_issuer(issuer: &Certificate, below: &[Certificate]) -> Result<(), CertificateError> {
    if !issuer.is_authority() {
        return Err(CertificateError::NotAuthority);
    }
    // RFC 5280, 4.2.1.9: those who issued themselves a new certificate do not count.
    let intermediates = below
        .iter()
        .skip(1)
        .filter(|certificate| certificate.subject() != certificate.issuer())
        .count();
    let room = issuer.extensions().path_length.map(usize::from);
    if room.is_some_and(|room| intermediates > room) {
        return Err(CertificateError::PathTooLong);
    }
    Ok(())
}
