//! What every client has asked for lately, so that none takes what all share.
//!
//! A rate is kept as one instant a client, the one at which its allowance is whole again (the generic cell rate algorithm, a
//! token bucket without tokens): each request moves it on by its share of the time, and a request that would move it further
//! ahead than the whole allowance lasts is refused. A client whose instant has passed is as good as new and forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::config::{ClientQuota, Rate};
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
    /// `None` when the allowance is whole.
    whole_at: Option<Instant>,
}

/// Why a client may not ask now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exceeded {
    /// Too many of its requests are without an answer.
    InFlight,
    /// It asks too often; it may ask again after this long.
    Rate { wait: Duration },
}

impl Quotas {
    /// Counts a request of a client, which is to be ended with [`Quotas::release`], or refuses it and counts nothing.
    pub(crate) fn admit(
        &mut self,
        client: &ClientId,
        quota: &ClientQuota,
        now: Instant,
    ) -> Result<(), Exceeded> {
        self.recover(now);
        let usage = self.clients.get(client);
        let in_flight = usage.map_or(0, |usage| usage.in_flight);
        if in_flight >= quota.in_flight {
            return Err(Exceeded::InFlight);
        }
        let before = usage.and_then(|usage| usage.whole_at);
        let after = match &quota.rate {
            Some(rate) => charge(rate, before, now)?,
            None => before,
        };
        self.clients.insert(
            client.clone(),
            Usage {
                in_flight: in_flight.saturating_add(1),
                whole_at: after,
            },
        );
        if let Some(before) = before {
            self.recovering.remove(&(before, client.clone()));
        }
        if let Some(after) = after {
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

    /// Makes the allowance whole that will be so next.
    fn recover_first(&mut self) {
        if let Some((_, client)) = self.recovering.pop_first() {
            if let Some(usage) = self.clients.get_mut(&client) {
                usage.whole_at = None;
            }
            self.forget_unused(&client);
        }
    }

    fn forget_unused(&mut self, client: &ClientId) {
        let unused = |usage: &Usage| usage.in_flight == 0 && usage.whole_at.is_none();
        if self.clients.get(client).is_some_and(unused) {
            self.clients.remove(client);
        }
    }
}

/// When the allowance is whole again after one more request; `None` past all times.
fn charge(
    rate: &Rate,
    whole_at: Option<Instant>,
    now: Instant,
) -> Result<Option<Instant>, Exceeded> {
    let share = rate.per.checked_div(rate.requests).unwrap_or(rate.per);
    let owed = whole_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
    let owed = owed.saturating_add(share);
    match owed.checked_sub(rate.per) {
        Some(wait) if !wait.is_zero() => Err(Exceeded::Rate { wait }),
        _ => Ok(now.checked_add(owed)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        std::time::Instant::now()
    }

    #[test]
    fn a_burst_is_followed_by_one_whenever_its_share_has_passed() {
        let (mut quotas, quota, start) = (Quotas::default(), quota(), start());
        let mut admit = |millis: u64| {
            let now = start + Duration::from_millis(millis);
            quotas.admit(&client("a"), &quota, now)
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
    fn clients_do_not_use_up_each_others_allowance() {
        let (mut quotas, mut quota, now) = (Quotas::default(), quota(), start());
        quota.rate = Some(Rate::new(0, Duration::from_secs(1)));
        for name in ["a", "b"] {
            assert_eq!(quotas.admit(&client(name), &quota, now), Ok(()));
            assert!(quotas.admit(&client(name), &quota, now).is_err());
        }
    }

    #[test]
    fn requests_without_an_answer_are_counted_until_they_end() {
        let (mut quotas, mut quota, now) = (Quotas::default(), quota(), start());
        (quota.rate, quota.in_flight) = (None, 2);
        let a = client("a");
        assert_eq!([(); 2].map(|()| quotas.admit(&a, &quota, now)), [Ok(()); 2]);
        assert_eq!(quotas.admit(&a, &quota, now), Err(Exceeded::InFlight));
        assert_eq!(quotas.admit(&client("b"), &quota, now), Ok(()));
        quotas.release(&a);
        assert_eq!(quotas.admit(&a, &quota, now), Ok(()));
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
            assert_eq!(quotas.admit(&client(name), &quota, now), Ok(()));
            quotas.release(&client(name));
        }
        assert!(!quotas.clients.contains_key(&client("a")));
        assert_eq!(quotas.clients.len(), 2);
        let later = start + Duration::from_secs(60);
        assert_eq!(quotas.admit(&client("d"), &quota, later), Ok(()));
        assert_eq!(quotas.clients.len(), 1);
    }
}
