//! Putting bodies together: those a peer uploads with Block1, and those it sends us with Block2.

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use super::{Block, BlockSize, Limits, Refusal};
use crate::message::Code;
use crate::time::Instant;

/// Half received request bodies of one session, by the cache key of their requests.
#[derive(Default)]
pub(crate) struct Uploads {
    entries: Vec<Upload>,
}

struct Upload {
    key: Vec<u8>,
    body: Vec<u8>,
    size: BlockSize,
    touched: Instant,
}

/// What a block brought.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    /// More is to come.
    Continue,
    /// The body is whole.
    Whole(Vec<u8>),
}

impl Uploads {
    /// Takes a block of the request with `key`.
    pub(crate) fn receive(
        &mut self,
        key: &[u8],
        block: Block,
        payload: &[u8],
        limits: &Limits,
        now: Instant,
    ) -> Result<Progress, Refusal> {
        let mut upload = self.take(key);
        // RFC 7959, 2.3: number 0 starts anew, whatever was there.
        if block.offset() == 0 {
            upload = None;
        } else if upload
            .as_ref()
            .is_none_or(|upload| upload.body.len() != block.offset())
        {
            return Err(Refusal(Code::REQUEST_ENTITY_INCOMPLETE));
        }
        // The size may shrink in mid-transfer, not grow.
        if !block.fits(payload.len())
            || upload
                .as_ref()
                .is_some_and(|upload| block.size > upload.size)
        {
            return Err(Refusal(Code::BAD_REQUEST));
        }
        let new = || Upload {
            key: key.to_vec(),
            body: Vec::new(),
            size: block.size,
            touched: now,
        };
        let mut upload = upload.unwrap_or_else(new);
        if upload.body.len().saturating_add(payload.len()) > limits.max_body {
            return Err(Refusal(Code::REQUEST_ENTITY_TOO_LARGE));
        }
        if payload.len() > limits.room {
            return Err(Refusal(Code::SERVICE_UNAVAILABLE));
        }
        upload.body.extend_from_slice(payload);
        if !block.more {
            return Ok(Progress::Whole(mem::take(&mut upload.body)));
        }
        upload.size = block.size;
        upload.touched = now;
        if self.entries.len() >= limits.max_transfers && !self.entries.is_empty() {
            self.entries.remove(0);
        }
        self.entries.push(upload);
        Ok(Progress::Continue)
    }

    fn take(&mut self, key: &[u8]) -> Option<Upload> {
        let index = self.entries.iter().position(|upload| upload.key == key)?;
        Some(self.entries.remove(index))
    }

    /// Drops what has been silent for `lifetime`.
    pub(crate) fn expire(&mut self, lifetime: Duration, now: Instant) {
        self.entries
            .retain(|upload| upload.touched.saturating_add(lifetime) > now);
    }

    pub(crate) fn next_deadline(&self, lifetime: Duration) -> Option<Instant> {
        self.entries
            .iter()
            .map(|upload| upload.touched.saturating_add(lifetime))
            .min()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.entries.iter().map(|upload| upload.body.len()).sum()
    }
}

/// Why a response body cannot be put together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Broken {
    /// The blocks do not fit together, or the representation changed in between.
    Mismatch,
    /// The body is over the limit.
    TooLarge,
}

/// A response body that arrives block by block.
#[derive(Default)]
pub(crate) struct Download {
    body: Vec<u8>,
    etag: Option<Vec<u8>>,
}

impl Download {
    /// Takes the next block; the request for the one after it, when there is one.
    pub(crate) fn receive(
        &mut self,
        block: Block,
        etag: Option<&[u8]>,
        payload: &[u8],
        max_body: usize,
    ) -> Result<Option<Block>, Broken> {
        if self.body.is_empty() {
            self.etag = etag.map(<[u8]>::to_vec);
        }
        // RFC 7959, 2.4: blocks of one body have one ETag.
        if block.offset() != self.body.len()
            || !block.fits(payload.len())
            || self.etag.as_deref() != etag
        {
            return Err(Broken::Mismatch);
        }
        if self.body.len().saturating_add(payload.len()) > max_body {
            return Err(Broken::TooLarge);
        }
        self.body.extend_from_slice(payload);
        if !block.more {
            return Ok(None);
        }
        Block::at(self.body.len(), false, block.size)
            .map(Some)
            .ok_or(Broken::TooLarge)
    }

    pub(crate) fn into_body(self) -> Vec<u8> {
        self.body
    }
}

#[cfg(test)]
mod tests;
