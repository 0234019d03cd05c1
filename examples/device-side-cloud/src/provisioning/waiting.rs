//! How many devices wait until they are made known, tenant by tenant.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use provisioning_proto::TenantId;

/// How many places there are in all, beside the one that every tenant has in any case.
const PLACES: usize = 256;

/// Who waits.
///
/// A tenant may have as many places as are still free, which in the long run is half of them for one alone and a third each for
/// two, and one in any case: however many devices the others send, a tenant that has none is not shut out. Who finds no place is told
/// at once to come again: it would wait in vain, and what is done for it would hold up those who can still be answered in time.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    /// Those that have some.
    tenants: BTreeMap<TenantId, usize>,
}

impl Waiting {
    /// Whether there is a place for one more device of a tenant.
    pub(super) fn has_room(&self, tenant: &TenantId) -> bool {
        let counts = self.lock();
        let own = counts.tenants.get(tenant).copied().unwrap_or(0);
        own == 0 || own < PLACES.saturating_sub(counts.all)
    }

    /// One of a tenant waits, whether there was a place or not.
    pub(super) fn enter(&self, tenant: &TenantId) {
        let mut counts = self.lock();
        counts.all = counts.all.saturating_add(1);
        let own = counts.tenants.entry(tenant.clone()).or_default();
        *own = own.saturating_add(1);
    }

    /// One of a tenant waits no more.
    pub(super) fn leave(&self, tenant: &TenantId) {
        let mut counts = self.lock();
        if let Some(own) = counts.tenants.get_mut(tenant) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                counts.tenants.remove(tenant);
            }
            counts.all = counts.all.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // Counts are whole between two calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a tenant take what it gets; how much that is.
    fn fill(waiting: &Waiting, tenant: &TenantId) -> usize {
        let free = std::iter::repeat_with(|| waiting.has_room(tenant)).take_while(|room| *room);
        free.map(|_| waiting.enter(tenant)).count()
    }

    #[test]
    fn one_tenant_leaves_places_for_the_others() {
        let waiting = Waiting::default();
        let tenant = |n: usize| -> TenantId { format!("tenant-{n}").parse().expect("tenant") };
        assert_eq!(fill(&waiting, &tenant(0)), PLACES / 2);
        // However many there are, whoever comes next finds one.
        for n in 1..30 {
            assert!(fill(&waiting, &tenant(n)) >= 1, "tenant {n}");
            assert!(!waiting.has_room(&tenant(0)));
        }
        assert!(waiting.lock().all < PLACES.saturating_add(30));
        // What the first gives back goes to those with less.
        waiting.leave(&tenant(0));
        assert!(!waiting.has_room(&tenant(0)));
    }

    #[test]
    fn places_are_free_again_when_devices_are_made_known() {
        let waiting = Waiting::default();
        let (one, other): (TenantId, TenantId) = (
            "one".parse().expect("tenant"),
            "other".parse().expect("tenant"),
        );
        for _ in 0..fill(&waiting, &one) {
            waiting.leave(&one);
        }
        // One that leaves twice takes nobody's place.
        waiting.leave(&one);
        assert!(waiting.lock().tenants.is_empty());
        assert_eq!(fill(&waiting, &other), PLACES / 2);
    }
}
