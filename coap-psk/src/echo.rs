//! The Echo option: is the peer where it says it is, and is its request fresh? (RFC 9175, 2)
//!
//! The server hands out a value that only it can make; a request that brings it back was made after the value was, and by
//! someone who reads what is sent to that address. The client side of this is in [`Endpoint`](crate::Endpoint): it repeats
//! a request that was answered with 4.01 and an Echo value, once, with that value.
//!
//! Over DTLS the handshake proves the address and orders the messages, so an endpoint here asks for no Echo. A server that
//! speaks CoAP without DTLS keeps a [`Freshness`] and asks it, before [`amplification`](crate::amplification), whether a
//! source is verified.

use alloc::collections::{BTreeSet, VecDeque};
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::time::Instant;

/// The bytes of an Echo value made here: 32 bits of time and 64 of authentication. (RFC 9175, appendix A)
pub const VALUE_LEN: usize = 12;

const TIME_LEN: usize = 4;

/// Settings of a [`Freshness`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// A value is fresh until it is this old, counted in whole seconds; default 60 s.
    pub window: Duration,
    /// How long a key makes values before the next one does, at least the window; default one hour.
    pub key_period: Duration,
    /// Verified addresses that are remembered; default 10,000. Over that the oldest is asked again.
    pub max_verified: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(60),
            key_period: Duration::from_secs(3_600),
            max_verified: 10_000,
        }
    }
}

/// Makes Echo values and judges those that come back.
///
/// A value is the second it was made in and a code over that and the peer's address, under a key that changes with time:
/// nothing is kept for it. Only who was verified is remembered.
///
/// ```
/// use core::time::Duration;
/// use coap_psk::Instant;
/// use coap_psk::echo::{Config, Freshness};
///
/// let mut freshness = Freshness::new(Config::default(), [7; 32]);
/// let (peer, other) = (([192, 0, 2, 1], 5683).into(), ([192, 0, 2, 2], 5683).into());
/// let value = freshness.value(peer, Instant::ZERO);
/// assert!(!freshness.verify(other, &value, Instant::ZERO));
/// let later = Instant::ZERO.saturating_add(Duration::from_secs(2));
/// assert!(freshness.verify(peer, &value, later) && freshness.is_verified(peer));
/// ```
pub struct Freshness {
    config: Config,
    seed: Zeroizing<[u8; 32]>,
    verified: BTreeSet<SocketAddr>,
    /// The same in the order in which they were verified.
    order: VecDeque<SocketAddr>,
}

impl Freshness {
    /// Nobody is verified. The entropy must be random and new in every run.
    #[must_use]
    pub fn new(config: Config, entropy: [u8; 32]) -> Self {
        Self {
            config,
            seed: Zeroizing::new(entropy),
            verified: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    /// A value for this peer, to be sent in a 4.01 or ahead of time in any response.
    #[must_use]
    pub fn value(&self, peer: SocketAddr, now: Instant) -> [u8; VALUE_LEN] {
        self.value_of(peer, seconds(now))
    }

    /// Whether a request that carries `value` was made within the window, by someone who gets what is sent to `peer`.
    #[must_use]
    pub fn is_fresh(&self, peer: SocketAddr, value: &[u8], now: Instant) -> bool {
        let Some((time, _)) = value.split_first_chunk::<TIME_LEN>() else {
            return false;
        };
        let time = u32::from_be_bytes(*time);
        // RFC 9175, 2.3: t1 - t0 < T. A value from the future comes out as 136 years old.
        let age = Duration::from_secs(seconds(now).wrapping_sub(time).into());
        let expected = self.value_of(peer, time);
        bool::from(expected.as_slice().ct_eq(value)) && age < self.config.window
    }

    /// As [`is_fresh`](Self::is_fresh), and if so remembers that the address is the peer's: it is asked once.
    pub fn verify(&mut self, peer: SocketAddr, value: &[u8], now: Instant) -> bool {
        let fresh = self.is_fresh(peer, value, now);
        if fresh && self.verified.insert(peer) {
            self.order.push_back(peer);
            while self.order.len() > self.config.max_verified {
                if let Some(oldest) = self.order.pop_front() {
                    self.verified.remove(&oldest);
                }
            }
        }
        fresh
    }

    /// Whether the address was verified and is still remembered.
    #[must_use]
    pub fn is_verified(&self, peer: SocketAddr) -> bool {
        self.verified.contains(&peer)
    }

    fn value_of(&self, peer: SocketAddr, time: u32) -> [u8; VALUE_LEN] {
        let period = self.config.key_period.max(self.config.window);
        let number = u64::from(time)
            .checked_div(period.as_secs())
            .unwrap_or_default();
        let key = Zeroizing::new(mac(self.seed.as_slice(), [&number.to_be_bytes()[..]]));
        let address = match peer.ip().to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let code = mac(
            key.as_slice(),
            [
                &time.to_be_bytes()[..],
                &address.octets()[..],
                &peer.port().to_be_bytes()[..],
            ],
        );
        let mut value = [0; VALUE_LEN];
        let bytes = time.to_be_bytes().into_iter().chain(code);
        for (to, from) in value.iter_mut().zip(bytes) {
            *to = from;
        }
        value
    }
}

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Freshness")
            .field("config", &self.config)
            .field("verified", &self.verified.len())
            .finish_non_exhaustive()
    }
}

/// Whole seconds of the clock; they come round after 136 years.
fn seconds(now: Instant) -> u32 {
    let seconds = now.saturating_duration_since(Instant::ZERO).as_secs();
    u32::try_from(seconds & u64::from(u32::MAX)).unwrap_or_default()
}

fn mac<const N: usize>(key: &[u8], parts: [&[u8]; N]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
