use std::collections::BTreeMap;
use std::time::Duration;

use crate::SOLE_EPOCH;

/// Who may act on which partition, and until when.
#[derive(Debug, Default)]
pub(super) struct Leases {
    /// The time that has passed.
    now: Duration,
    /// How many were granted so far.
    granted: u64,
    held: BTreeMap<String, Lease>,
}

#[derive(Debug)]
struct Lease {
    node: String,
    epoch: u64,
    until: Duration,
}

impl Leases {
    pub(super) fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        self.held.retain(|_, lease| lease.until > self.now);
    }

    pub(super) fn acquire(&mut self, partition: &str, node: &str, ttl: Duration) -> Option<u64> {
        if self
            .held
            .get(partition)
            .is_some_and(|lease| lease.node != node)
        {
            return None;
        }
        self.granted = self.granted.saturating_add(1);
        // Never the epoch of a store that always grants: who forgot to ask for a lease is fenced.
        let epoch = SOLE_EPOCH.saturating_add(self.granted);
        let lease = Lease {
            node: node.to_owned(),
            epoch,
            until: self.now.saturating_add(ttl),
        };
        self.held.insert(partition.to_owned(), lease);
        Some(epoch)
    }

    pub(super) fn renew(&mut self, partition: &str, node: &str, epoch: u64, ttl: Duration) -> bool {
        let until = self.now.saturating_add(ttl);
        let lease = self.held.get_mut(partition);
        let own = lease.filter(|lease| lease.node == node && lease.epoch == epoch);
        own.map(|lease| lease.until = until).is_some()
    }

    pub(super) fn release(&mut self, partition: &str, node: &str, epoch: u64) {
        if self
            .held
            .get(partition)
            .is_some_and(|lease| lease.node == node && lease.epoch == epoch)
        {
            self.held.remove(partition);
        }
    }

    pub(super) fn holds(&self, epoch: u64) -> bool {
        self.held.values().any(|lease| lease.epoch == epoch)
    }
}
