//! What a client is told about a device-side cloud before it can link accounts there.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::redirect_uri::RedirectUri;
use crate::scope::ScopeSet;
use crate::secret::ClientSecret;

/// The name that this side gives to a device-side cloud: 1 to 64 characters of `[a-zA-Z0-9_.-]`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CloudId(String);

impl CloudId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CloudId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(ErrorKind::InvalidIdentifier.into());
        }
        Ok(Self(text))
    }
}

impl FromStr for CloudId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.to_owned().try_into()
    }
}

impl From<CloudId> for String {
    fn from(id: CloudId) -> Self {
        id.0
    }
}

impl fmt::Display for CloudId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How this client proves who it is at the token endpoint (RFC 6749, 2.3.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// HTTP Basic.
    Basic(ClientSecret),
    /// `client_id` and `client_secret` in the body.
    Body(ClientSecret),
    /// A public client: `client_id` in the body and no secret.
    Public,
}

/// Where the client learns which remote user it has been linked to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Identity {
    /// The `sub` claim of the access token, which is a JWT (RFC 9068, 2.2).
    TokenSubject,
    /// The `sub` of the introspection answer (RFC 7662, 2.2).
    Introspection,
}

/// A device-side cloud as its operator described it.
///
/// All addresses come from here and never from a message: redirects of these endpoints are not followed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Cloud {
    /// The name of the cloud on this side.
    pub id: CloudId,
    /// The issuer identifier, compared byte for byte with `iss` (RFC 9207).
    pub issuer: String,
    /// Whether the server announces `authorization_response_iss_parameter_supported`; then `iss` must come.
    pub issuer_announced: bool,
    /// Whether the server supports PKCE with S256; without it the code is bound by `state` alone.
    pub pkce: bool,
    /// The authorization endpoint.
    pub authorization_endpoint: Url,
    /// The token endpoint.
    pub token_endpoint: Url,
    /// The revocation endpoint (RFC 7009); without one, unlinking cannot tell the other side.
    pub revocation_endpoint: Option<Url>,
    /// The introspection endpoint (RFC 7662), needed for [`Identity::Introspection`].
    pub introspection_endpoint: Option<Url>,
    /// The identifier of this client there.
    pub client_id: String,
    /// How this client authenticates there.
    pub authentication: ClientAuthentication,
    /// The redirect URI that is registered there.
    pub redirect_uri: RedirectUri,
    /// The scopes to ask for.
    pub scopes: ScopeSet,
    /// The scopes without which a link is of no use; granted less, it is refused and revoked.
    pub required_scopes: ScopeSet,
    /// How the remote user is identified.
    pub identity: Identity,
}

impl Cloud {
    /// Describes a cloud that announces `iss`, supports PKCE and issues JWT access tokens.
    ///
    /// The optional endpoints, the scopes and the rest are fields to be set afterwards.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidUrl`] when an address is not https or has a fragment.
    pub fn new(
        id: CloudId,
        issuer: &str,
        authorization_endpoint: &str,
        token_endpoint: &str,
        client_id: impl Into<String>,
        authentication: ClientAuthentication,
        redirect_uri: RedirectUri,
    ) -> Result<Self, Error> {
        endpoint(issuer)?;
        Ok(Self {
            id,
            issuer: issuer.to_owned(),
            issuer_announced: true,
            pkce: true,
            authorization_endpoint: endpoint(authorization_endpoint)?,
            token_endpoint: endpoint(token_endpoint)?,
            revocation_endpoint: None,
            introspection_endpoint: None,
            client_id: client_id.into(),
            authentication,
            redirect_uri,
            scopes: ScopeSet::default(),
            required_scopes: ScopeSet::default(),
            identity: Identity::TokenSubject,
        })
    }

    /// What cannot be right about this description, alone or beside `other` clouds.
    pub(super) fn check<'a>(&self, mut other: impl Iterator<Item = &'a Self>) -> Result<(), Error> {
        let endpoints = [
            Some(&self.authorization_endpoint),
            Some(&self.token_endpoint),
            self.revocation_endpoint.as_ref(),
            self.introspection_endpoint.as_ref(),
        ];
        if !endpoints.into_iter().flatten().all(is_endpoint) {
            return Err(ErrorKind::InvalidUrl.into());
        }
        let identifiable =
            self.identity != Identity::Introspection || self.introspection_endpoint.is_some();
        // RFC 9700, 4.4.2.2: clouds that do not send `iss` are told apart by their redirect URIs.
        let confusable = other.any(|cloud| {
            cloud.id != self.id
                && cloud.redirect_uri == self.redirect_uri
                && !(cloud.issuer_announced && self.issuer_announced)
        });
        if !identifiable || confusable || self.client_id.is_empty() {
            return Err(ErrorKind::InvalidConfig.into());
        }
        Ok(())
    }
}

/// Reads the address of an endpoint (RFC 6749, 3.1 and 3.2): https, no fragment.
fn endpoint(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| Error::new(ErrorKind::InvalidUrl, error))?;
    if is_endpoint(&url) {
        Ok(url)
    } else {
        Err(ErrorKind::InvalidUrl.into())
    }
}

fn is_endpoint(url: &Url) -> bool {
    url.scheme() == "https"
        && url.has_host()
        && url.fragment().is_none()
        && url.username().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(id: &str, redirect: &str) -> Cloud {
        Cloud::new(
            id.parse().unwrap(),
            "https://as.example",
            "https://as.example/authorize",
            "https://as.example/token",
            "me",
            ClientAuthentication::Public,
            redirect.parse().unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn endpoints_are_https_without_a_fragment() {
        for address in [
            "http://as.example/token",
            "https://as.example/token#x",
            "as.example",
            "https://u@as.example/",
        ] {
            assert_eq!(
                endpoint(address).unwrap_err().kind(),
                ErrorKind::InvalidUrl,
                "{address}"
            );
        }
    }

    #[test]
    fn clouds_without_iss_need_redirect_uris_of_their_own() {
        let one = cloud("one", "https://me.example/callback");
        let mut two = cloud("two", "https://me.example/callback");
        assert!(two.check([&one].into_iter()).is_ok());
        two.issuer_announced = false;
        assert_eq!(
            two.check([&one].into_iter()).unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
        two.redirect_uri = "https://me.example/callback/two".parse().unwrap();
        assert!(two.check([&one].into_iter()).is_ok());
    }

    #[test]
    fn introspection_needs_its_endpoint() {
        let mut cloud = cloud("one", "https://me.example/callback");
        cloud.identity = Identity::Introspection;
        assert_eq!(
            cloud.check(core::iter::empty()).unwrap_err().kind(),
            ErrorKind::InvalidConfig
        );
    }
}
