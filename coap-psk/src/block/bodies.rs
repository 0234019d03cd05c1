//! The bodies of a peer's requests and of the responses to them, whole or in blocks. (RFC 7959)

use core::time::Duration;

use super::receive::{Progress, Uploads};
use super::send::Snapshots;
use super::{Block, Cut, Limits, Refusal};
use crate::message::Code;
use crate::option::{self, CoapOption};
use crate::request::wire::Control;
use crate::request::{Request, Response};
use crate::time::Instant;

/// How many seconds a peer is asked to wait when there is no room for its request.
const RETRY_AFTER_SECS: u32 = 5;

/// The bodies in transfer with one peer.
#[derive(Default)]
pub(crate) struct Bodies {
    uploads: Uploads,
    snapshots: Snapshots,
}

/// An answer that does not need the application.
pub(crate) enum Early {
    Answer(Response),
    /// A part that is cut to size already.
    Block(Response, Block),
}

impl Early {
    pub(crate) const fn code(code: Code) -> Self {
        Self::Answer(Response::new(code))
    }

    pub(crate) const fn busy() -> Self {
        Self::Answer(busy())
    }
}

impl Bodies {
    /// Takes what `request` brought of its body, and makes it whole; the answer when that is not the application's to give.
    /// `key` is what the blocks of one request have in common.
    pub(crate) fn admit(
        &mut self,
        request: &mut Request,
        control: &Control,
        key: &[u8],
        limits: &Limits,
        now: Instant,
    ) -> Result<(), Early> {
        let max_body = u32::try_from(limits.max_body).unwrap_or(u32::MAX);
        let too_large = || Early::Answer(too_large(max_body));
        if control.size1.is_some_and(|size| size > max_body)
            || request.payload.len() > limits.max_body
        {
            return Err(too_large());
        }
        if let Some(block) = control.block1 {
            match self
                .uploads
                .receive(key, block, &request.payload, limits, now)
            {
                Ok(Progress::Continue) => return Err(Early::code(Code::CONTINUE)),
                Ok(Progress::Whole(body)) => request.payload = body.into(),
                Err(Refusal(Code::REQUEST_ENTITY_TOO_LARGE)) => return Err(too_large()),
                Err(Refusal(Code::SERVICE_UNAVAILABLE)) => return Err(Early::busy()),
                Err(Refusal(code)) => return Err(Early::code(code)),
            }
        }
        if let Some(wanted) = control.block2.filter(|block| block.offset() > 0) {
            match self.snapshots.later_part(key, wanted, now) {
                Some(Ok((part, block))) => return Err(Early::Block(part, block)),
                Some(Err(Refusal(code))) => return Err(Early::code(code)),
                // Asking again changes nothing, so any block can be cut from a fresh answer; otherwise it is lost.
                None if request.method.is_safe() => {}
                None => return Err(Early::code(Code::REQUEST_ENTITY_INCOMPLETE)),
            }
        }
        Ok(())
    }

    /// Cuts a response to the size that `cut` and the Block2 of `control` allow; `control` then describes the part.
    pub(crate) fn first_part(
        &mut self,
        key: &[u8],
        response: Response,
        control: &mut Control,
        cut: Cut,
        limits: &Limits,
        now: Instant,
    ) -> Result<Response, Refusal> {
        // An error is no representation, so the block that was asked for is not looked for in it.
        let is_representation = response.code.is_success() && response.code != Code::CONTINUE;
        let wanted = control.block2.take().filter(|_| is_representation);
        let (part, block) = self
            .snapshots
            .first_part(key, response, wanted, cut, limits, now)?;
        control.block2 = block;
        Ok(part)
    }

    /// Drops what has been silent for `lifetime`.
    pub(crate) fn expire(&mut self, lifetime: Duration, now: Instant) {
        self.uploads.expire(lifetime, now);
        self.snapshots.expire(lifetime, now);
    }

    pub(crate) fn next_deadline(&self, lifetime: Duration) -> Option<Instant> {
        self.uploads
            .next_deadline(lifetime)
            .into_iter()
            .chain(self.snapshots.next_deadline(lifetime))
            .min()
    }

    /// How many bytes are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.uploads.bytes().saturating_add(self.snapshots.bytes())
    }
}

/// The answer to a peer that should come back later.
pub(crate) const fn busy() -> Response {
    Response::new(Code::SERVICE_UNAVAILABLE).with_max_age(RETRY_AFTER_SECS)
}

fn too_large(max_body: u32) -> Response {
    Response::new(Code::REQUEST_ENTITY_TOO_LARGE)
        .with_option(CoapOption::from_uint(option::SIZE1, max_body))
}
