//! How an access token comes with a request (RFC 6750 2, RFC 9449 7.1).

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Request};
use url::Url;
use zeroize::Zeroizing;

use crate::form::{Form, is_form};
use crate::server::access_token::Refusal;
use crate::server::config::Config;

/// How a token was presented.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Bearer,
    Dpop,
}

/// A request with an access token.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) token: Zeroizing<String>,
    pub(crate) scheme: Scheme,
    pub(crate) method: Method,
    /// Where the request is for, without its query.
    pub(crate) target: Option<Url>,
    /// The API that is asked, when it is one in particular.
    pub(crate) audience: Option<String>,
    pub(crate) headers: HeaderMap,
}

impl Access {
    /// Takes the token of a request to `audience`, or to the server itself.
    pub(crate) fn read(
        request: &Request<Bytes>,
        config: &Config,
        audience: Option<String>,
    ) -> Result<Self, Refusal> {
        let (scheme, token) = presented(request)?;
        let scheme = match scheme {
            // RFC 9449, 7.1: one that is not offered is as good as none.
            Scheme::Dpop if config.dpop.is_none() => return Err(Refusal::Missing),
            scheme => scheme,
        };
        Ok(Self {
            token: token.to_owned().into(),
            scheme,
            method: request.method().clone(),
            target: target(request, config, audience.as_deref()),
            audience,
            headers: request.headers().clone(),
        })
    }
}

/// The URL of a request: what it says of the host is not believed, the origin is that of the API,
/// or of the issuer when the API has none.
fn target(request: &Request<Bytes>, config: &Config, audience: Option<&str>) -> Option<Url> {
    let of_audience = audience.and_then(|audience| Url::parse(audience).ok());
    let base = match of_audience.filter(Url::has_host) {
        Some(audience) => audience,
        None => Url::parse(config.issuer.as_str()).ok()?,
    };
    base.join(request.uri().path()).ok()
}

/// The token of the `Authorization` header, which is the only way taken (RFC 6750 2.1).
///
/// One in a form as well would be a second way (RFC 6750 2), one in the query is never taken
/// (RFC 9700 4.3.2).
fn presented(request: &Request<Bytes>) -> Result<(Scheme, &str), Refusal> {
    let names_token =
        |bytes: &[u8]| Form::parse(bytes).is_ok_and(|form| form.get("access_token").is_some());
    let query = request.uri().query().unwrap_or_default();
    if names_token(query.as_bytes()) || is_form(request) && names_token(request.body()) {
        return Err(Refusal::Malformed);
    }
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let value = value.to_str().map_err(|_| Refusal::Invalid)?;
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let scheme = match scheme {
        bearer if bearer.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        dpop if dpop.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(Refusal::Missing),
    };
    let b64token = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    match token.trim_matches(' ') {
        token if !token.is_empty() && token.bytes().all(b64token) => Ok((scheme, token)),
        // RFC 6750, 3.1: of a request that is well formed, the token is malformed.
        _ => Err(Refusal::Invalid),
    }
}
