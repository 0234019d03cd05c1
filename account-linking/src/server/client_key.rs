//! A public key by which a client proves who it is (RFC 7523), as its registration holds it.

use core::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind};
use crate::server::access_token::Algorithm;
use crate::server::dpop::ProofKey;

/// Most keys a client has at once, so that one can be replaced without a pause.
pub const MAX_KEYS: usize = 4;
/// Longest JWK, in bytes; one with a modulus of 4096 bits fits well.
const MAX_JWK_LENGTH: usize = 4096;
/// Longest `kid`, in bytes.
const MAX_KEY_ID_LENGTH: usize = 128;

/// A public key of a client, and the one algorithm it is used with.
///
/// It is read from a JWK (RFC 7517) with `alg`, and written as one.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientKey {
    text: String,
    key: ProofKey,
    algorithm: Algorithm,
    id: Option<String>,
}

impl ClientKey {
    /// The `kid` by which assertions may name it.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The only algorithm it is used with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn key(&self) -> &ProofKey {
        &self.key
    }
}

impl TryFrom<String> for ClientKey {
    type Error = Error;

    /// [`ErrorKind::InvalidConfig`] when it is not a public JWK of a kind that `alg` needs, or too long.
    fn try_from(text: String) -> Result<Self, Error> {
        let invalid = || Error::from(ErrorKind::InvalidConfig);
        if text.len() > MAX_JWK_LENGTH {
            return Err(invalid());
        }
        let jwk: Map<String, Value> = serde_json::from_str(&text).map_err(|_| invalid())?;
        let member = |name: &str| jwk.get(name).and_then(Value::as_str);
        let algorithm = member("alg")
            .and_then(Algorithm::named)
            .ok_or_else(invalid)?;
        let id = match jwk.get("kid") {
            None => None,
            Some(Value::String(id)) if (1..=MAX_KEY_ID_LENGTH).contains(&id.len()) => {
                Some(id.clone())
            }
            Some(_) => return Err(invalid()),
        };
        let key = ProofKey::read(&jwk, algorithm).ok_or_else(invalid)?;
        Ok(Self {
            text,
            key,
            algorithm,
            id,
        })
    }
}

impl FromStr for ClientKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<ClientKey> for String {
    fn from(key: ClientKey) -> Self {
        key.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"1","x":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"}"#;

    #[test]
    fn a_key_is_public_and_says_its_algorithm() {
        let key: ClientKey = GOOD.parse().unwrap();
        assert_eq!((key.id(), key.algorithm()), (Some("1"), Algorithm::EdDsa));
        for (from, to) in [
            (r#""alg":"EdDSA","#, ""),
            ("EdDSA", "ES256"),
            ("EdDSA", "none"),
            ("EdDSA", "HS256"),
            (r#""kid":"1""#, r#""kid":1"#),
            (r#""kid":"1""#, r#""kid":"""#),
            (r#""kid":"1""#, r#""d":"AQ""#),
            ("AQEB", "AQ"),
            ("}", ""),
        ] {
            assert!(
                GOOD.replacen(from, to, 1).parse::<ClientKey>().is_err(),
                "{to}"
            );
        }
        let long = GOOD.replace("{", &format!("{{{}", " ".repeat(MAX_JWK_LENGTH)));
        assert!(long.parse::<ClientKey>().is_err());
    }
}
