//! What all endpoints do alike with `http` messages.

use alloc::{format, string::String};
use core::fmt::Write;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Uri, header};

use super::{AuthScheme, Endpoint, path};
use crate::{
    content::{Content, ContentFormat},
    error::{Error, ErrorKind, ParseIdError},
    event::{NotificationHeaders, SubscriptionLevel},
    href::{Href, decode_segment, encode_segment},
    ids::{CorrelationId, DeviceId},
    limits::Limits,
    resource_type::Interface,
    subscription::SubscribeBody,
};

/// The headers that every request may have.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RequestOptions {
    /// The one format that the client wants: `Accept`. On a subscribe request it is that of the notifications.
    ///
    /// On an incoming request it is set only when `Accept` names exactly one of the two formats; a server
    /// negotiates over the header itself.
    pub accept: Option<ContentFormat>,
    /// Links the requests of one transaction: `Correlation-ID`.
    pub correlation_id: Option<CorrelationId>,
}

impl RequestOptions {
    /// Options that ask for this format.
    #[must_use]
    pub const fn accepting(format: ContentFormat) -> Self {
        Self {
            accept: Some(format),
            correlation_id: None,
        }
    }

    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, Error> {
        let accept = single_header(headers, header::ACCEPT.as_str())
            .ok()
            .flatten();
        let correlation_id = single_header(headers, NotificationHeaders::CORRELATION_ID)?
            .filter(|text| !text.is_empty())
            .map(str::parse)
            .transpose()
            .map_err(invalid_header)?;
        Ok(Self {
            accept: accept.and_then(ContentFormat::from_content_type),
            correlation_id,
        })
    }

    fn add_to(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        if let Some(format) = self.accept {
            headers.insert(header::ACCEPT, HeaderValue::from_static(format.as_str()));
        }
        if let Some(id) = &self.correlation_id {
            headers.insert(
                NotificationHeaders::CORRELATION_ID,
                header_value(id.as_str())?,
            );
        }
        Ok(())
    }
}

/// What a list of devices holds: the query parameter `content`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum BatchFormat {
    /// `base`: links.
    #[default]
    Base,
    /// `all`: representations.
    All,
}

impl BatchFormat {
    pub(super) const fn query(self) -> &'static str {
        match self {
            Self::Base => "content=base",
            Self::All => "content=all",
        }
    }

    /// Absent is `base`; another value, or two different ones, is an error.
    pub(super) fn from_uri(uri: &Uri) -> Result<Self, Error> {
        match single_query(uri, "content")?.as_deref() {
            None | Some("base") => Ok(Self::Base),
            Some("all") => Ok(Self::All),
            Some(_) => Err(invalid_header(ParseIdError::new(
                "content",
                "is neither base nor all",
            ))),
        }
    }
}

/// Builds the request of an endpoint, credentials last.
pub(super) fn outgoing<E: Endpoint>(
    base: &Uri,
    path_args: &[&str],
    query: Option<&str>,
    options: &RequestOptions,
    content: Option<Content>,
    credentials: <E::Authentication as AuthScheme>::Input<'_>,
) -> Result<http::Request<Bytes>, Error> {
    let root = base.path().trim_end_matches('/');
    let path = path::expand(E::PATH, path_args);
    let target = match query {
        Some(query) => format!("{root}{path}?{query}"),
        None => format!("{root}{path}"),
    };
    let uri = Uri::builder()
        .scheme(base.scheme().cloned().ok_or_else(not_absolute)?)
        .authority(base.authority().cloned().ok_or_else(not_absolute)?)
        .path_and_query(target)
        .build()
        .map_err(encode)?;
    let mut request = http::Request::new(Bytes::new());
    *request.method_mut() = E::METHOD;
    *request.uri_mut() = uri;
    options.add_to(request.headers_mut())?;
    if let Some(content) = content {
        set_content_type(request.headers_mut(), content.format());
        *request.body_mut() = content.into_body();
    }
    E::Authentication::add(&mut request, credentials)?;
    Ok(request)
}

/// The body and what its `Content-Type` says it is.
pub(super) fn content(headers: &HeaderMap, body: &Bytes) -> Result<Content, Error> {
    let unsupported = || Error::new(ErrorKind::UnsupportedFormat);
    let format = single_header(headers, header::CONTENT_TYPE.as_str())
        .ok()
        .flatten()
        .ok_or_else(unsupported)?
        .parse()?;
    Ok(Content::new(format, body.clone()))
}

/// As [`content`], and nothing when there is neither body nor `Content-Type`.
pub(super) fn optional_content(
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Option<Content>, Error> {
    if body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        return Ok(None);
    }
    content(headers, body).map(Some)
}

pub(super) fn set_content_type(headers: &mut HeaderMap, format: ContentFormat) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(format.as_str()),
    );
}

/// The text of a header that may occur once.
pub(super) fn single_header<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Error::new(ErrorKind::InvalidHeader));
    }
    first
        .map(HeaderValue::to_str)
        .transpose()
        .map_err(invalid_header)
}

/// The decoded value of a query parameter; the same value twice counts once.
pub(super) fn single_query(uri: &Uri, name: &str) -> Result<Option<String>, Error> {
    let malformed = || Error::new(ErrorKind::InvalidHeader);
    let mut found: Option<String> = None;
    for pair in uri.query().unwrap_or_default().split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if key != name {
            continue;
        }
        let value = decode_segment(value).ok_or_else(malformed)?;
        if found.as_ref().is_some_and(|first| *first != value) {
            return Err(malformed());
        }
        found = Some(value);
    }
    Ok(found)
}

/// The query that asks for an interface.
pub(super) fn interface_query(interface: &Interface) -> String {
    let mut query = String::from("if=");
    for character in interface.as_str().chars() {
        match character {
            // What ends or splits a query, though a path segment may hold some of it.
            '&' | '=' | '+' => {
                // Writing to a `String` cannot fail.
                let _ = write!(query, "%{:02X}", u32::from(character));
            }
            _ => encode_segment(character.encode_utf8(&mut [0; 4]), &mut query),
        }
    }
    query
}

/// The interface that the query asks for.
pub(super) fn interface(uri: &Uri) -> Result<Option<Interface>, Error> {
    single_query(uri, "if")?
        .map(Interface::try_from)
        .transpose()
        .map_err(invalid_header)
}

/// The body of a subscribe request.
pub(super) fn subscribe_body(
    level: SubscriptionLevel,
    request: &http::Request<Bytes>,
) -> Result<SubscribeBody, Error> {
    let content = content(request.headers(), request.body())?;
    SubscribeBody::decode(level, &content, &Limits::default())
}

/// The id in a path. What is no id names nothing.
pub(super) fn path_id<T: core::str::FromStr<Err = ParseIdError>>(
    path_args: &[&str],
    index: usize,
) -> Result<T, Error> {
    path_arg(path_args, index)?
        .parse()
        .map_err(|error| Error::with_source(ErrorKind::NotFound, error))
}

/// The device and the resource in a path: the first two variables.
///
/// A client that appends the href of a link to the device's path names the device twice; it means the same.
pub(super) fn path_resource(path_args: &[&str]) -> Result<(DeviceId, Href), Error> {
    let device_id = path_id(path_args, 0)?;
    let href: Href = format!("/{}", path_arg(path_args, 1)?).parse()?;
    Ok((device_id, href.without_device(device_id)))
}

fn path_arg<'a>(path_args: &[&'a str], index: usize) -> Result<&'a str, Error> {
    path_args
        .get(index)
        .copied()
        .ok_or_else(|| Error::new(ErrorKind::NotFound))
}

pub(super) fn header_value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text).map_err(encode)
}

pub(super) fn invalid_header(error: impl core::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(ErrorKind::InvalidHeader, error)
}

pub(super) fn encode(error: impl core::error::Error + Send + Sync + 'static) -> Error {
    Error::with_source(ErrorKind::Encode, error)
}

fn not_absolute() -> Error {
    encode(ParseIdError::new("API root", "is not an absolute URL"))
}
