//! Messages in a stream of bytes. (RFC 8323, 3.2)
//!
//! ```text
//!  Len │ TKL │ extended Len (0, 1, 2 or 4 bytes) │ Code │ token │ options │ 0xff payload
//! ```
//!
//! Len counts what follows the token. [`Frames`] cuts a stream that arrives in pieces of any size; it refuses a frame that
//! says it is too long before it has kept more of it than the header.

use alloc::vec::Vec;
use core::mem;

use crate::codec::{self, MessageRef};
use crate::error::{Error, ErrorKind};
use crate::message::{Code, Message};

/// The length that every peer takes until it says otherwise. (RFC 8323, 5.3.1)
pub const BASE_MAX_MESSAGE_SIZE: usize = 1152;

/// The longest token. (RFC 7252, 3)
const MAX_TOKEN_LEN: usize = 8;

/// The values of Len that are continued: the value, what is added to the continuation, and how many bytes that has.
const EXTENDED: [(u8, usize, usize); 3] = [(13, 13, 1), (14, 269, 2), (15, 65_805, 4)];

/// The most bytes before the token.
pub(super) const MAX_HEADER_LEN: usize = 6;

/// Why a stream cannot be read on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame says that it is over the limit.
    #[error("frame over the limit")]
    TooLarge,
    /// A frame breaks the format.
    #[error("malformed frame")]
    Malformed,
}

impl From<FrameError> for Error {
    fn from(error: FrameError) -> Self {
        Self::with_source(ErrorKind::Message, error)
    }
}

/// Cuts a stream into messages.
///
/// ```
/// use coap_psk::Code;
/// use coap_psk::tcp::frame::{BASE_MAX_MESSAGE_SIZE, Frames};
///
/// let mut frames = Frames::default();
/// let mut start = &b"\x01\x43"[..];
/// assert!(frames.next(&mut start, BASE_MAX_MESSAGE_SIZE)?.is_none());
/// let mut rest = &b"\x7f\x00\xe2"[..];
/// let message = frames.next(&mut rest, BASE_MAX_MESSAGE_SIZE)?.ok_or("a frame")?;
/// assert_eq!((message.code(), message.token().as_bytes()), (Code::VALID, &[0x7f][..]));
/// assert_eq!(rest, b"\x00\xe2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Frames {
    /// The beginning of a frame whose end has not come; all of a frame when `whole`.
    buffer: Vec<u8>,
    whole: bool,
    failed: Option<FrameError>,
}

impl Frames {
    /// The next message in the stream, whose newest bytes are `input`; what was read is taken off there. `None` when there is
    /// no other, and then `input` is empty. Frames with code 0.00 are left out. (RFC 8323, 3.4)
    ///
    /// The message has neither a type nor an id: it reads as Confirmable, with id 0.
    ///
    /// # Errors
    /// A [`FrameError`], and from then on always the same one: where the next frame begins is not known any more.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        max_message_size: usize,
    ) -> Result<Option<MessageRef<'a>>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let found = self.find(input, max_message_size);
        let message = match found {
            Ok(None) => return Ok(None),
            Ok(Some((head, Found::Input(frame)))) => head.parse(frame),
            Ok(Some((head, Found::Buffer))) => head.parse(&self.buffer),
            Err(error) => Err(error),
        };
        self.failed = message.as_ref().err().copied();
        message.map(Some)
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub const fn is_midway(&self) -> bool {
        !self.buffer.is_empty() && !self.whole
    }

    fn find<'a>(
        &mut self,
        input: &mut &'a [u8],
        max_message_size: usize,
    ) -> Result<Option<(Head, Found<'a>)>, FrameError> {
        loop {
            if mem::take(&mut self.whole) {
                // Not kept for the next one: most connections are idle most of the time.
                self.buffer = Vec::new();
            }
            let begun = if self.buffer.is_empty() {
                *input
            } else {
                self.buffer.as_slice()
            };
            let head = Head::read(begun)?;
            if head.is_some_and(|head| head.total > max_message_size) {
                return Err(FrameError::TooLarge);
            }
            let wanted = match head {
                Some(head) => head.total,
                // One byte more can tell more about the header.
                None => begun.len().saturating_add(1),
            };
            if let Some(head) = head.filter(|_| self.buffer.is_empty())
                && let Some((frame, rest)) = input.split_at_checked(wanted)
            {
                *input = rest;
                if head.is_empty_message(frame) {
                    continue;
                }
                return Ok(Some((head, Found::Input(frame))));
            }
            let missing = wanted.saturating_sub(self.buffer.len());
            let (taken, rest) = input.split_at(missing.min(input.len()));
            *input = rest;
            self.buffer.extend_from_slice(taken);
            if let Some(head) = head.filter(|head| self.buffer.len() == head.total) {
                self.whole = true;
                if head.is_empty_message(&self.buffer) {
                    continue;
                }
                return Ok(Some((head, Found::Buffer)));
            }
            if taken.len() < missing {
                return Ok(None);
            }
        }
    }
}

impl core::fmt::Debug for Frames {
    /// Leaves the contents out: payloads carry secrets.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Frames")
            .field("buffered", &self.buffer.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Where a whole frame lies.
enum Found<'a> {
    Input(&'a [u8]),
    Buffer,
}

/// What the first bytes of a frame tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Head {
    token_len: usize,
    /// Where the code is.
    code_at: usize,
    /// The length of the whole frame.
    total: usize,
}

impl Head {
    /// `None` when the length has not come yet.
    fn read(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some((first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let token_len = usize::from(first & 0xf);
        // RFC 8323, 3.2 keeps what RFC 7252, 3 says of 9 to 15.
        if token_len > MAX_TOKEN_LEN {
            return Err(FrameError::Malformed);
        }
        let nibble = first >> 4;
        let (len, extension_len) = match EXTENDED.iter().find(|(value, ..)| *value == nibble) {
            None => (Some(usize::from(nibble)), 0),
            Some((_, bias, extension_len)) => {
                let Some(extension) = rest.get(..*extension_len) else {
                    return Ok(None);
                };
                let number = extension
                    .iter()
                    .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
                let number = usize::try_from(number).ok();
                (number.and_then(|it| it.checked_add(*bias)), *extension_len)
            }
        };
        let code_at = extension_len.saturating_add(1);
        // A length that a machine cannot count is over any limit.
        let total = len
            .and_then(|len| {
                len.checked_add(code_at)?
                    .checked_add(token_len)?
                    .checked_add(1)
            })
            .ok_or(FrameError::TooLarge)?;
        Ok(Some(Self {
            token_len,
            code_at,
            total,
        }))
    }

    fn is_empty_message(&self, frame: &[u8]) -> bool {
        frame.get(self.code_at) == Some(&Code::EMPTY.as_byte())
    }

    fn parse<'a>(&self, frame: &'a [u8]) -> Result<MessageRef<'a>, FrameError> {
        let (code, body) = frame
            .get(self.code_at..)
            .and_then(<[u8]>::split_first)
            .ok_or(FrameError::Malformed)?;
        codec::parse_reliable(self.token_len, *code, body).ok_or(FrameError::Malformed)
    }
}

/// Writes a message as a frame. Its type and its message id are left out.
///
/// # Errors
/// [`ErrorKind::Message`] when an option is longer than its length field can say; [`ErrorKind::TooLarge`] when the message
/// is.
pub fn encode(message: &Message) -> Result<Vec<u8>, Error> {
    let body = codec::encode_body(message)?;
    let token_len = message.token.as_bytes().len();
    let len = body.len().saturating_sub(token_len);
    let (nibble, bias, extension_len) = EXTENDED
        .into_iter()
        .rev()
        .find(|(_, bias, _)| len >= *bias)
        .unwrap_or_else(|| (u8::try_from(len).unwrap_or_default(), len, 0));
    let extension = u32::try_from(len.saturating_sub(bias))
        .map_err(|error| Error::with_source(ErrorKind::TooLarge, error))?
        .to_be_bytes();
    let mut frame = Vec::with_capacity(body.len().saturating_add(MAX_HEADER_LEN));
    frame.push((nibble << 4) | u8::try_from(token_len).unwrap_or_default());
    frame.extend(
        extension
            .iter()
            .skip(extension.len().saturating_sub(extension_len)),
    );
    frame.push(message.code.as_byte());
    frame.extend_from_slice(&body);
    Ok(frame)
}

#[cfg(test)]
mod tests;
