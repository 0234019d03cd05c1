//! Tokens that only the holder of a key can use (DPoP, RFC 9449).
//!
//! A client proves with each request that it has the private key to which its token is bound. The
//! signature of a proof is verified outside, by [`Output::VerifyProof`](super::Output::VerifyProof).
//!
//! Proofs that were accepted are remembered in memory: a proof that was made less than a window before
//! a restart could be sent once more after it, to whom its token or code is also needed. Nonces of
//! before a restart are refused. A nonce is good at the server that gave it alone: where both kinds of nonces are demanded, no proof
//! is accepted twice by several servers over one store either, nor by one that was restarted.

mod key;
mod nonce;
mod proof;
mod replay;

use core::time::Duration;

use crate::server::access_token::Algorithm;
use crate::server::ids::byte_id;

pub use key::ProofKey;
pub(crate) use nonce::Nonces;
pub use proof::check_proof_unverified;
pub(crate) use proof::{HEADER, Proof, Unproven};
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
    /// Whether the protected APIs and userinfo demand a nonce, too (RFC 9449 9); then `nonce_lifetime` says for how long.
    pub nonces_at_apis: bool,
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
            nonces_at_apis: false,
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
            && (self.nonce_lifetime.is_some() || !self.nonces_at_apis)
            && self
                .nonce_lifetime
                .is_none_or(|lifetime| lifetime >= whole_second)
    }
}

byte_id! {
    /// The SHA-256 thumbprint of a public key (RFC 7638), by which tokens and codes name it (`jkt`).
    Thumbprint, 32
}

byte_id! {
    /// What a client puts into its next proof (`nonce`); not a secret.
    DpopNonce, 32
}
