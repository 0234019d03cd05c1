//! Flights: what one side sends before it waits for the other, and again until the other answers. (RFC 6347, 4.2.4)

use alloc::vec::Vec;
use core::mem;
use core::net::SocketAddr;
use core::time::Duration;

use super::config::{MIN_MTU, PskConfig};
use super::context::Context;
use super::message::{Message, MessageType};
use super::record::ContentType;
use super::traffic::Outbound;
use crate::random::Random;
use crate::time::Instant;

/// A part of a flight.
pub(super) enum Part {
    Plain(Message),
    ChangeCipherSpec,
    Protected(Message),
}

impl Part {
    /// Its records' contents when one may have `room` bytes.
    fn contents(&self, room: usize) -> Vec<Vec<u8>> {
        match self {
            Self::ChangeCipherSpec => Vec::from([Vec::from([1])]),
            // A server without state could not put a ClientHello together.
            Self::Plain(message) if message.kind() == MessageType::ClientHello => {
                Vec::from([message.bytes().to_vec()])
            }
            Self::Plain(message) | Self::Protected(message) => message.fragments(room).collect(),
        }
    }

    const fn is_protected(&self) -> bool {
        matches!(self, Self::Protected(_))
    }

    fn put(
        &self,
        content: &[u8],
        outbound: &mut Outbound,
        random: &mut Random,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        match self {
            Self::Plain(_) => outbound.put_plain(ContentType::Handshake, content, out),
            Self::ChangeCipherSpec => {
                outbound.put_plain(ContentType::ChangeCipherSpec, content, out)
            }
            Self::Protected(_) => {
                outbound.put_protected(ContentType::Handshake, content, random, out)
            }
        }
    }
}

/// Sends a flight in as few datagrams as it takes. What has no sequence number left is as good as lost.
pub(super) fn send(parts: &[Part], peer: SocketAddr, outbound: &mut Outbound, cx: &mut Context) {
    let mtu = cx.config.mtu.max(MIN_MTU);
    let mut datagram = Vec::new();
    for part in parts {
        let overhead = outbound.overhead(part.is_protected());
        for content in part.contents(mtu.saturating_sub(overhead)) {
            let len = overhead.saturating_add(content.len());
            if !datagram.is_empty() && datagram.len().saturating_add(len) > mtu {
                cx.transmit(peer, mem::take(&mut datagram));
            }
            if part
                .put(&content, outbound, &mut cx.random, &mut datagram)
                .is_none()
            {
                return;
            }
        }
    }
    cx.transmit(peer, datagram);
}

/// What is due of a handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    Nothing,
    /// The flight must be sent again.
    Repetition,
    /// The handshake took too long.
    End,
}

/// When the present flight is sent again, and when the handshake is given up.
pub(super) struct Timer {
    next: Option<Instant>,
    interval: Duration,
    sent: Instant,
    end: Instant,
}

impl Timer {
    /// For a handshake whose first flight is being sent.
    pub(super) fn new(config: &PskConfig, now: Instant) -> Self {
        let mut timer = Self {
            next: None,
            interval: Duration::ZERO,
            sent: now,
            end: now.saturating_add(config.handshake_timeout.max(SHORTEST)),
        };
        timer.start(config, now);
        timer
    }

    /// Another flight is being sent.
    pub(super) fn start(&mut self, config: &PskConfig, now: Instant) {
        self.interval = config.initial_timeout.max(SHORTEST);
        self.sent = now;
        self.next = Some(now.saturating_add(self.interval));
    }

    /// The peer answered; no flight of ours is under way.
    pub(super) const fn stop(&mut self) {
        self.next = None;
    }

    /// Whether the flight may be sent again now because the peer repeats its own: not for a copy of what was just answered.
    pub(super) fn allows_repetition(&self, config: &PskConfig, now: Instant) -> bool {
        now.saturating_duration_since(self.sent).saturating_mul(2) >= config.initial_timeout
    }

    pub(super) fn repeated(&mut self, now: Instant) {
        self.sent = now;
    }

    pub(super) fn deadline(&self) -> Instant {
        self.next.map_or(self.end, |next| next.min(self.end))
    }

    /// What is due; the time to the next repetition doubles. (RFC 6347, 4.2.4.1)
    pub(super) fn handle_timeout(&mut self, config: &PskConfig, now: Instant) -> Due {
        if self.end <= now {
            return Due::End;
        }
        if self.next.is_none_or(|next| next > now) {
            return Due::Nothing;
        }
        let longest = config.max_timeout.max(SHORTEST);
        self.interval = self.interval.saturating_mul(2).min(longest);
        self.sent = now;
        self.next = Some(now.saturating_add(self.interval));
        Due::Repetition
    }
}

/// No time is shorter: a deadline must lie in the future.
const SHORTEST: Duration = Duration::from_millis(1);
