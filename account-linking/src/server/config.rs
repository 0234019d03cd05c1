//! What an authorization server is told at start; no setting lives anywhere else.

use core::time::Duration;
use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::redirect_uri::is_loopback;
use crate::resource::Resource;
use crate::secret::SecretBytes;
use crate::server::access_token::Algorithm;
use crate::server::client_assertion::ClientAssertions;
use crate::server::device::DeviceFlow;
use crate::server::dpop::Dpop;

/// Settings of an [`AuthorizationServer`](crate::server::AuthorizationServer).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Config {
    /// Who issues: also the base of all endpoints.
    pub issuer: Issuer,
    /// The `aud` of access tokens: the API they open (RFC 9068 3).
    pub audience: String,
    /// Further APIs that clients may name (RFC 8707); which ones a client may is in its registration.
    pub resources: BTreeSet<Resource>,
    /// The keys of access tokens: the first signs, all of them verify and are published.
    pub signing_keys: Vec<SigningKey>,
    /// The keys of refresh tokens: the first makes new ones, all of them are accepted.
    pub refresh_keys: Vec<RefreshKey>,
    /// Whether every client has to push its authorization requests (RFC 9126 5); a client's registration may ask it of one.
    pub require_pushed_requests: bool,
    /// How DPoP is offered (RFC 9449); `None`: not at all, and proofs are ignored.
    pub dpop: Option<Dpop>,
    /// How client assertions are taken (RFC 7523); `None`: not at all, and no client can be registered for them.
    pub client_assertions: Option<ClientAssertions>,
    /// How the device flow is offered (RFC 8628); `None`: not at all. Which clients may use it is in their registration.
    pub device_flow: Option<DeviceFlow>,
    /// How long a pushed authorization request may wait for its browser; 5 to 600 s (RFC 9126 2.2).
    pub pushed_request_lifetime: Duration,
    /// How long a code may wait for its redemption; at most 10 minutes (RFC 6749 4.1.2).
    pub code_lifetime: Duration,
    /// How long an access token lasts.
    pub access_token_lifetime: Duration,
    /// A grant ends when its refresh token was not used for this long.
    pub refresh_idle_lifetime: Duration,
    /// A grant ends this long after consent, when set.
    pub refresh_absolute_lifetime: Option<Duration>,
    /// How long a person may take from the first page to the decision.
    pub interaction_lifetime: Duration,
    /// How long a login lasts.
    pub session_lifetime: Duration,
    /// A request that is not answered within this time is answered with 503.
    pub request_timeout: Duration,
    /// The same for requests of clients, most of all at the token endpoint: the programmes that link accounts do not wait as
    /// long as people do. No longer than `request_timeout` counts.
    pub client_request_timeout: Duration,
    /// An append of unknown outcome is repeated after this time.
    pub append_retry: Duration,
    /// Logins of one user name, none of them successful, after which further ones are refused
    /// until `login_failure_window` has passed since the first. The same for wrong user codes of
    /// one user (RFC 8628 5.1).
    pub max_login_failures: u32,
    /// See `max_login_failures`.
    pub login_failure_window: Duration,
    /// Most requests and commands in progress.
    pub max_requests: usize,
    /// Most streams kept in memory; idle ones beyond are unloaded.
    pub max_streams: usize,
    /// Most browser sessions, and most interactions, in memory; the oldest session that nobody
    /// has logged in to, or the oldest interaction, makes room for a new one.
    pub max_sessions: usize,
    /// Most pushed authorization requests in memory; beyond, the oldest of a client without a secret makes room, and then,
    /// for a client with one, the oldest of any.
    pub max_pushed_requests: usize,
    /// Most access tokens whose signature need not be verified again, about 1 KiB each; 0: each is verified with every request.
    /// Their time, grant and revocation are judged with every request in any case.
    pub max_verified_tokens: usize,
    /// Most grants of one user.
    pub max_grants_per_user: usize,
}

impl Config {
    /// Settings with the usual lifetimes and limits.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when `audience` is empty.
    pub fn new(
        issuer: Issuer,
        audience: impl Into<String>,
        signing_key: SigningKey,
        refresh_key: RefreshKey,
    ) -> Result<Self, Error> {
        let audience = audience.into();
        if audience.is_empty() {
            return Err(ErrorKind::InvalidConfig.into());
        }
        Ok(Self {
            issuer,
            audience,
            resources: BTreeSet::new(),
            signing_keys: vec![signing_key],
            refresh_keys: vec![refresh_key],
            require_pushed_requests: false,
            dpop: None,
            client_assertions: None,
            device_flow: None,
            pushed_request_lifetime: Duration::from_secs(60),
            code_lifetime: Duration::from_secs(60),
            access_token_lifetime: Duration::from_secs(3600),
            refresh_idle_lifetime: Duration::from_secs(180 * 24 * 3600),
            refresh_absolute_lifetime: None,
            interaction_lifetime: Duration::from_secs(600),
            session_lifetime: Duration::from_secs(3600),
            request_timeout: Duration::from_secs(10),
            client_request_timeout: Duration::from_secs(2),
            append_retry: Duration::from_millis(100),
            max_login_failures: 10,
            login_failure_window: Duration::from_secs(900),
            max_requests: 4096,
            max_streams: 16_384,
            max_sessions: 16_384,
            max_pushed_requests: 16_384,
            max_verified_tokens: 16_384,
            max_grants_per_user: 64,
        })
    }

    /// Checks what later assignments may have broken.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when there is no key, two keys share an id, a code would last
    /// longer than 10 minutes, a pushed request less than 5 s or longer than 10 minutes, DPoP is
    /// offered without an algorithm, room, or a window or nonces of a second at least, the device
    /// flow without room, with an interval of less than a second, or for longer than 30 minutes, or client assertions without an
    /// algorithm or room, with a leeway of more than five minutes, or a lifetime that is not of 1 s to 24 hours.
    pub fn check(&self) -> Result<(), Error> {
        let signing: Vec<_> = self.signing_keys.iter().map(SigningKey::id).collect();
        let refresh: Vec<_> = self.refresh_keys.iter().map(|key| key.id).collect();
        if has_one_of_each(&signing)
            && has_one_of_each(&refresh)
            && self.code_lifetime <= Duration::from_secs(600)
            && (5..=600).contains(&self.pushed_request_lifetime.as_secs())
            && self.dpop.as_ref().is_none_or(Dpop::is_usable)
            && self
                .client_assertions
                .as_ref()
                .is_none_or(ClientAssertions::is_usable)
            && self.device_flow.as_ref().is_none_or(DeviceFlow::is_usable)
        {
            Ok(())
        } else {
            Err(ErrorKind::InvalidConfig.into())
        }
    }

    /// Within which time a request of a client is answered.
    pub(crate) fn patience_of_clients(&self) -> Duration {
        self.client_request_timeout.min(self.request_timeout)
    }

    /// Whether access tokens are given out for this API.
    pub(crate) fn knows(&self, audience: &str) -> bool {
        self.audience == audience || self.resources.iter().any(|one| one.as_str() == audience)
    }

    /// The algorithms of client assertions; empty when none are taken.
    pub(crate) fn assertion_algorithms(&self) -> &[Algorithm] {
        let settings = self.client_assertions.as_ref();
        settings.map_or(&[], |settings| &settings.algorithms)
    }

    /// The algorithms of DPoP proofs; empty when there is no DPoP.
    pub(crate) fn dpop_algorithms(&self) -> &[Algorithm] {
        self.dpop.as_ref().map_or(&[], |dpop| &dpop.algorithms)
    }
}

fn has_one_of_each<T: Ord>(ids: &[T]) -> bool {
    let distinct: BTreeSet<_> = ids.iter().collect();
    !ids.is_empty() && distinct.len() == ids.len()
}

/// The issuer identifier: an https URL without query and fragment (RFC 8414 2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issuer {
    text: String,
    path: String,
    origin: String,
}

impl Issuer {
    /// Takes an https issuer, such as `https://cloud.example/oauth`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] when it is not https, or has user info, a query, a fragment or a
    /// slash at its end.
    pub fn new(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| Error::new(ErrorKind::InvalidUrl, error))?;
        if url.scheme() == "https" {
            Self::from_url(text, &url)
        } else {
            Err(ErrorKind::InvalidUrl.into())
        }
    }

    /// Takes an http issuer on a loopback host, for development.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUrl`] when it is not `http` on loopback, and as [`Issuer::new`].
    pub fn dangerous_http_on_loopback(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| Error::new(ErrorKind::InvalidUrl, error))?;
        if url.scheme() == "http" && is_loopback(&url) {
            Self::from_url(text, &url)
        } else {
            Err(ErrorKind::InvalidUrl.into())
        }
    }

    fn from_url(text: &str, url: &Url) -> Result<Self, Error> {
        let path = url.path().trim_end_matches('/').to_owned();
        let origin = url.origin().ascii_serialization();
        // What clients compare byte by byte must be what parsers make of it (RFC 8414, 3.3).
        if text != format!("{origin}{path}") {
            return Err(ErrorKind::InvalidUrl.into());
        }
        Ok(Self {
            text: text.to_owned(),
            path,
            origin,
        })
    }

    /// The issuer exactly as configured.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The path that all endpoints start with; empty when the issuer is an origin.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Scheme, host and port, as browsers send them in `Origin`.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    pub(crate) fn endpoint(&self, name: &str) -> String {
        format!("{}{name}", self.text)
    }
}

/// The public half of a signing key; the private half stays with whoever answers `Sign`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SigningKey {
    id: String,
    algorithm: Algorithm,
    public_jwk: Map<String, Value>,
}

impl SigningKey {
    /// Takes a key's id, its one algorithm and its public JWK as JSON text (RFC 7517).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] when the text is not a JSON object with `kty`, holds a private
    /// or symmetric member, or `id` is empty.
    pub fn new(
        id: impl Into<String>,
        algorithm: Algorithm,
        public_jwk: &str,
    ) -> Result<Self, Error> {
        let id = id.into();
        let mut jwk: Map<String, Value> = serde_json::from_str(public_jwk)
            .map_err(|error| Error::new(ErrorKind::InvalidConfig, error))?;
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        if id.is_empty()
            || !jwk.contains_key("kty")
            || private.iter().any(|member| jwk.contains_key(*member))
        {
            return Err(ErrorKind::InvalidConfig.into());
        }
        jwk.insert("kid".to_owned(), Value::from(id.clone()));
        jwk.insert("alg".to_owned(), Value::from(algorithm.as_str()));
        jwk.insert("use".to_owned(), Value::from("sig"));
        Ok(Self {
            id,
            algorithm,
            public_jwk: jwk,
        })
    }

    /// The `kid` of tokens signed with this key.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The only algorithm this key is used with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn public_jwk(&self) -> &Map<String, Value> {
        &self.public_jwk
    }
}

/// A key that authenticates refresh tokens; it is the only secret this server holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RefreshKey {
    pub(crate) id: u8,
    pub(crate) key: SecretBytes,
}

impl RefreshKey {
    /// A key and the id by which refresh tokens name it; an id is never given to another key.
    #[must_use]
    pub fn new(id: u8, key: SecretBytes) -> Self {
        Self { id, key }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_https_without_query_fragment_or_trailing_slash() {
        assert_eq!(
            Issuer::new("https://c.example/oauth").unwrap().path(),
            "/oauth"
        );
        assert_eq!(Issuer::new("https://c.example:8443").unwrap().path(), "");
        for text in [
            "http://c.example",
            "http://127.0.0.1:80",
            "https://c.example/",
            "https://c.example/?q",
            "https://c.example/#f",
            "https://u@c.example",
            "https://C.example",
            "c.example",
        ] {
            assert!(Issuer::new(text).is_err(), "{text}");
        }
        assert!(Issuer::dangerous_http_on_loopback("http://127.0.0.1:8080").is_ok());
        assert!(Issuer::dangerous_http_on_loopback("http://c.example").is_err());
    }

    #[test]
    fn private_keys_are_refused() {
        assert!(SigningKey::new("1", Algorithm::Es256, r#"{"kty":"EC","x":"a","y":"b"}"#).is_ok());
        assert!(SigningKey::new("1", Algorithm::Es256, r#"{"kty":"EC","d":"a"}"#).is_err());
        assert!(SigningKey::new("1", Algorithm::Es256, r#"{"kty":"oct","k":"a"}"#).is_err());
    }
}
