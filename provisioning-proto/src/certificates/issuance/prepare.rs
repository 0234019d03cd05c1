use std::time::{Duration, SystemTime};

use super::write::{Contents, certificate};
use super::{Activation, Config, IssuedCertificates, Issuer, Misnamed, Profile};
use crate::certificates::{
    CertificateError, CertificationRequest, Digest, PublicKey, Serial, SignatureAlgorithm,
    Signatures,
};
use crate::{CaId, Error, ErrorKind, ProfileId, RegistrationId, SealedSecret};

/// The longest common name (RFC 5280, appendix A.1: ub-common-name).
const MAX_NAME: usize = 64;

/// What is to be issued.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Order {
    /// The device, as it authenticated itself: the subject, whatever a request says.
    pub id: RegistrationId,
    /// How.
    pub profile: ProfileId,
    /// For which key.
    pub subject: Subject,
    /// Random bytes, for the serial number.
    pub entropy: [u8; 16],
}

impl Order {
    /// An order.
    #[must_use]
    pub fn new(
        id: RegistrationId,
        profile: ProfileId,
        subject: Subject,
        entropy: [u8; 16],
    ) -> Self {
        Self {
            id,
            profile,
            subject,
            entropy,
        }
    }
}

/// Whose key it is that is certified.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there are these two ways")]
pub enum Subject {
    /// The device's, which asks and keeps it.
    Request(CertificationRequest),
    /// One that the service made, and hands out once.
    ServiceKey(PublicKey),
}

/// A certificate without its signature: sign [`message`](Self::message) with the key that [`key`](Self::key) seals, and
/// [record](super::Command::Record) it.
#[derive(Clone, Debug)]
pub struct ToSign {
    pub(super) id: RegistrationId,
    pub(super) issuer: CaId,
    pub(super) serial: Serial,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) message: Vec<u8>,
    pub(super) public_key: Digest,
    pub(super) activation: Activation,
    key: SealedSecret,
}

impl ToSign {
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

    /// The serial number of the certificate.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }
}

impl IssuedCertificates {
    /// Writes the certificate that an order is answered with, if it is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownAuthority`] without an issuer in its time, [`ErrorKind::UnknownEntry`] without the profile,
    /// [`ErrorKind::Full`], [`ErrorKind::Exists`] for a serial number that was drawn before, and [`ErrorKind::Certificate`] with
    /// the [`CertificateError`] as its source.
    pub fn prepare(
        &self,
        order: &Order,
        config: &Config,
        signatures: &dyn Signatures,
        wall: SystemTime,
    ) -> Result<ToSign, Error> {
        let (issuer_id, issuer) = self.current_issuer().ok_or(ErrorKind::UnknownAuthority)?;
        issuer.certificate.check_validity(wall)?;
        let profile = self
            .profiles
            .get(&order.profile)
            .ok_or(ErrorKind::UnknownEntry)?;
        let key = judge(order, profile, signatures)?;
        let public_key = Digest::of(key.spki());
        self.check_key(&order.id, &public_key, config)?;
        if order.id.as_str().len() > MAX_NAME {
            return Err(CertificateError::TooLong.into());
        }
        let serial = Serial::from_entropy(order.entropy);
        if self.certificates.contains_key(&serial) {
            return Err(ErrorKind::Exists.into());
        }
        if self.certificates.len() >= config.max_certificates {
            return Err(ErrorKind::Full.into());
        }
        let algorithm = SignatureAlgorithm::for_issuer(issuer.certificate.public_key().algorithm())
            .ok_or(CertificateError::UnsupportedAlgorithm)?;
        let message = certificate(&Contents {
            issuer,
            algorithm,
            serial: &serial,
            id: &order.id,
            key,
            purposes: &profile.purposes,
            validity: validity(issuer, profile, config, wall)?,
        })?;
        Ok(ToSign {
            id: order.id.clone(),
            issuer: issuer_id.clone(),
            serial,
            algorithm,
            message,
            public_key,
            activation: profile.activation,
            key: issuer.key.clone(),
        })
    }

    /// A key is one device's, for ever, and never an issuer's.
    pub(super) fn check_key(
        &self,
        id: &RegistrationId,
        key: &Digest,
        config: &Config,
    ) -> Result<(), Error> {
        let of_issuer =
            |issuer: &Issuer| Digest::of(issuer.certificate.public_key().spki()) == *key;
        match self.keys.get(key) {
            Some(owner) if owner != id => Err(CertificateError::KeyTaken.into()),
            None if self.keys.len() >= config.max_keys => Err(ErrorKind::Full.into()),
            _ if self.issuers.values().any(of_issuer) => Err(CertificateError::KeyTaken.into()),
            _ => Ok(()),
        }
    }
}

/// The key to certify, once whoever asks has shown to hold it and asks for nothing that the profile refuses.
fn judge<'o>(
    order: &'o Order,
    profile: &Profile,
    signatures: &dyn Signatures,
) -> Result<&'o PublicKey, CertificateError> {
    let key = match &order.subject {
        Subject::ServiceKey(key) => key,
        Subject::Request(request) => {
            request.check_signature(signatures)?;
            if profile.misnamed == Misnamed::Refuse {
                if request.asks_for_authority() {
                    return Err(CertificateError::AuthorityRequested);
                }
                if !request.names_only(order.id.as_str()) {
                    return Err(CertificateError::ForeignName);
                }
            }
            request.public_key()
        }
    };
    if profile.keys.contains(&key.algorithm()) {
        Ok(key)
    } else {
        Err(CertificateError::KeyNotAllowed)
    }
}

/// From a little before now, for as long as the profile says; within the issuer's own.
fn validity(
    issuer: &Issuer,
    profile: &Profile,
    config: &Config,
    wall: SystemTime,
) -> Result<(SystemTime, SystemTime), CertificateError> {
    let days = Duration::from_secs(u64::from(profile.days).saturating_mul(24 * 3600));
    let from = wall
        .checked_sub(config.backdate)
        .unwrap_or(wall)
        .max(issuer.certificate.not_before());
    let to = from
        .checked_add(days)
        .ok_or(CertificateError::Malformed)?
        .min(issuer.certificate.not_after());
    Ok((from, to))
}
