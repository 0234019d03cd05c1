use serde::{Deserialize, Serialize};
use x509_cert::AlgorithmIdentifier;
use x509_cert::der::asn1::ObjectIdentifier;

use super::{CertificateError, PublicKey};

pub(super) const EC_PUBLIC_KEY: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
pub(super) const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The kinds of key that are taken; RSA from 2048 to 8192 bits.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 (RFC 5480, 2.1.1.1).
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// RSA (RFC 3279, 2.3.1).
    Rsa,
}

/// The signature algorithms that are taken; SHA-1, SHA-512 with ECDSA, and RSASSA-PSS are not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256, as DER (RFC 5758, 3.2).
    EcdsaSha256,
    /// ECDSA with SHA-384, as DER.
    EcdsaSha384,
    /// Ed25519 (RFC 8410).
    Ed25519,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 4055, 5).
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RsaSha512,
}

const SIGNATURES: [(SignatureAlgorithm, ObjectIdentifier); 6] = [
    (
        SignatureAlgorithm::EcdsaSha256,
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2"),
    ),
    (
        SignatureAlgorithm::EcdsaSha384,
        ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3"),
    ),
    (SignatureAlgorithm::Ed25519, ED25519),
    (
        SignatureAlgorithm::RsaSha256,
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11"),
    ),
    (
        SignatureAlgorithm::RsaSha384,
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12"),
    ),
    (
        SignatureAlgorithm::RsaSha512,
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13"),
    ),
];

impl SignatureAlgorithm {
    /// The algorithm with which a key of this kind signs here; `None` for RSA, with which nothing is issued.
    #[must_use]
    pub fn for_issuer(key: KeyAlgorithm) -> Option<Self> {
        match key {
            KeyAlgorithm::EcdsaP256 => Some(Self::EcdsaSha256),
            KeyAlgorithm::EcdsaP384 => Some(Self::EcdsaSha384),
            KeyAlgorithm::Ed25519 => Some(Self::Ed25519),
            KeyAlgorithm::Rsa => None,
        }
    }

    fn fits(self, key: KeyAlgorithm) -> bool {
        match self {
            Self::EcdsaSha256 | Self::EcdsaSha384 => {
                matches!(key, KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384)
            }
            Self::Ed25519 => key == KeyAlgorithm::Ed25519,
            Self::RsaSha256 | Self::RsaSha384 | Self::RsaSha512 => key == KeyAlgorithm::Rsa,
        }
    }

    pub(super) fn read(identifier: &AlgorithmIdentifier) -> Result<Self, CertificateError> {
        let (algorithm, _) = SIGNATURES
            .iter()
            .find(|(_, oid)| *oid == identifier.oid)
            .ok_or(CertificateError::UnsupportedAlgorithm)?;
        let null = identifier
            .parameters
            .as_ref()
            .is_some_and(|any| any.is_null());
        // RFC 4055, 5: the parameters of RSA are NULL; RFC 5758, 3.2 and RFC 8410, 3: the others have none.
        let fits = if algorithm.fits(KeyAlgorithm::Rsa) {
            null
        } else {
            identifier.parameters.is_none()
        };
        fits.then_some(*algorithm)
            .ok_or(CertificateError::Malformed)
    }

    /// The identifier of an algorithm that signs here, which has no parameters.
    pub(super) fn identifier(self) -> Option<AlgorithmIdentifier> {
        let (_, oid) = SIGNATURES
            .iter()
            .find(|(algorithm, _)| *algorithm == self)?;
        Some(AlgorithmIdentifier {
            oid: *oid,
            parameters: None,
        })
    }
}

/// The arithmetic of signatures, which the caller brings: this crate holds no cryptography.
///
/// A call and not an output with an answer, because it is a pure function: it neither waits nor fails, and a path through
/// a chain asks several times.
pub trait Signatures {
    /// Whether `signature` is one of `key` over `message`. The key's kind fits the algorithm; its point or modulus is not yet
    /// checked to be a good one.
    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool;
}

pub(super) fn check_signature(
    signatures: &dyn Signatures,
    algorithm: SignatureAlgorithm,
    key: &PublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CertificateError> {
    // A key is never tried with the arithmetic of another kind.
    if algorithm.fits(key.algorithm()) && signatures.verify(algorithm, key, message, signature) {
        Ok(())
    } else {
        Err(CertificateError::BadSignature)
    }
}
