//! Targets of `provisioning-proto`.

/// A change of one ledger.
macro_rules! changed {
    ($bytes:expr, $change:ty, $ledger:ty, $format:expr) => {
        if let Ok(change) = <$change>::decode($bytes) {
            let written = change.encode().expect("what was read can be written");
            assert_eq!(<$change>::decode(&written).as_ref().ok(), Some(&change));
            let mut ledger = <$ledger>::default();
            ledger.apply(&change);
            let snapshot = ledger.snapshot().expect("a ledger can be written");
            assert_eq!(<$ledger>::restore($format, &snapshot).ok(), Some(ledger));
        }
    };
}

/// A snapshot of one ledger.
macro_rules! restored {
    ($bytes:expr, $ledger:ty, $format:expr) => {
        if let Ok(ledger) = <$ledger>::restore($format, $bytes) {
            let written = ledger.snapshot().expect("what was read can be written");
            assert_eq!(<$ledger>::restore($format, &written).ok(), Some(ledger));
        }
    };
}

pub mod allocation;
pub mod certificates;
pub mod mqtt;

pub mod lwm2m;
pub mod management;
pub mod registration;

use provisioning_proto::certificates::{authorities, issuance};
use provisioning_proto::{migration, registry, roster, tenant};

/// Stored changes: what reads is written as something that reads as the same, and brings down no ledger.
pub fn change(bytes: &[u8]) {
    changed!(
        bytes,
        registry::Change,
        registry::Registry,
        registry::SNAPSHOT_FORMAT
    );
    changed!(
        bytes,
        roster::Change,
        roster::Roster,
        roster::SNAPSHOT_FORMAT
    );
    changed!(
        bytes,
        tenant::Change,
        tenant::Tenant,
        tenant::SNAPSHOT_FORMAT
    );
    changed!(
        bytes,
        migration::Change,
        migration::Plans,
        migration::SNAPSHOT_FORMAT
    );
    changed!(
        bytes,
        authorities::Change,
        authorities::CertificateAuthorities,
        authorities::SNAPSHOT_FORMAT
    );
    changed!(
        bytes,
        issuance::Change,
        issuance::IssuedCertificates,
        issuance::SNAPSHOT_FORMAT
    );
}

/// Stored snapshots.
pub fn snapshot(bytes: &[u8]) {
    restored!(bytes, registry::Registry, registry::SNAPSHOT_FORMAT);
    restored!(bytes, roster::Roster, roster::SNAPSHOT_FORMAT);
    restored!(bytes, tenant::Tenant, tenant::SNAPSHOT_FORMAT);
    restored!(bytes, migration::Plans, migration::SNAPSHOT_FORMAT);
    restored!(
        bytes,
        authorities::CertificateAuthorities,
        authorities::SNAPSHOT_FORMAT
    );
    restored!(
        bytes,
        issuance::IssuedCertificates,
        issuance::SNAPSHOT_FORMAT
    );
}
