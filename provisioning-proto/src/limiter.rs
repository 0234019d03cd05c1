//! How often devices may try, so that neither a storm of retries nor one tenant's fleet starves the others.
//!
//! Every try is charged to several token buckets at once: that of the network it comes from, that of the device it names, and that
//! of the tenant. One that finds all of them with a token goes on at once; one that would find them so after a while is held that
//! long, its tokens being kept for it, so that of a whole fleet at once everyone is told another moment; one that would be held too
//! long is dropped and costs nothing. So no more are held at a time than the rates let through in the longest delay. The table of buckets is bounded: a bucket that is full again is forgotten, because it is like a new one, and
//! when none is, newcomers share a single one.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::{RegistrationId, TenantId};

/// Token buckets of sources, devices and tenants. Time is an argument; going backwards, it stands still.
#[derive(Clone, Debug)]
pub struct Limiter {
    config: Config,
    sources: Table,
    devices: Table,
    tenants: Table,
    latest: Option<Instant>,
}

/// What each kind of bucket holds, and how many there are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// For each network of IPv4 addresses of one, or of IPv6 addresses of 64 bits. 20 at once, one in a second.
    pub source: Rate,
    /// For each device of a tenant. 5 at once, one in ten seconds.
    pub device: Rate,
    /// For each tenant. 2000 at once, 100 in a second.
    pub tenant: Rate,
    /// How many buckets of each kind are kept. 65,536.
    pub buckets: usize,
    /// Who would be held longer is dropped instead. 2 seconds: a device that waits for an answer gives up after five.
    pub longest_delay: Duration,
}

/// A bucket: how many tokens it holds, and how long one takes to come back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rate {
    /// How many tries are allowed at once; at least 1.
    pub burst: u32,
    /// The time after which there is one more.
    pub interval: Duration,
}

/// Whom a try is charged to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Charged<'a> {
    /// Where it comes from.
    pub source: Option<IpAddr>,
    /// The tenant, if it is known.
    pub tenant: Option<&'a TenantId>,
    /// The device within the tenant, as it names itself.
    pub device: Option<&'a RegistrationId>,
}

/// What to do with a try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each of them must be acted on")]
pub enum Verdict {
    /// Go on.
    Allow,
    /// Hold it this long, then go on. It is charged already and need not be asked about again.
    Delay(Duration),
    /// Not now, and not worth an answer.
    Drop,
}

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Key {
    Source(IpAddr),
    Device(Option<TenantId>, RegistrationId),
    Tenant(TenantId),
    /// Those for whom the table has no room.
    Newcomers,
}

/// The moment at which each bucket will be full again (the theoretical arrival time of the generic cell rate algorithm).
#[derive(Clone, Debug, Default)]
struct Table {
    full_at: BTreeMap<Key, Instant>,
    by_time: BTreeSet<(Instant, Key)>,
}

impl Default for Config {
    fn default() -> Self {
        let (second, ten) = (Duration::from_secs(1), Duration::from_secs(10));
        Self {
            source: Rate::new(20, second),
            device: Rate::new(5, ten),
            tenant: Rate::new(2000, Duration::from_millis(10)),
            buckets: 65_536,
            longest_delay: Duration::from_secs(2),
        }
    }
}

impl Rate {
    /// `burst` tries at once, and one more after each `interval`.
    #[must_use]
    pub const fn new(burst: u32, interval: Duration) -> Self {
        Self { burst, interval }
    }

    /// How far ahead of now a bucket may be full again that still has a token.
    fn slack(self) -> Duration {
        self.interval
            .checked_mul(self.burst.saturating_sub(1))
            .unwrap_or(Duration::MAX)
    }
}

impl<'a> Charged<'a> {
    /// A try that comes from a source, before anything else is known.
    #[must_use]
    pub fn source(source: IpAddr) -> Self {
        Self {
            source: Some(source),
            tenant: None,
            device: None,
        }
    }

    /// A try of a device of a tenant.
    #[must_use]
    pub fn device(tenant: &'a TenantId, device: &'a RegistrationId) -> Self {
        Self {
            source: None,
            tenant: Some(tenant),
            device: Some(device),
        }
    }
}

impl Limiter {
    /// A limiter with full buckets.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            sources: Table::default(),
            devices: Table::default(),
            tenants: Table::default(),
            latest: None,
        }
    }

    /// Judges a try, and charges it if it is allowed.
    pub fn admit(&mut self, charged: &Charged<'_>, now: Instant) -> Verdict {
        let now = self.move_to(now);
        let keys = self.keys(charged, now);
        let waits = keys.iter().flatten().map(|(kind, key)| {
            let slack = self.rate(*kind).slack();
            self.table(*kind).ahead(key, now).saturating_sub(slack)
        });
        let wait = waits.max().unwrap_or_default();
        let Some(begin) = now.checked_add(wait) else {
            return Verdict::Drop;
        };
        if wait > self.config.longest_delay {
            return Verdict::Drop;
        }
        self.take(&keys, begin, None);
        if wait.is_zero() {
            Verdict::Allow
        } else {
            Verdict::Delay(wait)
        }
    }

    /// Charges what was not asked about, such as a wrong password: whoever guesses waits longer than whoever knows. A bucket from
    /// which everyone would be dropped already is charged no further.
    pub fn charge(&mut self, charged: &Charged<'_>, now: Instant) {
        let now = self.move_to(now);
        let keys = self.keys(charged, now);
        self.take(&keys, now, Some(self.config.longest_delay));
    }

    /// How many buckets are kept.
    #[must_use]
    pub fn buckets(&self) -> usize {
        let tables = [&self.sources, &self.devices, &self.tenants];
        tables
            .iter()
            .fold(0, |sum, table| sum.saturating_add(table.full_at.len()))
    }

    fn move_to(&mut self, now: Instant) -> Instant {
        let now = self.latest.map_or(now, |latest| latest.max(now));
        self.latest = Some(now);
        let full = self.config.buckets;
        for table in [&mut self.sources, &mut self.devices, &mut self.tenants] {
            table.forget_full(now, full);
        }
        now
    }

    /// The buckets of a try; where the table has no room for a new one, that of the newcomers.
    fn keys(&self, charged: &Charged<'_>, now: Instant) -> [Option<(Kind, Key)>; 3] {
        let source = charged
            .source
            .map(|address| (Kind::Source, Key::Source(network(address))));
        let device = charged.device.map(|id| {
            (
                Kind::Device,
                Key::Device(charged.tenant.cloned(), id.clone()),
            )
        });
        let tenant = charged
            .tenant
            .map(|id| (Kind::Tenant, Key::Tenant(id.clone())));
        [source, device, tenant].map(|one| {
            one.map(|(kind, key)| {
                let known = self.table(kind).has_room(&key, now, self.config.buckets);
                (kind, if known { key } else { Key::Newcomers })
            })
        })
    }

    fn take(&mut self, keys: &[Option<(Kind, Key)>; 3], at: Instant, longest: Option<Duration>) {
        for (kind, key) in keys.iter().flatten() {
            let rate = self.rate(*kind);
            let table = match kind {
                Kind::Source => &mut self.sources,
                Kind::Device => &mut self.devices,
                Kind::Tenant => &mut self.tenants,
            };
            table.take(key, rate, at, longest);
        }
    }

    fn rate(&self, kind: Kind) -> Rate {
        match kind {
            Kind::Source => self.config.source,
            Kind::Device => self.config.device,
            Kind::Tenant => self.config.tenant,
        }
    }

    fn table(&self, kind: Kind) -> &Table {
        match kind {
            Kind::Source => &self.sources,
            Kind::Device => &self.devices,
            Kind::Tenant => &self.tenants,
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Source,
    Device,
    Tenant,
}

impl Table {
    fn ahead(&self, key: &Key, now: Instant) -> Duration {
        self.full_at
            .get(key)
            .map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    fn has_room(&self, key: &Key, now: Instant, most: usize) -> bool {
        self.full_at.contains_key(key)
            || self.full_at.len() < most
            || self.by_time.first().is_some_and(|(at, _)| *at <= now)
    }

    /// Takes a token at a moment; with `longest`, only as long as whoever comes next would not be held longer than that.
    fn take(&mut self, key: &Key, rate: Rate, at: Instant, longest: Option<Duration>) {
        let before = self.full_at.get(key).copied();
        let next = before.unwrap_or(at).max(at).checked_add(rate.interval);
        let most = longest.and_then(|longest| {
            at.checked_add(rate.slack())?
                .checked_add(rate.interval)?
                .checked_add(longest)
        });
        let Some(next) = next.filter(|next| most.is_none_or(|most| *next <= most)) else {
            return;
        };
        if let Some(before) = before {
            self.by_time.remove(&(before, key.clone()));
        }
        self.full_at.insert(key.clone(), next);
        self.by_time.insert((next, key.clone()));
    }

    /// Forgets buckets that are full again: two for each try, and one more when there are too many.
    fn forget_full(&mut self, now: Instant, most: usize) {
        let count = if self.full_at.len() > most { 3 } else { 2 };
        for _ in 0..count {
            match self.by_time.first() {
                Some((at, _)) if *at <= now => {
                    if let Some((_, key)) = self.by_time.pop_first() {
                        self.full_at.remove(&key);
                    }
                }
                _ => return,
            }
        }
    }
}

/// Whoever has one address of an IPv6 network has 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

#[cfg(test)]
mod tests;
