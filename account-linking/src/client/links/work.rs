//! What a stream is to be loaded and changed for.

use std::collections::BTreeSet;

use url::Url;

use super::output::{Failure, OperationId, Refusal};
use super::stored::LedgerChange;
use crate::client::callback::Callback;
use crate::client::cloud::CloudId;
use crate::client::seal::Sealed;
use crate::client::user_links::{Outcome, Received, RelinkReason};
use crate::redirect_uri::RedirectUri;
use crate::scope::ScopeSet;
use crate::secret::AccessToken;
use crate::stream::Append;
use crate::user_id::UserId;

/// Names a task.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct TaskId(pub(super) u64);

/// A piece of work on one user's stream, and the claims it touches.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) user: UserId,
    pub(super) work: Work,
    pub(super) streams: BTreeSet<String>,
    pub(super) stage: Stage,
    /// How often it had to be decided again.
    pub(super) conflicts: u32,
}

/// How far a task has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// It waits for its streams.
    Waiting,
    /// Its changes are on the way to the store.
    Appending(Box<Appending>),
}

/// An append that is under way.
#[derive(Debug)]
pub(super) struct Appending {
    pub(super) append: Append,
    pub(super) changes: Vec<(String, LedgerChange)>,
    pub(super) then: Vec<Then>,
    pub(super) tries: u32,
}

/// What is to be decided.
#[derive(Debug)]
pub(super) enum Work {
    /// A user wants to link.
    Begin(Box<Begin>),
    /// A browser came back.
    Return(Box<Return>),
    /// A code gave tokens; the subject is known if the token says it.
    Receive {
        attempt: String,
        cloud: CloudId,
        received: Box<Received>,
        subject: Subject,
        usable: bool,
    },
    /// The remote user was learned by asking.
    Identify {
        attempt: String,
        remote_user: String,
    },
    /// An attempt failed.
    Fail {
        attempt: String,
        outcome: Outcome,
        refusal: Refusal,
    },
    /// A refresh gave tokens.
    Refreshed {
        cloud: CloudId,
        generation: u64,
        received: Box<Received>,
    },
    /// A refresh was refused for good.
    Relink {
        cloud: CloudId,
        generation: u64,
        reason: RelinkReason,
    },
    /// The user wants to unlink.
    Unlink {
        operation: OperationId,
        cloud: CloudId,
    },
    /// A token is wanted.
    Token {
        operation: OperationId,
        cloud: CloudId,
        rejected: Option<AccessToken>,
    },
    /// The links are wanted.
    List { operation: OperationId },
    /// Attempts or links have come to their end.
    Expire,
    /// The first token of a revocation is dead.
    Revoked { revocation: u64 },
    /// A revocation is to be tried again, or given up.
    RevocationFailed { revocation: u64, next_try: u64 },
    /// The stream is only to be loaded.
    Wake,
}

/// A linking attempt that is to begin.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) operation: OperationId,
    pub(super) attempt: String,
    pub(super) cloud: CloudId,
    pub(super) browser: [u8; 32],
    pub(super) verifier: Option<Sealed>,
    pub(super) return_page: String,
    pub(super) replace: bool,
    pub(super) location: Url,
    pub(super) issuer: String,
    pub(super) scopes: ScopeSet,
    pub(super) redirect_uri: RedirectUri,
}

/// A callback that is to be judged.
#[derive(Debug)]
pub(super) struct Return {
    /// `None` when the callback came from another local user: it only spends the attempt.
    pub(super) operation: Option<OperationId>,
    pub(super) attempt: String,
    /// `None` when the callback came from another local user.
    pub(super) browser: Option<[u8; 32]>,
    pub(super) received_at: String,
    pub(super) callback: Callback,
}

/// Whether the remote user is known from the token itself.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Known(String),
    Unreadable,
    ToAsk,
}

/// What follows once the changes are durable.
#[derive(Debug)]
pub(super) enum Then {
    Redirect {
        operation: OperationId,
        location: Url,
    },
    Exchange {
        attempt: String,
        verifier: Option<Sealed>,
    },
    Linked {
        attempt: String,
        cloud: CloudId,
        return_page: String,
    },
    NotLinked {
        attempt: String,
        refusal: Refusal,
        return_page: Option<String>,
    },
    Refresh {
        operation: OperationId,
        cloud: CloudId,
        forced: bool,
    },
    Refreshed {
        cloud: CloudId,
    },
    RelinkNeeded {
        cloud: CloudId,
        reason: RelinkReason,
    },
    GiveToken {
        operation: OperationId,
        cloud: CloudId,
    },
    Unlinked {
        operation: OperationId,
        cloud: CloudId,
    },
    GiveLinks {
        operation: OperationId,
    },
    Fail {
        operation: OperationId,
        failure: Failure,
    },
    RevocationOver {
        revocation: u64,
        abandoned: Option<CloudId>,
    },
    Expired,
}

impl Work {
    /// The command that waits for this piece of work alone.
    pub(super) fn operation(&self) -> Option<OperationId> {
        match self {
            Self::Begin(begin) => Some(begin.operation),
            Self::Return(back) => back.operation,
            Self::Unlink { operation, .. }
            | Self::Token { operation, .. }
            | Self::List { operation } => Some(*operation),
            _ => None,
        }
    }

    /// The attempt that this piece of work moves on.
    pub(super) fn attempt(&self) -> Option<&str> {
        match self {
            Self::Receive { attempt, .. }
            | Self::Identify { attempt, .. }
            | Self::Fail { attempt, .. } => Some(attempt),
            _ => None,
        }
    }

    /// The cloud whose tokens this piece of work alone holds.
    pub(super) fn holds_tokens_of(&self) -> Option<&CloudId> {
        match self {
            Self::Receive { cloud, .. } | Self::Refreshed { cloud, .. } => Some(cloud),
            _ => None,
        }
    }
}
