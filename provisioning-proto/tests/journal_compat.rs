//! What releases wrote of tenants, devices and migrations still loads. (Of products: `replay.rs`; of certificates:
//! `certificates/compat.rs`.)
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::wildcard_imports
)]

#[path = "support/compat.rs"]
mod compat;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use compat::{Stored, kinds};
use provisioning_proto::allocation::*;
use provisioning_proto::migration::{self, Plan, Plans, Way};
use provisioning_proto::model::*;
use provisioning_proto::roster::{self, Proposal, Roster};
use provisioning_proto::tenant::{self, Tenant};
use provisioning_proto::{RegistrationId, SealedSecret};

const EVERY: usize = 17;

fn sealed(byte: u8) -> SealedSecret {
    SealedSecret::new(vec![byte; 40]).unwrap()
}

fn at(second: usize) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + second as u64)
}

fn target(name: &str) -> Target {
    Target::new(name.parse().unwrap(), Some("lamp".parse().unwrap()))
}

fn proposal(based_on: u64, to: &str, entry_version: u64) -> Proposal {
    let class = EvidenceClass::OwnSecret;
    let mut proposal = Proposal::new(based_on, target(to), entry_version, class);
    proposal.policy = Some("p".parse().unwrap());
    proposal.initial_config = Some(InitialConfig::new(&b"{\"a\":1}"[..]).unwrap());
    proposal.own_secret = Some(sealed(u8::try_from(based_on).unwrap()));
    proposal
}

/// Devices' lives in which everything happens that can.
fn roster_life() -> Vec<(&'static str, roster::Command)> {
    use roster::Command::*;
    let enroll = |attestation| {
        let mut entry = Entry::enabled();
        entry.owner = Some("alice".parse().unwrap());
        entry.policies = vec!["p".parse().unwrap()];
        entry.reprovisioning = ReprovisioningPolicy::OnTrigger;
        let mut enrollment = Enrollment::new(attestation, entry);
        enrollment.name = Some("Lamp".to_owned());
        Enroll {
            enrollment,
            expected: Expected::Any,
        }
    };
    let secret = || Attestation::SymmetricKey {
        primary: sealed(1),
        secondary: Some(sealed(2)),
    };
    let psk = || Attestation::DtlsPsk {
        identity: "urn:lamp".parse().unwrap(),
        key: sealed(3),
    };
    let leaf = || Attestation::X509Leaf {
        fingerprints: BTreeSet::new(),
        first_use_until: 1_900_000_000_000,
    };
    let ca = || Attestation::X509Ca {
        ca: "ca".parse().unwrap(),
        accept_expired: true,
    };
    let transfer = || "00112233445566778899aabbccddeeff".parse().unwrap();
    let mut imported = Roster::default();
    for command in [
        enroll(secret()),
        Propose(proposal(0, "a", 1)),
        Commit { generation: 1 },
    ] {
        for change in imported.decide(&id("x"), command, at(0)).unwrap().changes {
            imported.apply(&change);
        }
    }
    let assignment = imported
        .registration(&id("x"))
        .unwrap()
        .current
        .clone()
        .unwrap();
    let enrollment = imported.registration(&id("x")).unwrap().enrollment.clone();
    vec![
        ("one", enroll(secret())),
        ("one", Propose(proposal(0, "a", 1))),
        (
            "one",
            Abandon {
                generation: 1,
                cause: Cause::TimedOut,
            },
        ),
        ("one", Propose(proposal(1, "a", 1))),
        ("one", Commit { generation: 2 }),
        ("one", Return { generation: 2 }),
        ("one", Confirm { generation: 2 }),
        ("one", Trigger),
        (
            "one",
            Direct {
                to: Some("b".parse().unwrap()),
            },
        ),
        ("one", Propose(proposal(2, "b", 1))),
        ("one", Commit { generation: 3 }),
        ("one", Confirm { generation: 3 }),
        (
            "one",
            RetireTarget {
                target: target("a"),
            },
        ),
        ("two", enroll(leaf())),
        (
            "two",
            PinCertificate {
                fingerprint: "ab".repeat(32).parse().unwrap(),
            },
        ),
        ("two", enroll(ca())),
        (
            "two",
            Unenroll {
                expected: Expected::Any,
            },
        ),
        ("three", enroll(psk())),
        (
            "three",
            Refuse {
                cause: Cause::NoMatch,
                group: Some("g".parse().unwrap()),
            },
        ),
        ("three", ApproveRebind),
        ("three", Retire),
        ("three", Reset),
        (
            "four",
            Import {
                assignment: assignment.clone(),
                own_secret: Some(sealed(9)),
                transfer: None,
                enrollment: None,
            },
        ),
        (
            "five",
            Import {
                assignment,
                own_secret: Some(sealed(9)),
                transfer: Some(transfer()),
                enrollment,
            },
        ),
        (
            "six",
            Withdraw {
                transfer: transfer(),
            },
        ),
        (
            "five",
            Withdraw {
                transfer: transfer(),
            },
        ),
    ]
}

fn id(name: &str) -> RegistrationId {
    name.parse().unwrap()
}

#[test]
fn what_release_0_1_0_wrote_of_devices_still_loads() {
    let mut lived = Roster::default();
    let mut changes = Vec::new();
    for (second, (device, command)) in roster_life().into_iter().enumerate() {
        let decision = lived.decide(&id(device), command, at(second)).unwrap();
        assert_eq!(decision.changes.len(), 1, "step {second} changes nothing");
        changes.push(decision.changes[0].encode().unwrap());
        lived.apply(&decision.changes[0]);
    }
    let stored = Stored {
        changes,
        snapshot: lived.snapshot().unwrap(),
    };
    let written = Stored::by_0_1_0("roster", &stored);
    let facts = written
        .slices()
        .map(|change| roster::Change::decode(change).unwrap().fact);
    assert_eq!(kinds(facts), EVERY);
    assert_eq!(Roster::replay(written.slices()).unwrap(), lived);
    assert_eq!(Roster::restore(1, &written.snapshot).unwrap(), lived);
    // As long as 0.1.0 is the present release, it also writes them the same.
    assert_eq!(stored, written);
}

#[test]
fn what_release_0_1_0_wrote_of_tenants_still_loads() {
    use tenant::Command::*;
    let expected = Expected::Any;
    let policy = |name: &str, rule| SetPolicy {
        policy: AllocationPolicy::new(name.parse().unwrap(), 0, rule),
        expected,
    };
    let point = |name: &str| {
        let mut point = AccessPoint::new(name.parse().unwrap(), name);
        point.region = Some("north".to_owned());
        point.applications = ["lamp".parse().unwrap()].into();
        point.default_application = Some("lamp".parse().unwrap());
        point.endpoints.mqtt = Some("east.example:8883".parse().unwrap());
        point.endpoints.lwm2m = Some("coaps://east.example:5684".parse().unwrap());
        point.location = Some(Coordinates::new(52_520_000, 13_405_000).unwrap());
        point.capacity = Some(1000);
        SetAccessPoint { point, expected }
    };
    let group = |attestation| {
        let mut entry = Entry::enabled();
        entry.access_point = Some("a".parse().unwrap());
        let scope = "s".parse().unwrap();
        let mut group = EnrollmentGroup::new("Group".to_owned(), scope, attestation, entry);
        group.ids.max_devices = Some(100);
        group.rebind = Rebind::Approve;
        SetGroup {
            group: "g".parse().unwrap(),
            value: group,
            expected,
        }
    };
    let key = GroupAttestation::GroupKey {
        primary: sealed(7),
        secondary: None,
        derivation: Derivation::IdAsKey,
    };
    let points: BTreeSet<provisioning_proto::AccessPointId> =
        ["a".parse().unwrap(), "b".parse().unwrap()].into();
    let weights: BTreeMap<_, _> = points
        .iter()
        .map(|point| (point.clone(), Weight::try_from(3).unwrap()))
        .collect();
    let commands = [
        Create {
            name: "Tenant".to_owned(),
        },
        AddScope("s".parse().unwrap()),
        AddScope("other".parse().unwrap()),
        RemoveScope("other".parse().unwrap()),
        point("a"),
        point("b"),
        point("c"),
        RemoveAccessPoint {
            access_point: "c".parse().unwrap(),
            expected,
        },
        Grant {
            access_point: "a".parse().unwrap(),
            to: "t2".parse().unwrap(),
        },
        Grant {
            access_point: "b".parse().unwrap(),
            to: "t2".parse().unwrap(),
        },
        EndGrant {
            access_point: "b".parse().unwrap(),
            to: "t2".parse().unwrap(),
        },
        policy(
            "fixed",
            Rule::Fixed {
                target: target("a"),
            },
        ),
        policy(
            "static",
            Rule::Static {
                keyword: Keyword::new("lamp").unwrap(),
                priority: 4.try_into().unwrap(),
                source: KeywordSource::Payload,
                target: target("b"),
            },
        ),
        policy(
            "certificate",
            Rule::Certificate {
                authority: "ca".parse().unwrap(),
                target: target("a"),
            },
        ),
        policy(
            "custom",
            Rule::Custom {
                function: FunctionUrn::new("urn:f").unwrap(),
                name: "Where".to_owned(),
                access_points: points.clone(),
            },
        ),
        policy(
            "nearest",
            Rule::Nearest {
                access_points: points,
                application: None,
            },
        ),
        policy(
            "hashed",
            Rule::Hashed {
                weights,
                application: None,
            },
        ),
        policy(
            "gone",
            Rule::Fixed {
                target: target("a"),
            },
        ),
        RemovePolicy {
            policy: "gone".parse().unwrap(),
            expected,
        },
        group(key),
        RemoveGroup {
            group: "g".parse().unwrap(),
            expected,
        },
        group(GroupAttestation::X509Ca {
            ca: "ca".parse().unwrap(),
            accept_expired: false,
        }),
    ];
    let mut lived = Tenant::default();
    let mut changes = Vec::new();
    for (second, command) in commands.into_iter().enumerate() {
        let decision = lived.decide(command, at(second)).unwrap();
        assert_eq!(decision.changes.len(), 1, "step {second} changes nothing");
        changes.push(decision.changes[0].encode().unwrap());
        lived.apply(&decision.changes[0]);
    }
    let stored = Stored {
        changes,
        snapshot: lived.snapshot().unwrap(),
    };
    let written = Stored::by_0_1_0("tenant", &stored);
    let facts = written
        .slices()
        .map(|change| tenant::Change::decode(change).unwrap().fact);
    assert_eq!(kinds(facts), 11);
    assert_eq!(Tenant::replay(written.slices()).unwrap(), lived);
    assert_eq!(Tenant::restore(1, &written.snapshot).unwrap(), lived);
    assert_eq!(stored, written);
}

#[test]
fn what_release_0_1_0_wrote_of_migrations_still_loads() {
    use migration::AbortCause;
    use migration::Command::{Abort, Begin, Confirm, EndAbort, Finish, Prepare};
    let transfer = || Way::Transfer {
        transfer: "00112233445566778899aabbccddeeff".parse().unwrap(),
        instance: "production".to_owned(),
    };
    let direct = || Way::Direct {
        to: "b".parse().unwrap(),
    };
    let plan = |way, most| migration::Command::Plan {
        plan: Plan::new("a".parse().unwrap(), way),
        most,
    };
    let abort = |cause| Abort { cause };
    let commands = [
        ("one", plan(direct(), 9)),
        ("one", Begin),
        ("one", Prepare),
        ("one", Confirm),
        ("one", Finish),
        ("two", plan(transfer(), 9)),
        ("two", Begin),
        ("two", abort(AbortCause::Refused)),
        ("two", EndAbort),
        ("three", plan(transfer(), 2)),
        ("three", abort(AbortCause::TimedOut)),
    ];
    let mut lived = Plans::default();
    let mut changes = Vec::new();
    for (second, (device, command)) in commands.into_iter().enumerate() {
        for change in lived
            .decide(&id(device), command, at(second))
            .unwrap()
            .changes
        {
            changes.push(change.encode().unwrap());
            lived.apply(&change);
        }
    }
    let stored = Stored {
        changes,
        snapshot: lived.snapshot().unwrap(),
    };
    let written = Stored::by_0_1_0("migrations", &stored);
    let facts = written
        .slices()
        .map(|change| migration::Change::decode(change).unwrap().fact);
    assert_eq!(kinds(facts), 8);
    assert_eq!(Plans::replay(written.slices()).unwrap(), lived);
    assert_eq!(Plans::restore(1, &written.snapshot).unwrap(), lived);
    assert_eq!(stored, written);
}

#[test]
fn what_release_0_1_0_wrote_of_aborts_that_were_ended_alone_still_loads() {
    use migration::AbortCause;
    use migration::Command::{Abort, Confirm, EndAbort, EndAlone, LetGo};
    let transfer = Way::Transfer {
        transfer: "00112233445566778899aabbccddeeff".parse().unwrap(),
        instance: "production".to_owned(),
    };
    let plan = || migration::Command::Plan {
        plan: Plan::new("a".parse().unwrap(), transfer.clone()),
        most: 9,
    };
    let abort = || Abort {
        cause: AbortCause::Operator,
    };
    let alone = || EndAlone {
        without: "production".to_owned(),
    };
    let commands = [
        ("unheard", plan()),
        ("unheard", abort()),
        ("unheard", alone()),
        ("back", plan()),
        ("back", abort()),
        ("back", alone()),
        ("back", EndAbort),
        ("seen", plan()),
        ("seen", abort()),
        ("seen", alone()),
        ("seen", Confirm),
        ("gone", plan()),
        ("gone", abort()),
        ("gone", alone()),
        ("gone", Confirm),
        ("gone", LetGo),
    ];
    let mut lived = Plans::default();
    let mut changes = Vec::new();
    for (second, (device, command)) in commands.into_iter().enumerate() {
        let decision = lived.decide(&id(device), command, at(second)).unwrap();
        assert_eq!(decision.changes.len(), 1, "step {second} changes nothing");
        changes.push(decision.changes[0].encode().unwrap());
        lived.apply(&decision.changes[0]);
    }
    let stored = Stored {
        changes,
        snapshot: lived.snapshot().unwrap(),
    };
    let written = Stored::by_0_1_0("aborts", &stored);
    let facts = written
        .slices()
        .map(|change| migration::Change::decode(change).unwrap().fact);
    // With the other eight that is every one.
    assert_eq!(kinds(facts), 6);
    assert_eq!(Plans::replay(written.slices()).unwrap(), lived);
    assert_eq!(Plans::restore(1, &written.snapshot).unwrap(), lived);
    assert_eq!(stored, written);
}
