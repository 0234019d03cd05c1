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
        let b64token = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
        // RFC 6750, 3.1: of a request that is well formed, the token is malformed.
        let token = core::str::from_utf8(token).map_err(|_| Refusal::Invalid)?;
        if token.is_empty() || !token.as_bytes().iter().all(b64token) {
            return Err(Refusal::Invalid);
        }
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

/// The token of the `Authorization` header, which is the only way taken (RFC 6750 2.1); what it is made of is not looked at.
///
/// One in a form as well would be a second way (RFC 6750 2), one in the query is never taken
/// (RFC 9700 4.3.2).
pub(crate) fn presented(request: &Request<Bytes>) -> Result<(Scheme, &[u8]), Refusal> {
    let names_token =
        |bytes: &[u8]| Form::parse(bytes).is_ok_and(|form| form.get("access_token").is_some());
    let in_query = |query: &str| names_token(query.as_bytes());
    let in_body = !request.body().is_empty() && is_form(request) && names_token(request.body());
    if in_body || request.uri().query().is_some_and(in_query) {
        return Err(Refusal::Malformed);
    }
    let mut values = request.headers().get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Malformed);
    }
    let mut parts = value.as_bytes().splitn(2, |byte| *byte == b' ');
    let scheme = parts.next().unwrap_or_default();
    let mut token = parts.next().unwrap_or_default();
    while let [b' ', rest @ ..] | [rest @ .., b' '] = token {
        token = rest;
    }
    let scheme = match scheme {
        bearer if bearer.eq_ignore_ascii_case(b"bearer") => Scheme::Bearer,
        dpop if dpop.eq_ignore_ascii_case(b"dpop") => Scheme::Dpop,
        _ => return Err(Refusal::Missing),
    };
    Ok((scheme, token))
}
