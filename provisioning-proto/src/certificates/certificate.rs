use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::time::Time;

use super::algorithm::check_signature;
use super::extensions::Extensions;
use super::signed::{common_name, signed_bytes};
use super::{CertificateError, PublicKey, Serial, SignatureAlgorithm, Signatures, pem};
use crate::Fingerprint;
use crate::bytes::Bytes;

/// A certificate that was read (RFC 5280, 4.1), which says nothing yet about whether it is to be trusted.
///
/// Stored as its DER.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    signed: Vec<u8>,
    signature_algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    serial: Serial,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    common_name: Option<String>,
    issuer_common_name: Option<String>,
    not_before: SystemTime,
    not_after: SystemTime,
    key: PublicKey,
    extensions: Extensions,
}

impl Certificate {
    /// The longest certificate, in bytes of DER.
    pub const MAX: usize = 16 << 10;

    /// Reads a certificate in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError::TooLong`], [`CertificateError::Malformed`], [`CertificateError::UnsupportedAlgorithm`],
    /// [`CertificateError::WeakKey`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > Self::MAX {
            return Err(CertificateError::TooLong);
        }
        let read =
            x509_cert::Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let tbs = read.tbs_certificate();
        // RFC 5280, 4.1.1.2: both places name the same algorithm, and only one of them is signed.
        if tbs.signature() != read.signature_algorithm() {
            return Err(CertificateError::Malformed);
        }
        let extensions = tbs.extensions().map_or(&[][..], Vec::as_slice);
        let name =
            |name: &x509_cert::name::Name| name.to_der().map_err(|_| CertificateError::Malformed);
        Ok(Self {
            signed: signed_bytes(der)?,
            signature_algorithm: SignatureAlgorithm::read(read.signature_algorithm())?,
            signature: read
                .signature()
                .as_bytes()
                .ok_or(CertificateError::Malformed)?
                .to_vec(),
            serial: serial(tbs.serial_number().as_bytes())?,
            issuer: name(tbs.issuer())?,
            subject: name(tbs.subject())?,
            common_name: common_name(tbs.subject()),
            issuer_common_name: common_name(tbs.issuer()),
            not_before: system_time(tbs.validity().not_before)?,
            not_after: system_time(tbs.validity().not_after)?,
            key: PublicKey::read(tbs.subject_public_key_info())?,
            extensions: Extensions::read(extensions)?,
            der: der.to_vec(),
        })
    }

    /// Reads one certificate in PEM; text before and after it is skipped.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der); [`CertificateError::Malformed`] for none or several.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        Self::from_der(&pem::one(text, pem::CERTIFICATE, Self::MAX)?)
    }

    /// Reads up to `most` certificates in PEM, in their order.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der); [`CertificateError::TooLong`] for more.
    pub fn chain_from_pem(text: &str, most: usize) -> Result<Vec<Self>, CertificateError> {
        pem::all(text, pem::CERTIFICATE, Self::MAX, most)?
            .iter()
            .map(|der| Self::from_der(der))
            .collect()
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem::write(pem::CERTIFICATE, &self.der)
    }

    /// The serial number.
    #[must_use]
    pub fn serial(&self) -> &Serial {
        &self.serial
    }

    /// The issuer's name, DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The subject's name, DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The common name of the subject, if there is exactly one.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The issuer's one common name.
    #[must_use]
    pub fn issuer_common_name(&self) -> Option<&str> {
        self.issuer_common_name.as_deref()
    }

    /// The DNS names, mail addresses and URIs among the subject's alternative names.
    pub fn alternative_names(&self) -> impl Iterator<Item = &str> {
        self.extensions.names.iter().flatten().map(String::as_str)
    }

    /// The first second in which it is valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// The last second in which it is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// The subject's key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether it is the certificate of an authority that may sign others (RFC 5280, 4.2.1.9 and 4.2.1.3).
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.extensions.authority && self.extensions.may_sign_certificates()
    }

    /// SHA-256 of the whole certificate.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// Its fingerprint by SHA-256, in hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        base16ct::lower::encode_string(&self.digest())
    }

    /// Its fingerprint by SHA-1, which operators' lists have: nobody can make a second certificate with the same one on purpose.
    #[must_use]
    pub fn fingerprint_sha1(&self) -> String {
        base16ct::lower::encode_string(&Sha1::digest(&self.der))
    }

    /// Whether this is its fingerprint, of either kind.
    #[must_use]
    pub fn has_fingerprint(&self, fingerprint: &Fingerprint) -> bool {
        let text = fingerprint.as_str();
        if text.len() == 64 {
            text == self.fingerprint()
        } else {
            text == self.fingerprint_sha1()
        }
    }

    /// Checks that `issuer`'s key signed this certificate, in that name.
    ///
    /// # Errors
    ///
    /// [`CertificateError::BadSignature`].
    pub fn check_issued_by(
        &self,
        issuer: &Self,
        signatures: &dyn Signatures,
    ) -> Result<(), CertificateError> {
        if self.issuer != issuer.subject {
            return Err(CertificateError::BadSignature);
        }
        check_signature(
            signatures,
            self.signature_algorithm,
            &issuer.key,
            &self.signed,
            &self.signature,
        )
    }

    /// Checks that it is valid at a time; both ends are within (RFC 5280, 4.1.2.5).
    ///
    /// # Errors
    ///
    /// [`CertificateError::NotYetValid`], [`CertificateError::Expired`].
    pub fn check_validity(&self, at: SystemTime) -> Result<(), CertificateError> {
        // Certificates count whole seconds, and the last one is theirs.
        let after = |end: SystemTime| {
            at.duration_since(end)
                .is_ok_and(|over| over >= Duration::from_secs(1))
        };
        if at < self.not_before {
            Err(CertificateError::NotYetValid)
        } else if after(self.not_after) {
            Err(CertificateError::Expired)
        } else {
            Ok(())
        }
    }

    pub(super) fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

impl Eq for Certificate {}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("serial", &self.serial)
            .field("common_name", &self.common_name)
            .finish_non_exhaustive()
    }
}

impl Serialize for Certificate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.der)
    }
}

impl<'de> Deserialize<'de> for Certificate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let der = Bytes::<{ Self::MAX }>::deserialize(deserializer)?;
        Self::from_der(der.as_slice()).map_err(de::Error::custom)
    }
}

fn serial(bytes: &[u8]) -> Result<Serial, CertificateError> {
    // RFC 5280, 4.1.2.2: positive.
    if bytes.first().is_none_or(|first| first & 0x80 != 0) {
        return Err(CertificateError::Malformed);
    }
    Serial::from_bytes(bytes).ok_or(CertificateError::Malformed)
}

fn system_time(time: Time) -> Result<SystemTime, CertificateError> {
    SystemTime::UNIX_EPOCH
        .checked_add(time.to_unix_duration())
        .ok_or(CertificateError::Malformed)
}
