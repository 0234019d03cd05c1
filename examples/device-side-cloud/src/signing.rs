//! The keys that sign access tokens: ES256, by ring, in files beside the master key; and signatures of proofs.

use std::fs;
use std::path::Path;

use account_linking::server::dpop::ProofKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use sha2::{Digest as _, Sha256};

use crate::certificates::write_private;
use crate::error::Error;

/// The private key and what others may know of it.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pair: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl SigningKey {
    /// Makes a key and writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn make(path: &Path) -> Result<(), Error> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| Error::plain("cannot make a key for access tokens"))?;
        write_private(path, document.as_ref())
    }

    /// Reads a key.
    ///
    /// # Errors
    /// The file cannot be read, or holds something else.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let document = fs::read(path)
            .map(zeroize::Zeroizing::new)
            .map_err(|cause| Error::new(format!("cannot read {}", path.display()), cause))?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &document, &random)
            .map_err(|_| {
            Error::plain(format!(
                "{} is not the key that this program wrote",
                path.display()
            ))
        })?;
        let digest = Sha256::digest(pair.public_key().as_ref());
        let id = URL_SAFE_NO_PAD.encode(digest.get(..9).unwrap_or(&digest));
        Ok(Self { pair, random, id })
    }

    /// The `kid` of tokens.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The public half as a JWK (RFC 7518, 6.2.1).
    pub(crate) fn public_jwk(&self) -> String {
        // An uncompressed point: 4, then 32 bytes of x and 32 of y (SEC 1, 2.3.3).
        let point = self.pair.public_key().as_ref().get(1..).unwrap_or_default();
        let (x, y) = point.split_at(point.len() / 2);
        serde_json::json!({
            "kty": "EC",
            "crv": "P-256",
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        })
        .to_string()
    }

    /// Signs: R and S, 32 bytes each (RFC 7518, 3.4).
    ///
    /// # Errors
    /// The system gave no random bytes.
    pub(crate) fn sign(&self, input: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair
            .sign(&self.random, input)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| Error::plain("an access token could not be signed"))
    }

    /// Whether this key made the signature.
    pub(crate) fn verify(&self, input: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref())
            .verify(input, signature)
            .is_ok()
    }
}

/// Whether the key of a proof made the signature (RFC 9449, 4.3).
pub(crate) fn proves(key: &ProofKey, input: &[u8], signature: &[u8]) -> bool {
    let good = match key {
        ProofKey::P256 { x, y, .. } => {
            // An uncompressed point (SEC 1, 2.3.3).
            let point = [&[4], x.as_slice(), y].concat();
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(input, signature)
        }
        ProofKey::Ed25519 { x, .. } => UnparsedPublicKey::new(&ED25519, x).verify(input, signature),
        ProofKey::Rsa { n, e, .. } => {
            RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, input, signature)
        }
        _ => return false,
    };
    good.is_ok()
}
