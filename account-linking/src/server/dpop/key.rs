//! The public key inside a proof, read from its JWK.

use serde_json::{Map, Value, json};

use super::Thumbprint;
use crate::secret::{base64url, from_base64url, sha256};
use crate::server::access_token::Algorithm;

/// What no public key has (RFC 7518 6.2.2, 6.3.2, 6.4; RFC 8037 2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that came in a proof. Whether it is a point on its curve is for whoever verifies.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ProofKey {
    /// Of ES256: the coordinates of a point on P-256, big-endian (RFC 7518 6.2.1).
    #[non_exhaustive]
    P256 {
        /// The first coordinate.
        x: [u8; 32],
        /// The second coordinate.
        y: [u8; 32],
    },
    /// Of EdDSA: a public key of Ed25519 (RFC 8037 2).
    #[non_exhaustive]
    Ed25519 {
        /// The key.
        x: [u8; 32],
    },
    /// Of RS256: a modulus of 2048 to 4096 bits and an exponent, big-endian without leading zeros (RFC 7518 6.3.1).
    #[non_exhaustive]
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

impl ProofKey {
    /// Reads the key that `algorithm` needs; `None` for any other, or one with a private part.
    pub(crate) fn read(jwk: &Map<String, Value>, algorithm: Algorithm) -> Option<Self> {
        if PRIVATE.iter().any(|member| jwk.contains_key(*member)) {
            return None;
        }
        let text = |name: &str| jwk.get(name)?.as_str();
        let bytes = |name: &str| from_base64url(text(name)?);
        let fixed = |name: &str| bytes(name)?.try_into().ok();
        // What says what the key is for must not say something else (RFC 7517, 4.2 and 4.4).
        let fits = |name: &str, value: &str| jwk.get(name).is_none_or(|found| found == value);
        if !fits("alg", algorithm.as_str()) || !fits("use", "sig") {
            return None;
        }
        match (algorithm, text("kty")?) {
            (Algorithm::Es256, "EC") if text("crv") == Some("P-256") => Some(Self::P256 {
                x: fixed("x")?,
                y: fixed("y")?,
            }),
            (Algorithm::EdDsa, "OKP") if text("crv") == Some("Ed25519") => {
                Some(Self::Ed25519 { x: fixed("x")? })
            }
            (Algorithm::Rs256, "RSA") => {
                let minimal = |number: Vec<u8>| (*number.first()? != 0).then_some(number);
                let (n, e) = (minimal(bytes("n")?)?, minimal(bytes("e")?)?);
                let usual = (256..=512).contains(&n.len()) && e.len() <= 8;
                usual.then_some(Self::Rsa { n, e })
            }
            _ => None,
        }
    }

    /// The thumbprint: SHA-256 over the required members in the order of their names (RFC 7638 3).
    pub(crate) fn thumbprint(&self) -> Thumbprint {
        // Maps of serde_json are in the order of their keys, and written without white space.
        let required = match self {
            Self::P256 { x, y } => {
                json!({"crv": "P-256", "kty": "EC", "x": base64url(x), "y": base64url(y)})
            }
            Self::Ed25519 { x } => json!({"crv": "Ed25519", "kty": "OKP", "x": base64url(x)}),
            Self::Rsa { n, e } => json!({"e": base64url(e), "kty": "RSA", "n": base64url(n)}),
        };
        Thumbprint::from_bytes(sha256(required.to_string().as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(jwk: &Value, algorithm: Algorithm) -> Option<ProofKey> {
        ProofKey::read(jwk.as_object()?, algorithm)
    }

    /// RFC 7638, 3.1.
    #[test]
    fn the_thumbprint_of_rfc_7638_comes_out() {
        let jwk = json!({
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
            "alg": "RS256",
            "kid": "2011-04-29",
        });
        let key = read(&jwk, Algorithm::Rs256).unwrap();
        assert_eq!(
            key.thumbprint().to_string(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    /// RFC 9449, 6.1: the key of its examples and the `jkt` of its token.
    #[test]
    fn the_thumbprint_of_rfc_9449_comes_out() {
        let jwk = json!({
            "kty": "EC",
            "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
            "crv": "P-256",
        });
        let key = read(&jwk, Algorithm::Es256).unwrap();
        assert_eq!(
            key.thumbprint().to_string(),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
    }

    #[test]
    fn keys_with_a_private_part_or_for_something_else_are_refused() {
        let good = json!({"kty": "EC", "crv": "P-256", "x": base64url(&[1; 32]), "y": base64url(&[2; 32])});
        assert!(read(&good, Algorithm::Es256).is_some());
        assert!(read(&good, Algorithm::EdDsa).is_none());
        assert!(read(&good, Algorithm::Rs256).is_none());
        for (name, value) in [
            ("d", "AA"),
            ("k", "AA"),
            ("crv", "P-384"),
            ("kty", "oct"),
            ("x", "AA"),
            ("alg", "HS256"),
            ("use", "enc"),
        ] {
            let mut bad = good.clone();
            bad[name] = json!(value);
            assert!(read(&bad, Algorithm::Es256).is_none(), "{name}");
        }
        let short = json!({"kty": "RSA", "n": base64url(&[1; 128]), "e": "AQAB"});
        assert!(read(&short, Algorithm::Rs256).is_none());
        let padded = json!({"kty": "RSA", "n": base64url(&[0; 256]), "e": "AQAB"});
        assert!(read(&padded, Algorithm::Rs256).is_none());
    }
}
