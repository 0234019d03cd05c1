use std::fmt;

use x509_cert::der::Decode as _;
use x509_cert::request::{CertReq, ExtensionReq};

use super::algorithm::check_signature;
use super::extensions::Extensions;
use super::signed::{common_name, signed_bytes};
use super::{CertificateError, PublicKey, SignatureAlgorithm, Signatures, pem};

/// A request for a certificate (PKCS #10, RFC 2986, 4) that was read.
#[derive(Clone)]
pub struct CertificationRequest {
    signed: Vec<u8>,
    signature_algorithm: SignatureAlgorithm,
    signature: Vec<u8>,
    key: PublicKey,
    common_name: Option<String>,
    anonymous: bool,
    extensions: Extensions,
}

impl CertificationRequest {
    /// The longest request, in bytes of DER.
    pub const MAX: usize = 8 << 10;

    /// Reads a request in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError::TooLong`], [`CertificateError::Malformed`], [`CertificateError::UnsupportedAlgorithm`],
    /// [`CertificateError::WeakKey`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > Self::MAX {
            return Err(CertificateError::TooLong);
        }
        let read = CertReq::from_der(der).map_err(|_| CertificateError::Malformed)?;
        Ok(Self {
            signed: signed_bytes(der)?,
            signature_algorithm: SignatureAlgorithm::read(&read.algorithm)?,
            signature: read
                .signature
                .as_bytes()
                .ok_or(CertificateError::Malformed)?
                .to_vec(),
            key: PublicKey::read(&read.info.public_key)?,
            common_name: common_name(&read.info.subject),
            anonymous: read.info.subject.is_empty(),
            extensions: requested(&read)?,
        })
    }

    /// Reads one request in PEM.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der); [`CertificateError::Malformed`] for none or several.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let der = pem::one(text, pem::REQUEST, Self::MAX)
            .or_else(|_| pem::one(text, pem::NEW_REQUEST, Self::MAX))?;
        Self::from_der(&der)
    }

    /// The key that is to be certified.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The common name asked for, if there is exactly one.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// Whether it asks to be an authority.
    #[must_use]
    pub fn asks_for_authority(&self) -> bool {
        self.extensions.authority
    }

    /// Whether it names nothing but `name`: as its common name or not at all, and in its alternative names likewise.
    #[must_use]
    pub fn names_only(&self, name: &str) -> bool {
        let subject = self.anonymous || self.common_name.as_deref() == Some(name);
        subject
            && self
                .extensions
                .names
                .iter()
                .all(|other| other.as_deref() == Some(name))
    }

    /// Checks that whoever made the request holds the private key.
    ///
    /// # Errors
    ///
    /// [`CertificateError::BadSignature`].
    pub fn check_signature(&self, signatures: &dyn Signatures) -> Result<(), CertificateError> {
        check_signature(
            signatures,
            self.signature_algorithm,
            &self.key,
            &self.signed,
            &self.signature,
        )
    }
}

impl fmt::Debug for CertificationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificationRequest")
            .field("common_name", &self.common_name)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// The extensions that it asks for (RFC 2985, 5.4.2); other attributes, such as a challenge password, are of no use here.
fn requested(read: &CertReq) -> Result<Extensions, CertificateError> {
    let mut asked = read
        .info
        .attributes
        .iter()
        .filter(|attribute| attribute.oid == EXTENSION_REQUEST);
    let Some(attribute) = asked.next() else {
        return Ok(Extensions::default());
    };
    let one = attribute.values.len() == 1 && asked.next().is_none();
    let value = attribute.values.get(0).filter(|_| one);
    let list: ExtensionReq = value
        .ok_or(CertificateError::Malformed)?
        .decode_as()
        .map_err(|_| CertificateError::Malformed)?;
    Extensions::read(&list.0)
}

const EXTENSION_REQUEST: x509_cert::der::asn1::ObjectIdentifier =
    x509_cert::der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
