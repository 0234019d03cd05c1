//! What the authorization server asks of its driver, and what it tells it.

use core::fmt;

use bytes::Bytes;

use crate::error::ErrorKind;
use crate::scope::ScopeSet;
use crate::secret::{ClientSecret, Password};
use crate::server::access_token::{Algorithm, Principal, Refusal};
use crate::server::dpop::ProofKey;
use crate::server::grants::{EndReason, GrantSummary};
use crate::server::ids::{ClientId, GrantId, RequestId};
use crate::stream::{Append, Snapshot};
use crate::user_id::UserId;

/// What the driver is to do.
///
/// `Debug` leaves out what must not get into a log: tokens, codes, cookies, and the name and
/// password as typed.
#[must_use = "an output left undone stalls its request"]
#[expect(clippy::exhaustive_enums, reason = "a driver must know every output")]
pub enum Output {
    /// Answer a request.
    Respond {
        /// The request.
        request: RequestId,
        /// The answer.
        response: http::Response<Bytes>,
    },
    /// The result of [`authenticate`](super::AuthorizationServer::authenticate).
    Authenticated {
        /// The check.
        request: RequestId,
        /// Whose token it is, or why it was refused.
        result: Result<Principal, Refusal>,
    },
    /// Check a user's password, taking as long for an unknown name as for a wrong password; the
    /// answer goes to `handle_password`.
    VerifyPassword {
        /// The request.
        request: RequestId,
        /// The name as typed.
        user_name: String,
        /// The password as typed.
        password: Password,
    },
    /// Sign with the private half of a signing key; the answer goes to `handle_signature`.
    ///
    /// The signature is as in RFC 7515: of ES256, the 64 bytes of R and S (RFC 7518 3.4).
    Sign {
        /// The request.
        request: RequestId,
        /// The key.
        key_id: String,
        /// How to sign.
        algorithm: Algorithm,
        /// What to sign.
        signing_input: Bytes,
    },
    /// Verify a signature with a signing key; the answer goes to `handle_verification`.
    Verify {
        /// The request.
        request: RequestId,
        /// The key.
        key_id: String,
        /// How to verify.
        algorithm: Algorithm,
        /// What was signed.
        signing_input: Bytes,
        /// The signature as it came.
        signature: Bytes,
    },
    /// Verify the signature of a proof of possession with the key that came in it (RFC 9449 4.3), or
    /// of a client's assertion with a key of its registration (RFC 7523 3); the answer goes to
    /// `handle_verification`. Asked only where [`Dpop`](super::Dpop) is offered or
    /// [`ClientAssertions`](super::ClientAssertions) are taken, for the algorithms that these name.
    VerifyProof {
        /// The request.
        request: RequestId,
        /// The key.
        key: ProofKey,
        /// How to verify.
        algorithm: Algorithm,
        /// What was signed.
        signing_input: Bytes,
        /// The signature as it came.
        signature: Bytes,
    },
    /// Read a stream; the answer goes to `handle_loaded` or `handle_load_failed`.
    Load {
        /// The stream.
        stream: String,
    },
    /// Make changes durable; the answer goes to `handle_appended`.
    Append(Append),
    /// Keep a snapshot of a stream; no answer is expected, and a lost one costs only time.
    SaveSnapshot {
        /// The stream.
        stream: String,
        /// Its state.
        snapshot: Snapshot,
    },
    /// Something happened.
    Event(Event),
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Respond { request, response } => f
                .debug_struct("Respond")
                .field("request", request)
                .field("status", &response.status())
                .finish_non_exhaustive(),
            Self::Authenticated { request, result } => f
                .debug_struct("Authenticated")
                .field("request", request)
                .field("result", result)
                .finish(),
            Self::VerifyPassword { request, .. } => f
                .debug_struct("VerifyPassword")
                .field("request", request)
                .finish_non_exhaustive(),
            Self::Sign {
                request,
                key_id,
                algorithm,
                ..
            } => f
                .debug_struct("Sign")
                .field("request", request)
                .field("key_id", key_id)
                .field("algorithm", algorithm)
                .finish_non_exhaustive(),
            Self::Verify {
                request,
                key_id,
                algorithm,
                ..
            } => f
                .debug_struct("Verify")
                .field("request", request)
                .field("key_id", key_id)
                .field("algorithm", algorithm)
                .finish_non_exhaustive(),
            Self::VerifyProof {
                request, algorithm, ..
            } => f
                .debug_struct("VerifyProof")
                .field("request", request)
                .field("algorithm", algorithm)
                .finish_non_exhaustive(),
            Self::Load { stream } => f.debug_struct("Load").field("stream", stream).finish(),
            Self::Append(append) => f.debug_tuple("Append").field(append).finish(),
            Self::SaveSnapshot { stream, snapshot } => f
                .debug_struct("SaveSnapshot")
                .field("stream", stream)
                .field("version", &snapshot.version)
                .finish_non_exhaustive(),
            Self::Event(event) => f.debug_tuple("Event").field(event).finish(),
        }
    }
}

/// What happened; none of it holds a secret, but for the client secret shown once.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Event {
    /// The final event of `register_client` and `add_client_secret`.
    ClientRegistered {
        /// The command.
        command: RequestId,
        /// The client.
        client: ClientId,
        /// Its new secret, shown this once; `None` for a client that has none.
        secret: Option<ClientSecret>,
    },
    /// The final event of `retire_client_secrets`, `add_client_key`, `retire_client_keys`, `end_grant`, `settle_grant_end` and `wake`.
    Done {
        /// The command.
        command: RequestId,
    },
    /// The final event of `list_grants`.
    Grants {
        /// The command.
        command: RequestId,
        /// The grants that are alive.
        grants: Vec<GrantSummary>,
    },
    /// The final event of a command that did not succeed.
    CommandFailed {
        /// The command.
        command: RequestId,
        /// Why.
        kind: ErrorKind,
    },
    /// A code was redeemed: the account is linked.
    GrantStarted {
        /// The user.
        account: UserId,
        /// The client.
        client: ClientId,
        /// The grant.
        grant: GrantId,
        /// What was granted.
        scopes: ScopeSet,
    },
    /// A grant ended; everything made under it must end too.
    ///
    /// Each `wake` of the user's stream, which is due until then, tells it again until
    /// `settle_grant_end` is called.
    GrantEnded {
        /// The user.
        account: UserId,
        /// The client.
        client: ClientId,
        /// The grant.
        grant: GrantId,
        /// Why it ended.
        reason: EndReason,
    },
    /// A superseded refresh token was used inside its retry window.
    RetryWindowUsed {
        /// The user.
        account: UserId,
        /// The grant.
        grant: GrantId,
    },
    /// A superseded refresh token was used outside its retry window and refused.
    RefreshTokenReplayed {
        /// The user.
        account: UserId,
        /// The grant.
        grant: GrantId,
    },
    /// A client presented wrong credentials; the driver may slow down the source.
    ClientAuthenticationFailed {
        /// The request.
        request: RequestId,
    },
    /// A login failed; the driver may slow down the source.
    LoginFailed {
        /// The request.
        request: RequestId,
    },
    /// A user code was not right, or its user has guessed too often; the driver may slow down the source.
    UserCodeRefused {
        /// The request.
        request: RequestId,
    },
    /// A stream holds what this version cannot read; requests for it are answered with 503.
    StreamUnreadable {
        /// The stream.
        stream: String,
    },
}

impl Event {
    /// The command of which this is the final event.
    #[must_use]
    pub fn command(&self) -> Option<RequestId> {
        match self {
            Self::ClientRegistered { command, .. }
            | Self::Done { command }
            | Self::Grants { command, .. }
            | Self::CommandFailed { command, .. } => Some(*command),
            _ => None,
        }
    }
}
