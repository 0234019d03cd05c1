//! The token request and its answer (RFC 6749 4.1.3, 4.1.4, 5 and 6).

use bytes::Bytes;
use http::{Response, StatusCode};
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::form::Form;
use crate::pkce::PkceVerifier;
use crate::scope::ScopeSet;
use crate::secret::{RefreshToken, sha256};
use crate::server::credential::{PresentedCode, PresentedRefresh, parse_code, parse_refresh};
use crate::server::device::{GRANT_TYPE, Name};
use crate::server::response::{self, TokenError};

/// What a token request asks for.
#[derive(Clone, Debug)]
pub(crate) enum TokenRequest {
    Code {
        code: PresentedCode,
        redirect_uri: Option<String>,
        verifier: Option<PkceVerifier>,
    },
    Refresh {
        token: PresentedRefresh,
        scopes: Option<ScopeSet>,
    },
    Device {
        device: Name,
    },
}

impl TokenRequest {
    /// Reads a token request; who sends it is checked elsewhere, and first.
    pub(crate) fn parse(form: &Form) -> Result<Self, TokenError> {
        match form.get("grant_type") {
            Some("authorization_code") => {
                let code = form.get("code").ok_or(TokenError::InvalidRequest)?;
                let verifier = form.get("code_verifier").map(PkceVerifier::new);
                Ok(Self::Code {
                    code: parse_code(code).ok_or(TokenError::InvalidGrant)?,
                    redirect_uri: form.get("redirect_uri").map(str::to_owned),
                    verifier: verifier.transpose().map_err(|_| TokenError::InvalidGrant)?,
                })
            }
            Some("refresh_token") => {
                let token = form
                    .get("refresh_token")
                    .ok_or(TokenError::InvalidRequest)?;
                let scopes = form.get("scope").map(str::parse::<ScopeSet>).transpose();
                let scopes = match scopes {
                    // RFC 6749, 3.3: a list of at least one.
                    Ok(scopes) if scopes.as_ref().is_some_and(ScopeSet::is_empty) => {
                        return Err(TokenError::InvalidScope);
                    }
                    Ok(scopes) => scopes,
                    Err(_) => return Err(TokenError::InvalidScope),
                };
                Ok(Self::Refresh {
                    token: parse_refresh(token).ok_or(TokenError::InvalidGrant)?,
                    scopes,
                })
            }
            Some(GRANT_TYPE) => {
                let code = form.get("device_code").ok_or(TokenError::InvalidRequest)?;
                let device = sha256(code.as_bytes());
                Ok(Self::Device { device })
            }
            Some(_) => Err(TokenError::UnsupportedGrantType),
            None => Err(TokenError::InvalidRequest),
        }
    }
}

/// The members of the answer with the tokens (RFC 6749 5.1).
#[derive(Serialize)]
struct IssuedTokens<'t> {
    access_token: &'t str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'t str>,
    scope: String,
    token_type: &'t str,
}

/// The answer with the tokens.
pub(crate) fn issued(
    access_token: &str,
    token_type: &str,
    expires_in: u64,
    scopes: &ScopeSet,
    refresh_token: Option<&RefreshToken>,
) -> Response<Bytes> {
    response::json(
        StatusCode::OK,
        &IssuedTokens {
            access_token,
            token_type,
            expires_in,
            scope: scopes.to_string(),
            refresh_token: refresh_token.map(RefreshToken::expose),
        },
    )
}

/// Whether `body` is a well-formed token request; for fuzzing.
///
/// # Errors
/// [`ErrorKind::InvalidForm`] when it is not.
pub fn check_form(body: &[u8]) -> Result<(), Error> {
    let form = Form::parse(body)?;
    // RFC 8707, 2: several resources may be named.
    if form.has_repeats_but("resource") {
        return Err(ErrorKind::InvalidForm.into());
    }
    TokenRequest::parse(&form)
        .map(|_| ())
        .map_err(|_| ErrorKind::InvalidForm.into())
}
