use std::fmt;

use sha2::{Digest as _, Sha256};
use x509_cert::SubjectPublicKeyInfo;
use x509_cert::der::asn1::{ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader};

use super::algorithm::{EC_PUBLIC_KEY, ED25519, P256, P384, RSA};
use super::{CertificateError, KeyAlgorithm};

/// The longest encoded key, in bytes: RSA with 8192 bits fits.
const MAX: usize = 1200;

/// A public key of a kind that is taken (RFC 5280, 4.1.2.7).
#[derive(Clone, Eq, PartialEq)]
pub struct PublicKey {
    algorithm: KeyAlgorithm,
    spki: Vec<u8>,
    key: Vec<u8>,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    ///
    /// [`CertificateError::TooLong`], [`CertificateError::Malformed`], [`CertificateError::UnsupportedAlgorithm`],
    /// [`CertificateError::WeakKey`].
    pub fn from_spki(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX {
            return Err(CertificateError::TooLong);
        }
        let info = SubjectPublicKeyInfo::from_der(der).map_err(|_| CertificateError::Malformed)?;
        Self::read(&info)
    }

    pub(super) fn read(info: &SubjectPublicKeyInfo) -> Result<Self, CertificateError> {
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or(CertificateError::Malformed)?;
        let algorithm = if info.algorithm.oid == EC_PUBLIC_KEY {
            read_point(info, key)?
        } else if info.algorithm.oid == ED25519 {
            // RFC 8410, 3 and 4: no parameters, and 32 bytes.
            if info.algorithm.parameters.is_some() || key.len() != 32 {
                return Err(CertificateError::Malformed);
            }
            KeyAlgorithm::Ed25519
        } else if info.algorithm.oid == RSA {
            read_rsa(info, key)?
        } else {
            return Err(CertificateError::UnsupportedAlgorithm);
        };
        let spki = info.to_der().map_err(|_| CertificateError::Malformed)?;
        if spki.len() > MAX {
            return Err(CertificateError::TooLong);
        }
        let key = key.to_vec();
        Ok(Self {
            algorithm,
            spki,
            key,
        })
    }

    /// The kind of key.
    #[must_use]
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The whole `SubjectPublicKeyInfo`, DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// What its bit string holds: an uncompressed point, an `RSAPublicKey`, or the 32 bytes of Ed25519.
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// SHA-256 of the `SubjectPublicKeyInfo`: what a key is known by.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.spki).into()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?})", self.algorithm)
    }
}

/// RFC 5480, 2.1.1 and 2.2: a named curve, and an uncompressed point of its size.
fn read_point(info: &SubjectPublicKeyInfo, key: &[u8]) -> Result<KeyAlgorithm, CertificateError> {
    let curve: ObjectIdentifier = info
        .algorithm
        .parameters
        .as_ref()
        .ok_or(CertificateError::Malformed)?
        .decode_as()
        .map_err(|_| CertificateError::UnsupportedAlgorithm)?;
    let (algorithm, length) = match curve {
        P256 => (KeyAlgorithm::EcdsaP256, 65),
        P384 => (KeyAlgorithm::EcdsaP384, 97),
        _ => return Err(CertificateError::UnsupportedAlgorithm),
    };
    if key.len() == length && key.first() == Some(&4) {
        Ok(algorithm)
    } else {
        Err(CertificateError::Malformed)
    }
}

/// RFC 3279, 2.3.1: parameters NULL, `SEQUENCE { modulus, publicExponent }`.
fn read_rsa(info: &SubjectPublicKeyInfo, key: &[u8]) -> Result<KeyAlgorithm, CertificateError> {
    let null = |any: &x509_cert::der::Any| any.is_null();
    if !info.algorithm.parameters.as_ref().is_some_and(null) {
        return Err(CertificateError::Malformed);
    }
    let parts = |mut reader: SliceReader<'_>| -> x509_cert::der::Result<(Vec<u8>, Vec<u8>)> {
        let parts = reader.sequence(|inner| {
            let modulus = UintRef::decode(inner)?.as_bytes().to_vec();
            Ok::<_, x509_cert::der::Error>((modulus, UintRef::decode(inner)?.as_bytes().to_vec()))
        })?;
        reader.finish()?;
        Ok(parts)
    };
    let (modulus, exponent) = SliceReader::new(key)
        .and_then(parts)
        .map_err(|_| CertificateError::Malformed)?;
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    // FIPS 186-5, A.1.1: the exponent is odd and above 2^16; what is read has no zero in front.
    let exponent_fits = odd(&exponent) && (3..=4).contains(&exponent.len());
    let modulus_fits = odd(&modulus) && (2048..=8192).contains(&bits(&modulus));
    if exponent_fits && modulus_fits {
        Ok(KeyAlgorithm::Rsa)
    } else {
        Err(CertificateError::WeakKey)
    }
}

fn bits(number: &[u8]) -> usize {
    let top = number
        .first()
        .map_or(0, |byte| usize::try_from(byte.leading_zeros()).unwrap_or(0));
    number.len().saturating_mul(8).saturating_sub(top)
}
