//! The key that signs access tokens: ES256, by ring, in a file beside the master key.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
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
    /// Reads the key of a key directory, and makes one on first run.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds something else.
    pub(crate) fn open(key_dir: &Path) -> Result<Self, Error> {
        let path = key_dir.join("access-tokens.pk8");
        let random = SystemRandom::new();
        if !path.exists() {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .map_err(|_| Error::plain("cannot make a key for access tokens"))?;
            write_private(&path, document.as_ref())?;
        }
        let document = fs::read(&path)
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

/// Reads a secret of 32 bytes from the key directory, and makes it on first run.
///
/// # Errors
/// The file cannot be read or written, or has another length.
pub(crate) fn secret_file(key_dir: &Path, name: &str) -> Result<[u8; 32], Error> {
    let path = key_dir.join(name);
    if !path.exists() {
        write_private(&path, &crate::clock::entropy::<32>()?)?;
    }
    fs::read(&path)
        .map_err(|cause| Error::new(format!("cannot read {}", path.display()), cause))?
        .try_into()
        .map_err(|_| Error::plain(format!("{} must hold 32 bytes", path.display())))
}
