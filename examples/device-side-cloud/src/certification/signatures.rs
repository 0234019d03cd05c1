//! The arithmetic of signatures, by ring.

use provisioning_proto::certificates::{KeyAlgorithm, PublicKey, SignatureAlgorithm, Signatures};
use rcgen::{KeyPair, SigningKey as _};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};

use crate::error::Error;

/// Checks signatures with ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ring;

impl Signatures for Ring {
    fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        key: &PublicKey,
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        let Some(algorithm) = found(algorithm, key.algorithm()) else {
            return false;
        };
        UnparsedPublicKey::new(algorithm, key.key())
            .verify(message, signature)
            .is_ok()
    }
}

fn found(
    algorithm: SignatureAlgorithm,
    key: KeyAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use KeyAlgorithm::{EcdsaP256, EcdsaP384, Ed25519, Rsa};
    use SignatureAlgorithm as By;
    Some(match (algorithm, key) {
        (By::EcdsaSha256, EcdsaP256) => &signature::ECDSA_P256_SHA256_ASN1,
        (By::EcdsaSha384, EcdsaP256) => &signature::ECDSA_P256_SHA384_ASN1,
        (By::EcdsaSha256, EcdsaP384) => &signature::ECDSA_P384_SHA256_ASN1,
        (By::EcdsaSha384, EcdsaP384) => &signature::ECDSA_P384_SHA384_ASN1,
        (By::Ed25519, Ed25519) => &signature::ED25519,
        (By::RsaSha256, Rsa) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (By::RsaSha384, Rsa) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (By::RsaSha512, Rsa) => &signature::RSA_PKCS1_2048_8192_SHA512,
        // An algorithm of a later release.
        _ => return None,
    })
}

/// Signs with a private key in PKCS #8; the digest is the one that belongs to the key.
///
/// # Errors
/// It is no private key of an elliptic curve.
pub(super) fn sign(pkcs8: &[u8], message: &[u8]) -> Result<Vec<u8>, Error> {
    KeyPair::try_from(pkcs8)
        .and_then(|key| key.sign(message))
        .map_err(|cause| Error::new("the issuing key cannot be used", cause))
}
