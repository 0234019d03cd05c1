//! A proof of possession: a JWT that names one request, signed with the key inside it (RFC 9449 4).

use core::time::Duration;

use http::{HeaderMap, Method};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::{Dpop, ProofKey, Thumbprint};
use crate::error::{Error, ErrorKind};
use crate::secret::{base64url, from_base64url, same, sha256};
use crate::server::access_token::Algorithm;

/// The header that carries a proof.
pub(crate) const HEADER: &str = "dpop";
/// Longest proof, in bytes; one with a modulus of 4096 bits fits well.
const MAX_PROOF_LENGTH: usize = 4096;
/// Longest `jti`, in bytes.
const MAX_JTI_LENGTH: usize = 256;

/// Why there is no good proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unproven {
    /// It is not one, or not for this request: `invalid_dpop_proof`.
    Invalid,
    /// It lacks a nonce of this server: `use_dpop_nonce`.
    NonceNeeded,
}

/// A proof taken apart; its signature is not verified yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Proof {
    pub(crate) key: ProofKey,
    pub(crate) algorithm: Algorithm,
    pub(crate) thumbprint: Thumbprint,
    pub(crate) signing_input: String,
    pub(crate) signature: Vec<u8>,
    pub(crate) jti: String,
    pub(crate) nonce: Option<String>,
    /// When it was made, since the Unix epoch.
    pub(crate) made: Duration,
    method: String,
    url: Url,
    token_hash: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    typ: String,
    alg: String,
    jwk: Map<String, Value>,
    /// Extensions that must be understood (RFC 7515 4.1.11); none is.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    /// A NumericDate may have a fraction (RFC 7519 2).
    iat: f64,
    ath: Option<String>,
    nonce: Option<String>,
}

impl Proof {
    /// The one proof of a request; `None` when it has none.
    pub(crate) fn presented(
        headers: &HeaderMap,
        settings: &Dpop,
    ) -> Result<Option<Self>, Unproven> {
        let mut values = headers.get_all(HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        // RFC 9449, 4.3: not more than one.
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        text.and_then(|text| Self::parse(text, settings))
            .map(Some)
            .ok_or(Unproven::Invalid)
    }

    /// Takes a proof apart, when it is well formed and of an algorithm that is taken.
    pub(crate) fn parse(text: &str, settings: &Dpop) -> Option<Self> {
        if text.len() > MAX_PROOF_LENGTH {
            return None;
        }
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, claims) = signing_input.split_once('.')?;
        let header: Header = serde_json::from_slice(&from_base64url(header)?).ok()?;
        let claims: Claims = serde_json::from_slice(&from_base64url(claims)?).ok()?;
        let mut algorithms = settings.algorithms.iter();
        let algorithm = *algorithms.find(|one| one.as_str() == header.alg)?;
        let typ = header.typ.to_ascii_lowercase();
        let well_formed = matches!(typ.as_str(), "dpop+jwt" | "application/dpop+jwt")
            && header.crit.is_none()
            && (1..=MAX_JTI_LENGTH).contains(&claims.jti.len());
        if !well_formed {
            return None;
        }
        let key = ProofKey::read(&header.jwk, algorithm)?;
        Some(Self {
            algorithm,
            thumbprint: key.thumbprint(),
            key,
            signing_input: signing_input.to_owned(),
            signature: from_base64url(signature)?,
            jti: claims.jti,
            nonce: claims.nonce,
            made: Duration::try_from_secs_f64(claims.iat).ok()?,
            method: claims.htm,
            url: Url::parse(&claims.htu).ok()?,
            token_hash: claims.ath,
        })
    }

    /// Whether it is for a request with this method to this URL, query and fragment aside, made not
    /// longer than the window ago or ahead (RFC 9449 4.3).
    pub(crate) fn is_for(
        &self,
        method: &Method,
        target: &Url,
        wall: Duration,
        settings: &Dpop,
    ) -> bool {
        let bare = |url: &Url| {
            let mut url = url.clone();
            url.set_query(None);
            url.set_fragment(None);
            url
        };
        self.method == method.as_str()
            && bare(&self.url) == bare(target)
            && self.made.abs_diff(wall) <= settings.window
    }

    /// Whether it names this access token (`ath`, RFC 9449 4.2).
    pub(crate) fn is_with(&self, access_token: &str) -> bool {
        let hash = base64url(&sha256(access_token.as_bytes()));
        self.token_hash
            .as_ref()
            .is_some_and(|named| same(named.as_bytes(), hash.as_bytes()))
    }
}

/// Reads a proof and judges it as if its signature held; for fuzzing and diagnosis.
///
/// # Errors
/// [`ErrorKind::InvalidToken`] when it is not a proof for a request with this method to this URL at
/// this time.
pub fn check_proof_unverified(
    text: &str,
    method: &Method,
    target: &Url,
    wall: Duration,
    settings: &Dpop,
) -> Result<Thumbprint, Error> {
    Proof::parse(text, settings)
        .filter(|proof| proof.is_for(method, target, wall, settings))
        .map(|proof| proof.thumbprint)
        .ok_or_else(|| ErrorKind::InvalidToken.into())
}

#[cfg(test)]
mod tests;
