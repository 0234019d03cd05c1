//! What can have happened to a user's links; the written form of these is forever.

use serde::{Deserialize, Serialize};

use super::{RelinkReason, Tokens};
use crate::client::cloud::CloudId;
use crate::client::seal::Sealed;
use crate::redirect_uri::RedirectUri;
use crate::scope::ScopeSet;

/// One change. `attempt` is the SHA-256 of a `state`, in base64url.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::client) enum Change {
    /// A user was sent to the authorization server.
    Started {
        attempt: String,
        cloud: CloudId,
        issuer: String,
        redirect_uri: RedirectUri,
        browser: [u8; 32],
        scopes: ScopeSet,
        verifier: Option<Sealed>,
        return_page: String,
        replace: bool,
        at: u64,
        ends: u64,
    },
    /// The callback came with a code; the attempt cannot be used again.
    Spent { attempt: String, at: u64, ends: u64 },
    /// The token endpoint gave tokens.
    Received {
        attempt: String,
        tokens: Tokens,
        at: u64,
        ends: u64,
    },
    /// The attempt ended without a link; tokens it had are to be revoked.
    Closed {
        attempt: String,
        outcome: Outcome,
        at: u64,
    },
    /// The attempt ended in a link; tokens of an earlier link to the same cloud are to be revoked.
    Linked {
        attempt: String,
        link: String,
        remote_user: String,
        at: u64,
    },
    /// The link has new tokens; without a refresh token the old one goes on.
    Refreshed {
        cloud: CloudId,
        tokens: Tokens,
        at: u64,
    },
    /// The link is of no use until the user links again; its tokens are gone.
    RelinkNeeded {
        cloud: CloudId,
        reason: RelinkReason,
        at: u64,
    },
    /// The user ended the link; its tokens are to be revoked.
    Unlinked { cloud: CloudId, at: u64 },
    /// Tokens came for which there is no link any more; they are to be revoked.
    Orphaned {
        cloud: CloudId,
        tokens: Tokens,
        at: u64,
    },
    /// The first token of a revocation is dead at the other side.
    Revoked { revocation: u64, at: u64 },
    /// The other side could not be told; it is tried again.
    RevocationDeferred {
        revocation: u64,
        next_try: u64,
        at: u64,
    },
    /// The other side is not told any more.
    RevocationAbandoned { revocation: u64, at: u64 },
}

/// Why an attempt ended without a link.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(in crate::client) enum Outcome {
    /// The user did not come back in time, or too many other attempts were begun.
    Abandoned,
    /// The user refused.
    Denied,
    /// The authorization server refused, or its answer was of no use.
    Failed,
    /// The callback came from another browser, local user, issuer or to another redirect URI.
    Mismatched,
    /// It is not known what became of the code.
    Lost,
    /// The tokens lack what the link needs: a refresh token, a scope, a known remote user.
    Unusable,
    /// The remote user is linked to another local user.
    Taken,
    /// The link is to another remote user, and the user has not agreed to replace it.
    OtherRemoteUser,
}
