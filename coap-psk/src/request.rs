//! Requests and responses as the application sees them, whole and without tokens, message ids and blocks.

#[cfg(any(feature = "dtls", feature = "tcp"))]
pub(crate) mod wire;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::message::{Code, Method};
#[cfg(any(feature = "dtls", feature = "tcp"))]
use crate::option;
use crate::option::CoapOption;

/// The most bytes a path segment or a query argument may have. (RFC 7252, 5.10)
const MAX_SEGMENT_LEN: usize = 255;

/// The most bytes an option may have: those of the longest one defined, Proxy-Uri. (RFC 7252, 5.10)
#[cfg(any(feature = "dtls", feature = "tcp"))]
pub(crate) const MAX_OPTION_LEN: usize = 1034;

/// The most options a request or a response may bring, so that those of the message layer still fit a message.
#[cfg(any(feature = "dtls", feature = "tcp"))]
const MAX_OWN_OPTIONS: usize = crate::codec::MAX_OPTIONS - 8;

/// A request.
///
/// ```
/// use coap_psk::{Method, Request};
///
/// let request = Request::new(Method::Post, "/oic/rd?rt=oic.wk.rdpub")?.with_payload(60, &b"\xa0"[..]);
/// assert_eq!(request.path, ["oic", "rd"]);
/// assert_eq!(request.target(), "/oic/rd?rt=oic.wk.rdpub");
/// # Ok::<(), coap_psk::Error>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The segments of the path, decoded.
    pub path: Vec<String>,
    /// The arguments of the query, decoded.
    pub query: Vec<String>,
    /// The Content-Format of the payload.
    pub content_format: Option<u16>,
    /// The Content-Format that the answer should have.
    pub accept: Option<u16>,
    /// Whether the peer wants to observe the resource; only in a request that arrived.
    pub observe: bool,
    /// Whether it travels as Confirmable. One that needs several blocks always does.
    pub confirmable: bool,
    /// Further options, If-Match and ETag among them: who answers the request must heed those.
    pub options: Vec<CoapOption>,
    /// The payload, whole.
    pub payload: Bytes,
}

impl Request {
    /// A Confirmable request for `target`: a path and, behind a question mark, a query, percent-encoded as in a URI.
    ///
    /// # Errors
    /// [`ErrorKind::Path`] when it does not begin with a slash, has a segment or argument that is longer than 255 bytes
    /// or not UTF-8, or a segment that is a lone `.` or `..`.
    pub fn new(method: Method, target: &str) -> Result<Self, Error> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (
                path,
                query
                    .split('&')
                    .map(decode_segment)
                    .collect::<Result<_, _>>()?,
            ),
            None => (target, Vec::new()),
        };
        let path = match path.strip_prefix('/') {
            Some("") => Vec::new(),
            Some(path) => path
                .split('/')
                .map(decode_segment)
                .collect::<Result<_, _>>()?,
            None => return Err(ErrorKind::Path.into()),
        };
        if path.iter().any(|segment: &String| is_dots(segment)) {
            return Err(ErrorKind::Path.into());
        }
        Ok(Self {
            method,
            path,
            query,
            content_format: None,
            accept: None,
            observe: false,
            confirmable: true,
            options: Vec::new(),
            payload: Bytes::new(),
        })
    }

    /// This request with a payload.
    #[must_use]
    pub fn with_payload(mut self, content_format: u16, payload: impl Into<Bytes>) -> Self {
        self.content_format = Some(content_format);
        self.payload = payload.into();
        self
    }

    /// This request with the Content-Format that the answer should have.
    #[must_use]
    pub const fn with_accept(mut self, content_format: u16) -> Self {
        self.accept = Some(content_format);
        self
    }

    /// This request with one more option.
    #[must_use]
    pub fn with_option(mut self, option: CoapOption) -> Self {
        self.options.push(option);
        self
    }

    /// Whether CoAP can carry it: public fields may hold anything.
    #[cfg(any(feature = "dtls", feature = "tcp"))]
    pub(crate) fn check(&self) -> Result<(), Error> {
        let too_long = |text: &String| text.len() > MAX_SEGMENT_LEN;
        let texts_fit = !self.path.iter().any(|it| too_long(it) || is_dots(it))
            && !self.query.iter().any(too_long);
        let own = self.path.len().saturating_add(self.query.len());
        if texts_fit && options_fit(&self.options, own) {
            Ok(())
        } else {
            Err(ErrorKind::Path.into())
        }
    }

    /// The path and query, percent-encoded as in a URI. (RFC 7252, 6.5)
    #[must_use]
    pub fn target(&self) -> String {
        let mut target = String::new();
        for segment in &self.path {
            encode_segment(&mut target, '/', segment);
        }
        if target.is_empty() {
            target.push('/');
        }
        for (index, argument) in self.query.iter().enumerate() {
            encode_segment(&mut target, if index == 0 { '?' } else { '&' }, argument);
        }
        target
    }
}

impl fmt::Debug for Request {
    /// Leaves the payload out: it may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("content_format", &self.content_format)
            .field("accept", &self.accept)
            .field("observe", &self.observe)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// A response.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The code.
    pub code: Code,
    /// The Content-Format of the payload.
    pub content_format: Option<u16>,
    /// How many seconds it may be kept; behind a 5.03, how many to wait.
    pub max_age: Option<u32>,
    /// Whether the resource can be observed: lets a request that wants to observe it register.
    pub observable: bool,
    /// Further options, ETag and Location-Path among them.
    pub options: Vec<CoapOption>,
    /// The payload, whole.
    pub payload: Bytes,
}

impl Response {
    /// A response without payload.
    #[must_use]
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            content_format: None,
            max_age: None,
            observable: false,
            options: Vec::new(),
            payload: Bytes::new(),
        }
    }

    /// This response with a payload.
    #[must_use]
    pub fn with_payload(mut self, content_format: u16, payload: impl Into<Bytes>) -> Self {
        self.content_format = Some(content_format);
        self.payload = payload.into();
        self
    }

    /// This response with a Max-Age in seconds.
    #[must_use]
    pub const fn with_max_age(mut self, secs: u32) -> Self {
        self.max_age = Some(secs);
        self
    }

    /// This response with one more option.
    #[must_use]
    pub fn with_option(mut self, option: CoapOption) -> Self {
        self.options.push(option);
        self
    }

    /// This response, of a resource that can be observed.
    #[must_use]
    pub const fn observable(mut self) -> Self {
        self.observable = true;
        self
    }

    /// Whether CoAP can carry it: public fields may hold anything.
    #[cfg(any(feature = "dtls", feature = "tcp"))]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if options_fit(&self.options, 0) {
            Ok(())
        } else {
            Err(ErrorKind::Path.into())
        }
    }

    #[cfg(any(feature = "dtls", feature = "tcp"))]
    pub(crate) fn option(&self, number: u16) -> Option<&Bytes> {
        self.options
            .iter()
            .find(|option| option.number == number)
            .map(|option| &option.value)
    }
}

impl fmt::Debug for Response {
    /// Leaves the payload out: it may carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("code", &self.code)
            .field("content_format", &self.content_format)
            .field("max_age", &self.max_age)
            .field("observable", &self.observable)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// Options that have a field of their own, or that the message layer writes.
#[cfg(any(feature = "dtls", feature = "tcp"))]
const fn is_managed(number: u16) -> bool {
    matches!(
        number,
        option::OBSERVE
            | option::URI_PATH
            | option::URI_QUERY
            | option::CONTENT_FORMAT
            | option::ACCEPT
            | option::MAX_AGE
            | option::BLOCK1
            | option::BLOCK2
            | option::SIZE1
            | option::SIZE2
            | option::REQUEST_TAG
    )
}

/// Whether options of the application fit a message beside `others` that its fields make.
#[cfg(any(feature = "dtls", feature = "tcp"))]
fn options_fit(options: &[CoapOption], others: usize) -> bool {
    options.len().saturating_add(others) <= MAX_OWN_OPTIONS
        && options
            .iter()
            .all(|it| !is_managed(it.number) && it.value.len() <= MAX_OPTION_LEN)
}

/// Segments that a resolver of relative references would swallow may not be sent. (RFC 7252, 5.10.1)
pub(crate) fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

fn decode_segment(text: &str) -> Result<String, Error> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digits = rest.next().and_then(hex).zip(rest.next().and_then(hex));
            let (high, low) = digits.ok_or(ErrorKind::Path)?;
            (high << 4) | low
        } else {
            byte
        });
    }
    if bytes.len() > MAX_SEGMENT_LEN {
        return Err(ErrorKind::Path.into());
    }
    String::from_utf8(bytes)
        .map_err(|error| Error::with_source(ErrorKind::Path, error.utf8_error()))
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

fn encode_segment(target: &mut String, separator: char, segment: &str) {
    target.push(separator);
    for byte in segment.bytes() {
        // `&` separates arguments, so it is escaped everywhere although a path could carry it.
        if byte.is_ascii_alphanumeric() || b"-._~!$'()*+,;=:@".contains(&byte) {
            target.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(target, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_that_coap_cannot_carry_are_refused() {
        let long = alloc::format!("/{}", "a".repeat(256));
        for bad in [
            "",
            "a",
            "?a",
            "/.",
            "/a/../b",
            "/%2e%2E",
            "/%",
            "/%1",
            "/%zz",
            "/%ff",
            long.as_str(),
        ] {
            assert_eq!(
                Request::new(Method::Get, bad).unwrap_err().kind(),
                ErrorKind::Path,
                "{bad:?}"
            );
        }
    }

    #[cfg(any(feature = "dtls", feature = "tcp"))]
    #[test]
    fn options_that_the_message_layer_cannot_write_are_refused() {
        let etag = |len: usize| CoapOption::new(option::ETAG, alloc::vec![1; len]);
        for (options, fit) in [
            (alloc::vec![etag(8); MAX_OWN_OPTIONS], true),
            (alloc::vec![etag(8); MAX_OWN_OPTIONS + 1], false),
            (alloc::vec![etag(MAX_OPTION_LEN)], true),
            (alloc::vec![etag(MAX_OPTION_LEN + 1)], false),
            (alloc::vec![CoapOption::from_uint(option::BLOCK2, 6)], false),
            (
                alloc::vec![CoapOption::from_uint(option::OBSERVE, 1)],
                false,
            ),
        ] {
            let mut request = Request::new(Method::Get, "/").unwrap();
            let mut response = Response::new(Code::CONTENT);
            request.options.clone_from(&options);
            response.options = options;
            assert_eq!(request.check().is_ok(), fit, "{:?}", request.options);
            assert_eq!(response.check().is_ok(), fit, "{:?}", response.options);
        }
    }

    #[test]
    fn the_root_has_no_segments_and_a_trailing_slash_is_an_empty_one() {
        assert!(Request::new(Method::Get, "/").unwrap().path.is_empty());
        assert_eq!(Request::new(Method::Get, "/a/").unwrap().path, ["a", ""]);
        assert_eq!(
            Request::new(Method::Get, "/?a&b=c").unwrap().query,
            ["a", "b=c"]
        );
    }

    proptest! {
        #[test]
        fn a_target_names_what_it_was_made_from(path in proptest::collection::vec("\\PC{1,9}", 0..4), query in proptest::collection::vec("\\PC{0,9}", 0..4)) {
            prop_assume!(!path.iter().any(|segment| is_dots(segment)));
            let mut request = Request::new(Method::Get, "/").unwrap();
            request.path = path;
            request.query = query;
            prop_assert_eq!(Request::new(Method::Get, &request.target()).unwrap(), request);
        }
    }
}
