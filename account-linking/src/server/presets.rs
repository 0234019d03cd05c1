//! What the programmes that link accounts ask of an authorization server, as data.
//!
//! A [`Programme`] gives the [`Registration`] of its client and the [`Needs`] that the rest of the server has to meet.
//! What a programme does not document is said in its docs below; whoever knows better changes the registration, which is
//! plain data.
//!
//! ```
//! use account_linking::server::presets::Programme;
//!
//! # fn main() -> Result<(), account_linking::Error> {
//! let registration = Programme::SmartThings.registration(
//!     "client-smartthings".parse()?,
//!     "",
//!     "r:* w:*".parse()?,
//! )?;
//! assert_eq!(registration.name, "SmartThings");
//! assert_eq!(registration.redirect_uris.len(), 3);
//! assert!(!registration.pkce_required);
//! # Ok(())
//! # }
//! ```

use core::fmt;
use core::time::Duration;
use std::collections::BTreeSet;

use crate::error::{Error, ErrorKind};
use crate::redirect_uri::RedirectUri;
use crate::scope::ScopeSet;
use crate::server::config::Config;
use crate::server::ids::ClientId;
use crate::server::registration::{AuthenticationMethod, Registration};

use AuthenticationMethod::{ClientSecretBasic, ClientSecretPost};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

/// A programme whose clients link accounts.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Programme {
    /// AWS IoT Device Management managed integrations, a cloud-to-cloud connector.
    ///
    /// Its redirect URI is not documented: it is shown to whoever makes the connector destination, and given to
    /// [`Programme::registration`] whole. Whether it sends a PKCE challenge is not documented either.
    AwsManagedIntegrations,
    /// Alexa smart home skills. The redirect URIs end in the vendor id of the skill's developer; PKCE can be switched on there.
    Alexa,
    /// Google Home cloud-to-cloud. The redirect URIs end in the project id. It sends no PKCE challenge.
    GoogleHome,
    /// SmartThings Schema connectors. It sends no PKCE challenge.
    SmartThings,
    /// A client-side cloud of the OCF Universal Cloud Interface: nothing but RFC 6749 and RFC 7636, its redirect URI is given
    /// whole.
    Uci,
}

/// What a programme asks of the server beyond the registration of its client.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Needs {
    /// Within which time the token endpoint answers, or the programme gives up.
    pub token_answer_within: Duration,
    /// Shortest lifetime of an access token that it works with.
    pub access_token_lifetime: Duration,
    /// Shortest time that an unused refresh token has to stay good.
    pub refresh_idle_lifetime: Duration,
    /// Most scopes of one client.
    pub scopes: usize,
    /// Longest URL of an authorization request, in bytes, everything included.
    pub authorization_url: usize,
}

/// The first thing in which a server does not meet what a programme needs.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unmet {
    /// [`Config::access_token_lifetime`] is too short.
    AccessTokenLifetime,
    /// [`Config::refresh_idle_lifetime`], or [`Config::refresh_absolute_lifetime`], is too short.
    RefreshLifetime,
    /// [`Config::client_request_timeout`] is longer than the programme waits.
    ClientRequestTimeout,
    /// The registration has too many scopes.
    Scopes,
    /// The registration gives no refresh tokens.
    RefreshTokens,
    /// An authorization request with a state of 128 bytes does not fit into the longest URL.
    AuthorizationUrl,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessTokenLifetime => "access tokens do not last long enough",
            Self::RefreshLifetime => "refresh tokens do not last long enough",
            Self::ClientRequestTimeout => "the token endpoint may take longer than is waited for",
            Self::Scopes => "the client has too many scopes",
            Self::RefreshTokens => "the client gets no refresh tokens",
            Self::AuthorizationUrl => "the URL of an authorization request is too long",
        })
    }
}

impl core::error::Error for Unmet {}

impl Programme {
    /// Every programme.
    pub const ALL: [Self; 5] = [
        Self::AwsManagedIntegrations,
        Self::Alexa,
        Self::GoogleHome,
        Self::SmartThings,
        Self::Uci,
    ];

    /// The word by which an operator chooses it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AwsManagedIntegrations => "aws",
            Self::Alexa => "alexa",
            Self::GoogleHome => "google",
            Self::SmartThings => "smartthings",
            Self::Uci => "uci",
        }
    }

    /// The name that people know it by.
    ///
    /// `None` where every client has a name of its own. Google wants its consent page to say that the account is linked to
    /// Google, and not to one of its products.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::AwsManagedIntegrations | Self::Uci => None,
            Self::Alexa => Some("Amazon Alexa"),
            Self::GoogleHome => Some("Google"),
            Self::SmartThings => Some("SmartThings"),
        }
    }

    /// The beginnings of its redirect URIs, or all of them; empty where every client has its own.
    #[must_use]
    pub const fn redirect_uris(self) -> &'static [&'static str] {
        match self {
            Self::AwsManagedIntegrations | Self::Uci => &[],
            // North America, Europe, Japan: a user comes back from where their account is.
            Self::Alexa => &[
                "https://pitangui.amazon.com/api/skill/link/",
                "https://layla.amazon.com/api/skill/link/",
                "https://alexa.amazon.co.jp/api/skill/link/",
            ],
            Self::GoogleHome => &[
                "https://oauth-redirect.googleusercontent.com/r/",
                "https://oauth-redirect-sandbox.googleusercontent.com/r/",
            ],
            Self::SmartThings => &[
                "https://c2c-us.smartthings.com/oauth/callback",
                "https://c2c-eu.smartthings.com/oauth/callback",
                "https://c2c-ap.smartthings.com/oauth/callback",
            ],
        }
    }

    /// What it asks of the server.
    #[must_use]
    pub const fn needs(self) -> Needs {
        let usual = Needs {
            token_answer_within: Duration::from_secs(10),
            access_token_lifetime: Duration::from_secs(60),
            refresh_idle_lifetime: MONTH,
            scopes: usize::MAX,
            authorization_url: 2048,
        };
        match self {
            Self::AwsManagedIntegrations => Needs {
                token_answer_within: Duration::from_secs(2),
                // It may renew refresh tokens ahead of time, 30 days at least before they end.
                refresh_idle_lifetime: MONTH.saturating_mul(2),
                authorization_url: 1024,
                ..usual
            },
            Self::Alexa => Needs {
                token_answer_within: Duration::from_millis(4500),
                access_token_lifetime: Duration::from_secs(360),
                scopes: 15,
                ..usual
            },
            Self::GoogleHome => Needs {
                access_token_lifetime: Duration::from_secs(360),
                // A refresh token that ends unlinks the account.
                refresh_idle_lifetime: MONTH.saturating_mul(6),
                ..usual
            },
            Self::SmartThings | Self::Uci => usual,
        }
    }

    /// The registration of its client.
    ///
    /// `own` is what its redirect URIs have of their own: the vendor id of an Alexa developer, the project id of Google
    /// Home, nothing for SmartThings, and the whole redirect URI for AWS and UCI. The name is [`Programme::name`] or the
    /// client's identifier; it may be changed, as everything else may. Refresh tokens do not rotate: these programmes send
    /// several refreshes at once, and drop answers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRedirectUri`] when `own` does not make one, [`ErrorKind::InvalidConfig`] when it is not what the
    /// programme has of its own, or `scopes` is empty.
    pub fn registration(
        self,
        client_id: ClientId,
        own: &str,
        scopes: ScopeSet,
    ) -> Result<Registration, Error> {
        let redirect_uris = self.redirect_uris_of(own)?;
        let name = self
            .name()
            .map_or_else(|| client_id.to_string(), str::to_owned);
        let mut registration = Registration::confidential(client_id, name, redirect_uris, scopes);
        registration.authentication = BTreeSet::from([ClientSecretBasic, ClientSecretPost]);
        registration.pkce_required = self == Self::Uci;
        registration.check()?;
        Ok(registration)
    }

    /// Whether a server with these settings can serve a client of it.
    ///
    /// # Errors
    /// The first [`Unmet`] need.
    pub fn check(self, config: &Config, client: &Registration) -> Result<(), Unmet> {
        let needs = self.needs();
        let refresh_lifetime = config
            .refresh_absolute_lifetime
            .map_or(config.refresh_idle_lifetime, |absolute| {
                absolute.min(config.refresh_idle_lifetime)
            });
        let met = [
            (
                config.access_token_lifetime >= needs.access_token_lifetime,
                Unmet::AccessTokenLifetime,
            ),
            (
                refresh_lifetime >= needs.refresh_idle_lifetime,
                Unmet::RefreshLifetime,
            ),
            (
                config.patience_of_clients() <= needs.token_answer_within,
                Unmet::ClientRequestTimeout,
            ),
            (client.scopes.iter().count() <= needs.scopes, Unmet::Scopes),
            (client.refresh_tokens, Unmet::RefreshTokens),
            (
                longest_request(config, client) <= needs.authorization_url,
                Unmet::AuthorizationUrl,
            ),
        ];
        met.into_iter()
            .find(|(met, _)| !met)
            .map_or(Ok(()), |(_, unmet)| Err(unmet))
    }

    fn redirect_uris_of(self, own: &str) -> Result<Vec<RedirectUri>, Error> {
        let known = self.redirect_uris();
        let has_own = known.first().is_none_or(|first| first.ends_with('/'));
        // A part of a path, and nothing that would lead out of it.
        let is_segment = own
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if own.is_empty() == has_own || !(known.is_empty() || is_segment) {
            return Err(ErrorKind::InvalidConfig.into());
        }
        if known.is_empty() {
            return Ok(vec![own.parse()?]);
        }
        known
            .iter()
            .map(|beginning| format!("{beginning}{own}").parse())
            .collect()
    }
}

/// How long the URL of an authorization request of this client gets, in bytes, with a challenge and a state of 128 bytes.
fn longest_request(config: &Config, client: &Registration) -> usize {
    let longest_redirect = client
        .redirect_uris
        .iter()
        .map(RedirectUri::as_str)
        .max_by_key(|uri| uri.len())
        .unwrap_or_default();
    let mut query = form_urlencoded::Serializer::new(config.issuer.endpoint("/authorize?"));
    query
        .append_pair("response_type", "code")
        .append_pair("client_id", client.client_id.as_str())
        .append_pair("redirect_uri", longest_redirect)
        .append_pair("scope", &client.scopes.to_string())
        .append_pair("state", &"s".repeat(128))
        .append_pair("code_challenge", &"c".repeat(43))
        .append_pair("code_challenge_method", "S256");
    query.finish().len()
}

#[cfg(test)]
mod tests;
