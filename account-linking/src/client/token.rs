//! What a token endpoint gave, and when it ends.

use core::time::Duration;

use crate::scope::ScopeSet;
use crate::secret::{AccessToken, RefreshToken};

/// A successful answer of a token endpoint (RFC 6749, 5.1).
#[derive(Debug)]
pub(super) struct TokenSet {
    /// The access token.
    pub(super) access_token: AccessToken,
    /// The refresh token; absent on a refresh, the old one goes on.
    pub(super) refresh_token: Option<RefreshToken>,
    /// How long the access token lasts; absent means unknown.
    pub(super) expires_in: Option<Duration>,
    /// What was granted; absent means what was asked for.
    pub(super) scopes: Option<ScopeSet>,
    /// Whether `token_type` is Bearer, in any case of letters.
    pub(super) is_bearer: bool,
}

/// When an access token ends and when to replace it, in Unix milliseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Lifetime {
    pub(super) expires: u64,
    pub(super) refresh_at: u64,
}

impl Lifetime {
    /// Counts from when the request was sent, and replaces the token a little early: a tenth of its life, at most a minute.
    pub(super) fn new(sent: u64, lasts: Duration) -> Self {
        let lasts = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let early = (lasts / 10).min(60_000);
        let expires = sent.saturating_add(lasts);
        Self {
            expires,
            refresh_at: expires.saturating_sub(early),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_comes_a_tenth_or_a_minute_early() {
        let short = Lifetime::new(1_000, Duration::from_secs(100));
        assert_eq!((short.expires, short.refresh_at), (101_000, 91_000));
        let long = Lifetime::new(0, Duration::from_secs(3600));
        assert_eq!((long.expires, long.refresh_at), (3_600_000, 3_540_000));
        assert_eq!(Lifetime::new(5, Duration::MAX).expires, u64::MAX);
    }
}
