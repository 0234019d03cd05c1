//! Settings and limits.

use alloc::vec::Vec;
use core::time::Duration;

use crate::block::{self, BlockSize, Cut};
use crate::guard::Limits;
use crate::option;

/// Settings of an [`Endpoint`](crate::Endpoint).
///
/// ```
/// # use core::time::Duration;
/// let mut config = coap_psk::Config::default();
/// config.transmission.ack_timeout = Duration::from_secs(10); // NB-IoT in bad coverage
/// assert_eq!(config.transmission.exchange_lifetime(), Duration::from_secs(225 + 210));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The timing of messages.
    pub transmission: Transmission,
    /// Sessions at most; default 100,000. A verified device beyond takes the place of its own session, or of the one whose
    /// device has been silent for longest beyond its lifetime; otherwise it is refused. A device that is online loses its
    /// session to nobody. The engine needs a higher limit than this one, or it refuses before the endpoint can choose.
    pub max_sessions: usize,
    /// Handshakes that may wait for a key at one time; default 1,000. Those beyond fail as with a wrong key.
    pub max_handshakes: usize,
    /// How long a key lookup may take; default 5 s. Then the handshake fails as with a wrong key.
    pub key_timeout: Duration,
    /// How long the session of a device that went offline is kept, so that it may come back without a handshake; default
    /// one day.
    pub offline_session: Duration,
    /// How long a session for dynamic activation lives at most; default 60 s.
    pub activation_session: Duration,
    /// When a request that has no response yet gets an Empty acknowledgement; default 1 s. It should be less than the
    /// peer's acknowledgement timeout.
    pub ack_delay: Duration,
    /// How long the application may take to answer a request; default 60 s. Then the answer is 5.03.
    pub answer_timeout: Duration,
    /// How long a request of ours may take, a block at a time; default 247 s, the exchange lifetime.
    pub request_timeout: Duration,
    /// Requests of the peer that a session may have unanswered; default 16. Those beyond get 5.03.
    pub max_inbound: usize,
    /// Requests of ours that a session may have under way, observations included; default 64.
    pub max_outbound: usize,
    /// Message ids that a session remembers in order to find duplicates; default 64, and never fewer than `max_inbound`.
    pub max_remembered: usize,
    /// The bytes that all sessions together remember of messages and their replies; default 64 MiB. Over that the oldest
    /// answered message of all is forgotten: when it comes again, it counts as new. Requests without an answer stay.
    pub max_remembered_bytes: usize,
    /// Observers that a session may have; default 16. A registration beyond is answered as an ordinary request.
    pub max_observers: usize,
    /// The bytes of a body, received or sent; default 64 KiB. A longer request gets 4.13.
    pub max_body: usize,
    /// Bodies that a session may have half received, and likewise half sent; default 2. The oldest one goes.
    pub max_transfers: usize,
    /// The bytes of half received and half sent bodies of all sessions; default 64 MiB. Blocks beyond get 5.03.
    pub max_transfer_bytes: usize,
    /// The largest block; default 1,024 bytes, which keeps a message within 1,152 and an IPv6 packet whole. (RFC 7252, 4.6)
    pub block_size: BlockSize,
    /// What one network may ask before it is refused.
    pub limits: Limits,
    /// Options, beyond those of the standards named in the crate's documentation, that are handed to the application;
    /// default the two OCF version options and option 2100. Others are ignored when elective and refused when critical.
    pub accepted_options: Vec<u16>,
}

impl Config {
    /// How bodies are cut into messages.
    pub(crate) const fn cut(&self) -> Cut {
        Cut::plain(self.block_size)
    }

    /// What bounds the bodies of one session when all sessions may still add `room` bytes.
    pub(crate) const fn body_limits(&self, room: usize) -> block::Limits {
        block::Limits {
            max_body: self.max_body,
            max_transfers: self.max_transfers,
            room,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            transmission: Transmission::default(),
            max_sessions: 100_000,
            max_handshakes: 1_000,
            key_timeout: Duration::from_secs(5),
            offline_session: Duration::from_secs(86_400),
            activation_session: Duration::from_secs(60),
            ack_delay: Duration::from_secs(1),
            answer_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(247),
            max_inbound: 16,
            max_outbound: 64,
            max_remembered: 64,
            max_remembered_bytes: 64 * 1024 * 1024,
            max_observers: 16,
            max_body: 64 * 1024,
            max_transfers: 2,
            max_transfer_bytes: 64 * 1024 * 1024,
            block_size: BlockSize::MAX,
            limits: Limits::default(),
            accepted_options: Vec::from([
                option::OCF_ACCEPT_CONTENT_FORMAT_VERSION,
                option::OCF_CONTENT_FORMAT_VERSION,
                option::ENOS_MAILBOX,
            ]),
        }
    }
}

/// The transmission parameters of RFC 7252, 4.8, and the times derived from them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transmission {
    /// `ACK_TIMEOUT`; default 2 s.
    pub ack_timeout: Duration,
    /// `ACK_RANDOM_FACTOR` in percent; default 150.
    pub ack_random_percent: u32,
    /// `MAX_RETRANSMIT`; default 4.
    pub max_retransmit: u8,
    /// `NSTART`; default 1.
    pub n_start: usize,
    /// `PROBING_RATE`: the bytes a second that Non-confirmable requests come to, on average, while the peer answers none of
    /// them; default 1, and at least 1. (RFC 7252, 4.7)
    pub probing_rate: u32,
    /// `MAX_LATENCY`; default 100 s.
    pub max_latency: Duration,
}

impl Default for Transmission {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            ack_random_percent: 150,
            max_retransmit: 4,
            n_start: 1,
            probing_rate: 1,
            max_latency: Duration::from_secs(100),
        }
    }
}

impl Transmission {
    /// The longest first timeout: `ACK_TIMEOUT * ACK_RANDOM_FACTOR`.
    #[must_use]
    pub fn longest_first_timeout(&self) -> Duration {
        self.ack_timeout
            .checked_mul(self.ack_random_percent)
            .and_then(|product| product.checked_div(100))
            .unwrap_or(Duration::MAX)
    }

    /// How long a message of `len` bytes takes at `PROBING_RATE`.
    #[must_use]
    pub fn probing_time(&self, len: usize) -> Duration {
        let seconds = u32::try_from(len).unwrap_or(u32::MAX);
        Duration::from_secs(seconds.into())
            .checked_div(self.probing_rate.max(1))
            .unwrap_or(Duration::MAX)
    }

    /// `MAX_TRANSMIT_SPAN`: from the first transmission to the last.
    #[must_use]
    pub fn max_transmit_span(&self) -> Duration {
        self.longest_first_timeout()
            .saturating_mul(self.intervals(self.max_retransmit))
    }

    /// `MAX_TRANSMIT_WAIT`: from the first transmission to giving up.
    #[must_use]
    pub fn max_transmit_wait(&self) -> Duration {
        self.longest_first_timeout()
            .saturating_mul(self.intervals(self.max_retransmit.saturating_add(1)))
    }

    /// `MAX_RTT`.
    #[must_use]
    pub const fn max_rtt(&self) -> Duration {
        self.max_latency
            .saturating_mul(2)
            .saturating_add(self.ack_timeout)
    }

    /// `EXCHANGE_LIFETIME`: how long a Confirmable message may still have an effect.
    #[must_use]
    pub fn exchange_lifetime(&self) -> Duration {
        self.max_transmit_span().saturating_add(self.max_rtt())
    }

    /// `NON_LIFETIME`: how long a Non-confirmable message may still have an effect.
    #[must_use]
    pub fn non_lifetime(&self) -> Duration {
        self.max_transmit_span().saturating_add(self.max_latency)
    }

    /// The sum of `count` intervals of which each is twice the one before and the first is 1.
    fn intervals(&self, count: u8) -> u32 {
        1_u32
            .checked_shl(count.into())
            .unwrap_or(u32::MAX)
            .saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_are_those_of_the_standard() {
        let times = Transmission::default();
        let longest = times.longest_first_timeout();
        assert_eq!(times.ack_timeout, Duration::from_secs(2));
        assert_eq!(longest, Duration::from_secs(3), "a random factor of 1.5");
        assert_eq!((times.max_retransmit, times.n_start), (4, 1));
        assert_eq!(times.probing_time(100), Duration::from_secs(100), "1 B/s");
    }

    #[test]
    fn the_derived_times_are_those_of_the_standard() {
        let times = Transmission::default();
        let secs = Duration::from_secs;
        assert_eq!(times.max_transmit_span(), secs(45));
        assert_eq!(times.max_transmit_wait(), secs(93));
        assert_eq!(times.max_rtt(), secs(202));
        assert_eq!(times.exchange_lifetime(), secs(247));
        assert_eq!(times.non_lifetime(), secs(145));
    }

    #[test]
    fn they_follow_what_is_configured_and_do_not_overflow() {
        let slow = Transmission {
            ack_timeout: Duration::from_secs(10),
            ..Transmission::default()
        };
        assert_eq!(slow.max_transmit_span(), Duration::from_secs(225));
        let absurd = Transmission {
            ack_timeout: Duration::MAX,
            max_retransmit: 255,
            probing_rate: 0,
            ..Transmission::default()
        };
        assert_eq!(absurd.exchange_lifetime(), Duration::MAX);
        assert_eq!(absurd.probing_time(7), Duration::from_secs(7));
        let fast = Transmission {
            probing_rate: 1_000,
            ..Transmission::default()
        };
        assert_eq!(fast.probing_time(50), Duration::from_millis(50));
    }
}
