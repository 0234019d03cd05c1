//! A CoAP message: its type, code, token and options. (RFC 7252, 3)

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::option::CoapOption;

/// The type of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "two bits on the wire")]
pub enum Kind {
    /// CON: wants an acknowledgement.
    Confirmable,
    /// NON.
    NonConfirmable,
    /// ACK.
    Acknowledgement,
    /// RST.
    Reset,
}

/// A message code: a class of three bits and a detail of five.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Code(u8);

impl Code {
    /// 0.00.
    pub const EMPTY: Self = Self::new(0, 0);
    /// 2.01.
    pub const CREATED: Self = Self::new(2, 1);
    /// 2.02.
    pub const DELETED: Self = Self::new(2, 2);
    /// 2.03.
    pub const VALID: Self = Self::new(2, 3);
    /// 2.04.
    pub const CHANGED: Self = Self::new(2, 4);
    /// 2.05.
    pub const CONTENT: Self = Self::new(2, 5);
    /// 2.31.
    pub const CONTINUE: Self = Self::new(2, 31);
    /// 4.00.
    pub const BAD_REQUEST: Self = Self::new(4, 0);
    /// 4.01.
    pub const UNAUTHORIZED: Self = Self::new(4, 1);
    /// 4.02.
    pub const BAD_OPTION: Self = Self::new(4, 2);
    /// 4.03.
    pub const FORBIDDEN: Self = Self::new(4, 3);
    /// 4.04.
    pub const NOT_FOUND: Self = Self::new(4, 4);
    /// 4.05.
    pub const METHOD_NOT_ALLOWED: Self = Self::new(4, 5);
    /// 4.06.
    pub const NOT_ACCEPTABLE: Self = Self::new(4, 6);
    /// 4.08.
    pub const REQUEST_ENTITY_INCOMPLETE: Self = Self::new(4, 8);
    /// 4.12.
    pub const PRECONDITION_FAILED: Self = Self::new(4, 12);
    /// 4.13.
    pub const REQUEST_ENTITY_TOO_LARGE: Self = Self::new(4, 13);
    /// 4.15.
    pub const UNSUPPORTED_CONTENT_FORMAT: Self = Self::new(4, 15);
    /// 5.00.
    pub const INTERNAL_SERVER_ERROR: Self = Self::new(5, 0);
    /// 5.03.
    pub const SERVICE_UNAVAILABLE: Self = Self::new(5, 3);
    /// 5.05.
    pub const PROXYING_NOT_SUPPORTED: Self = Self::new(5, 5);

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

    /// The class: 0 for requests, 2, 4 and 5 for responses.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.0 >> 5
    }

    /// The detail within the class.
    #[must_use]
    pub const fn detail(self) -> u8 {
        self.0 & 0x1f
    }

    /// Whether it is a 2.xx.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.class() == 2
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.class(), self.detail())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request method. (RFC 7252, 5.8; RFC 8132)
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Method {
    /// 0.01.
    Get,
    /// 0.02.
    Post,
    /// 0.03.
    Put,
    /// 0.04.
    Delete,
    /// 0.05.
    Fetch,
    /// 0.06.
    Patch,
    /// 0.07.
    IPatch,
}

impl Method {
    /// The method's code.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::new(
            0,
            match self {
                Self::Get => 1,
                Self::Post => 2,
                Self::Put => 3,
                Self::Delete => 4,
                Self::Fetch => 5,
                Self::Patch => 6,
                Self::IPatch => 7,
            },
        )
    }

    /// Whether asking again changes nothing. (RFC 7252, 5.1; RFC 8132, 2)
    #[must_use]
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Fetch)
    }

    /// The method of a code; `None` for a response and for a method nobody has defined.
    #[must_use]
    pub const fn from_code(code: Code) -> Option<Self> {
        Some(match code.as_byte() {
            1 => Self::Get,
            2 => Self::Post,
            3 => Self::Put,
            4 => Self::Delete,
            5 => Self::Fetch,
            6 => Self::Patch,
            7 => Self::IPatch,
            _ => return None,
        })
    }
}

/// What ties a response to its request: 0 to 8 bytes without a meaning.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Token {
    len: u8,
    bytes: [u8; 8],
}

impl Token {
    /// A token.
    ///
    /// # Errors
    /// [`ErrorKind::Message`] when it has more than eight bytes.
    pub fn new(token: &[u8]) -> Result<Self, Error> {
        let mut bytes = [0; 8];
        let len = u8::try_from(token.len())
            .map_err(|error| Error::with_source(ErrorKind::Message, error))?;
        let Some(head) = bytes.get_mut(..token.len()) else {
            return Err(ErrorKind::Message.into());
        };
        head.copy_from_slice(token);
        Ok(Self { len, bytes })
    }

    /// The token that is `number` written without leading zeros.
    #[cfg(any(feature = "dtls", feature = "tcp", test))]
    #[must_use]
    pub(crate) fn from_number(number: u64) -> Self {
        let zeros = number.leading_zeros() >> 3;
        let len = u8::try_from(8_u32.saturating_sub(zeros)).unwrap_or(8);
        Self {
            len,
            bytes: number
                .checked_shl(zeros.saturating_mul(8))
                .unwrap_or(0)
                .to_be_bytes(),
        }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A message of our own making, before it is written.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Message {
    /// Its type.
    pub kind: Kind,
    /// Its code.
    pub code: Code,
    /// Its message id.
    pub message_id: u16,
    /// Its token.
    pub token: Token,
    /// Its options; occurrences of one number stay in this order.
    pub options: Vec<CoapOption>,
    /// Its payload.
    pub payload: Bytes,
}

impl Message {
    /// A message without options and payload.
    #[must_use]
    pub const fn new(kind: Kind, code: Code, message_id: u16, token: Token) -> Self {
        Self {
            kind,
            code,
            message_id,
            token,
            options: Vec::new(),
            payload: Bytes::new(),
        }
    }

    /// An Empty message: an acknowledgement, a reset or, as a CON, a ping.
    #[must_use]
    pub fn empty(kind: Kind, message_id: u16) -> Self {
        Self::new(kind, Code::EMPTY, message_id, Token::default())
    }
}

impl fmt::Debug for Message {
    /// Leaves the contents out: payloads carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("message_id", &self.message_id)
            .field("token", &self.token)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn codes_are_written_as_in_the_standard() {
        assert_eq!(
            format!("{} {:?}", Code::CONTENT, Code::REQUEST_ENTITY_TOO_LARGE),
            "2.05 4.13"
        );
        assert_eq!(Code::BAD_REQUEST.as_byte(), 0x80);
    }

    #[test]
    fn the_seven_methods_are_the_codes_one_to_seven() {
        for byte in 0..=u8::MAX {
            let code = Code::from_byte(byte);
            assert_eq!(
                Method::from_code(code).map(Method::code),
                (1..=7).contains(&byte).then_some(code)
            );
        }
    }

    #[test]
    fn tokens_of_numbers_are_short_and_distinct() {
        assert!(Token::from_number(0).as_bytes().is_empty());
        assert_eq!(Token::from_number(1).as_bytes(), [1]);
        assert_eq!(Token::from_number(0x0100).as_bytes(), [1, 0]);
        assert_eq!(Token::from_number(u64::MAX).as_bytes(), [255; 8]);
        assert_eq!(Token::from_number(0x0203), Token::new(&[2, 3]).unwrap());
        assert!(Token::new(&[0; 9]).is_err());
    }
}
