//! How often devices may ask where they belong, whichever door they come through.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use provisioning_proto::limiter::{Charged, Config, Limiter, Rate, Verdict};
use provisioning_proto::{RegistrationId, TenantId};

use crate::config;

/// One request more of an address, once it has used up what it may ask at once.
const OF_SOURCE: Duration = Duration::from_millis(10);

/// What tenants, devices and addresses have asked; of each kind no more are kept than the limiter's own bound.
#[derive(Debug)]
pub(super) struct Turns(Mutex<Limiter>);

impl Turns {
    pub(super) fn new(settings: &config::Provisioning) -> Self {
        let mut config = Config::default();
        config.device.burst = settings.requests_per_device.get();
        // They have proved who they are, and a whole fleet may be behind one address.
        config.source = Rate::new(settings.requests_per_source.get(), OF_SOURCE);
        let a_second = settings.requests_per_tenant_and_second.get();
        let each = Duration::from_secs(1)
            .checked_div(a_second)
            .unwrap_or_default();
        config.tenant = Rate::new(settings.requests_per_tenant.get(), each);
        Self(Mutex::new(Limiter::new(config)))
    }

    /// How long a device has to wait for its turn; `None` when that is longer than it would wait for an answer.
    pub(super) fn next(
        &self,
        tenant: &TenantId,
        id: &RegistrationId,
        peer: Option<IpAddr>,
        now: Instant,
    ) -> Option<Duration> {
        let mut charged = Charged::device(tenant, id);
        charged.source = peer;
        // A limiter is whole between two calls.
        let mut limiter = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match limiter.admit(&charged, now) {
            Verdict::Allow => Some(Duration::ZERO),
            Verdict::Delay(wait) => Some(wait),
            Verdict::Drop => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn whoever_asks_too_often_waits_or_is_put_off_and_others_are_not() {
        let settings = config::Provisioning {
            requests_per_source: 40.try_into().expect("number"),
            ..config::Provisioning::default()
        };
        let turns = Turns::new(&settings);
        let tenant: TenantId = "acme".parse().expect("tenant");
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let begin = clock::now();
        let ask = |id: &str, peer| turns.next(&tenant, &id.parse().expect("id"), Some(peer), begin);
        let burst = settings.requests_per_device.get();
        for _ in 0..burst {
            assert_eq!(ask("dev-1", here), Some(Duration::ZERO));
        }
        assert_eq!(ask("dev-1", there), None, "wherever it asks from");
        // The others of its address go on, until that has asked too often: then they wait.
        for number in burst..40 {
            assert_eq!(ask(&format!("other-{number}"), here), Some(Duration::ZERO));
        }
        assert_eq!(ask("late", here), Some(OF_SOURCE));
        assert_eq!(ask("elsewhere", there), Some(Duration::ZERO));
        // After ten seconds the device may ask once more.
        let later = begin.checked_add(Duration::from_secs(10)).expect("later");
        let id = "dev-1".parse().expect("id");
        let again = turns.next(&tenant, &id, Some(here), later);
        assert_eq!(again, Some(Duration::ZERO));
        assert_eq!(turns.next(&tenant, &id, Some(here), later), None);
    }

    #[test]
    fn a_tenant_has_as_much_as_is_set_and_takes_nothing_from_others() {
        let settings = config::Provisioning {
            requests_per_tenant: 3.try_into().expect("number"),
            requests_per_tenant_and_second: 4.try_into().expect("number"),
            ..config::Provisioning::default()
        };
        let turns = Turns::new(&settings);
        let begin = clock::now();
        let ask = |tenant: &str, id: &str| {
            let (tenant, id) = (tenant.parse().expect("tenant"), id.parse().expect("id"));
            turns.next(&tenant, &id, None, begin)
        };
        for id in ["dev-1", "dev-2", "dev-3"] {
            assert_eq!(ask("acme", id), Some(Duration::ZERO));
        }
        assert_eq!(ask("acme", "dev-4"), Some(Duration::from_millis(250)));
        assert_eq!(ask("other", "dev-4"), Some(Duration::ZERO));
    }
}
