//! What happened to a user's grants; this written form is forever (L2).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Policy;
use crate::pkce::PkceChallenge;
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::server::dpop::Thumbprint;
use crate::server::ids::{ClientId, GrantId};

/// One thing that happened to a user's grants.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Change {
    /// When, in Unix milliseconds.
    pub(crate) at: u64,
    /// To which grant.
    pub(crate) grant: GrantId,
    /// What.
    pub(crate) what: What,
}

/// What happened to one grant.
#[expect(clippy::large_enum_variant, reason = "changes live for a moment")]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum What {
    /// The user consented, and a code went out.
    Granted {
        client: ClientId,
        scopes: ScopeSet,
        policy: Policy,
        #[serde(with = "crate::server::ledger::byte_string")]
        salt: [u8; 16],
        #[serde(with = "crate::server::ledger::byte_string")]
        code_hash: [u8; 32],
        code_expires: u64,
        redirect_uri: String,
        /// Whether the request named the redirect URI, so that the exchange must repeat it.
        redirect_uri_sent: bool,
        challenge: Option<PkceChallenge>,
        /// The APIs; empty: that of the settings.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        resources: BTreeSet<Resource>,
        /// The key that has to be proven with the code.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code_key: Option<Thumbprint>,
    },
    /// The code was presented with something that did not match it.
    CodeMismatched,
    /// The code was exchanged; the refresh token, if any, is made with this key.
    CodeRedeemed {
        key: Option<u8>,
        /// The client's key that has to be proven with the refresh token.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bound_to: Option<Thumbprint>,
    },
    /// The refresh token was used and stays.
    Refreshed,
    /// The refresh token was replaced by the next generation, made with this key.
    Rotated { key: u8 },
    /// One access token was revoked; it would have lasted until then.
    AccessRevoked { token_id: String, until: u64 },
    /// The grant ended.
    Ended { reason: EndReason },
    /// Everything made under the ended grant has ended too, or nothing was made under it.
    Forgotten,
}

/// Why a grant ended.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum EndReason {
    /// The client revoked it (RFC 7009).
    Revoked,
    /// The user or an operator unlinked it.
    Unlinked,
    /// Its code was presented a second time (RFC 6749 4.1.2).
    CodeReplayed,
    /// A superseded refresh token was presented (RFC 9700 4.14.2).
    RefreshTokenReplayed,
    /// It was not used for too long, or lasted long enough.
    Expired,
}
