//! The rules of the ledger of a tenant's settings, over any sequence of commands: versions, limits, replay.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use provisioning_proto::allocation::{
    AccessPoint, AllocationPolicy, FunctionUrn, Keyword, KeywordSource, PolicyKind, Priority, Rule,
    Target,
};
use provisioning_proto::model::Expected;
use provisioning_proto::tenant::{Command, Decision, Reply, SNAPSHOT_FORMAT, Tenant};
use provisioning_proto::{AccessPointId, ErrorKind, PolicyId};

/// The kinds whose number is limited, and by how much.
const LIMITED: [(PolicyKind, usize); 3] = [
    (PolicyKind::Custom, 10),
    (PolicyKind::Static, 20),
    (PolicyKind::Certificate, 20),
];

#[derive(Clone, Debug)]
enum Believed {
    Any,
    Absent,
    Present,
    /// So much beside the present version.
    Stale(i64),
}

#[derive(Clone, Debug)]
enum Step {
    Policy(usize, u8, u8, Believed),
    RemovePolicy(usize, u8, Believed),
    Point(u8, u16, Believed),
    RemovePoint(u8, Believed),
}

fn believed() -> impl Strategy<Value = Believed> {
    prop_oneof![
        6 => Just(Believed::Any),
        2 => Just(Believed::Absent),
        2 => Just(Believed::Present),
        2 => prop_oneof![-3..0_i64, 1..3_i64].prop_map(Believed::Stale),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || 0..LIMITED.len();
    prop_oneof![
        20 => (kind(), 0..25_u8, 0..3_u8, believed()).prop_map(|(kind, n, word, b)| Step::Policy(kind, n, word, b)),
        3 => (kind(), 0..25_u8, believed()).prop_map(|(kind, n, b)| Step::RemovePolicy(kind, n, b)),
        3 => (0..3_u8, 0..3_u16, believed()).prop_map(|(n, weight, b)| Step::Point(n, weight, b)),
        1 => (0..3_u8, believed()).prop_map(|(n, b)| Step::RemovePoint(n, b)),
    ]
}

fn point(number: u8) -> AccessPointId {
    format!("ap-{number}").parse().unwrap()
}

fn policy_id(kind: usize, number: u8) -> PolicyId {
    format!("p-{kind}-{number}").parse().unwrap()
}

fn policy(kind: usize, number: u8, word: u8) -> AllocationPolicy {
    let target = Target::new(point(0), None);
    let rule = match LIMITED[kind].0 {
        PolicyKind::Custom => Rule::Custom {
            function: FunctionUrn::new(format!("urn:{word}")).unwrap(),
            name: "f".to_owned(),
            access_points: [point(0)].into(),
        },
        PolicyKind::Static => Rule::Static {
            keyword: Keyword::new(format!("k{word}")).unwrap(),
            priority: Priority::new(1).unwrap(),
            source: KeywordSource::DeviceName,
            target,
        },
        _ => Rule::Certificate {
            authority: format!("ca-{word}").parse().unwrap(),
            target,
        },
    };
    AllocationPolicy::new(policy_id(kind, number), 0, rule)
}

/// The versions of what there is.
type Versions = BTreeMap<String, u64>;

fn versions(tenant: &Tenant) -> Versions {
    let policies = tenant.policies().iter();
    let policies = policies.map(|(id, one)| (format!("policy {id}"), one.version));
    let points = tenant.access_points().iter();
    let points = points.map(|(id, one)| (format!("point {id}"), one.version));
    policies.chain(points).collect()
}

fn expected(believed: &Believed, present: Option<u64>) -> Expected {
    match (believed, present) {
        (Believed::Any, _) => Expected::Any,
        (Believed::Absent, _) | (Believed::Present, None) => Expected::Absent,
        (Believed::Present, Some(version)) => Expected::Version(version),
        (Believed::Stale(by), version) => {
            Expected::Version(version.unwrap_or(9).saturating_add_signed(*by))
        }
    }
}

/// What a step is about, and the command with what its caller believes.
fn command(step: &Step, known: &Versions) -> (String, Expected, Command) {
    let name = match step {
        Step::Policy(kind, number, ..) | Step::RemovePolicy(kind, number, _) => {
            format!("policy {}", policy_id(*kind, *number))
        }
        Step::Point(number, ..) | Step::RemovePoint(number, _) => {
            format!("point {}", point(*number))
        }
    };
    let (Step::Policy(.., believed)
    | Step::RemovePolicy(.., believed)
    | Step::Point(.., believed)
    | Step::RemovePoint(_, believed)) = step;
    let expected = expected(believed, known.get(&name).copied());
    let command = match step {
        Step::Policy(kind, number, word, _) => Command::SetPolicy {
            policy: policy(*kind, *number, *word),
            expected,
        },
        Step::RemovePolicy(kind, number, _) => Command::RemovePolicy {
            policy: policy_id(*kind, *number),
            expected,
        },
        Step::Point(number, weight, _) => {
            let mut point = AccessPoint::new(point(*number), "An access point");
            point.weight = (*weight).try_into().unwrap();
            Command::SetAccessPoint { point, expected }
        }
        Step::RemovePoint(number, _) => Command::RemoveAccessPoint {
            access_point: point(*number),
            expected,
        },
    };
    (name, expected, command)
}

fn count(tenant: &Tenant, kind: PolicyKind) -> usize {
    let policies = tenant.policies().values();
    policies
        .filter(|policy| policy.value.rule.kind() == kind)
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// I34: no sequence of commands makes more of a kind than its limit, and a command that is refused changes nothing.
    /// I35: what is believed to be another version changes nothing; each accepted change has a version that no entry had before.
    #[test]
    fn limits_and_versions_hold_under_any_sequence(steps in prop::collection::vec(step(), 0..150)) {
        let mut tenant = Tenant::default();
        let mut stored = Vec::new();
        let mut highest = 0;
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let create = Command::Create { name: "T".to_owned() };
        let mut run = |tenant: &mut Tenant, command: Command| -> Result<Reply, ErrorKind> {
            let before = tenant.clone();
            let decided = tenant.decide(command, wall);
            assert_eq!(*tenant, before, "deciding touched the ledger");
            let Decision { changes, reply, .. } = decided?;
            for change in &changes {
                stored.push(change.encode().unwrap());
                tenant.apply(change);
            }
            Ok(reply)
        };
        run(&mut tenant, create).unwrap();
        for step in &steps {
            let before = tenant.clone();
            let known = versions(&before);
            let (name, expected, command) = command(step, &known);
            let present = known.get(&name).copied();
            let result = run(&mut tenant, command);
            let after = versions(&tenant);
            let meets = match expected {
                Expected::Any => true,
                Expected::Absent => present.is_none(),
                Expected::Version(version) => present == Some(version),
            };
            if !meets {
                prop_assert!(result.is_err(), "{step:?} {present:?}");
            }
            if result.is_err() {
                prop_assert_eq!(&tenant, &before);
            }
            match (present, after.get(&name).copied()) {
                (was, Some(version)) if was != Some(version) => {
                    prop_assert!(version > highest, "{version} was given before");
                    prop_assert_eq!(result, Ok(Reply::Version(version)));
                    highest = version;
                }
                (Some(_), Some(_)) => prop_assert_eq!(&tenant, &before, "{:?}", step),
                _ => {}
            }
            // Nothing else was touched.
            let others = |all: &Versions| {
                let others = all.iter().filter(|(other, _)| **other != name);
                others.map(|(name, version)| (name.clone(), *version)).collect::<Versions>()
            };
            prop_assert_eq!(others(&known), others(&after));
            for (kind, most) in LIMITED {
                prop_assert!(count(&tenant, kind) <= most);
            }
        }
        let replayed = Tenant::replay(stored.iter().map(Vec::as_slice)).unwrap();
        prop_assert_eq!(&replayed, &tenant);
        let snapshot = tenant.snapshot().unwrap();
        prop_assert_eq!(Tenant::restore(SNAPSHOT_FORMAT, &snapshot).unwrap(), tenant);
    }
}

/// The property above is of use only if its steps reach the limits.
#[test]
fn the_limits_are_reached_and_not_passed() {
    let mut tenant = Tenant::default();
    let wall = SystemTime::UNIX_EPOCH;
    let create = Command::Create {
        name: "T".to_owned(),
    };
    let mut run = |command| {
        let decision = tenant.decide(command, wall)?;
        for change in &decision.changes {
            tenant.apply(change);
        }
        Ok(())
    };
    run(create).unwrap();
    for (kind, (_, most)) in LIMITED.iter().enumerate() {
        for number in 0..25_u8 {
            let set = Command::SetPolicy {
                policy: policy(kind, number, 0),
                expected: Expected::Any,
            };
            let wanted = match usize::from(number) < *most {
                true => Ok(()),
                false => Err(ErrorKind::Full),
            };
            assert_eq!(run(set), wanted);
        }
    }
}
