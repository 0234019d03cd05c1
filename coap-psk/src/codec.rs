//! Reading and writing messages: a strict parser that borrows, and the way to bytes. (RFC 7252, 3)
//!
//! The parser makes one pass, copies nothing, allocates nothing and looks at no more than [`MAX_OPTIONS`] options. Writing makes
//! one pass, too, when the options are in order; otherwise it goes through `coap-lite`'s packet, which sorts them.

use alloc::vec::Vec;
use core::fmt;

use coap_lite::{CoapOption as PacketOption, MessageClass, MessageType, Packet};

use crate::error::{Error, ErrorKind};
use crate::message::{Code, Kind, Message, Token};
use crate::option::CoapOption;

/// The most options a message may have.
///
/// Every option costs its receiver far more than the one byte it may cost the sender.
pub const MAX_OPTIONS: usize = 64;

/// The longest value that an option can have: two bytes of length behind those that fit a nibble and a byte.
const MAX_OPTION_LEN: usize = 0xffff + 269;

const HEADER_LEN: usize = 4;
/// The most bytes in front of the value of an option.
const MAX_OPTION_HEADER_LEN: usize = 5;
/// The version, where it stands in the first byte.
const VERSION_1: u8 = 1 << 6;
const PAYLOAD_MARKER: u8 = 0xff;

/// A message that was read from a datagram and still lies there.
#[derive(Clone, Copy)]
pub struct MessageRef<'a> {
    kind: Kind,
    code: Code,
    message_id: u16,
    token: Token,
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> MessageRef<'a> {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Its message id.
    #[must_use]
    pub const fn message_id(&self) -> u16 {
        self.message_id
    }

    /// Its token.
    #[must_use]
    pub const fn token(&self) -> Token {
        self.token
    }

    /// Its options, in the order of their numbers.
    #[must_use]
    pub const fn options(&self) -> Options<'a> {
        Options {
            rest: self.options,
            number: 0,
        }
    }

    /// Its payload.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// A copy that owns its contents.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let mut message = Message::new(self.kind, self.code, self.message_id, self.token);
        message.options = self
            .options()
            .map(|(number, value)| CoapOption::new(number, value.to_vec()))
            .collect();
        message.payload = self.payload.to_vec().into();
        message
    }
}

impl fmt::Debug for MessageRef<'_> {
    /// Leaves the contents out: payloads carry secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRef")
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("message_id", &self.message_id)
            .field("token", &self.token)
            .field("payload_len", &self.payload.len())
            .finish_non_exhaustive()
    }
}

/// The options of a message that was read.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: &'a [u8],
    number: u16,
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Nothing fails here: `parse` has walked over these bytes.
        let (number, value, rest) = split_option(self.rest, self.number).ok().flatten()?;
        self.number = number;
        self.rest = rest;
        Some((number, value))
    }
}

/// Why a datagram is not a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Rejection {
    /// It is too short for a header or of another version: it is dropped without a word. (RFC 7252, 3)
    NotCoap,
    /// It breaks the format; a Confirmable one is answered with a Reset of the same message id. (RFC 7252, 4.2 and 4.3)
    Malformed {
        /// Its type.
        kind: Kind,
        /// Its message id.
        message_id: u16,
    },
}

/// Reads a datagram.
///
/// # Errors
/// A [`Rejection`] that says what is to be done about it.
pub fn parse(datagram: &[u8]) -> Result<MessageRef<'_>, Rejection> {
    let Some((&[first, code, high, low], rest)) = datagram.split_first_chunk::<HEADER_LEN>() else {
        return Err(Rejection::NotCoap);
    };
    if first >> 6 != 1 {
        return Err(Rejection::NotCoap);
    }
    let kind = match (first >> 4) & 3 {
        0 => Kind::Confirmable,
        1 => Kind::NonConfirmable,
        2 => Kind::Acknowledgement,
        _ => Kind::Reset,
    };
    let message_id = u16::from_be_bytes([high, low]);
    parse_body(usize::from(first & 0xf), code, rest)
        .map(|(token, options, payload)| MessageRef {
            kind,
            code: Code::from_byte(code),
            message_id,
            token,
            options,
            payload,
        })
        .ok_or(Rejection::Malformed { kind, message_id })
}

/// Reads what lies behind the header of a frame of a reliable transport.
///
/// A frame has neither type nor message id. What it brings is as sure to arrive as if it were Confirmable, and is taken so.
#[cfg(feature = "tcp")]
pub(crate) fn parse_reliable(token_len: usize, code: u8, rest: &[u8]) -> Option<MessageRef<'_>> {
    let (token, options, payload) = parse_body(token_len, code, rest)?;
    Some(MessageRef {
        kind: Kind::Confirmable,
        code: Code::from_byte(code),
        message_id: 0,
        token,
        options,
        payload,
    })
}

/// What lies behind the header: the token, the bytes of the options and the payload.
fn parse_body(token_len: usize, code: u8, rest: &[u8]) -> Option<(Token, &[u8], &[u8])> {
    if code == Code::EMPTY.as_byte() {
        // RFC 7252, 4.1: nothing may follow the message id, and the token length is zero.
        return (token_len == 0 && rest.is_empty()).then_some((Token::default(), rest, rest));
    }
    let (token, rest) = rest.split_at_checked(token_len)?;
    let token = Token::new(token).ok()?;
    let mut tail = rest;
    let mut number = 0;
    for _ in 0..=MAX_OPTIONS {
        match split_option(tail, number) {
            Ok(Some((next, _, behind))) => (number, tail) = (next, behind),
            Ok(None) => {
                let options = rest.get(..rest.len().checked_sub(tail.len())?)?;
                let payload = match tail {
                    [] => tail,
                    // A marker with nothing behind it is an error. (RFC 7252, 3)
                    [_marker] => return None,
                    [_marker, payload @ ..] => payload,
                };
                return Some((token, options, payload));
            }
            Err(BrokenOption) => return None,
        }
    }
    None
}

struct BrokenOption;

/// The number and value of an option, and what follows it.
type Split<'a> = (u16, &'a [u8], &'a [u8]);

/// Takes the next option off. `None` at the payload marker and at the end.
fn split_option(bytes: &[u8], previous: u16) -> Result<Option<Split<'_>>, BrokenOption> {
    let Some((&first, rest)) = bytes.split_first() else {
        return Ok(None);
    };
    if first == PAYLOAD_MARKER {
        return Ok(None);
    }
    let (delta, rest) = extended(first >> 4, rest).ok_or(BrokenOption)?;
    let (len, rest) = extended(first & 0xf, rest).ok_or(BrokenOption)?;
    let number = u16::try_from(delta)
        .ok()
        .and_then(|delta| previous.checked_add(delta))
        .ok_or(BrokenOption)?;
    let (value, rest) = rest.split_at_checked(len).ok_or(BrokenOption)?;
    Ok(Some((number, value, rest)))
}

/// A delta or length of an option, with the bytes that extend it. (RFC 7252, 3.1)
fn extended(nibble: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    match nibble {
        0..=12 => Some((usize::from(nibble), rest)),
        13 => rest
            .split_first()
            .map(|(byte, rest)| (usize::from(*byte).saturating_add(13), rest)),
        14 => rest.split_first_chunk::<2>().map(|(bytes, rest)| {
            (
                usize::from(u16::from_be_bytes(*bytes)).saturating_add(269),
                rest,
            )
        }),
        _ => None,
    }
}

/// Writes a message.
///
/// # Errors
/// [`ErrorKind::Message`] when an option is longer than its length field can say, or `coap-lite` refuses the message.
pub fn encode(message: &Message) -> Result<Vec<u8>, Error> {
    if message
        .options
        .iter()
        .any(|option| option.value.len() > MAX_OPTION_LEN)
    {
        return Err(ErrorKind::Message.into());
    }
    if message.options.is_sorted_by_key(|option| option.number) {
        return Ok(write(message));
    }
    to_packet(message).to_bytes_unlimited().map_err(|error| {
        Error::with_source(
            ErrorKind::Message,
            alloc::string::ToString::to_string(&error),
        )
    })
}

/// Writes a message whose options are in order and no longer than they may be.
fn write(message: &Message) -> Vec<u8> {
    let token = message.token.as_bytes();
    let options = message.options.iter();
    let len = options
        .map(|option| option.value.len().saturating_add(MAX_OPTION_HEADER_LEN))
        .fold(HEADER_LEN, usize::saturating_add)
        .saturating_add(token.len())
        .saturating_add(1)
        .saturating_add(message.payload.len());
    let mut out = Vec::with_capacity(len);
    let kind: u8 = match message.kind {
        Kind::Confirmable => 0,
        Kind::NonConfirmable => 1,
        Kind::Acknowledgement => 2,
        Kind::Reset => 3,
    };
    // A token has eight bytes at most.
    let token_len = u8::try_from(token.len()).unwrap_or(0);
    out.push(VERSION_1 | kind << 4 | token_len);
    out.push(message.code.as_byte());
    out.extend(message.message_id.to_be_bytes());
    out.extend_from_slice(token);
    let mut previous = 0;
    for option in &message.options {
        let (delta, delta_tail) = shortened(option.number.saturating_sub(previous).into());
        let (len, len_tail) = shortened(option.value.len());
        out.push(delta << 4 | len);
        out.extend(delta_tail.into_iter().flatten());
        out.extend(len_tail.into_iter().flatten());
        out.extend_from_slice(&option.value);
        previous = option.number;
    }
    // An Empty message has nothing behind its header. (RFC 7252, 4.1)
    if !message.payload.is_empty() && message.code != Code::EMPTY {
        out.push(PAYLOAD_MARKER);
        out.extend_from_slice(&message.payload);
    }
    out
}

/// A delta or length of an option as a nibble, and the bytes that extend it. (RFC 7252, 3.1)
fn shortened(number: usize) -> (u8, [Option<u8>; 2]) {
    let wide = u16::try_from(number.saturating_sub(269)).unwrap_or(u16::MAX);
    let narrow = u8::try_from(number.saturating_sub(13)).unwrap_or(u8::MAX);
    match number {
        0..13 => (u8::try_from(number).unwrap_or(0), [None, None]),
        13..269 => (13, [Some(narrow), None]),
        _ => (14, wide.to_be_bytes().map(Some)),
    }
}

/// Writes what follows the header: the token, the options and the payload.
#[cfg(feature = "tcp")]
pub(crate) fn encode_body(message: &Message) -> Result<Vec<u8>, Error> {
    let mut bytes = encode(message)?;
    bytes.drain(..HEADER_LEN.min(bytes.len()));
    Ok(bytes)
}

fn to_packet(message: &Message) -> Packet {
    let mut packet = Packet::new();
    packet.header.set_type(match message.kind {
        Kind::Confirmable => MessageType::Confirmable,
        Kind::NonConfirmable => MessageType::NonConfirmable,
        Kind::Acknowledgement => MessageType::Acknowledgement,
        Kind::Reset => MessageType::Reset,
    });
    packet.header.code = MessageClass::from(message.code.as_byte());
    packet.header.message_id = message.message_id;
    packet.set_token(message.token.as_bytes().to_vec());
    for option in &message.options {
        packet.add_option(PacketOption::from(option.number), option.value.to_vec());
    }
    packet.payload = message.payload.to_vec();
    packet
}

#[cfg(test)]
mod tests;
