//! How a client says who it is (RFC 6749 2.3, RFC 7521 4.2): HTTP Basic, in the body, by an assertion, or not at all.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, ErrorKind};
use crate::form::{Form, decode};
use crate::secret::ClientSecret;
use crate::server::client_assertion::{ASSERTION_TYPE, Assertion};
use crate::server::ids::ClientId;
use crate::server::registration::AuthenticationMethod;

/// What a client presents of itself.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    /// `None` when the identifier cannot be one of ours.
    pub(crate) client: Option<ClientId>,
    pub(crate) credential: Option<(AuthenticationMethod, Option<ClientSecret>)>,
    /// With `private_key_jwt`, and when it can be read.
    pub(crate) assertion: Option<Assertion>,
}

impl Presented {
    /// Whether the `Authorization` header was used.
    pub(crate) fn by_header(&self) -> bool {
        let method = self.credential.as_ref().map(|(method, _)| *method);
        method == Some(AuthenticationMethod::ClientSecretBasic)
    }
}

/// Why a request does not say who the client is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unreadable {
    /// Several methods at once, or contradicting identifiers: `invalid_request`.
    Contradiction,
    /// A broken header: `invalid_client` with a challenge.
    BrokenHeader,
    /// No identifier: `invalid_client`.
    Nobody,
}

/// Reads the client's identity from the headers and the body.
pub(crate) fn present(headers: &http::HeaderMap, form: &Form) -> Result<Presented, Unreadable> {
    let mut values = headers.get_all(http::header::AUTHORIZATION).iter();
    let header = values.next();
    if values.next().is_some() {
        return Err(Unreadable::Contradiction);
    }
    let in_body = form.get("client_secret");
    // RFC 7521, 4.2
    let assertion = form.get("client_assertion");
    let kind = form.get("client_assertion_type");
    if assertion.is_some() != kind.is_some() {
        return Err(Unreadable::Contradiction);
    }
    let ways = [header.is_some(), in_body.is_some(), assertion.is_some()];
    if ways.into_iter().filter(|used| *used).count() > 1 {
        return Err(Unreadable::Contradiction);
    }
    if let Some(header) = header {
        let (id, secret) = parse_basic(header.as_bytes()).map_err(|_| Unreadable::BrokenHeader)?;
        if form.get("client_id").is_some_and(|other| other != id) {
            return Err(Unreadable::Contradiction);
        }
        return Ok(Presented {
            client: id.parse().ok(),
            credential: Some((AuthenticationMethod::ClientSecretBasic, Some(secret))),
            assertion: None,
        });
    }
    if let Some(text) = assertion {
        return present_assertion(text, kind == Some(ASSERTION_TYPE), form.get("client_id"));
    }
    let id = form.get("client_id").ok_or(Unreadable::Nobody)?;
    let credential = in_body.map(|secret| {
        let secret = ClientSecret::new(secret).ok();
        (AuthenticationMethod::ClientSecretPost, secret)
    });
    Ok(Presented {
        client: id.parse().ok(),
        credential,
        assertion: None,
    })
}

/// An assertion names its client itself; what the form says of it must not differ (RFC 7521 4.2).
fn present_assertion(
    text: &str,
    is_known: bool,
    named: Option<&str>,
) -> Result<Presented, Unreadable> {
    let assertion = Assertion::parse(text).filter(|_| is_known);
    let client = assertion.as_ref().map(|one| one.client.clone());
    if let (Some(client), Some(named)) = (&client, named)
        && client.as_str() != named
    {
        return Err(Unreadable::Contradiction);
    }
    Ok(Presented {
        client,
        credential: Some((AuthenticationMethod::PrivateKeyJwt, None)),
        assertion,
    })
}

/// Reads the value of an `Authorization: Basic` header as RFC 6749 2.3.1 has it: both halves are
/// form-encoded inside the base64.
///
/// # Errors
/// [`ErrorKind::InvalidForm`] when it is anything else.
pub fn parse_basic(header: &[u8]) -> Result<(String, ClientSecret), Error> {
    let invalid = || Error::from(ErrorKind::InvalidForm);
    let text = core::str::from_utf8(header).map_err(|_| invalid())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(invalid)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(invalid());
    }
    let pair = zeroize::Zeroizing::new(STANDARD.decode(encoded.trim()).map_err(|_| invalid())?);
    let colon = pair.iter().position(|b| *b == b':').ok_or_else(invalid)?;
    let (id, secret) = pair.split_at_checked(colon).ok_or_else(invalid)?;
    let secret = secret.get(1..).ok_or_else(invalid)?;
    let secret = ClientSecret::new(decode(secret)?.as_str()).map_err(|_| invalid())?;
    Ok((decode(id)?.to_string(), secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> http::HeaderMap {
        let mut headers = http::HeaderMap::new();
        headers.insert("authorization", value.parse().unwrap());
        headers
    }

    #[test]
    fn both_halves_of_basic_are_form_decoded() {
        let header = format!("bAsIc {}", STANDARD.encode("client-a%2Eb:p%3Aw+%25"));
        let (id, secret) = parse_basic(header.as_bytes()).unwrap();
        assert_eq!(id, "client-a.b");
        assert_eq!(secret.expose(), "p:w %");
    }

    #[test]
    fn broken_headers_are_refused() {
        for header in [
            "Basic",
            "Basic !!",
            "Basic YQ==",
            "Bearer YTpi",
            "Basic YTo=",
            "Basic Oi8=",
        ] {
            let parsed = parse_basic(header.as_bytes());
            assert!(parsed.is_err() || parsed.unwrap().0.is_empty(), "{header}");
        }
    }

    #[test]
    fn two_methods_at_once_are_a_contradiction() {
        let basic = headers(&format!("Basic {}", STANDARD.encode("client-a:s")));
        for body in [
            "client_secret=s",
            "client_assertion=x",
            "client_assertion=x&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_id=client-b",
        ] {
            let form = Form::parse(body.as_bytes()).unwrap();
            let refused = present(&basic, &form).unwrap_err();
            assert_eq!(refused, Unreadable::Contradiction, "{body}");
        }
        let form = Form::parse(b"client_id=client-a").unwrap();
        assert!(present(&basic, &form).unwrap().by_header());
        let both = b"client_id=client-a&client_secret=s&client_assertion=x";
        let form = Form::parse(both).unwrap();
        let refused = present(&http::HeaderMap::new(), &form).unwrap_err();
        assert_eq!(refused, Unreadable::Contradiction);
    }
}
