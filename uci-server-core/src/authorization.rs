//! Who asks and what they may do: `r:*` reads and subscribes, `r:*` with `w:*` updates (the two scopes of the OCF Cloud
//! API for Cloud Services; challenges as in RFC 6750, 3).

use std::collections::BTreeSet;
use std::time::SystemTime;

use http::HeaderValue;

use crate::ids::{AccountId, ClientId, GrantId};
use crate::router::Route;

/// The scope that reading, subscribing and unsubscribing need.
pub const READ_SCOPE: &str = "r:*";
/// The scope that an update needs besides [`READ_SCOPE`].
pub const WRITE_SCOPE: &str = "w:*";

/// Whom an access token stands for, as the authorization server vouches for it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Principal {
    /// The user whose devices are used.
    pub account: AccountId,
    /// The client-side cloud that uses them.
    pub client: ClientId,
    /// The consent under which it does.
    pub grant: GrantId,
    /// The scope tokens, each compared exactly.
    pub scopes: BTreeSet<String>,
    /// From when on the token is no longer good.
    pub expires: SystemTime,
}

impl Principal {
    /// A principal with the scopes of a space-separated list (RFC 6749, 3.3).
    #[must_use]
    pub fn new(
        account: AccountId,
        client: ClientId,
        grant: GrantId,
        scope: &str,
        expires: SystemTime,
    ) -> Self {
        let scopes = scope
            .split_ascii_whitespace()
            .map(ToOwned::to_owned)
            .collect();
        Self {
            account,
            client,
            grant,
            scopes,
            expires,
        }
    }
}

/// What became of the request's credentials before the request came here.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Authentication {
    /// A good token.
    Granted(Principal),
    /// No bearer token at all.
    Missing,
    /// A token that is malformed, expired, revoked or not for this server.
    Invalid,
}

/// Why a request is not allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// No credentials: 401 without an error code (RFC 6750, 3.1).
    Unauthenticated,
    /// Credentials that are no good: 401 `invalid_token`.
    InvalidToken,
    /// Good credentials without the scope: 403 `insufficient_scope`.
    InsufficientScope {
        /// What would have been enough.
        needed: &'static str,
    },
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub(crate) fn status(self) -> http::StatusCode {
        match self {
            Self::Unauthenticated | Self::InvalidToken => http::StatusCode::UNAUTHORIZED,
            Self::InsufficientScope { .. } => http::StatusCode::FORBIDDEN,
        }
    }

    /// The `WWW-Authenticate` of the answer.
    #[must_use]
    pub(crate) fn challenge(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Unauthenticated => "Bearer",
            Self::InvalidToken => "Bearer error=\"invalid_token\"",
            Self::InsufficientScope {
                needed: WRITE_NEEDS,
            } => "Bearer error=\"insufficient_scope\", scope=\"r:* w:*\"",
            Self::InsufficientScope { .. } => "Bearer error=\"insufficient_scope\", scope=\"r:*\"",
        })
    }
}

/// All that an update needs.
const WRITE_NEEDS: &str = "r:* w:*";

/// The principal, if its token is good at `wall`.
pub(crate) fn authenticate(
    authentication: Authentication,
    wall: SystemTime,
) -> Result<Principal, Refusal> {
    match authentication {
        Authentication::Granted(principal) if principal.expires > wall => Ok(principal),
        Authentication::Granted(_) | Authentication::Invalid => Err(Refusal::InvalidToken),
        Authentication::Missing => Err(Refusal::Unauthenticated),
    }
}

/// Whether the principal's scopes allow the route.
pub(crate) fn authorize(principal: &Principal, route: &Route) -> Result<(), Refusal> {
    let writes = matches!(route, Route::UpdateResource { .. });
    let (scopes, needed): (&[&str], _) = if writes {
        (&[READ_SCOPE, WRITE_SCOPE], WRITE_NEEDS)
    } else {
        (&[READ_SCOPE], READ_SCOPE)
    };
    if scopes.iter().all(|scope| principal.scopes.contains(*scope)) {
        Ok(())
    } else {
        Err(Refusal::InsufficientScope { needed })
    }
}

#[cfg(test)]
mod tests;
