//! Ledger: the linking attempts, the links and the tokens to be revoked of one local user.
//!
//! Times are Unix milliseconds and never go back.

mod apply;
mod change;
mod decide;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

pub(super) use change::{Change, Outcome};
pub(super) use decide::{Arrival, Received, Verdict};

use super::cloud::CloudId;
use super::seal::Sealed;
use crate::redirect_uri::RedirectUri;
use crate::scope::ScopeSet;

/// All that is kept about one local user.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct UserLinks {
    /// The latest time that a change carried.
    last: u64,
    /// By the SHA-256 of their `state`.
    pub(super) attempts: BTreeMap<String, Attempt>,
    pub(super) links: BTreeMap<CloudId, Link>,
    pub(super) revocations: BTreeMap<u64, Revocation>,
    /// Counts up with every set of tokens, so that a late answer is recognized.
    generation: u64,
    next_revocation: u64,
}

/// A linking attempt that has not come to its end.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Attempt {
    pub(super) cloud: CloudId,
    pub(super) issuer: String,
    pub(super) redirect_uri: RedirectUri,
    /// SHA-256 of what ties the attempt to one browser.
    pub(super) browser: [u8; 32],
    pub(super) scopes: ScopeSet,
    pub(super) verifier: Option<Sealed>,
    pub(super) return_page: String,
    /// The user agreed beforehand that another remote user may take the place of the linked one.
    pub(super) replace: bool,
    /// When the present stage is given up.
    pub(super) ends: u64,
    pub(super) stage: Stage,
}

/// How far an attempt has come.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Stage {
    /// The browser has been sent away and has not come back.
    AwaitingUser,
    /// `state` is spent and the code is at the token endpoint; the code itself is nowhere stored.
    Exchanging,
    /// The tokens are here; whose they are is being asked.
    Identifying(Tokens),
}

/// A set of tokens, sealed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Tokens {
    pub(super) access: Sealed,
    pub(super) refresh: Option<Sealed>,
    /// When the access token ends, if the server said so.
    pub(super) expires: Option<u64>,
    /// When to refresh, if that is possible and the end is known.
    pub(super) refresh_at: Option<u64>,
    pub(super) scopes: ScopeSet,
}

/// The link to a remote user at one cloud.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Link {
    pub(super) id: String,
    pub(super) remote_user: String,
    pub(super) since: u64,
    pub(super) generation: u64,
    pub(super) state: State,
}

/// Whether a link can be used.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum State {
    Linked(Tokens),
    NeedsRelink { reason: RelinkReason, since: u64 },
}

/// Why a link cannot be used until the user links again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub enum RelinkReason {
    /// The authorization server answered a refresh with `invalid_grant`.
    GrantEnded,
    /// The device-side cloud refused an access token that had just been made.
    TokenRejected,
    /// The access token ended and there is no refresh token.
    Expired,
}

/// Tokens that the authorization server has not yet been told to forget.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Revocation {
    pub(super) cloud: CloudId,
    /// In the order in which they are revoked: the refresh token first, because that ends the grant.
    pub(super) tokens: VecDeque<Revocable>,
    pub(super) since: u64,
    pub(super) tries: u32,
    pub(super) next_try: u64,
}

/// One token of a [`Revocation`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum Revocable {
    Refresh(Sealed),
    Access(Sealed),
}

impl UserLinks {
    /// `wall`, or the latest time that the ledger knows if that is later: a clock that steps back revives nothing.
    pub(super) fn moment(&self, wall: u64) -> u64 {
        wall.max(self.last)
    }

    /// When the ledger owes something next.
    pub(super) fn due(&self) -> Option<u64> {
        let attempts = self.attempts.values().map(|attempt| attempt.ends);
        let links = self.links.values().filter_map(Link::due);
        let revocations = self
            .revocations
            .values()
            .map(|revocation| revocation.next_try);
        attempts.chain(links).chain(revocations).min()
    }

    /// The tokens of the link to `cloud`, if it can be used.
    pub(super) fn tokens(&self, cloud: &CloudId) -> Option<(&Link, &Tokens)> {
        let link = self.links.get(cloud)?;
        match &link.state {
            State::Linked(tokens) => Some((link, tokens)),
            State::NeedsRelink { .. } => None,
        }
    }
}

impl Link {
    /// When the link must be refreshed, or given up for want of a refresh token.
    pub(super) fn due(&self) -> Option<u64> {
        match &self.state {
            State::Linked(tokens) if tokens.refresh.is_some() => tokens.refresh_at,
            State::Linked(tokens) => tokens.expires,
            State::NeedsRelink { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
