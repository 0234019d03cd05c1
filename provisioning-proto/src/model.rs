//! The words of provisioning, of no protocol: who a device is, how it proves that, and where it belongs.
//!
//! An operator configures [`Enrollment`]s, one a device, and [`EnrollmentGroup`]s, one for all devices of a kind; both say with
//! an attestation how a device proves itself. A device presents [`Evidence`](crate::directory::Evidence), and is given an
//! [`Assignment`]: an access point, an application there, and an [`InitialConfig`]. What happened is told by [`Record`]s.

mod assignment;
mod attestation;
mod enrollment;
mod group;
mod initial_config;
mod record;

pub use assignment::{Assignment, AssignmentState, EvidenceClass, Target};
pub use attestation::{Attestation, Derivation, Fingerprint, GroupAttestation, PskIdentity};
pub use enrollment::{Enrollment, Entry, Expected, Migration, ReprovisioningPolicy, Versioned};
pub use group::{EnrollmentGroup, IdPattern, IdRule, Rebind};
pub use initial_config::InitialConfig;
pub use record::{Cause, Record, Step};
