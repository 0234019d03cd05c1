//! Requests and responses of CoAP, as far as a bootstrap needs them. Tokens, message ids and blocks are the carrier's. (RFC 7252)

use std::fmt;

use super::{ContentFormat, LINK_FORMAT, Opaque, Path};

/// A method.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a bootstrap has no other")]
pub enum Method {
    /// 0.01.
    Get,
    /// 0.02.
    Post,
    /// 0.03.
    Put,
    /// 0.04.
    Delete,
}

/// A response code: a class of three bits and a detail of five.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Code(u8);

impl Code {
    /// 2.02.
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.04.
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05.
    pub const CONTENT: Self = Self::new(2, 5);
    /// 4.00.
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.04.
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05.
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06.
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 5.00.
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.03.
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);

    /// The code `class.detail`; bits beyond three and five are cut off.
    #[must_use]
    pub const fn new(class: u8, detail: u8) -> Self {
        Self((class << 5) | (detail & 0x1f))
    }

    /// The code of a byte on the wire.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Self {
        Self(byte)
    }

    /// The byte on the wire.
    #[must_use]
    pub const fn as_byte(self) -> u8 {
        self.0
    }

    /// Whether it is a 2.xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 >> 5 == 2
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 >> 5, self.0 & 0x1f)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request, of either side.
#[derive(Clone, Debug, Eq, PartialEq)]
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
    /// The payload; it may hold keys.
    pub payload: Opaque,
}

impl Request {
    /// A request without query and payload.
    #[must_use]
    pub fn new(method: Method, path: &[&str]) -> Self {
        Self {
            method,
            path: path.iter().map(|segment| (*segment).to_owned()).collect(),
            query: Vec::new(),
            content_format: None,
            accept: None,
            payload: Opaque::default(),
        }
    }

    fn to(method: Method, path: Path) -> Self {
        Self {
            path: path.segments(),
            ..Self::new(method, &[])
        }
    }

    /// Bootstrap-Discover. (LwM2M 1.1 Core, 6.1.7.3)
    pub(crate) fn discover() -> Self {
        Self {
            accept: Some(LINK_FORMAT),
            ..Self::to(Method::Get, Path::Root)
        }
    }

    /// Bootstrap-Read. (LwM2M 1.1 Core, 6.1.7.4)
    pub(crate) fn read(path: Path, format: ContentFormat) -> Self {
        Self {
            accept: Some(format.number()),
            ..Self::to(Method::Get, path)
        }
    }

    /// Bootstrap-Write. (LwM2M 1.1 Core, 6.1.7.5)
    pub(crate) fn write(path: Path, format: ContentFormat, payload: Opaque) -> Self {
        Self {
            content_format: Some(format.number()),
            payload,
            ..Self::to(Method::Put, path)
        }
    }

    /// Bootstrap-Delete. (LwM2M 1.1 Core, 6.1.7.6)
    pub(crate) fn delete(path: Path) -> Self {
        Self::to(Method::Delete, path)
    }

    /// Bootstrap-Finish. (LwM2M 1.1 Core, 6.1.7.2)
    pub(crate) fn finish() -> Self {
        Self::new(Method::Post, &["bs"])
    }

    /// What a server sends to a client that is registered with it, so that it bootstraps again: an Execute of the
    /// Bootstrap-Request Trigger in an instance of the Server object. (OMA LwM2M registry, object 1, resource 9)
    #[must_use]
    pub fn bootstrap_trigger(server_instance: u16) -> Self {
        Self::to(
            Method::Post,
            Path::Resource(super::objects::SERVER, server_instance, 9),
        )
    }
}

/// A response.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The code.
    pub code: Code,
    /// The Content-Format of the payload.
    pub content_format: Option<u16>,
    /// Behind a 5.03, how many seconds to wait. (RFC 7252, 5.9.3.4)
    pub max_age: Option<u32>,
    /// The payload; it may hold keys.
    pub payload: Opaque,
}

impl Response {
    /// A response without payload.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self {
            code,
            content_format: None,
            max_age: None,
            payload: Opaque::default(),
        }
    }

    /// This response with a Max-Age in seconds.
    #[must_use]
    pub fn with_max_age(mut self, secs: u32) -> Self {
        self.max_age = Some(secs);
        self
    }

    /// This response with a payload.
    #[must_use]
    pub fn with_payload(mut self, content_format: u16, payload: Opaque) -> Self {
        self.content_format = Some(content_format);
        self.payload = payload;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trigger_executes_resource_nine_of_the_server() {
        let trigger = Request::bootstrap_trigger(3);
        assert_eq!(
            (trigger.method, trigger.path.join("/")),
            (Method::Post, "1/3/9".to_owned())
        );
        assert!(trigger.payload.is_empty() && trigger.content_format.is_none());
    }
}
