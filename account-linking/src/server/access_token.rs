//! Access tokens as JWTs (RFC 9068): what is signed, and what is believed of a presented one.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::secret::{MAX_SECRET_LENGTH, base64url, from_base64url};
use crate::server::config::{Config, SigningKey};
use crate::server::dpop::{DpopNonce, Thumbprint};
use crate::server::ids::{ClientId, GrantId};
use crate::user_id::UserId;

/// How tokens are signed (RFC 7518 3.1, RFC 8037 3.1); `none` and HMAC do not exist here.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The registered name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this registered name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = [Self::Es256, Self::Rs256, Self::EdDsa].into_iter();
        all.find(|one| one.as_str() == name)
    }
}

/// Who a request with an access token acts for.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    /// The user (`sub`).
    pub account: UserId,
    /// The client (`client_id`).
    pub client: ClientId,
    /// The grant.
    pub grant: GrantId,
    /// What the token opens.
    pub scopes: ScopeSet,
    /// When the token ends, since the Unix epoch.
    pub expires: Duration,
}

/// Why a request with an access token is refused, and how to answer it (RFC 6750 3).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No token came: 401 with a bare challenge.
    Missing,
    /// The request is not well formed: 400 `invalid_request`.
    Malformed,
    /// The token is expired, revoked, foreign, malformed or not a token: 401 `invalid_token`.
    Invalid,
    /// The same of a token that came with the scheme `DPoP` (RFC 9449 7.1).
    InvalidBound,
    /// The token is bound to a key, and the proof that belongs to it is missing, not good or came
    /// before (RFC 9449 4.3): 401 `invalid_dpop_proof`.
    InvalidProof,
    /// The same of a proof without a nonce of lately, where the API demands one (RFC 9449 9): 401
    /// `use_dpop_nonce`, with this one in the header `DPoP-Nonce`.
    NonceNeeded(DpopNonce),
    /// The state of the grant cannot be read now: 503.
    Unavailable,
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> http::StatusCode {
        match self {
            Self::Missing
            | Self::Invalid
            | Self::InvalidBound
            | Self::InvalidProof
            | Self::NonceNeeded(_) => http::StatusCode::UNAUTHORIZED,
            Self::Malformed => http::StatusCode::BAD_REQUEST,
            Self::Unavailable => http::StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The value of `WWW-Authenticate`, when one belongs in the answer.
    #[must_use]
    pub fn challenge(self) -> Option<&'static str> {
        match self {
            Self::Missing => Some("Bearer"),
            Self::Malformed => Some(r#"Bearer error="invalid_request""#),
            Self::Invalid => Some(r#"Bearer error="invalid_token""#),
            Self::InvalidBound => Some(r#"DPoP error="invalid_token""#),
            Self::InvalidProof => Some(r#"DPoP error="invalid_dpop_proof""#),
            Self::NonceNeeded(_) => Some(r#"DPoP error="use_dpop_nonce""#),
            Self::Unavailable => None,
        }
    }

    /// The value of `DPoP-Nonce`, when one belongs in the answer.
    #[must_use]
    pub fn dpop_nonce(self) -> Option<DpopNonce> {
        match self {
            Self::NonceNeeded(nonce) => Some(nonce),
            _ => None,
        }
    }

    /// The same where DPoP is offered: it names the algorithms of proofs, and the scheme `DPoP`
    /// beside `Bearer` (RFC 9449 7.1 and 7.2).
    #[must_use]
    pub fn challenge_with_dpop(self, algorithms: &[Algorithm]) -> Option<String> {
        let challenge = self.challenge()?;
        if algorithms.is_empty() {
            return Some(challenge.to_owned());
        }
        let names: Vec<_> = algorithms.iter().map(|one| one.as_str()).collect();
        let names = names.join(" ");
        Some(match self {
            Self::InvalidBound | Self::InvalidProof | Self::NonceNeeded(_) => {
                format!(r#"{challenge}, algs="{names}""#)
            }
            _ => format!(r#"{challenge}, DPoP algs="{names}""#),
        })
    }
}

/// The value of `WWW-Authenticate` for a 403 that says which scope is missing (RFC 6750 3.1).
#[must_use]
pub fn insufficient_scope_challenge(needed: &ScopeSet) -> String {
    format!(r#"Bearer error="insufficient_scope", scope="{needed}""#)
}

/// The claims of an access token (RFC 9068 2.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) sub: UserId,
    pub(crate) aud: Audience,
    pub(crate) client_id: ClientId,
    pub(crate) iat: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nbf: Option<u64>,
    pub(crate) exp: u64,
    pub(crate) jti: String,
    #[serde(default)]
    pub(crate) scope: ScopeSet,
    pub(crate) grant_id: GrantId,
    /// The key that the token is bound to (RFC 7800 3, RFC 9449 6.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cnf: Option<Confirmation>,
}

/// `cnf` of a token that is bound to a key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Confirmation {
    pub(crate) jkt: Thumbprint,
}

/// `aud`: one text or several (RFC 7519 4.1.3).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// Of these resources, or of the default one when there is none.
    pub(crate) fn new(resources: &BTreeSet<Resource>, default: &str) -> Self {
        let mut many: Vec<_> = resources.iter().map(ToString::to_string).collect();
        match (many.pop(), many.is_empty()) {
            (None, _) => Self::One(default.to_owned()),
            (Some(only), true) => Self::One(only),
            (Some(last), false) => {
                many.push(last);
                Self::Many(many)
            }
        }
    }

    /// Whether one of them is so.
    pub(crate) fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(one) => is(one),
            Self::Many(many) => many.iter().any(|one| is(one)),
        }
    }
}

/// As long as most claims are, or longer.
const USUAL_CLAIMS: usize = 512;

#[derive(Deserialize, Serialize)]
struct Header {
    typ: String,
    alg: String,
    kid: String,
    /// Extensions that must be understood (RFC 7515 4.1.11); none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crit: Option<Vec<String>>,
}

impl Claims {
    /// What is to be signed with `key`.
    pub(crate) fn signing_input(&self, key: &SigningKey) -> Result<String, Error> {
        let header = Header {
            typ: "at+jwt".to_owned(),
            alg: key.algorithm().as_str().to_owned(),
            kid: key.id().to_owned(),
            crit: None,
        };
        let json = |error| Error::new(ErrorKind::InvalidToken, error);
        let header = serde_json::to_vec(&header).map_err(json)?;
        let mut claims = Vec::with_capacity(USUAL_CLAIMS);
        serde_json::to_writer(&mut claims, self).map_err(json)?;
        Ok([base64url(&header), base64url(&claims)].join("."))
    }

    /// Whether the token is one of this server, for an API that `serves` says, and within its time.
    pub(crate) fn hold(
        &self,
        config: &Config,
        wall: Duration,
        serves: impl Fn(&str) -> bool,
    ) -> bool {
        let now = wall.as_secs();
        self.iss == config.issuer.as_str()
            && self.aud.any(serves)
            && now < self.exp
            && self.nbf.is_none_or(|from| from <= now)
    }

    pub(crate) fn principal(&self) -> Principal {
        Principal {
            account: self.sub.clone(),
            client: self.client_id.clone(),
            grant: self.grant_id,
            scopes: self.scope.clone(),
            expires: Duration::from_secs(self.exp),
        }
    }
}

/// An access token taken apart; nothing in it is believed before its signature is verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unverified {
    pub(crate) key_id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) signing_input: String,
    pub(crate) signature: Vec<u8>,
    claims: Vec<u8>,
}

impl Unverified {
    /// Takes a token apart, when its header names one of `keys` with that key's algorithm.
    ///
    /// `jku`, `x5u` and an embedded `jwk` have no effect; the key decides the algorithm, not the
    /// token (RFC 8725 3.1).
    pub(crate) fn parse(text: &str, keys: &[SigningKey]) -> Option<Self> {
        if text.len() > MAX_SECRET_LENGTH {
            return None;
        }
        let (signing_input, signature) = text.rsplit_once('.')?;
        let (header, claims) = signing_input.split_once('.')?;
        let header: Header = serde_json::from_slice(&from_base64url(header)?).ok()?;
        let typ = header.typ.to_ascii_lowercase();
        let key = keys.iter().find(|key| key.id() == header.kid)?;
        let fits = header.alg == key.algorithm().as_str()
            // RFC 9068, 4
            && matches!(typ.as_str(), "at+jwt" | "application/at+jwt")
            && header.crit.is_none();
        if !fits {
            return None;
        }
        Some(Self {
            key_id: header.kid,
            algorithm: key.algorithm(),
            signing_input: signing_input.to_owned(),
            signature: from_base64url(signature)?,
            claims: from_base64url(claims)?,
        })
    }

    /// The claims, for use after the signature was verified.
    pub(crate) fn claims(&self) -> Option<Claims> {
        serde_json::from_slice(&self.claims).ok()
    }
}

/// Reads a token and judges its claims as if its signature held; for fuzzing and diagnosis.
///
/// # Errors
/// [`ErrorKind::InvalidToken`] when the token is not a JWT access token of this server or not
/// within its time.
pub fn check_claims_unverified(
    text: &str,
    config: &Config,
    wall: Duration,
) -> Result<Principal, Error> {
    Unverified::parse(text, &config.signing_keys)
        .and_then(|token| token.claims())
        .filter(|claims| claims.hold(config, wall, |audience| audience == config.audience))
        .map(|claims| claims.principal())
        .ok_or_else(|| ErrorKind::InvalidToken.into())
}
