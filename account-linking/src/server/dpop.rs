//! Tokens that only the holder of a key can use (DPoP, RFC 9449).
//!
//! A client proves with each request that it has the private key to which its token is bound. The
//! signature of a proof is verified outside, by [`Output::VerifyProof`](super::Output::VerifyProof).
//!
//! Proofs that were accepted are remembered in memory: a proof that was made less than a window before
//! a restart could be sent once more after it, to whom its token or code is also needed. Nonces of
//! before a restart are refused.

mod key;
mod nonce;
mod proof;
mod replay;

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::secret::{base64url, from_base64url};
use crate::server::access_token::Algorithm;

pub use key::ProofKey;
pub(crate) use nonce::Nonces;
pub use proof::check_proof_unverified;
pub(crate) use proof::{Proof, Unproven};
pub(crate) use replay::{Noted, Proofs};

/// How DPoP is offered.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dpop {
    /// The algorithms that the driver can verify; not empty.
    pub algorithms: Vec<Algorithm>,
    /// How far the time of a proof may be from the server's, to either side.
    pub window: Duration,
    /// For how long a nonce is good at least, when the server's own endpoints demand one (RFC 9449 8);
    /// twice as long at most. A restart makes all of them anew.
    pub nonce_lifetime: Option<Duration>,
    /// Most proofs remembered, in memory, each for twice the window at most; beyond, requests with a proof are answered with 503,
    /// since a proof that is not remembered could be sent again.
    pub max_proofs: usize,
}

impl Default for Dpop {
    /// ES256, a minute to either side, no nonces.
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::Es256],
            window: Duration::from_secs(60),
            nonce_lifetime: None,
            max_proofs: 131_072,
        }
    }
}

impl Dpop {
    /// Whether these settings can be used.
    pub(crate) fn is_usable(&self) -> bool {
        let whole_second = Duration::from_secs(1);
        !self.algorithms.is_empty()
            && self.max_proofs > 0
            && self.window >= whole_second
            && self
                .nonce_lifetime
                .is_none_or(|lifetime| lifetime >= whole_second)
    }
}

/// The SHA-256 thumbprint of a public key (RFC 7638), by which tokens and codes name it (`jkt`).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl FromStr for Thumbprint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        from_base64url(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ErrorKind::InvalidIdentifier.into())
    }
}

impl TryFrom<String> for Thumbprint {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Thumbprint> for String {
    fn from(thumbprint: Thumbprint) -> Self {
        thumbprint.to_string()
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}
