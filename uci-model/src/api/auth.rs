//! How requests prove who sent them.

use alloc::{format, string::String};
use core::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use zeroize::Zeroizing;

use super::message::single_header;
use crate::{
    error::{Error, ErrorKind, ParseIdError},
    event::{NotificationHeaders, Signature, SignedMessage, SigningKey},
};

/// Puts credentials on a request and takes them off again.
pub trait AuthScheme {
    /// What the sender must have.
    type Input<'a>;
    /// What the receiver gets to judge.
    type Output;

    /// Adds the credentials. Runs last: a signature covers headers and body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`].
    fn add(request: &mut http::Request<Bytes>, credentials: Self::Input<'_>) -> Result<(), Error>;

    /// Reads the credentials; nothing is proven by their being there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthorized`] or [`ErrorKind::InvalidHeader`] when there are none that can be read.
    fn extract(request: &http::Request<Bytes>) -> Result<Self::Output, Error>;
}

/// `Authorization: Bearer` (RFC 6750, 2.1).
#[derive(Debug)]
#[non_exhaustive]
pub struct BearerToken;

impl AuthScheme for BearerToken {
    type Input<'a> = &'a AccessToken;
    type Output = AccessToken;

    fn add(request: &mut http::Request<Bytes>, token: &AccessToken) -> Result<(), Error> {
        let text = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut value = HeaderValue::try_from(text.as_str())
            .map_err(|error| Error::with_source(ErrorKind::Encode, error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, value);
        Ok(())
    }

    fn extract(request: &http::Request<Bytes>) -> Result<AccessToken, Error> {
        let unauthorized = || Error::new(ErrorKind::Unauthorized);
        let value = single_header(request.headers(), header::AUTHORIZATION.as_str())
            .ok()
            .flatten()
            .ok_or_else(unauthorized)?;
        // RFC 9110, 11.1: the scheme's name has no case.
        let (scheme, token) = value.split_once(' ').ok_or_else(unauthorized)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unauthorized());
        }
        AccessToken::try_from(String::from(token.trim_start_matches(' ')))
            .map_err(|error| Error::with_source(ErrorKind::Unauthorized, error))
    }
}

/// An OAuth 2.0 access token.
#[derive(Clone)]
pub struct AccessToken(Zeroizing<String>);

impl AccessToken {
    const MAX_LENGTH: usize = 8192;

    /// The token itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AccessToken {
    type Error = ParseIdError;

    /// Takes what fits the `b64token` of RFC 6750, 2.1, up to 8192 characters.
    fn try_from(text: String) -> Result<Self, ParseIdError> {
        let text = Zeroizing::new(text);
        let error = |problem| ParseIdError::new("access token", problem);
        let characters = text.trim_end_matches('=');
        if characters.is_empty() {
            Err(error("is empty"))
        } else if text.len() > Self::MAX_LENGTH {
            Err(error("is too long"))
        } else if characters
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
        {
            Ok(Self(text))
        } else {
            Err(error("holds a character that no token has"))
        }
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(..)")
    }
}

/// The `Event-Signature` of a notification.
#[derive(Debug)]
#[non_exhaustive]
pub struct EventSignature;

impl AuthScheme for EventSignature {
    type Input<'a> = &'a SigningKey;
    type Output = SignedNotification;

    fn add(request: &mut http::Request<Bytes>, key: &SigningKey) -> Result<(), Error> {
        let signature = key.sign(&signed_message(request.headers(), request.body()));
        let value = HeaderValue::try_from(format!("{signature}"))
            .map_err(|error| Error::with_source(ErrorKind::Encode, error))?;
        request
            .headers_mut()
            .insert(NotificationHeaders::EVENT_SIGNATURE, value);
        Ok(())
    }

    fn extract(request: &http::Request<Bytes>) -> Result<SignedNotification, Error> {
        let headers = request.headers();
        // A repeated header could be signed in one reading and obeyed in another.
        for name in SIGNED {
            single_header(headers, name)?;
        }
        let signature = single_header(headers, NotificationHeaders::EVENT_SIGNATURE)?
            .ok_or_else(|| Error::new(ErrorKind::InvalidHeader))?
            .parse()?;
        Ok(SignedNotification {
            // Header values and body are shared, not copied.
            headers: headers.clone(),
            body: request.body().clone(),
            signature,
        })
    }
}

const SIGNED: [&str; 5] = [
    "content-type",
    NotificationHeaders::EVENT_TYPE,
    NotificationHeaders::SUBSCRIPTION_ID,
    NotificationHeaders::SEQUENCE_NUMBER,
    NotificationHeaders::EVENT_TIMESTAMP,
];

/// A notification with its signature, not yet verified.
#[derive(Clone, Debug)]
pub struct SignedNotification {
    headers: HeaderMap,
    body: Bytes,
    signature: Signature,
}

impl SignedNotification {
    /// Checks the signature over the header text as it was received, in constant time.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SignatureMismatch`].
    pub fn verify(&self, key: &SigningKey) -> Result<(), Error> {
        key.verify(&signed_message(&self.headers, &self.body), &self.signature)
    }
}

fn signed_message<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> SignedMessage<'a> {
    let [
        content_type,
        event_type,
        subscription_id,
        sequence_number,
        event_timestamp,
    ] = SIGNED.map(|name| headers.get(name).map_or(&[][..], HeaderValue::as_bytes));
    SignedMessage {
        content_type,
        event_type,
        subscription_id,
        sequence_number,
        event_timestamp,
        body,
    }
}
