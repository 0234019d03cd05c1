//! Settings and limits of a connection.

use alloc::vec::Vec;
use core::time::Duration;

use super::frame::BASE_MAX_MESSAGE_SIZE;
use crate::block::Limits;
use crate::option;

/// Settings of a [`Connection`](super::Connection).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The length of the longest message that is taken, which the peer is told; default 8,448, eight blocks and their
    /// options. Never less than 1,152. Over 1,152 the peer may send several blocks in one message. (RFC 8323, 5.3)
    pub max_message_size: u32,
    /// How long the peer may take to send its CSM, which then must be its first message; default `None`: a peer that never
    /// sends one is served with the base values. RFC 8323, 3.3 wants the connection aborted; there are devices that would
    /// be lost.
    pub csm_timeout: Option<Duration>,
    /// How long the application may take to answer a request; default 60 s. Then the answer is 5.03.
    pub answer_timeout: Duration,
    /// How long a request of ours may take, a block at a time; default 60 s.
    pub request_timeout: Duration,
    /// How long an orderly end may take; default 60 s. Then the connection is closed.
    pub release_timeout: Duration,
    /// After how long a silence the peer is asked for a sign of life; default `None`: never.
    pub keepalive: Option<Duration>,
    /// How long the peer may take to give that sign; default 30 s. Then the connection is closed.
    pub pong_timeout: Duration,
    /// How long a half received or half sent body is kept when the peer does not go on; default 247 s.
    pub transfer_timeout: Duration,
    /// Requests of the peer that may be unanswered; default 16. Those beyond get 5.03.
    pub max_inbound: usize,
    /// Requests of ours that may be under way, observations included; default 64.
    pub max_outbound: usize,
    /// Observers that the peer may have; default 16. A registration beyond is answered as an ordinary request.
    pub max_observers: usize,
    /// The bytes of a body, received or sent; default 64 KiB. A longer request gets 4.13.
    pub max_body: usize,
    /// Bodies that may be half received, and likewise half sent; default 16. The oldest one goes.
    pub max_transfers: usize,
    /// The bytes of half received and half sent bodies; default 256 KiB. Blocks beyond get 5.03.
    pub max_transfer_bytes: usize,
    /// Options, beyond those of the standards named in the crate's documentation, that are handed to the application;
    /// default the two OCF version options. Others are ignored when elective and refused when critical.
    pub accepted_options: Vec<u16>,
}

impl Config {
    /// The length of the longest message that is taken. Until our CSM has arrived, the peer may send the base length.
    pub(super) fn message_limit(&self) -> usize {
        usize::try_from(self.max_message_size)
            .unwrap_or(usize::MAX)
            .max(BASE_MAX_MESSAGE_SIZE)
    }

    /// What bounds the bodies in transfer when they have `kept` bytes.
    pub(super) const fn limits(&self, kept: usize) -> Limits {
        Limits {
            max_body: self.max_body,
            max_transfers: self.max_transfers,
            room: self.max_transfer_bytes.saturating_sub(kept),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_message_size: 8 * 1024 + 256,
            csm_timeout: None,
            answer_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(60),
            release_timeout: Duration::from_secs(60),
            keepalive: None,
            pong_timeout: Duration::from_secs(30),
            transfer_timeout: Duration::from_secs(247),
            max_inbound: 16,
            max_outbound: 64,
            max_observers: 16,
            max_body: 64 * 1024,
            max_transfers: 16,
            max_transfer_bytes: 256 * 1024,
            accepted_options: Vec::from([
                option::OCF_ACCEPT_CONTENT_FORMAT_VERSION,
                option::OCF_CONTENT_FORMAT_VERSION,
            ]),
        }
    }
}
