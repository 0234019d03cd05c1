use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::allocation::{Coordinates, GeoTable, Link, Owner, PolicyKind};
use crate::limits::Limits;
use crate::{CaId, ErrorKind, PolicyId};

fn certificate(authority: &str, to: &str) -> Rule {
    Rule::Certificate {
        authority: authority.parse().unwrap(),
        target: target(to),
    }
}

#[test]
fn a_certificate_policy_asks_for_exactly_its_authority() {
    let all = points([point("a"), point("b")]);
    let rules = policies([
        policy("p1", 1, certificate("root", "a")),
        policy("p2", 2, certificate("factory", "b")),
    ]);
    let device = id("sn-1");
    let at = |chain: &[&str]| {
        let chain: Vec<CaId> = chain.iter().map(|ca| ca.parse().unwrap()).collect();
        let input = AllocationInput {
            authorities: &chain,
            ..AllocationInput::new(&device, "x")
        };
        outcome(decide(&input, &Selection::All, &Setting::new(&all, &rules)))
    };
    assert_eq!(at(&["root"]).as_deref(), Ok("a"));
    assert_eq!(
        at(&["factory", "root"]).as_deref(),
        Ok("b"),
        "the one nearest to the device"
    );
    assert_eq!(at(&["other"]).as_deref(), Err(&Code::NO_MATCH));
    // By a secret: no chain at all.
    assert_eq!(at(&[]).as_deref(), Err(&Code::NO_MATCH));
}

#[test]
fn the_nearest_access_point_is_that_of_the_devices_network() {
    let mut list = [point("beijing"), point("berlin"), point("nowhere")];
    let degrees = |latitude, longitude| {
        Coordinates::new(latitude * 1_000_000, longitude * 1_000_000).unwrap()
    };
    list[0].location = Some(degrees(40, 116));
    list[1].location = Some(degrees(52, 13));
    let all = points(list);
    let rules = policies([policy(
        "p",
        1,
        Rule::Nearest {
            access_points: BTreeSet::new(),
            application: None,
        },
    )]);
    let mut table = GeoTable::default();
    table
        .insert("192.0.2.0/24".parse().unwrap(), degrees(31, 121))
        .unwrap();
    table
        .insert("2001:db8::/32".parse().unwrap(), degrees(48, 2))
        .unwrap();
    let device = id("sn-1");
    let at = |peer: &str| {
        let input = AllocationInput {
            peer: Some(peer.parse().unwrap()),
            ..AllocationInput::new(&device, "x")
        };
        let mut setting = Setting::new(&all, &rules);
        setting.geography = Some(&table);
        outcome(decide(&input, &Selection::All, &setting))
    };
    assert_eq!(at("192.0.2.9").as_deref(), Ok("beijing"));
    assert_eq!(at("2001:db8::1").as_deref(), Ok("berlin"));
    assert_eq!(
        at("198.51.100.1").as_deref(),
        Err(&Code::NO_NEAR_ACCESS_POINT)
    );
}

#[test]
fn another_tenants_access_point_is_used_only_while_it_is_granted() {
    let rules = policies([policy(
        "p",
        1,
        Rule::Fixed {
            target: target("theirs"),
        },
    )]);
    for granted in [true, false] {
        let mut theirs = point("theirs");
        theirs.owner = Owner::Other {
            tenant: "other".parse().unwrap(),
            granted,
        };
        let all = points([theirs]);
        assert_eq!(place("x", &all, &rules).is_ok(), granted);
        let device = id("sn-1");
        let fixed = access_point_id("theirs");
        let decision = decide(
            &AllocationInput::new(&device, "x"),
            &Selection::AccessPoint(&fixed),
            &Setting::new(&all, &rules),
        );
        assert_eq!(outcome(decision).is_ok(), granted);
    }
}

#[test]
fn the_application_is_the_policys_or_the_access_points_default_and_never_another() {
    let mut east = point("east");
    east.applications = ["main", "test"].map(|app| app.parse().unwrap()).into();
    east.default_application = Some("main".parse().unwrap());
    let all = points([east]);
    let device = id("sn-1");
    let at = |app: Option<&str>| {
        let to = Target::new(access_point_id("east"), app.map(|app| app.parse().unwrap()));
        let rules = policies([policy("p", 1, Rule::Fixed { target: to })]);
        match decide(
            &AllocationInput::new(&device, "x"),
            &Selection::All,
            &Setting::new(&all, &rules),
        ) {
            Decision::Assign { target, .. } => target.application.map(|app| app.to_string()),
            other => Some(format!("{other:?}")),
        }
    };
    assert_eq!(at(None).as_deref(), Some("main"));
    assert_eq!(at(Some("test")).as_deref(), Some("test"));
    assert_eq!(
        at(Some("other")),
        Some(format!("{:?}", Decision::NoMatch(Code::NO_MATCH)))
    );
}

#[test]
fn a_chain_asks_one_after_another() {
    let all = points([point("a"), point("b")]);
    let link = |id: &str| Link::Policy(id.parse().unwrap());
    let chain = |links| policy("chain", 9, Rule::Chain { links });
    let parts = [
        policy("p1", 1, keyword("x", 0, "a")),
        policy(
            "p2",
            2,
            Rule::Fixed {
                target: target("b"),
            },
        ),
        policy("p3", 3, keyword("x", 4, "b")),
    ];
    let at = |name: &str, links: Vec<Link>| {
        let rules = policies(parts.iter().cloned().chain([chain(links)]));
        let device = id("sn-1");
        let listed: [PolicyId; 1] = ["chain".parse().unwrap()];
        outcome(decide(
            &AllocationInput::new(&device, name),
            &Selection::Listed(&listed),
            &Setting::new(&all, &rules),
        ))
    };
    assert_eq!(at("x", vec![link("p1"), link("p2")]).as_deref(), Ok("a"));
    assert_eq!(at("y", vec![link("p1"), link("p2")]).as_deref(), Ok("b"));
    assert_eq!(
        at("x", vec![Link::Kind(PolicyKind::Static)]).as_deref(),
        Ok("b")
    );
    assert_eq!(
        at("y", vec![Link::Kind(PolicyKind::Static)]).as_deref(),
        Err(&Code::NO_MATCH)
    );
    assert_eq!(
        at("x", vec![link("chain")]).as_deref(),
        Err(&Code::NO_MATCH)
    );
}

#[test]
fn each_kind_has_its_limit_and_what_fails_changes_nothing() {
    let limits = Limits::default();
    let mut rules = Policies::default();
    let rule = |kind: PolicyKind| match kind {
        PolicyKind::Static => keyword("x", 0, "a"),
        PolicyKind::Certificate => certificate("ca", "a"),
        _ => custom("urn:f", &["a"]),
    };
    for (kind, most) in [
        (PolicyKind::Static, 20),
        (PolicyKind::Certificate, 20),
        (PolicyKind::Custom, 10),
    ] {
        for n in 0..most {
            let one = policy(&format!("{kind:?}-{n}"), n, rule(kind));
            assert_eq!(rules.check_new(&one, &limits), Ok(()));
            rules.put(one);
        }
        let before = rules.clone();
        let extra = policy(&format!("{kind:?}-{most}"), most, rule(kind));
        assert_eq!(rules.check_new(&extra, &limits), Err(ErrorKind::Full));
        assert_eq!(rules, before);
        rules.remove(&format!("{kind:?}-0").parse().unwrap());
        assert_eq!(rules.check_new(&extra, &limits), Ok(()));
    }
    let taken = policy("Static-1", 0, rule(PolicyKind::Certificate));
    assert_eq!(rules.check_new(&taken, &limits), Err(ErrorKind::Exists));
    let dangling = policy(
        "c",
        0,
        Rule::Chain {
            links: vec![Link::Policy("none".parse().unwrap())],
        },
    );
    assert_eq!(
        rules.check_new(&dangling, &limits),
        Err(ErrorKind::UnknownEntry)
    );
}

#[test]
fn what_is_written_is_read_as_the_same() {
    let mut east = point("east");
    east.endpoints.mqtt = Some("10.0.0.1:8883".parse().unwrap());
    east.endpoints.lwm2m = Some("coaps://10.0.0.1:5684".parse().unwrap());
    east.location = Coordinates::new(1, -2).ok();
    east.owner = Owner::Other {
        tenant: "t".parse().unwrap(),
        granted: false,
    };
    let all = points([east, point("west")]);
    let rules = policies([
        policy("p1", 1, keyword("x", 3, "east")),
        policy(
            "p2",
            2,
            Rule::Hashed {
                weights: BTreeMap::from([(access_point_id("east"), weight(7))]),
                application: None,
            },
        ),
        policy("p3", 3, custom("urn:f", &["east"])),
        policy(
            "p4",
            4,
            Rule::Chain {
                links: vec![Link::Kind(PolicyKind::Static)],
            },
        ),
    ]);
    let mut bytes = Vec::new();
    ciborium::into_writer(&(&all, &rules), &mut bytes).unwrap();
    let read: (AccessPoints, Policies) = ciborium::from_reader(bytes.as_slice()).unwrap();
    assert_eq!(read, (all, rules));
}

proptest! {
    /// I14: only a device with a chain, and of the policies only one whose authority is in it; of those the authority nearest to the
    /// device, and then the oldest policy.
    #[test]
    fn a_certificate_policy_takes_nobody_without_its_authority(
        chain in prop::collection::vec(0_u8..5, 0..4),
        rules in prop::collection::vec(0_u8..5, 0..8),
    ) {
        let name = |number: &u8| format!("ca-{number}");
        let all = points((0..rules.len()).map(|n| point(&format!("ap-{n}"))));
        let made = rules.iter().enumerate().map(|(n, authority)| {
            let rule = certificate(&name(authority), &format!("ap-{n}"));
            policy(&format!("p-{n}"), n.try_into().unwrap(), rule)
        });
        let made = policies(made);
        let authorities: Vec<CaId> = chain.iter().map(|ca| name(ca).parse().unwrap()).collect();
        let device = id("sn-1");
        let mut input = AllocationInput::new(&device, "x");
        input.authorities = &authorities;
        let setting = Setting::new(&all, &made);
        let place = outcome(decide(&input, &Selection::All, &setting));
        let mut wanted = chain.iter().filter_map(|ca| rules.iter().position(|one| one == ca));
        let wanted = wanted.next().map(|n| format!("ap-{n}"));
        prop_assert_eq!(place, wanted.ok_or(Code::NO_MATCH));
    }

    /// Whatever the policies say, nobody is sent where the tenant, the access point or the entry does not allow it.
    #[test]
    fn what_is_chosen_is_always_allowed(
        states in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u16..3, any::<bool>()), 4),
        kinds in prop::collection::vec((0_u8..4, 0_usize..5), 1..6),
        number in 0_u32..1000,
    ) {
        let mut allowed = BTreeSet::new();
        let all = points(states.iter().enumerate().map(|(n, (accepts, granted, share, allow))| {
            let mut one = point(&format!("ap-{n}"));
            (one.accepts_new, one.weight) = (*accepts, weight(*share));
            one.owner = Owner::Other { tenant: "other".parse().unwrap(), granted: *granted };
            if *allow {
                allowed.insert(one.id.clone());
            }
            one
        }));
        let rules = policies(kinds.iter().enumerate().map(|(n, (kind, to))| {
            let to = format!("ap-{to}");
            let rule = match kind {
                0 => Rule::Fixed { target: target(&to) },
                1 => keyword("sn", 0, &to),
                2 => Rule::Hashed { weights: BTreeMap::new(), application: None },
                _ => certificate("ca", &to),
            };
            policy(&format!("p{n}"), n as u64, rule)
        }));
        let device = id(&format!("sn-{number}"));
        let chain = ["ca".parse().unwrap()];
        let input = AllocationInput { authorities: &chain, allowed: Some(&allowed), ..AllocationInput::new(&device, device.as_str()) };
        if let Ok(chosen) = outcome(decide(&input, &Selection::All, &Setting::new(&all, &rules))) {
            let number: usize = chosen.strip_prefix("ap-").unwrap().parse().unwrap();
            let (accepts, granted, share, allow) = states[number];
            prop_assert!(accepts && granted && share > 0 && allow);
        }
    }
}
