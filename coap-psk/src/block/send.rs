//! Cutting bodies up: responses that go out with Block2, and requests that go out with Block1.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Block, Cut, Limits, Refusal};
use crate::message::Code;
use crate::option::{self, CoapOption};
use crate::request::Response;
use crate::time::Instant;

/// Half sent responses of one session, by the cache key of their requests.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    entries: Vec<Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    key: Vec<u8>,
    response: Response,
    cut: Cut,
    touched: Instant,
}

impl Snapshots {
    /// The part of `response` that `wanted` asks for, with its Block2 value. What the peer must fetch later is kept.
    pub(crate) fn first_part(
        &mut self,
        key: &[u8],
        mut response: Response,
        wanted: Option<Block>,
        cut: Cut,
        limits: &Limits,
        now: Instant,
    ) -> Result<(Response, Option<Block>), Refusal> {
        self.entries.retain(|snapshot| snapshot.key != key);
        if wanted.is_none() && cut.is_whole(response.payload.len()) {
            return Ok((response, None));
        }
        let asked = wanted.map_or(cut, |block| cut.at_most(block.size));
        if response.payload.len() > asked.part_len() && response.option(option::ETAG).is_none() {
            // All blocks of one body carry one ETag. (RFC 7959, 2.4)
            let digest = Sha256::digest(&response.payload);
            response.options.push(CoapOption::new(
                option::ETAG,
                digest.into_iter().take(8).collect::<Vec<_>>(),
            ));
        }
        let offset = wanted.map_or(0, Block::offset);
        let (part, block) = part_of(&response, offset, asked)?;
        if block.more {
            if response.payload.len() > limits.room {
                return Err(Refusal(Code::SERVICE_UNAVAILABLE));
            }
            if self.entries.len() >= limits.max_transfers && !self.entries.is_empty() {
                self.entries.remove(0);
            }
            self.entries.push(Snapshot {
                key: key.to_vec(),
                response,
                cut,
                touched: now,
            });
        }
        Ok((part, Some(block)))
    }

    /// The part of a response kept earlier that `wanted` asks for; `None` when none is kept.
    pub(crate) fn later_part(
        &mut self,
        key: &[u8],
        wanted: Block,
        now: Instant,
    ) -> Option<Result<(Response, Block), Refusal>> {
        let index = self
            .entries
            .iter()
            .position(|snapshot| snapshot.key == key)?;
        let snapshot = self.entries.get_mut(index)?;
        snapshot.touched = now;
        let part = part_of(
            &snapshot.response,
            wanted.offset(),
            snapshot.cut.at_most(wanted.size),
        );
        if part.as_ref().is_ok_and(|(_, block)| !block.more) {
            self.entries.remove(index);
        }
        Some(part)
    }

    /// Drops what has been silent for `lifetime`.
    pub(crate) fn expire(&mut self, lifetime: Duration, now: Instant) {
        self.entries
            .retain(|snapshot| snapshot.touched.saturating_add(lifetime) > now);
    }

    pub(crate) fn next_deadline(&self, lifetime: Duration) -> Option<Instant> {
        self.entries
            .iter()
            .map(|snapshot| snapshot.touched.saturating_add(lifetime))
            .min()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries
            .iter()
            .map(|snapshot| snapshot.response.payload.len())
            .sum()
    }
}

fn part_of(response: &Response, offset: usize, cut: Cut) -> Result<(Response, Block), Refusal> {
    let (payload, more) =
        slice(&response.payload, offset, cut).ok_or(Refusal(Code::BAD_REQUEST))?;
    let block = Block::at(offset, more, cut.size).ok_or(Refusal(Code::BAD_REQUEST))?;
    let mut part = response.clone();
    part.payload = payload;
    if offset == 0 && more {
        let len = u32::try_from(response.payload.len()).unwrap_or(u32::MAX);
        part.options.push(CoapOption::from_uint(option::SIZE2, len));
    }
    Ok((part, block))
}

/// The block of `body` at `offset`, and whether more follows; `None` past the end.
fn slice(body: &Bytes, offset: usize, cut: Cut) -> Option<(Bytes, bool)> {
    if offset > 0 && offset >= body.len() {
        return None;
    }
    let end = offset.checked_add(cut.part_len())?.min(body.len());
    Some((body.slice(offset..end), end < body.len()))
}

/// A request body on its way out.
#[derive(Clone)]
pub(crate) struct Upload {
    body: Bytes,
    offset: usize,
    cut: Cut,
    /// Keeps the blocks of this body apart from those of others. (RFC 9175, 3)
    pub(crate) tag: Vec<u8>,
}

impl Upload {
    /// A body that needs more than one message; `None` for a shorter one.
    pub(crate) fn new(body: &Bytes, cut: Cut, tag: Vec<u8>) -> Option<Self> {
        (!cut.is_whole(body.len())).then(|| Self {
            body: body.clone(),
            offset: 0,
            cut,
            tag,
        })
    }

    /// The block that is to be sent now; `None` when its number cannot be written.
    pub(crate) fn current(&self) -> Option<(Bytes, Block)> {
        let (payload, more) = slice(&self.body, self.offset, self.cut)?;
        Some((payload, Block::at(self.offset, more, self.cut.size)?))
    }

    pub(crate) fn body_len(&self) -> usize {
        self.body.len()
    }

    /// Goes on behind a 2.31 that echoes `echo`; `false` when it does not fit what was sent.
    pub(crate) fn advance(&mut self, echo: Block) -> bool {
        let Some((payload, sent)) = self.current() else {
            return false;
        };
        if !sent.more || echo.number != sent.number || echo.size > self.cut.size {
            return false;
        }
        self.offset = self.offset.saturating_add(payload.len());
        // The peer may ask for smaller blocks; the offset stays. (RFC 7959, 2.3)
        self.cut = self.cut.at_most(echo.size);
        true
    }

    /// Begins again with the first block.
    pub(crate) const fn restart(&mut self) {
        self.offset = 0;
    }

    /// Starts again with smaller blocks, as a 4.13 on the first one may ask; `false` when it does not.
    pub(crate) fn shrink(&mut self, echo: Block) -> bool {
        let smaller = self.offset == 0 && echo.number == 0 && echo.size < self.cut.size;
        if smaller {
            self.cut = self.cut.at_most(echo.size);
        }
        smaller
    }
}

#[cfg(test)]
mod tests;
