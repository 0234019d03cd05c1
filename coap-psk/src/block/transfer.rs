//! A request of ours with its two bodies: the one that goes out, and the one that comes back. (RFC 7959)

use bytes::Bytes;

use super::receive::{Broken, Download};
use super::send::Upload;
use super::{Block, Cut};
use crate::failure::Failure;
use crate::message::{Code, Message, Token};
use crate::option::{self, CoapOption, encode_uint};
use crate::request::wire::{Control, write_request};
use crate::request::{Request, Response};

/// A request and what is under way of it.
pub(crate) struct Transfer {
    request: Request,
    upload: Option<Upload>,
    download: Option<Partial>,
    /// The block of the response that the latest message asked for.
    wanted: Option<Block>,
    /// The Echo value that the request is repeated with, once. (RFC 9175, 2.3)
    echo: Option<Bytes>,
}

/// A response of which blocks are missing.
struct Partial {
    /// The first block's response, without payload.
    head: Response,
    body: Download,
}

/// What a response leads to.
#[derive(Debug)]
pub(crate) enum Step {
    /// Another message, which asks for this block when there is one.
    Send(Option<Block>),
    /// Nothing: the response is whole.
    Whole,
}

impl Transfer {
    /// `number` keeps the blocks of this request apart from those of others with the same peer.
    pub(crate) fn new(request: Request, cut: Cut, number: u64) -> Self {
        let tag = encode_uint(u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default());
        Self {
            upload: Upload::new(&request.payload, cut, tag),
            request,
            download: None,
            wanted: None,
            echo: None,
        }
    }

    pub(crate) const fn request(&self) -> &Request {
        &self.request
    }

    /// The next message: a block of the body, or the wish for a block of the response. `None` when the number of a block
    /// cannot be written.
    pub(crate) fn message(
        &mut self,
        token: Token,
        wanted: Option<Block>,
        observe: Option<u32>,
    ) -> Option<Message> {
        self.wanted = wanted;
        let mut control = Control {
            observe,
            block2: wanted,
            ..Control::default()
        };
        let mut payload = if wanted.is_some() {
            Bytes::new()
        } else {
            self.request.payload.clone()
        };
        if let Some(upload) = self.upload.as_ref().filter(|_| wanted.is_none()) {
            let (part, block) = upload.current()?;
            if block.offset() == 0 {
                control.size1 = u32::try_from(upload.body_len()).ok();
            }
            control.block1 = Some(block);
            payload = part;
        }
        let mut message = write_request(&self.request, token, &control, payload);
        message
            .options
            .retain(|option| wanted.is_none() || option.number != option::CONTENT_FORMAT);
        if let Some(upload) = &self.upload {
            let tag = CoapOption::new(option::REQUEST_TAG, upload.tag.clone());
            message.options.push(tag);
        }
        if let Some(echo) = &self.echo {
            message.options.retain(|it| it.number != option::ECHO);
            let echo = CoapOption::new(option::ECHO, echo.clone());
            message.options.push(echo);
        }
        Some(message)
    }

    /// Takes a response by which the peer asks to hear the request again with an Echo value; the block to ask for then.
    ///
    /// It is heard again once: a second challenge is the answer.
    pub(crate) fn take_challenge(&mut self, response: &Response) -> Option<Option<Block>> {
        let asks = response.code == Code::UNAUTHORIZED && self.echo.is_none();
        self.echo = Some(response.option(option::ECHO).filter(|_| asks)?.clone());
        // Whatever the peer had of the body is gone with its answer.
        if let Some(upload) = &mut self.upload {
            upload.restart();
        }
        Some(self.wanted)
    }

    /// Takes a response to the message that was sent last. When it is the last one, `response` is whole.
    pub(crate) fn receive(
        &mut self,
        response: &mut Response,
        control: &Control,
        max_body: usize,
    ) -> Result<Step, Failure> {
        if let (Some(upload), Some(echo)) = (self.upload.as_mut(), control.block1) {
            let next_block = match response.code {
                Code::CONTINUE => Some(upload.advance(echo)),
                Code::REQUEST_ENTITY_TOO_LARGE if upload.shrink(echo) => Some(true),
                _ => None,
            };
            match next_block {
                Some(true) => return Ok(Step::Send(None)),
                Some(false) => return Err(Failure::BadResponse),
                None => {}
            }
        }
        let Some(block) = control.block2 else {
            return Ok(Step::Whole);
        };
        let wanted =
            self.receive_block(block, response, max_body)
                .map_err(|broken| match broken {
                    Broken::Mismatch => Failure::BadResponse,
                    Broken::TooLarge => Failure::TooLarge,
                })?;
        Ok(match wanted {
            Some(_) => Step::Send(wanted),
            None => Step::Whole,
        })
    }

    /// Takes a block of the response; the next one to ask for. Behind the last one `response` is whole.
    fn receive_block(
        &mut self,
        block: Block,
        response: &mut Response,
        max_body: usize,
    ) -> Result<Option<Block>, Broken> {
        let mut partial = match self.download.take() {
            Some(partial) => partial,
            None => Partial {
                head: Response {
                    payload: Bytes::new(),
                    ..response.clone()
                },
                body: Download::default(),
            },
        };
        let etag = response.option(option::ETAG).map(|etag| &etag[..]);
        let wanted = partial
            .body
            .receive(block, etag, &response.payload, max_body)?;
        if wanted.is_some() {
            self.download = Some(partial);
        } else {
            *response = Response {
                payload: partial.body.into_body().into(),
                ..partial.head
            };
        }
        Ok(wanted)
    }

    /// Leaves what was fetched of a response that is old now.
    pub(crate) fn discard_download(&mut self) {
        self.download = None;
    }

    /// Leaves both bodies: what is still to come is notifications.
    pub(crate) fn rest(&mut self) {
        self.upload = None;
        self.download = None;
    }
}
