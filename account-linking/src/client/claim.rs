//! Ledger: which local user a remote user is linked to.
//!
//! One stream per cloud and remote user makes sure, by its version, that two local users never share one.

use serde::{Deserialize, Serialize};

use super::cloud::CloudId;
use crate::secret::{base64url, sha256};
use crate::user_id::UserId;

/// Who has claimed a remote user.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Claim {
    pub(super) owner: Option<UserId>,
}

/// What can have happened to a claim; the written form is forever.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) enum ClaimChange {
    /// The remote user was linked to this local user.
    Claimed { user: UserId },
    /// The link ended.
    Released,
}

impl Claim {
    /// The change that makes `owner` the owner, if it is not already.
    pub(super) fn decide(&self, owner: Option<&UserId>) -> Option<ClaimChange> {
        let change = || {
            owner.map_or(ClaimChange::Released, |user| ClaimChange::Claimed {
                user: user.clone(),
            })
        };
        (self.owner.as_ref() != owner).then(change)
    }

    pub(super) fn apply(&mut self, change: &ClaimChange) {
        self.owner = match change {
            ClaimChange::Claimed { user } => Some(user.clone()),
            ClaimChange::Released => None,
        };
    }
}

/// The stream of the claim on `remote_user` at `cloud`.
pub(super) fn stream(cloud: &CloudId, remote_user: &str) -> String {
    format!(
        "claim/{cloud}/{}",
        base64url(&sha256(remote_user.as_bytes()))
    )
}
