//! What the machine may be told about itself.

use core::time::Duration;
use std::collections::BTreeSet;

/// Bounds and times of [`Links`](super::Links).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The names of the pages that may be shown after linking; the composition knows their addresses.
    pub return_pages: BTreeSet<String>,
    /// How long a user may take at the authorization server.
    pub attempt_lifetime: Duration,
    /// How long a request to an authorization server may take.
    pub exchange_timeout: Duration,
    /// How long the first two requests for a refresh may take; later ones may take [`Config::exchange_timeout`].
    ///
    /// Where the other side gives a new refresh token each time, it takes the one before again for a short while only, its retry
    /// window (`rotation_window` of this crate's server, 10 s for a client without a secret). A refresh whose answer was lost has to be
    /// asked for again inside of it; too late, the link is over. With the default of 3 s and [`Config::first_wait`] of 1 s, the second
    /// request comes after 4 s at the latest and the third after 9 s, so that two answers in a row may be lost. For a window `w`, keep
    /// twice this time and three times the first wait shorter than `w`.
    pub refresh_timeout: Duration,
    /// How long it may take to learn whose the tokens are.
    pub identify_timeout: Duration,
    /// How long a command may take until its final event.
    pub operation_timeout: Duration,
    /// How long the store may take to answer before it is asked again.
    pub store_timeout: Duration,
    /// How often the store is asked before a command is given up.
    pub store_attempts: u32,
    /// The first wait after a failure; it doubles up to [`Config::longest_wait`].
    pub first_wait: Duration,
    /// The longest wait between two attempts at the same thing.
    pub longest_wait: Duration,
    /// How long the other side is told that tokens are to be revoked, before that is given up.
    pub revocation_patience: Duration,
    /// Whether a link without a refresh token is refused.
    pub needs_refresh_token: bool,
    /// The most unfinished attempts of one user; the oldest makes way for a new one.
    pub max_attempts: usize,
    /// The most users and claims in memory.
    pub max_streams: usize,
    /// The most commands under way.
    pub max_operations: usize,
    /// The most requests under way.
    pub max_exchanges: usize,
    /// The longest body that is read, in bytes.
    pub max_body: usize,
    /// A snapshot is taken after this many changes.
    pub snapshot_every: u64,
}

impl Config {
    /// The defaults, with the one page that may be shown after linking.
    #[must_use]
    pub fn new(return_page: impl Into<String>) -> Self {
        Self {
            return_pages: BTreeSet::from([return_page.into()]),
            attempt_lifetime: Duration::from_secs(600),
            exchange_timeout: Duration::from_secs(10),
            refresh_timeout: Duration::from_secs(3),
            identify_timeout: Duration::from_secs(60),
            operation_timeout: Duration::from_secs(60),
            store_timeout: Duration::from_secs(10),
            store_attempts: 8,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            revocation_patience: Duration::from_secs(7 * 24 * 3600),
            needs_refresh_token: true,
            max_attempts: 8,
            max_streams: 100_000,
            max_operations: 10_000,
            max_exchanges: 1_000,
            max_body: 64 * 1024,
            snapshot_every: 64,
        }
    }
}
