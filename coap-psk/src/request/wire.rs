//! Requests and responses to messages and back, one block at a time.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::{Request, Response, is_dots};
use crate::block::{Block, BlockSize};
use crate::codec::MessageRef;
use crate::message::{Code, Kind, Message, Method, Token};
use crate::option::rules::{Standing, is_no_cache_key, judge};
use crate::option::{self, CoapOption, decode_uint};

/// A request message, taken apart.
pub(crate) struct RequestParts {
    /// The request; its payload is that of this message alone.
    pub(crate) request: Request,
    pub(crate) control: Control,
    /// What makes two requests the same for caches and block-wise transfers. (RFC 7252, 5.4.2; RFC 7959, 2.4)
    pub(crate) key: Vec<u8>,
}

/// The options that the message layer handles itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Control {
    pub(crate) observe: Option<u32>,
    pub(crate) block1: Option<Block>,
    pub(crate) block2: Option<Block>,
    pub(crate) size1: Option<u32>,
    /// The classes of responses that the peer does not want, as the bits of RFC 7967, 2.1.
    pub(crate) no_response: u8,
}

impl Control {
    /// What a request asks of its response, with blocks of its body no larger than `block_size` from here on.
    pub(crate) fn of_response(self, block_size: BlockSize) -> Self {
        Self {
            observe: None,
            size1: None,
            block1: self.block1.map(|it| it.with_size_at_most(block_size)),
            ..self
        }
    }

    /// Whether the peer wants a response with this code. (RFC 7967, 2.1)
    pub(crate) fn wants(&self, code: Code) -> bool {
        let class_bit = 1_u8
            .checked_shl(u32::from(code.class()).saturating_sub(1))
            .unwrap_or(0);
        code == Code::CONTINUE || self.no_response & class_bit == 0
    }
}

/// Takes a request apart; the code of the answer when it cannot be served. `largest` is the largest block of the transport.
pub(crate) fn read_request(
    message: &MessageRef<'_>,
    accepted: &[u16],
    largest: BlockSize,
) -> Result<RequestParts, Code> {
    let Some(method) = Method::from_code(message.code()) else {
        return Err(Code::METHOD_NOT_ALLOWED);
    };
    let mut request = Request {
        method,
        path: Vec::new(),
        query: Vec::new(),
        content_format: None,
        accept: None,
        observe: false,
        confirmable: message.kind() == Kind::Confirmable,
        options: Vec::new(),
        payload: Bytes::copy_from_slice(message.payload()),
    };
    let mut control = Control::default();
    let mut key = Vec::from([message.code().as_byte()]);
    let mut previous = None;
    for (number, value) in message.options() {
        let standing = judge(number, value.len(), previous == Some(number), accepted);
        previous = Some(number);
        match (standing, number) {
            (_, option::PROXY_URI | option::PROXY_SCHEME) => {
                return Err(Code::PROXYING_NOT_SUPPORTED);
            }
            (Standing::Refused, _) => return Err(Code::BAD_OPTION),
            (Standing::Ignored, _) => continue,
            (Standing::Known, _) => {}
        }
        match number {
            option::URI_PATH => request.path.push(
                text(value)
                    .filter(|it| !is_dots(it))
                    .ok_or(Code::BAD_OPTION)?,
            ),
            option::URI_QUERY => request.query.push(text(value).ok_or(Code::BAD_OPTION)?),
            option::CONTENT_FORMAT => request.content_format = short(value),
            option::ACCEPT => request.accept = short(value),
            option::OBSERVE => control.observe = decode_uint(value),
            // A size exponent of 7 that means nothing is a bad request, not a bad option. (RFC 7959, 2.2)
            option::BLOCK1 => {
                control.block1 = Some(Block::decode(value, largest).ok_or(Code::BAD_REQUEST)?);
            }
            option::BLOCK2 => {
                control.block2 = Some(Block::decode(value, largest).ok_or(Code::BAD_REQUEST)?);
            }
            option::SIZE1 => control.size1 = decode_uint(value),
            option::NO_RESPONSE => control.no_response = value.first().copied().unwrap_or(0),
            option::SIZE2 | option::REQUEST_TAG => {}
            _ => request
                .options
                .push(CoapOption::new(number, value.to_vec())),
        }
        if is_in_key(number) {
            add_to_key(&mut key, number, value);
        }
    }
    Ok(RequestParts {
        request,
        control,
        key,
    })
}

fn is_in_key(number: u16) -> bool {
    // The last one describes a payload, and the requests for further blocks of a response have none.
    let of_one_message = matches!(
        number,
        option::OBSERVE
            | option::BLOCK1
            | option::BLOCK2
            | option::NO_RESPONSE
            | option::CONTENT_FORMAT
    );
    !of_one_message && !is_no_cache_key(number)
}

fn add_to_key(key: &mut Vec<u8>, number: u16, value: &[u8]) {
    key.extend_from_slice(&number.to_be_bytes());
    // A value comes from a datagram, so its length has 16 bits; without it two options could look like one.
    key.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(value);
}

fn text(value: &[u8]) -> Option<String> {
    core::str::from_utf8(value).ok().map(String::from)
}

fn short(value: &[u8]) -> Option<u16> {
    decode_uint(value).and_then(|number| u16::try_from(number).ok())
}

/// A response message, taken apart.
pub(crate) struct ResponseParts {
    /// The response; its payload is that of this message alone.
    pub(crate) response: Response,
    pub(crate) control: Control,
}

/// Takes a response apart; `None` when it has a critical option that is not known. (RFC 7252, 5.4.1)
pub(crate) fn read_response(
    message: &MessageRef<'_>,
    accepted: &[u16],
    largest: BlockSize,
) -> Option<ResponseParts> {
    let mut response = Response::new(message.code());
    response.payload = Bytes::copy_from_slice(message.payload());
    let mut control = Control::default();
    let mut previous = None;
    for (number, value) in message.options() {
        let standing = judge(number, value.len(), previous == Some(number), accepted);
        previous = Some(number);
        match standing {
            Standing::Refused => return None,
            Standing::Ignored => continue,
            Standing::Known => {}
        }
        match number {
            option::CONTENT_FORMAT => response.content_format = short(value),
            option::MAX_AGE => response.max_age = decode_uint(value),
            option::OBSERVE => control.observe = decode_uint(value),
            option::BLOCK1 => control.block1 = Some(Block::decode(value, largest)?),
            option::BLOCK2 => control.block2 = Some(Block::decode(value, largest)?),
            option::SIZE1 | option::SIZE2 => {}
            _ => response
                .options
                .push(CoapOption::new(number, value.to_vec())),
        }
    }
    response.observable = control.observe.is_some();
    Some(ResponseParts { response, control })
}

/// Writes a request with `payload`, its own or a block of it. The message id is given when it is sent.
pub(crate) fn write_request(
    request: &Request,
    token: Token,
    control: &Control,
    payload: Bytes,
) -> Message {
    let kind = if request.confirmable {
        Kind::Confirmable
    } else {
        Kind::NonConfirmable
    };
    let mut message = Message::new(kind, request.method.code(), 0, token);
    let options = &mut message.options;
    let text = |number: u16, text: &String| CoapOption::new(number, text.clone().into_bytes());
    options.extend(
        request
            .path
            .iter()
            .map(|segment| text(option::URI_PATH, segment)),
    );
    options.extend(
        request
            .query
            .iter()
            .map(|argument| text(option::URI_QUERY, argument)),
    );
    push_uint(
        options,
        option::CONTENT_FORMAT,
        request.content_format.map(u32::from),
    );
    push_uint(options, option::ACCEPT, request.accept.map(u32::from));
    push_control(options, control);
    options.extend(request.options.iter().cloned());
    message.payload = payload;
    message
}

/// Writes a response. Its type and message id are given when it is sent.
pub(crate) fn write_response(response: &Response, token: Token, control: &Control) -> Message {
    let mut message = Message::new(Kind::Confirmable, response.code, 0, token);
    let options = &mut message.options;
    push_uint(
        options,
        option::CONTENT_FORMAT,
        response.content_format.map(u32::from),
    );
    push_uint(options, option::MAX_AGE, response.max_age);
    push_control(options, control);
    options.extend(response.options.iter().cloned());
    message.payload = response.payload.clone();
    message
}

fn push_control(options: &mut Vec<CoapOption>, control: &Control) {
    push_uint(options, option::OBSERVE, control.observe);
    push_uint(options, option::SIZE1, control.size1);
    for (number, block) in [
        (option::BLOCK1, control.block1),
        (option::BLOCK2, control.block2),
    ] {
        options.extend(block.map(|block| CoapOption::new(number, block.encode())));
    }
}

fn push_uint(options: &mut Vec<CoapOption>, number: u16, value: Option<u32>) {
    options.extend(value.map(|value| CoapOption::from_uint(number, value)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{encode, parse};

    fn read(request: &Request, options: &[CoapOption]) -> Result<RequestParts, Code> {
        let mut message = write_request(
            request,
            Token::default(),
            &Control::default(),
            request.payload.clone(),
        );
        message.options.extend_from_slice(options);
        read_request(
            &parse(&encode(&message).unwrap()).unwrap(),
            &[option::ENOS_MAILBOX],
            BlockSize::MAX,
        )
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let mut request = Request::new(Method::Post, "/a/b%2Fc?x=1&y")
            .unwrap()
            .with_payload(60, &b"body"[..]);
        request.accept = Some(0);
        request
            .options
            .push(CoapOption::new(option::ENOS_MAILBOX, &b"/next"[..]));
        assert_eq!(
            read(&request, &[])
                .unwrap_or_else(|code| panic!("{code}"))
                .request,
            request
        );
    }

    #[test]
    fn bad_options_have_the_codes_of_the_standard() {
        let request = Request::new(Method::Get, "/a").unwrap();
        for (number, value, code) in [
            (19, &b""[..], Code::BAD_OPTION),
            (31, b"", Code::BAD_OPTION),
            (option::URI_PATH, b"\xff", Code::BAD_OPTION),
            (option::URI_PATH, b"..", Code::BAD_OPTION),
            (option::ACCEPT, b"\0\0\0", Code::BAD_OPTION),
            (option::PROXY_URI, b"coap://a", Code::PROXYING_NOT_SUPPORTED),
            (option::PROXY_SCHEME, b"", Code::PROXYING_NOT_SUPPORTED),
            (option::BLOCK1, b"\x07", Code::BAD_REQUEST),
            (option::BLOCK2, b"\x0f", Code::BAD_REQUEST),
        ] {
            let refused = read(&request, &[CoapOption::new(number, value)]).err();
            assert_eq!(refused, Some(code), "option {number}");
        }
        let elective = CoapOption::new(2102, &b"unknown"[..]);
        assert!(read(&request, &[elective]).is_ok_and(|parts| parts.request.options.is_empty()));
    }

    #[test]
    fn keys_tell_requests_apart_but_not_the_blocks_of_one() {
        let key = |target: &str, options: &[CoapOption]| {
            read(&Request::new(Method::Put, target).unwrap(), options)
                .map(|parts| parts.key)
                .unwrap()
        };
        let block = |number: u32| CoapOption::from_uint(option::BLOCK1, number << 4);
        assert_eq!(
            key("/a", &[block(0)]),
            key("/a", &[block(1), CoapOption::from_uint(option::SIZE1, 9)])
        );
        assert_ne!(key("/a/b", &[]), key("/ab", &[]));
        assert_ne!(key("/a?b", &[]), key("/a/b", &[]));
        let tagged = |tag: &'static [u8]| key("/a", &[CoapOption::new(option::REQUEST_TAG, tag)]);
        assert_ne!(tagged(b"1"), tagged(b"2"));
        assert_ne!(
            tagged(b""),
            key("/a", &[]),
            "an absent tag is a value of its own"
        );
    }
}
