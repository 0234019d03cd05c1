//! How often a source may do what costs us something before it has proved who it is.
//!
//! An address on the Internet costs an attacker nothing, a network does, so sources are counted by the prefix of their
//! address. A rate is kept as one moment per prefix, the one at which its allowance is whole again (the generic cell rate
//! algorithm): everything admitted moves that moment on by its share of the time, and what would move it further ahead than
//! the whole allowance lasts is refused. A prefix whose moment has passed is as good as new, and forgotten.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use crate::time::Instant;

/// So many at once, and as many again spread over each `per`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// How many; zero admits nothing.
    pub count: u32,
    /// The time in which they are earned again; zero is no limit.
    pub per: Duration,
}

impl Rate {
    /// Everything is admitted.
    pub const UNLIMITED: Self = Self::new(1, Duration::ZERO);

    /// A rate.
    #[must_use]
    pub const fn new(count: u32, per: Duration) -> Self {
        Self { count, per }
    }

    /// What one costs, in microseconds; rounded up, so that the rate is never exceeded. `None` when nothing is admitted.
    fn share(self) -> Option<u64> {
        u64::try_from(self.per.as_micros())
            .unwrap_or(u64::MAX)
            .checked_next_multiple_of(self.count.into())
            .unwrap_or(u64::MAX)
            .checked_div(self.count.into())
    }

    /// When the allowance of a source is whole again after one more, if it is at `whole_at` without; `None` over the rate.
    fn charged(self, whole_at: Instant, now: Instant) -> Option<Instant> {
        let share = self.share()?;
        let owed = whole_at
            .as_micros()
            .saturating_sub(now.as_micros())
            .saturating_add(share);
        (owed <= share.saturating_mul(self.count.into()))
            .then(|| Instant::from_micros(now.as_micros().saturating_add(owed)))
    }
}

/// What is left of a rate for one who is known.
#[cfg(feature = "dtls")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    whole_at: Instant,
}

#[cfg(feature = "dtls")]
impl Allowance {
    pub(crate) const WHOLE: Self = Self {
        whole_at: Instant::ZERO,
    };

    /// Whether [`admit`](Self::admit) would.
    pub(crate) fn would_admit(&self, rate: Rate, now: Instant) -> bool {
        rate.charged(self.whole_at, now).is_some()
    }

    /// Counts one; `false` over the rate, and then it is not counted.
    pub(crate) fn admit(&mut self, rate: Rate, now: Instant) -> bool {
        let charged = rate.charged(self.whole_at, now);
        if let Some(whole_at) = charged {
            self.whole_at = whole_at;
        }
        charged.is_some()
    }
}

/// How many leading bits of an address name its network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Prefixes {
    /// Of an IPv4 address, also of one that is written as IPv6; default 32, the whole address.
    pub ipv4: u8,
    /// Of an IPv6 address; default 56, the smallest network that a site is usually given.
    pub ipv6: u8,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { ipv4: 32, ipv6: 56 }
    }
}

impl Prefixes {
    /// The network that a source belongs to, as its first address.
    #[must_use]
    pub fn network_of(self, source: IpAddr) -> IpAddr {
        match source.to_canonical() {
            IpAddr::V4(address) => {
                let host_bits = u32::BITS.saturating_sub(self.ipv4.into());
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let host_bits = u128::BITS.saturating_sub(self.ipv6.into());
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        }
    }
}

/// One rate, kept for every network apart, in bounded memory.
///
/// ```
/// use core::time::Duration;
/// use coap_psk::Instant;
/// use coap_psk::limit::{Prefixes, Rate, SourceLimiter};
///
/// let rate = Rate::new(2, Duration::from_secs(2));
/// let mut resets = SourceLimiter::new(rate, Prefixes::default(), 1_000);
/// let (source, now) = ([192, 0, 2, 7].into(), Instant::ZERO);
/// assert!(resets.admit(source, now) && resets.admit(source, now));
/// assert!(!resets.admit(source, now));
/// assert!(resets.admit(source, now.saturating_add(Duration::from_secs(1))));
/// ```
#[derive(Clone, Debug)]
pub struct SourceLimiter {
    rate: Rate,
    prefixes: Prefixes,
    max_networks: usize,
    /// The networks whose allowance is not whole.
    whole_at: BTreeMap<IpAddr, Instant>,
    /// The same by the moment at which it will be.
    recovering: BTreeSet<(Instant, IpAddr)>,
}

impl SourceLimiter {
    /// A limiter that remembers at most `max_networks`; over that, the network is forgotten whose allowance is whole soonest.
    #[must_use]
    pub const fn new(rate: Rate, prefixes: Prefixes, max_networks: usize) -> Self {
        Self {
            rate,
            prefixes,
            max_networks,
            whole_at: BTreeMap::new(),
            recovering: BTreeSet::new(),
        }
    }

    /// Counts one of `source`; `false` over the rate, and then it is not counted.
    pub fn admit(&mut self, source: IpAddr, now: Instant) -> bool {
        self.recover(now);
        let network = self.prefixes.network_of(source);
        let Some(whole_at) = self.charged(network, now) else {
            return false;
        };
        self.set(network, whole_at, now);
        while self.recovering.len() > self.max_networks {
            self.forget_first();
        }
        true
    }

    /// Whether [`admit`](Self::admit) would.
    #[must_use]
    pub fn would_admit(&self, source: IpAddr, now: Instant) -> bool {
        self.charged(self.prefixes.network_of(source), now)
            .is_some()
    }

    /// Takes one back that was admitted.
    pub fn give_back(&mut self, source: IpAddr, now: Instant) {
        self.recover(now);
        let network = self.prefixes.network_of(source);
        if let (Some(whole_at), Some(share)) = (self.whole_at.get(&network), self.rate.share()) {
            let earlier = Instant::from_micros(whole_at.as_micros().saturating_sub(share));
            self.set(network, earlier, now);
        }
    }

    /// How many networks are remembered.
    #[must_use]
    pub fn networks(&self) -> usize {
        self.whole_at.len()
    }

    /// When the allowance is whole again after one more; `None` over the rate.
    fn charged(&self, network: IpAddr, now: Instant) -> Option<Instant> {
        let whole_at = self.whole_at.get(&network).copied().unwrap_or(now);
        self.rate.charged(whole_at, now)
    }

    fn set(&mut self, network: IpAddr, whole_at: Instant, now: Instant) {
        if let Some(before) = self.whole_at.remove(&network) {
            self.recovering.remove(&(before, network));
        }
        if whole_at > now {
            self.whole_at.insert(network, whole_at);
            self.recovering.insert((whole_at, network));
        }
    }

    fn recover(&mut self, now: Instant) {
        while self.recovering.first().is_some_and(|(at, _)| *at <= now) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, network)) = self.recovering.pop_first() {
            self.whole_at.remove(&network);
        }
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;
