//! HTTP messages from text that a fuzzer can take apart and put together.

use bytes::Bytes;

/// A first line, lines of `name: value`, an empty line and a body.
pub(crate) struct Parts<'a> {
    pub(crate) first: &'a str,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: Bytes,
}

impl<'a> Parts<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let end = bytes.windows(2).position(|pair| pair == b"\n\n");
        let (head, body) = end.map_or((bytes, &[][..]), |at| (&bytes[..at], &bytes[at + 2..]));
        let mut lines = std::str::from_utf8(head).ok()?.lines();
        Some(Self {
            first: lines.next()?,
            headers: lines.filter_map(|line| line.split_once(": ")).collect(),
            body: Bytes::copy_from_slice(body),
        })
    }

    /// The value of a header; of a repeated one, the first.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// The first line as `METHOD target`.
    pub(crate) fn request(&self) -> Option<http::Request<Bytes>> {
        let (method, target) = self.first.split_once(' ')?;
        let mut builder = http::Request::builder().method(method).uri(target);
        for (name, value) in &self.headers {
            builder = builder.header(*name, *value);
        }
        builder.body(self.body.clone()).ok()
    }

    /// The first line as a status.
    pub(crate) fn response(&self) -> Option<http::Response<Bytes>> {
        let mut builder = http::Response::builder().status(self.first);
        for (name, value) in &self.headers {
            builder = builder.header(*name, *value);
        }
        builder.body(self.body.clone()).ok()
    }
}
