//! What every client has asked for and sent lately, so that none takes what all share.
//!
//! A rate is kept as one instant a client, and so is a volume of bodies: the one at which its allowance is whole again (the
//! generic cell rate algorithm, a token bucket without tokens). Each request moves it on by its share of the time, and a request
//! that would move it further ahead than the whole allowance lasts is refused. A client whose instants have passed is as good as
//! new and forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::config::{ClientQuota, Volume};
use crate::ids::ClientId;

/// The usage of all clients.
#[derive(Debug, Default)]
pub(crate) struct Quotas {
    clients: BTreeMap<ClientId, Usage>,
    /// Whose allowance is not whole, by when it will be.
    recovering: BTreeSet<(Instant, ClientId)>,
}

#[derive(Debug, Default)]
struct Usage {
    in_flight: usize,
    allowance: Allowance,
}

/// When each allowance is whole again; `None` when it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Allowance {
    requests: Option<Instant>,
    bodies: Option<Instant>,
}

impl Allowance {
    fn whole_at(self) -> Option<Instant> {
        self.requests.max(self.bodies)
    }
}

/// Why a client may not ask now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exceeded {
    /// Too many of its requests are without an answer.
    InFlight,
    /// It asks too often; it may ask again after this long.
    Rate { wait: Duration },
    /// It sends too much; it may send this again after this long.
    Volume { wait: Duration },
}

impl Quotas {
    /// Counts a request of a client with a body of so many bytes, which is to be ended with [`Quotas::release`], or refuses it
    /// and counts nothing.
    pub(crate) fn admit(
        &mut self,
        client: &ClientId,
        quota: &ClientQuota,
        body: usize,
        now: Instant,
    ) -> Result<(), Exceeded> {
        self.recover(now);
        let usage = self.clients.get(client);
        let in_flight = usage.map_or(0, |usage| usage.in_flight);
        if in_flight >= quota.in_flight {
            return Err(Exceeded::InFlight);
        }
        let before = usage.map_or_else(Allowance::default, |usage| usage.allowance);
        let mut after = before;
        if let Some(rate) = &quota.rate {
            let share = rate.per.checked_div(rate.requests).unwrap_or(rate.per);
            after.requests = charge(share, rate.per, before.requests, now)
                .map_err(|wait| Exceeded::Rate { wait })?;
        }
        if let Some(volume) = &quota.bodies {
            after.bodies = charge(share_of(volume, body), volume.per, before.bodies, now)
                .map_err(|wait| Exceeded::Volume { wait })?;
        }
        self.clients.insert(
            client.clone(),
            Usage {
                in_flight: in_flight.saturating_add(1),
                allowance: after,
            },
        );
        if let Some(before) = before.whole_at() {
            self.recovering.remove(&(before, client.clone()));
        }
        if let Some(after) = after.whole_at() {
            self.recovering.insert((after, client.clone()));
        }
        while self.recovering.len() > quota.remembered {
            self.recover_first();
        }
        Ok(())
    }

    /// Counts one request less.
    pub(crate) fn release(&mut self, client: &ClientId) {
        if let Some(usage) = self.clients.get_mut(client) {
            usage.in_flight = usage.in_flight.saturating_sub(1);
        }
        self.forget_unused(client);
    }

    fn recover(&mut self, now: Instant) {
        while self.recovering.first().is_some_and(|(at, _)| *at <= now) {
            self.recover_first();
        }
    }

    /// Makes the allowances whole of the client whose will be so next.
    fn recover_first(&mut self) {
        if let Some((_, client)) = self.recovering.pop_first() {
            if let Some(usage) = self.clients.get_mut(&client) {
                usage.allowance = Allowance::default();
            }
            self.forget_unused(&client);
        }
    }

    fn forget_unused(&mut self, client: &ClientId) {
        let unused = |usage: &Usage| usage.in_flight == 0 && usage.allowance.whole_at().is_none();
        if self.clients.get(client).is_some_and(unused) {
            self.clients.remove(client);
        }
    }
}

/// When an allowance for so long is whole again after this share of it, `None` past all times; or how long there is to wait.
fn charge(
    share: Duration,
    per: Duration,
    whole_at: Option<Instant>,
    now: Instant,
) -> Result<Option<Instant>, Duration> {
    let owed = whole_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
    let owed = owed.saturating_add(share);
    match owed.checked_sub(per) {
        Some(wait) if !wait.is_zero() => Err(wait),
        _ => Ok(now.checked_add(owed)),
    }
}

/// The part of its time that a body takes of a volume; all of it at most, so that a long one passes now and then.
fn share_of(volume: &Volume, body: usize) -> Duration {
    let bytes = u128::from(volume.bytes).max(1);
    let nanos = volume.per.as_nanos().saturating_mul(body as u128);
    let nanos = nanos.checked_div(bytes).unwrap_or(u128::MAX);
    u64::try_from(nanos).map_or(volume.per, |nanos| {
        Duration::from_nanos(nanos).min(volume.per)
    })
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use crate::config::Rate;

    fn client(name: &str) -> ClientId {
        name.parse().unwrap()
    }

    /// Three at once, then one a second.
    fn quota() -> ClientQuota {
        ClientQuota {
            rate: Some(Rate::new(3, Duration::from_secs(3))),
            ..ClientQuota::default()
        }
    }

    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_burst_is_followed_by_one_whenever_its_share_has_passed() {
        let (mut quotas, quota, start) = (Quotas::default(), quota(), start());
        let mut admit = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            quotas.admit(&client("a"), &quota, 0, now)
        };
        let wait = |millis| {
            Err(Exceeded::Rate {
                wait: Duration::from_millis(millis),
            })
        };
        assert_eq!([admit(0), admit(0), admit(0)], [Ok(()); 3]);
        // What is refused is not charged.
        assert_eq!([admit(0), admit(400)], [wait(1000), wait(600)]);
        assert_eq!([admit(1000), admit(1000)], [Ok(()), wait(1000)]);
        assert_eq!([admit(9000), admit(9000), admit(9000)], [Ok(()); 3]);
        assert_eq!(admit(9000), wait(1000));
    }

    #[test]
    fn a_volume_is_used_up_by_the_length_of_bodies() {
        let (mut quotas, mut quota, start) = (Quotas::default(), quota(), start());
        quota.rate = None;
        quota.bodies = Some(Volume::new(1000, Duration::from_secs(10)));
        let mut admit = |body, millis: u64| {
            let now = start + Duration::from_millis(millis);
            quotas.admit(&client("a"), &quota, body, now)
        };
        let wait = |millis| {
            Err(Exceeded::Volume {
                wait: Duration::from_millis(millis),
            })
        };
        assert_eq!([admit(600, 0), admit(400, 0)], [Ok(()); 2]);
        // What has no body costs nothing; what is refused is not charged.
        assert_eq!(
            [admit(0, 0), admit(100, 0), admit(50, 0)],
            [Ok(()), wait(1000), wait(500)]
        );
        assert_eq!([admit(100, 1000), admit(1, 1000)], [Ok(()), wait(10)]);
        // Longer than all that is allowed: when nothing was sent for so long.
        assert_eq!(
            [admit(5000, 10_000), admit(5000, 11_000)],
            [wait(1000), Ok(())]
        );
    }

    #[test]
    fn who_asks_too_often_is_not_charged_for_the_body() {
        let (mut quotas, mut quota, start) = (Quotas::default(), quota(), start());
        quota.rate = Some(Rate::new(1, Duration::from_secs(1)));
        quota.bodies = Some(Volume::new(10, Duration::from_secs(10)));
        let mut admit = |body, second| {
            let now = start + Duration::from_secs(second);
            quotas.admit(&client("a"), &quota, body, now)
        };
        assert_eq!(admit(5, 0), Ok(()));
        assert!(matches!(admit(5, 0), Err(Exceeded::Rate { .. })));
        assert_eq!(admit(5, 1), Ok(()));
        // And who sends too much is not charged for asking.
        assert!(matches!(admit(5, 2), Err(Exceeded::Volume { .. })));
        assert_eq!(admit(0, 2), Ok(()));
    }

    #[test]
    fn clients_do_not_use_up_each_others_allowance() {
        let (mut quotas, mut quota, now) = (Quotas::default(), quota(), start());
        quota.rate = Some(Rate::new(0, Duration::from_secs(1)));
        for name in ["a", "b"] {
            assert_eq!(quotas.admit(&client(name), &quota, 0, now), Ok(()));
            assert!(quotas.admit(&client(name), &quota, 0, now).is_err());
        }
    }

    #[test]
    fn requests_without_an_answer_are_counted_until_they_end() {
        let (mut quotas, mut quota, now) = (Quotas::default(), quota(), start());
        (quota.rate, quota.in_flight) = (None, 2);
        let a = client("a");
        assert_eq!(
            [(); 2].map(|()| quotas.admit(&a, &quota, 0, now)),
            [Ok(()); 2]
        );
        assert_eq!(quotas.admit(&a, &quota, 0, now), Err(Exceeded::InFlight));
        assert_eq!(quotas.admit(&client("b"), &quota, 0, now), Ok(()));
        quotas.release(&a);
        assert_eq!(quotas.admit(&a, &quota, 0, now), Ok(()));
        for name in ["a", "a", "b"] {
            quotas.release(&client(name));
        }
        assert!(quotas.clients.is_empty() && quotas.recovering.is_empty());
    }

    #[test]
    fn who_is_whole_or_one_too_many_is_forgotten() {
        let (mut quotas, mut quota, start) = (Quotas::default(), quota(), start());
        quota.remembered = 2;
        for (name, second) in [("a", 0), ("b", 1), ("c", 1)] {
            let now = start + Duration::from_millis(second * 100);
            assert_eq!(quotas.admit(&client(name), &quota, 0, now), Ok(()));
            quotas.release(&client(name));
        }
        assert!(!quotas.clients.contains_key(&client("a")));
        assert_eq!(quotas.clients.len(), 2);
        let later = start + Duration::from_secs(60);
        assert_eq!(quotas.admit(&client("d"), &quota, 0, later), Ok(()));
        assert_eq!(quotas.clients.len(), 1);
    }
}
