//! A representation as it travels: bytes and what they are.

use bytes::Bytes;
use core::{fmt, str::FromStr};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind},
    limits::Limits,
    value::{self, Receiver, Value},
};

/// The two media types of the interface.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[expect(clippy::exhaustive_enums, reason = "the standard has these two")]
pub enum ContentFormat {
    /// `application/json`.
    #[serde(rename = "application/json")]
    Json,
    /// `application/vnd.ocf+cbor`.
    #[serde(rename = "application/vnd.ocf+cbor")]
    OcfCbor,
}

impl ContentFormat {
    /// The media type, without parameters: peers compare the whole header value.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::OcfCbor => "application/vnd.ocf+cbor",
        }
    }

    /// The CoAP Content-Format number: 50 or 10000.
    #[must_use]
    pub const fn coap_number(self) -> u16 {
        match self {
            Self::Json => 50,
            Self::OcfCbor => 10_000,
        }
    }

    /// The format of a CoAP Content-Format number, when it is one of the two.
    #[must_use]
    pub const fn from_coap_number(number: u16) -> Option<Self> {
        match number {
            50 => Some(Self::Json),
            10_000 => Some(Self::OcfCbor),
            _ => None,
        }
    }

    /// The format of a `Content-Type` value; case and parameters do not matter (RFC 9110, 8.3.1).
    ///
    /// ```
    /// use uci_model::ContentFormat;
    ///
    /// let format = ContentFormat::from_content_type("Application/JSON; charset=utf-8");
    /// assert_eq!(format, Some(ContentFormat::Json));
    /// assert_eq!(ContentFormat::from_content_type("text/plain"), None);
    /// ```
    #[must_use]
    pub fn from_content_type(value: &str) -> Option<Self> {
        let media_type = value.split(';').next()?.trim_matches([' ', '\t']);
        [Self::Json, Self::OcfCbor]
            .into_iter()
            .find(|format| media_type.eq_ignore_ascii_case(format.as_str()))
    }
}

impl fmt::Display for ContentFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ContentFormat {
    type Err = Error;

    /// As [`from_content_type`](Self::from_content_type).
    fn from_str(value: &str) -> Result<Self, Error> {
        Self::from_content_type(value).ok_or_else(|| Error::new(ErrorKind::UnsupportedFormat))
    }
}

/// A message body and its format, decoded only where its meaning is needed.
///
/// Cloning shares the bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    format: ContentFormat,
    body: Bytes,
}

impl Content {
    /// A body that came in this format; nothing is checked yet.
    #[must_use]
    pub const fn new(format: ContentFormat, body: Bytes) -> Self {
        Self { format, body }
    }

    /// Writes a value in this format.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] when the value has map keys that are no text.
    pub fn encode<T: Serialize + ?Sized>(format: ContentFormat, value: &T) -> Result<Self, Error> {
        let body = match format {
            ContentFormat::Json => value::to_json(value)?,
            ContentFormat::OcfCbor => Value::serialized(value)?.to_cbor(),
        };
        Ok(Self::new(format, body.into()))
    }

    /// What a device receives: CBOR as [`Value::to_device_cbor`] writes it.
    #[must_use]
    pub fn encode_for_device(value: &Value) -> Self {
        Self::new(ContentFormat::OcfCbor, value.to_device_cbor().into())
    }

    /// An array of what was encoded before.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Encode`] when one of the items has another format.
    pub fn array(format: ContentFormat, items: &[Self]) -> Result<Self, Error> {
        if items.iter().any(|item| item.format != format) {
            return Err(Error::new(ErrorKind::Encode));
        }
        let items = items.iter().map(|item| item.body.as_ref());
        let body = match format {
            ContentFormat::Json => value::json_array(items),
            ContentFormat::OcfCbor => value::cbor_array(items),
        };
        Ok(Self::new(format, body.into()))
    }

    /// What a device receives of this: the same bytes when they are CBOR that devices read, otherwise the CBOR of
    /// [`encode_for_device`](Self::encode_for_device), but of JSON the members keep their order.
    ///
    /// Devices do not read floats shorter than 64 bits, arrays of integers and floats, bignums, and integers below 64 bits.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn for_device(&self, limits: &Limits) -> Result<Self, Error> {
        let body = match self.format {
            ContentFormat::Json => value::json_to_cbor(&self.body, Receiver::Device, limits)?,
            ContentFormat::OcfCbor => match value::cbor_for_device(&self.body, limits)? {
                Some(body) => body,
                None => return Ok(self.clone()),
            },
        };
        Ok(Self::new(ContentFormat::OcfCbor, body.into()))
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> ContentFormat {
        self.format
    }

    /// The bytes, exactly as they came or go out.
    #[must_use]
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The bytes, to keep.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        self.body
    }

    /// Reads the body.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] or [`ErrorKind::LimitExceeded`].
    pub fn decode(&self, limits: &Limits) -> Result<Value, Error> {
        match self.format {
            ContentFormat::Json => Value::from_json(&self.body, limits),
            ContentFormat::OcfCbor => Value::from_cbor(&self.body, limits),
        }
    }

    /// Checks that the body can be read, as [`decode`](Self::decode) does, and builds nothing.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn check(&self, limits: &Limits) -> Result<(), Error> {
        value::check(self.format, &self.body, limits)
    }

    /// Reads the body as a typed value.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`ErrorKind::Invalid`] when the value does not fit the type.
    pub fn decode_as<T: DeserializeOwned>(&self, limits: &Limits) -> Result<T, Error> {
        match self.format {
            ContentFormat::Json => Value::from_json(&self.body, limits)?.deserialized(),
            ContentFormat::OcfCbor => Value::typed_from_cbor(&self.body, limits),
        }
    }

    /// The same content in this format; the same bytes when it has it already.
    ///
    /// Members keep their order.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), when it must be converted.
    pub fn in_format(&self, format: ContentFormat, limits: &Limits) -> Result<Self, Error> {
        let body = match (self.format, format) {
            (ContentFormat::Json, ContentFormat::OcfCbor) => {
                value::json_to_cbor(&self.body, Receiver::Peer, limits)?
            }
            (ContentFormat::OcfCbor, ContentFormat::Json) => {
                value::cbor_to_json(&self.body, limits)?
            }
            (ContentFormat::Json, ContentFormat::Json)
            | (ContentFormat::OcfCbor, ContentFormat::OcfCbor) => return Ok(self.clone()),
        };
        Ok(Self::new(format, body.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_with_parameters_and_in_any_case() {
        for (text, format) in [
            ("application/json", Some(ContentFormat::Json)),
            ("APPLICATION/VND.OCF+CBOR", Some(ContentFormat::OcfCbor)),
            ("application/json;charset=utf-8", Some(ContentFormat::Json)),
            (
                "application/json \t; charset=utf-8",
                Some(ContentFormat::Json),
            ),
            ("application/cbor", None),
            ("application/json, text/plain", None),
            ("application/jsonp", None),
            ("", None),
        ] {
            assert_eq!(ContentFormat::from_content_type(text), format, "{text:?}");
        }
    }

    #[test]
    fn arrays_are_put_together_of_what_was_encoded() {
        for count in [0, 1, 24] {
            for format in [ContentFormat::Json, ContentFormat::OcfCbor] {
                let item = Value::from([("a", 1_u64)]);
                let items = alloc::vec![item; count];
                let encoded: alloc::vec::Vec<Content> = items
                    .iter()
                    .map(|item| Content::encode(format, item).unwrap())
                    .collect();
                let array = Content::array(format, &encoded).unwrap();
                assert_eq!(array, Content::encode(format, &items).unwrap());
                let other = [Content::new(
                    match format {
                        ContentFormat::Json => ContentFormat::OcfCbor,
                        ContentFormat::OcfCbor => ContentFormat::Json,
                    },
                    Bytes::new(),
                )];
                assert!(Content::array(format, &other).is_err());
            }
        }
    }

    #[test]
    fn content_in_its_own_format_is_not_touched() {
        // Indefinite length and a half-precision float: re-encoding would show.
        let body = Bytes::from_static(&[0xbf, 0x61, b'a', 0xf9, 0x3c, 0x00, 0xff]);
        let content = Content::new(ContentFormat::OcfCbor, body.clone());
        let same = content
            .in_format(ContentFormat::OcfCbor, &Limits::default())
            .unwrap();
        assert_eq!(same.body(), &body);
        let json = content
            .in_format(ContentFormat::Json, &Limits::default())
            .unwrap();
        assert_eq!(json.body().as_ref(), br#"{"a":1.0}"#);
    }
}
