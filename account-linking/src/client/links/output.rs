//! What the machine wants done, and what it has to tell.

use std::fmt;
use std::time::SystemTime;

use bytes::Bytes;

use crate::client::authorization::Location;
use crate::client::callback::ErrorCode;
use crate::client::cloud::CloudId;
use crate::client::user_links::RelinkReason;
use crate::scope::ScopeSet;
use crate::secret::AccessToken;
use crate::stream::{Append, Snapshot};
use crate::user_id::UserId;

/// Names a command; one final [`Event`] carries it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct OperationId(pub(super) u64);

/// Names a request that is under way.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ExchangeId(pub(super) u64);

/// What the driver is to do.
///
/// `Debug` shows of a request only where it goes: codes, tokens and client secrets are in the rest.
#[must_use = "an output left undone stalls what waits for it"]
#[expect(
    clippy::exhaustive_enums,
    reason = "a command that is not known stalls the machine"
)]
pub enum Output {
    /// Send a request without following redirects; answer with `handle_response` or `handle_failure`.
    Send {
        /// Names the request.
        exchange: ExchangeId,
        /// The request, with an absolute https address.
        request: http::Request<Bytes>,
    },
    /// Make changes durable; answer with `handle_appended`.
    Append(Append),
    /// Read a stream; answer with `handle_loaded` or `handle_load_failed`.
    Load {
        /// The stream.
        stream: String,
    },
    /// Keep a snapshot, when convenient; no answer.
    Snapshot {
        /// The stream.
        stream: String,
        /// Its state.
        snapshot: Snapshot,
    },
    /// Something to know.
    Event(Event),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send { exchange, request } => f
                .debug_struct("Send")
                .field("exchange", exchange)
                .field("method", request.method())
                .field("uri", request.uri())
                .finish_non_exhaustive(),
            Self::Append(append) => f.debug_tuple("Append").field(append).finish(),
            Self::Load { stream } => f.debug_struct("Load").field("stream", stream).finish(),
            Self::Snapshot { stream, snapshot } => f
                .debug_struct("Snapshot")
                .field("stream", stream)
                .field("version", &snapshot.version)
                .finish_non_exhaustive(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Final for `start`: send the browser to `location` with 303.
    Redirect {
        /// The command.
        operation: OperationId,
        /// The authorization request.
        location: Location,
    },
    /// Final for `callback`: the accounts are linked, durably.
    Linked {
        /// The command; `None` when it was over before, or the process was started anew in between.
        operation: Option<OperationId>,
        /// The local user.
        user: UserId,
        /// The cloud.
        cloud: CloudId,
        /// The link.
        link: LinkSummary,
        /// The page to send the browser to, by its name.
        return_page: String,
    },
    /// Final for `callback`: the accounts are not linked.
    NotLinked {
        /// The command; `None` when no one waits for it any more.
        operation: Option<OperationId>,
        /// The local user.
        user: UserId,
        /// Why.
        refusal: Refusal,
        /// The page to send the browser to, by its name, if the attempt is known.
        return_page: Option<String>,
    },
    /// Final for `unlink`: the link is gone here; the other side is being told.
    Unlinked {
        /// The command.
        operation: OperationId,
        /// The local user.
        user: UserId,
        /// The cloud.
        cloud: CloudId,
    },
    /// Final for `token`: a token to call the cloud with.
    Token {
        /// The command.
        operation: OperationId,
        /// The access token.
        token: AccessToken,
        /// When it ends, if that is known.
        expires: Option<SystemTime>,
    },
    /// Final for `list`: the links of a user.
    Links {
        /// The command.
        operation: OperationId,
        /// The links, by cloud.
        links: Vec<(CloudId, LinkSummary)>,
    },
    /// Final for any command: it could not be done.
    Failed {
        /// The command.
        operation: OperationId,
        /// Why.
        failure: Failure,
    },
    /// A link is of no use until the user links again; told once.
    RelinkNeeded {
        /// The local user.
        user: UserId,
        /// The cloud.
        cloud: CloudId,
        /// Why.
        reason: RelinkReason,
    },
    /// The authorization server refuses this client, not a user: the operator must look.
    CloudMisconfigured {
        /// The cloud.
        cloud: CloudId,
        /// What it said.
        error: ErrorCode,
    },
    /// Tokens came and could not be stored; the grant at the other side dangles until it expires.
    TokensLost {
        /// The local user.
        user: UserId,
        /// The cloud.
        cloud: CloudId,
    },
    /// The other side could not be told for too long that tokens are to be revoked.
    RevocationAbandoned {
        /// The local user.
        user: UserId,
        /// The cloud.
        cloud: CloudId,
    },
}

impl Event {
    /// The command that the event ends.
    #[must_use]
    pub const fn operation(&self) -> Option<OperationId> {
        match self {
            Self::Redirect { operation, .. }
            | Self::Unlinked { operation, .. }
            | Self::Token { operation, .. }
            | Self::Links { operation, .. }
            | Self::Failed { operation, .. } => Some(*operation),
            Self::Linked { operation, .. } | Self::NotLinked { operation, .. } => *operation,
            Self::RelinkNeeded { .. }
            | Self::CloudMisconfigured { .. }
            | Self::TokensLost { .. }
            | Self::RevocationAbandoned { .. } => None,
        }
    }
}

/// What a person may see of a link.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct LinkSummary {
    /// The name of the link; it stays when the same remote user is linked again.
    pub id: String,
    /// The remote user.
    pub remote_user: String,
    /// What was granted; empty when the link must be made anew.
    pub scopes: ScopeSet,
    /// Since when the link exists.
    pub since: SystemTime,
    /// Why the link must be made anew, if it must.
    pub relink: Option<RelinkReason>,
}

/// Why accounts were not linked.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// No attempt with this `state` waits for a callback: never begun, spent, or over.
    UnknownState,
    /// The user took too long.
    Expired,
    /// The callback came from another browser or another local user than the attempt.
    OtherBrowser,
    /// The cloud is not configured any more.
    UnknownCloud,
    /// The callback came from another issuer, or to another redirect URI.
    OtherIssuer,
    /// The user refused.
    Denied,
    /// The authorization server refused.
    Error(ErrorCode),
    /// The callback makes no sense.
    Malformed,
    /// It is not known what became of the code; it is not sent twice.
    Lost,
    /// The token is of a kind that cannot be used.
    NotBearer,
    /// There is no refresh token.
    NoRefreshToken,
    /// What was granted is not enough.
    TooLittleScope,
    /// The remote user could not be learned.
    NoIdentity,
    /// The remote user is linked to another local user.
    Taken,
    /// Another remote user is linked; begin again with the user's consent to replace it.
    OtherRemoteUser,
    /// The store or the keys are not at hand.
    Unavailable,
}

/// Why a command could not be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// There is no link to that cloud.
    NotLinked,
    /// The user must link again.
    NeedsRelink,
    /// The other side or the store cannot be reached now; try later.
    Unavailable,
    /// There are too many at once; try later.
    Full,
    /// It took too long; what it began may still happen.
    TimedOut,
}

/// Why a request got no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TransportFailure {
    /// No connection: the request was not sent.
    NotSent,
    /// The connection was lost, or the answer did not come: it is not known whether the request arrived.
    Unknown,
}
