//! The redirect out: the attempt's secrets and the address that the browser is sent to.

use core::fmt;

use url::Url;
use zeroize::Zeroizing;

use super::cloud::Cloud;
use super::oauth;
use crate::error::Error;
use crate::pkce::PkceVerifier;
use crate::secret::{base64url, sha256};

/// The `state` of an attempt: 256 bits, one time (RFC 6749, 10.12).
pub(super) struct State(Zeroizing<String>);

impl State {
    pub(super) fn generate(entropy: [u8; 32]) -> Self {
        Self(Zeroizing::new(base64url(&entropy)))
    }

    pub(super) fn attempt(&self) -> String {
        attempt_of(&self.0)
    }
}

/// Where to send the browser: the authorization request, which holds the `state` and so does not print.
#[derive(Clone, Eq, PartialEq)]
pub struct Location(Url);

impl Location {
    pub(super) const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The address, for the `Location` header and nothing else.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }
}

impl From<Location> for String {
    fn from(location: Location) -> Self {
        location.0.into()
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Location(..)")
    }
}

/// The name of the attempt that `state` belongs to: its SHA-256, so that the ledger does not hold the value itself.
pub(super) fn attempt_of(state: &str) -> String {
    base64url(&sha256(state.as_bytes()))
}

/// The authorization request of RFC 6749, 4.1.1, as the address to redirect to.
pub(super) fn location(
    cloud: &Cloud,
    state: &State,
    verifier: Option<&PkceVerifier>,
) -> Result<Url, Error> {
    oauth::authorization_url(cloud, &state.0, verifier)
}
