//! Client assertions: a client proves who it is by a JWT that it signed (`private_key_jwt`, RFC 7523 3).
//!
//! The signature is verified outside, by [`Output::VerifyProof`](super::Output::VerifyProof), with a key of the client's registration,
//! which says its one algorithm. Assertions that were accepted are remembered in memory until they expire, as proofs of possession
//! are: one that was used before a restart could be sent once more after it, and one that was used at another replica once more here, by
//! whoever saw it inside TLS.

use core::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind};
use crate::secret::from_base64url;
use crate::server::access_token::Algorithm;
use crate::server::config::{Config, Issuer};
use crate::server::ids::ClientId;

/// The one type of assertion that is taken (RFC 7523 2.2).
pub(crate) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Longest assertion, in bytes.
const MAX_ASSERTION_LENGTH: usize = 4096;
/// Longest `jti`, in bytes.
const MAX_JTI_LENGTH: usize = 256;
/// Most audiences of one assertion.
const MAX_AUDIENCES: usize = 8;
/// The endpoints to which clients send assertions; each is an audience, too (RFC 7523 3, RFC 9126 2).
const ENDPOINTS: [&str; 5] = [
    "/token",
    "/par",
    "/revoke",
    "/introspect",
    "/device_authorization",
];

/// How client assertions are taken.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientAssertions {
    /// The algorithms that the driver can verify; not empty. Which one a key is used with is in its registration.
    pub algorithms: Vec<Algorithm>,
    /// How far ahead of the server's the clock of a client may be (`iat`, `nbf`), and for how long after `exp` an assertion is taken.
    pub leeway: Duration,
    /// How far ahead `exp` may be, leeway aside; an hour is what some libraries take.
    pub max_lifetime: Duration,
    /// Most assertions remembered, in memory, each until it has expired; beyond, a client that sends one is answered with 503,
    /// since one that is not remembered could be sent again.
    pub max_remembered: usize,
}

impl Default for ClientAssertions {
    /// ES256, a leeway of 30 s, an hour, 131,072 of them.
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::Es256],
            leeway: Duration::from_secs(30),
            max_lifetime: Duration::from_secs(3600),
            max_remembered: 131_072,
        }
    }
}

impl ClientAssertions {
    pub(crate) fn is_usable(&self) -> bool {
        !self.algorithms.is_empty()
            && self.max_remembered > 0
            && self.leeway <= Duration::from_secs(300)
            && (1..=86_400).contains(&self.max_lifetime.as_secs())
    }
}

/// An assertion taken apart; its signature is not verified yet.
#[derive(Clone, Debug)]
pub(crate) struct Assertion {
    pub(crate) client: ClientId,
    pub(crate) key_id: Option<String>,
    pub(crate) signing_input: String,
    pub(crate) signature: Vec<u8>,
    pub(crate) jti: String,
    /// When it ends, since the Unix epoch.
    pub(crate) expires: Duration,
    algorithm: String,
    begins: Duration,
    audiences: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood (RFC 7515 4.1.11); none is.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audiences,
    /// A NumericDate may have a fraction (RFC 7519 2).
    exp: f64,
    iat: Option<f64>,
    nbf: Option<f64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Assertion {
    /// Takes an assertion apart, when it is well formed and of a client about itself.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_ASSERTION_LENGTH {
            return None;
        }
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, claims) = signing_input.split_once('.')?;
        let header: Header = serde_json::from_slice(&from_base64url(header)?).ok()?;
        let claims: Claims = serde_json::from_slice(&from_base64url(claims)?).ok()?;
        let audiences = match claims.aud {
            Audiences::One(one) => vec![one],
            Audiences::Many(many) => many,
        };
        let well_formed = header.crit.is_none()
            && claims.iss == claims.sub
            && (1..=MAX_AUDIENCES).contains(&audiences.len())
            && (1..=MAX_JTI_LENGTH).contains(&claims.jti.len());
        if !well_formed {
            return None;
        }
        let time = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        let begins = [claims.iat, claims.nbf].into_iter().flatten().map(time);
        let begins: Option<Vec<_>> = begins.collect();
        Some(Self {
            client: claims.sub.parse().ok()?,
            key_id: header.kid,
            signing_input: signing_input.to_owned(),
            signature: from_base64url(signature)?,
            jti: claims.jti,
            expires: time(claims.exp)?,
            algorithm: header.alg,
            begins: begins?.into_iter().max().unwrap_or_default(),
            audiences,
        })
    }

    /// Whether it is for this server, alone, and now (RFC 7523 3).
    pub(crate) fn holds(
        &self,
        config: &Config,
        settings: &ClientAssertions,
        wall: Duration,
    ) -> bool {
        let soon = wall.saturating_add(settings.leeway);
        self.audiences
            .iter()
            .all(|one| is_ours(&config.issuer, one))
            && wall < self.expires.saturating_add(settings.leeway)
            && self.expires <= soon.saturating_add(settings.max_lifetime)
            && self.begins <= soon
    }

    /// Whether its header names this algorithm.
    pub(crate) fn is_of(&self, algorithm: Algorithm) -> bool {
        self.algorithm == algorithm.as_str()
    }
}

fn is_ours(issuer: &Issuer, audience: &str) -> bool {
    let endpoint = audience.strip_prefix(issuer.as_str());
    endpoint.is_some_and(|rest| rest.is_empty() || ENDPOINTS.contains(&rest))
}

/// Reads an assertion and judges it as if its signature held; for fuzzing and diagnosis.
///
/// # Errors
/// [`ErrorKind::InvalidToken`] when it is not an assertion for this server at this time, or no assertions are taken.
pub fn check_assertion_unverified(
    text: &str,
    config: &Config,
    wall: Duration,
) -> Result<ClientId, Error> {
    let settings = config.client_assertions.as_ref();
    Assertion::parse(text)
        .filter(|one| settings.is_some_and(|settings| one.holds(config, settings, wall)))
        .map(|one| one.client)
        .ok_or_else(|| ErrorKind::InvalidToken.into())
}
