//! Who has failed too often waits outside, before anything is computed for it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use provisioning_proto::limiter::{Charged, Config, Limiter, Rate, Verdict};

use crate::Settings;

/// How many addresses that wait are remembered; when there are more, the new ones do not wait.
const MAX_WAITING: usize = 65_536;

/// What addresses have failed; clones are the same one. Only failures are counted, so a fleet behind one address that is in order may
/// come in at once.
#[derive(Clone, Debug)]
pub(crate) struct Guard(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    limiter: Limiter,
    /// Until when each address is not let in.
    waiting: BTreeMap<IpAddr, Instant>,
    penalty: Duration,
}

impl Guard {
    pub(crate) fn new(settings: &Settings) -> Self {
        let mut config = Config::default();
        config.source = Rate::new(settings.failures_per_source, Duration::from_secs(1));
        Self(Arc::new(Mutex::new(Inner {
            limiter: Limiter::new(config),
            waiting: BTreeMap::new(),
            penalty: settings.penalty,
        })))
    }

    /// Whether a connection from an address is taken.
    pub(crate) fn lets_in(&self, source: IpAddr, now: Instant) -> bool {
        let mut inner = self.lock();
        match inner.waiting.get(&source) {
            Some(until) if *until > now => false,
            Some(_) => {
                inner.waiting.remove(&source);
                true
            }
            None => true,
        }
    }

    /// A device from an address was refused, or did what it may not.
    pub(crate) fn failed(&self, source: IpAddr, now: Instant) {
        let mut inner = self.lock();
        let wait = match inner.limiter.admit(&Charged::source(source), now) {
            Verdict::Allow => return,
            Verdict::Delay(wait) => wait.max(inner.penalty),
            Verdict::Drop => inner.penalty,
        };
        if inner.waiting.len() >= MAX_WAITING {
            inner.waiting.retain(|_, until| *until > now);
        }
        if inner.waiting.len() < MAX_WAITING
            && let Some(until) = now.checked_add(wait)
        {
            inner.waiting.insert(source, until);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn a_storm_of_failures_is_kept_out_and_others_are_not() {
        let guard = Guard::new(&Settings::default());
        let [bad, good]: [IpAddr; 2] =
            ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("address"));
        let mut now = clock::now();
        let mut judged = 0;
        for _ in 0..1000 {
            if guard.lets_in(bad, now) {
                judged += 1;
                guard.failed(bad, now);
            }
            assert!(guard.lets_in(good, now));
            now += Duration::from_millis(10);
        }
        // 1000 tries in ten seconds: those that are forgiven, and the one that showed that it goes on.
        assert!((20..=32).contains(&judged), "{judged} tries were judged");
        assert!(guard.lets_in(bad, now + Duration::from_secs(10)));
    }
}
