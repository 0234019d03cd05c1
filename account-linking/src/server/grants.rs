//! Ledger: the grants of one user, each with its code, its refresh token's generation and its end.
//!
//! ```text
//!            redeem                    refresh
//! Waiting ───────────▶ Alive ◀──────────────────────┐
//!    │                   │ └────────────────────────┘
//!    │ code expired      │ revoked, unlinked, replayed, expired
//!    ▼                   ▼
//! (forgotten)          Ended ── settled ──▶ (forgotten)
//! ```
//!
//! All grants of a user are one stream, so that whatever a token needs is read from one place, and
//! erasing a person is erasing one stream. What is stored is no secret: the hash of a code, and of
//! a refresh token its generation and a salt, from which only the server's key makes the token.

mod apply;
mod change;
mod decide;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::pkce::PkceChallenge;
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::server::access_token::Claims;
use crate::server::dpop::Thumbprint;
use crate::server::ids::{ClientId, GrantId};
use crate::user_id::UserId;

pub use change::EndReason;
pub(crate) use change::{Change, What};
pub(crate) use decide::{Approval, Command, Decision, Issued, Redemption, Refused, Renewal, Reply};

/// The format number of a snapshot of [`Grants`].
pub(crate) const SNAPSHOT_FORMAT: u32 = 1;

/// Wrong redemptions of a code after which it counts as spent.
pub(crate) const MAX_CODE_ATTEMPTS: u8 = 5;
/// Revoked access tokens remembered one by one; more revoke all that were issued so far.
pub(crate) const MAX_REVOKED_TOKENS: usize = 32;

/// The grants of one user.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Grants {
    /// The latest moment of any change, in Unix milliseconds.
    at: u64,
    /// Each apart, so that the map is small: a copy of it is made for every change.
    grants: BTreeMap<GrantId, Box<Grant>>,
}

/// What one client was allowed by one user.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Grant {
    client: ClientId,
    scopes: ScopeSet,
    /// The APIs; empty: that of the settings.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    resources: BTreeSet<Resource>,
    created: u64,
    last_used: u64,
    policy: Policy,
    #[serde(with = "crate::server::ledger::byte_string")]
    salt: [u8; 16],
    code: Code,
    refresh: Option<Refresh>,
    /// The client's key that has to be proven with the refresh token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bound_to: Option<Thumbprint>,
    /// Access tokens issued before this moment are dead.
    access_not_before: u64,
    /// Identifiers of revoked access tokens, and until when each would have lasted.
    revoked_access: BTreeMap<String, u64>,
    ended: Option<(EndReason, u64)>,
}

/// The code of a grant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Code {
    #[serde(with = "crate::server::ledger::byte_string")]
    hash: [u8; 32],
    redirect_uri: String,
    redirect_uri_sent: bool,
    challenge: Option<PkceChallenge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Thumbprint>,
    expires: u64,
    failed_attempts: u8,
    spent: bool,
}

/// The one live generation of a grant's refresh token.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Refresh {
    generation: u64,
    key: u8,
    rotated_at: u64,
}

/// The rules of a grant, copied from the client and the settings when it was made.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Policy {
    pub(crate) refresh_tokens: bool,
    /// Milliseconds; `None` keeps one refresh token for the whole grant.
    pub(crate) rotation_window: Option<u64>,
    pub(crate) replay_ends_grant: bool,
    pub(crate) idle: u64,
    pub(crate) absolute: Option<u64>,
    pub(crate) access_lifetime: u64,
}

/// A grant as the user or an operator sees it.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantSummary {
    /// The grant.
    pub grant: GrantId,
    /// Who was allowed.
    pub client: ClientId,
    /// What was allowed.
    pub scopes: ScopeSet,
    /// The APIs that the client named (RFC 8707); empty when it named none.
    pub resources: BTreeSet<Resource>,
    /// The id of the [`RefreshKey`](super::RefreshKey) that the client's refresh token is made with; `None` when it has
    /// none. A client whose token stays may still send one of the key before.
    pub refresh_key: Option<u8>,
    /// When the user consented, in Unix milliseconds.
    pub created: u64,
    /// When tokens were last issued, in Unix milliseconds.
    pub last_used: u64,
}

/// What makes and checks the refresh token of a generation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RefreshSeed {
    pub(crate) generation: u64,
    pub(crate) key: u8,
    pub(crate) salt: [u8; 16],
}

impl Grant {
    /// When the grant ends by itself.
    fn expires(&self) -> u64 {
        if !self.code.spent {
            return self.code.expires;
        }
        if !self.policy.refresh_tokens {
            return self.last_used.saturating_add(self.policy.access_lifetime);
        }
        let idle = self.last_used.saturating_add(self.policy.idle);
        match self.policy.absolute {
            Some(absolute) => idle.min(self.created.saturating_add(absolute)),
            None => idle,
        }
    }

    fn is_alive(&self, at: u64) -> bool {
        self.code.spent && self.ended.is_none() && at < self.expires()
    }

    fn seed(&self, refresh: Refresh) -> RefreshSeed {
        RefreshSeed {
            generation: refresh.generation,
            key: refresh.key,
            salt: self.salt,
        }
    }
}

impl Grants {
    /// The name of the stream that keeps a user's grants.
    pub(crate) fn stream(user: &UserId) -> String {
        format!("grants/{user}")
    }

    /// The ledger's time for a wall clock's: it never runs back (L1).
    fn at(&self, wall: u64) -> u64 {
        self.at.max(wall)
    }

    /// The grants that are alive.
    pub(crate) fn summaries(&self, wall: u64) -> Vec<GrantSummary> {
        let at = self.at(wall);
        let alive = self.grants.iter().filter(|(_, grant)| grant.is_alive(at));
        alive
            .map(|(id, grant)| GrantSummary {
                grant: *id,
                client: grant.client.clone(),
                scopes: grant.scopes.clone(),
                resources: grant.resources.clone(),
                refresh_key: grant.refresh.map(|refresh| refresh.key),
                created: grant.created,
                last_used: grant.last_used,
            })
            .collect()
    }

    /// The ends that nobody has settled yet.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = (GrantId, &ClientId, EndReason)> {
        self.grants.iter().filter_map(|(id, grant)| {
            let (reason, _) = grant.ended?;
            Some((*id, &grant.client, reason))
        })
    }

    /// Who holds a grant that is alive.
    pub(crate) fn holder(&self, grant: GrantId) -> Option<(&ClientId, &ScopeSet)> {
        let grant = self.grants.get(&grant)?;
        Some((&grant.client, &grant.scopes))
    }

    /// Whether an access token still opens anything, its own expiry aside.
    pub(crate) fn admit(&self, claims: &Claims, wall: u64) -> bool {
        self.grants.get(&claims.grant_id).is_some_and(|grant| {
            grant.is_alive(self.at(wall))
                && grant.client == claims.client_id
                // Tokens carry whole seconds: one of the second of the mark is dead too.
                && claims.iat.saturating_mul(1000) > grant.access_not_before
                && !grant.revoked_access.contains_key(&claims.jti)
        })
    }

    /// Whether this one access token was revoked.
    pub(crate) fn is_revoked(&self, grant: GrantId, token_id: &str) -> bool {
        let held = self.grants.get(&grant);
        held.is_some_and(|grant| grant.revoked_access.contains_key(token_id))
    }

    /// Whether another replica may have written what this ledger does not have of a grant: the end of one is final.
    pub(crate) fn may_be_behind(&self, grant: GrantId) -> bool {
        let held = self.grants.get(&grant);
        held.is_none_or(|grant| grant.ended.is_none())
    }

    /// What the refresh token of `generation` must have been made from.
    ///
    /// The keys of past generations are not kept: all keys that are still accepted are tried.
    pub(crate) fn salt(&self, grant: GrantId) -> Option<[u8; 16]> {
        self.grants.get(&grant).map(|grant| grant.salt)
    }

    /// Until when the refresh token of `generation` works; `None` when it does not.
    pub(crate) fn refresh_expiry(&self, grant: GrantId, generation: u64, wall: u64) -> Option<u64> {
        let at = self.at(wall);
        let grant = self.grants.get(&grant).filter(|grant| grant.is_alive(at))?;
        let refresh = grant.refresh?;
        // One that stays is good beside the successor that a new key made.
        let stays = grant.policy.rotation_window.is_none()
            && generation.checked_add(1) == Some(refresh.generation);
        (stays || refresh.generation == generation).then(|| grant.expires())
    }
}
