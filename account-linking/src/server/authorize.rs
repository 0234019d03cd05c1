//! The authorization request (RFC 6749 4.1.1): what is checked, and where answers to it go.

use std::collections::BTreeSet;

use crate::form::Form;
use crate::pkce::PkceChallenge;
use crate::redirect_uri::RedirectUri;
use crate::resource::Resource;
use crate::scope::ScopeSet;
use crate::secret::AuthorizationCode;
use crate::server::config::Config;
use crate::server::dpop::Thumbprint;
use crate::server::ids::ClientId;
use crate::server::pages::PageError;
use crate::server::registration::Registration;
use crate::server::target;

const MAX_STATE_LENGTH: usize = 2048;
const MAX_SCOPE_TEXT_LENGTH: usize = 2048;

/// The error codes of the authorization endpoint (RFC 6749 4.1.2.1, RFC 8707 2, OpenID Connect Core
/// 3.1.2.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AuthorizeError {
    InvalidRequest,
    AccessDenied,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    TemporarilyUnavailable,
    RequestNotSupported,
    RequestUriNotSupported,
}

impl AuthorizeError {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::AccessDenied => "access_denied",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
        }
    }
}

/// An authorization request whose client and redirect URI are good.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct AuthorizeRequest {
    pub(crate) client: ClientId,
    pub(crate) redirect_uri: RedirectUri,
    /// Whether the request named the redirect URI.
    pub(crate) redirect_uri_sent: bool,
    state: Option<String>,
    /// What is asked for, or the error to send back once the user is known.
    pub(crate) wanted: Result<Wanted, AuthorizeError>,
}

/// What a good request asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) scopes: ScopeSet,
    pub(crate) challenge: Option<PkceChallenge>,
    /// The APIs asked for; empty when none is named.
    pub(crate) resources: BTreeSet<Resource>,
    /// The key that the code is bound to (RFC 9449 10).
    pub(crate) key: Option<Thumbprint>,
}

/// How an authorization request comes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    /// Through the browser.
    Browser,
    /// From the client itself (RFC 9126).
    Pushed,
}

impl AuthorizeRequest {
    /// Checks a request against its client's registration.
    ///
    /// An error here is shown to the person: nothing may be sent to a place that was not
    /// registered (RFC 6749 3.1.2.4).
    pub(crate) fn check(
        form: &Form,
        registration: &Registration,
        config: &Config,
        way: Way,
    ) -> Result<Self, PageError> {
        let state = form.get("state").map(str::to_owned);
        let too_long = state
            .as_ref()
            .is_some_and(|state| state.len() > MAX_STATE_LENGTH);
        if form.repeats("client_id")
            || form.repeats("redirect_uri")
            || form.get("client_id") != Some(registration.client_id.as_str())
            || too_long
        {
            return Err(PageError::BadRequest);
        }
        let sent = form.get("redirect_uri");
        let redirect_uri = match (sent, registration.redirect_uris.as_slice()) {
            (Some(text), registered) => {
                let asked: RedirectUri = text.parse().map_err(|_| PageError::BadRequest)?;
                let known = registered.iter().any(|uri| uri.admits(&asked));
                known.then_some(asked)
            }
            (None, [only]) => Some(only.clone()),
            // RFC 6749, 3.1.2.3: one of several has to be named.
            (None, _) => None,
        };
        Ok(Self {
            client: registration.client_id.clone(),
            redirect_uri: redirect_uri.ok_or(PageError::BadRequest)?,
            redirect_uri_sent: sent.is_some(),
            state: state.filter(|_| !form.repeats("state")),
            wanted: Wanted::check(form, registration, config, way),
        })
    }

    /// The redirect that carries a code back (RFC 6749 4.1.2, RFC 9207 2).
    pub(crate) fn success(&self, code: &AuthorizationCode, issuer: &str) -> String {
        self.answer(&[("code", code.expose())], issuer)
    }

    /// The redirect that carries an error back.
    pub(crate) fn failure(&self, error: AuthorizeError, issuer: &str) -> String {
        self.answer(&[("error", error.code())], issuer)
    }

    fn answer(&self, pairs: &[(&str, &str)], issuer: &str) -> String {
        let mut pairs = pairs.to_vec();
        if let Some(state) = &self.state {
            pairs.push(("state", state));
        }
        pairs.push(("iss", issuer));
        self.redirect_uri.with_query(&pairs)
    }
}

impl Wanted {
    fn check(
        form: &Form,
        registration: &Registration,
        config: &Config,
        way: Way,
    ) -> Result<Self, AuthorizeError> {
        // RFC 8707, 2: several resources may be named.
        if form.has_repeats_but("resource") {
            return Err(AuthorizeError::InvalidRequest);
        }
        if form.get("request").is_some() {
            return Err(AuthorizeError::RequestNotSupported);
        }
        if form.get("request_uri").is_some() {
            return Err(AuthorizeError::RequestUriNotSupported);
        }
        // RFC 9126, 5 and 6
        let must_be_pushed = config.require_pushed_requests || registration.require_pushed_requests;
        if must_be_pushed && way == Way::Browser {
            return Err(AuthorizeError::InvalidRequest);
        }
        match form.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(AuthorizeError::UnsupportedResponseType),
            None => return Err(AuthorizeError::InvalidRequest),
        }
        if form
            .get("response_mode")
            .is_some_and(|mode| mode != "query")
        {
            return Err(AuthorizeError::InvalidRequest);
        }
        Ok(Self {
            challenge: Self::challenge(form, registration)?,
            scopes: Self::scopes(form, registration)?,
            resources: target::requested(form, registration, config)
                .ok_or(AuthorizeError::InvalidTarget)?,
            key: Self::key(form, config)?,
        })
    }

    /// What a device asks for (RFC 8628 3.1): of the usual parameters, the scopes and APIs.
    pub(crate) fn of_device(
        form: &Form,
        registration: &Registration,
        config: &Config,
    ) -> Result<Self, AuthorizeError> {
        Ok(Self {
            challenge: None,
            scopes: Self::scopes(form, registration)?,
            resources: target::requested(form, registration, config)
                .ok_or(AuthorizeError::InvalidTarget)?,
            key: None,
        })
    }

    fn challenge(
        form: &Form,
        registration: &Registration,
    ) -> Result<Option<PkceChallenge>, AuthorizeError> {
        let method = form.get("code_challenge_method");
        match form.get("code_challenge") {
            None if registration.pkce_required || method.is_some() => {
                Err(AuthorizeError::InvalidRequest)
            }
            None => Ok(None),
            // RFC 7636, 4.3: without a method it would be `plain`, which shows the verifier.
            Some(_) if method != Some("S256") => Err(AuthorizeError::InvalidRequest),
            Some(text) => PkceChallenge::try_from(text.to_owned())
                .map(Some)
                .map_err(|_| AuthorizeError::InvalidRequest),
        }
    }

    fn key(form: &Form, config: &Config) -> Result<Option<Thumbprint>, AuthorizeError> {
        let named = form.get("dpop_jkt").filter(|_| config.dpop.is_some());
        let key = named.map(str::parse).transpose();
        key.map_err(|_| AuthorizeError::InvalidRequest)
    }

    fn scopes(form: &Form, registration: &Registration) -> Result<ScopeSet, AuthorizeError> {
        let Some(text) = form.get("scope") else {
            return Ok(registration.scopes.clone());
        };
        if text.len() > MAX_SCOPE_TEXT_LENGTH {
            return Err(AuthorizeError::InvalidScope);
        }
        match text.parse::<ScopeSet>() {
            Ok(scopes) if !scopes.is_empty() && scopes.is_subset(&registration.scopes) => {
                Ok(scopes)
            }
            _ => Err(AuthorizeError::InvalidScope),
        }
    }
}

/// Where the answer to an authorization request with this query would go; for fuzzing.
///
/// # Errors
/// The page that is shown when it must not go anywhere.
pub fn check_query(
    query: &[u8],
    registration: &Registration,
    config: &Config,
) -> Result<RedirectUri, PageError> {
    let form = Form::parse(query).map_err(|_| PageError::BadRequest)?;
    AuthorizeRequest::check(&form, registration, config, Way::Browser)
        .map(|request| request.redirect_uri)
}
