//! Targets of `provisioning-proto`.

pub mod allocation;
pub mod certificates;
pub mod mqtt;

pub mod lwm2m;

use provisioning_proto::registry::{Change, Registry, SNAPSHOT_FORMAT};

/// A stored change: what reads is written as something that reads as the same, and brings down no registry.
pub fn change(bytes: &[u8]) {
    if let Ok(change) = Change::decode(bytes) {
        let written = change.encode().expect("what was read can be written");
        assert_eq!(Change::decode(&written).as_ref().ok(), Some(&change));
        let mut registry = Registry::default();
        registry.apply(&change);
        let snapshot = registry.snapshot().expect("a registry can be written");
        assert_eq!(
            Registry::restore(SNAPSHOT_FORMAT, &snapshot).ok(),
            Some(registry)
        );
    }
}

/// A stored snapshot.
pub fn snapshot(bytes: &[u8]) {
    if let Ok(registry) = Registry::restore(SNAPSHOT_FORMAT, bytes) {
        let written = registry.snapshot().expect("what was read can be written");
        assert_eq!(
            Registry::restore(SNAPSHOT_FORMAT, &written).ok(),
            Some(registry)
        );
    }
}
