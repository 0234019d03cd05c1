use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn hashed() -> Policies {
    policies([policy(
        "p",
        1,
        Rule::Hashed {
            weights: BTreeMap::new(),
            application: None,
        },
    )])
}

fn chosen(number: usize, points: &AccessPoints, rules: &Policies) -> Option<String> {
    let id = id(&format!("sn-{number}"));
    let input = AllocationInput::new(&id, id.as_str());
    outcome(decide(
        &input,
        &Selection::All,
        &Setting::new(points, rules),
    ))
    .ok()
}

fn weighted(weights: &[u16]) -> Vec<AccessPoint> {
    let one = |(n, value): (usize, &u16)| {
        let mut point = point(&format!("ap-{n}"));
        point.weight = weight(*value);
        point
    };
    weights.iter().enumerate().map(one).collect()
}

#[test]
fn shares_follow_the_weights_and_weight_nought_gets_none() {
    let weights = [0, 1, 2, 7, 10, 10, 300, 1000];
    let all = points(weighted(&weights));
    let rules = hashed();
    let mut counts = [0_u64; 8];
    let devices = 40_000;
    for n in 0..devices {
        let to = chosen(n, &all, &rules).unwrap();
        counts[to.strip_prefix("ap-").unwrap().parse::<usize>().unwrap()] += 1;
    }
    let total: u16 = weights.iter().sum();
    for (count, weight) in counts.iter().zip(weights) {
        let wanted = devices as f64 * f64::from(weight) / f64::from(total);
        // Five standard deviations.
        assert!(
            (*count as f64 - wanted).abs() <= 5.0 * wanted.sqrt(),
            "{count} {wanted}"
        );
    }
    assert_eq!(counts[0], 0);
}

#[test]
fn a_policys_own_weights_count_instead_of_those_of_the_access_points() {
    let all = points(weighted(&[1000, 1, 1]));
    let weights =
        [("ap-1", 5), ("ap-2", 0)].map(|(id, value)| (access_point_id(id), weight(value)));
    let rules = policies([policy(
        "p",
        1,
        Rule::Hashed {
            weights: weights.into(),
            application: None,
        },
    )]);
    assert!((0..100).all(|n| chosen(n, &all, &rules).as_deref() == Some("ap-1")));
}

#[test]
fn a_full_access_point_gets_no_more_and_the_others_take_its_devices() {
    let mut list = weighted(&[1, 1]);
    list[0].capacity = Some(10);
    let (all, rules) = (points(list), hashed());
    let at = |devices: u64| {
        let load = BTreeMap::from([(access_point_id("ap-0"), devices)]);
        let mut setting = Setting::new(&all, &rules);
        setting.load = Some(&load);
        let places = (0..100).map(|n| {
            let id = id(&format!("sn-{n}"));
            outcome(decide(
                &AllocationInput::new(&id, "x"),
                &Selection::All,
                &setting,
            ))
            .unwrap()
        });
        places.filter(|place| place == "ap-0").count()
    };
    assert!(at(9) > 20);
    assert_eq!(at(10), 0);
}

#[test]
fn shares_are_within_five_percent_of_the_weights_for_two_and_three_and_ten() {
    let devices = 100_000_u32;
    for weights in [&[1, 1][..], &[1, 1, 1], &[1, 2, 7], &[5; 10]] {
        let (all, rules) = (points(weighted(weights)), hashed());
        let mut counts = vec![0_u32; weights.len()];
        for n in 0..devices {
            let to = chosen(n.try_into().unwrap(), &all, &rules).unwrap();
            counts[to.strip_prefix("ap-").unwrap().parse::<usize>().unwrap()] += 1;
        }
        let total: u16 = weights.iter().sum();
        for (count, weight) in counts.into_iter().zip(weights) {
            let wanted = f64::from(devices) * f64::from(*weight) / f64::from(total);
            let off = f64::from(count) / wanted - 1.0;
            assert!(off.abs() <= 0.05, "{weights:?}: {weight} is off by {off}");
        }
    }
}

#[test]
fn a_thousand_get_as_much_each_as_chance_allows() {
    let (all, rules) = (points(weighted(&[1; 1000])), hashed());
    let mut counts = BTreeMap::new();
    for n in 0..100_000 {
        *counts.entry(chosen(n, &all, &rules).unwrap()).or_insert(0) += 1;
    }
    // A hundred each on average, with a standard deviation of ten for a fair lottery.
    let square = |count: &i32| f64::from((count - 100) * (count - 100));
    let deviation = (counts.values().map(square).sum::<f64>() / 1000.0).sqrt();
    assert_eq!(counts.len(), 1000);
    assert!(deviation < 11.0, "{deviation}");
}

#[test]
fn what_an_entry_allows_is_chosen_among_as_if_there_were_nothing_else() {
    let (all, rules) = (points(weighted(&[3; 200])), hashed());
    for size in [1, 5, 60] {
        let allowed: BTreeSet<AccessPointId> = (0..size)
            .map(|n| access_point_id(&format!("ap-{}", n * 3)))
            .collect();
        let others = all.all().values().filter(|one| allowed.contains(&one.id));
        let alone = points(others.map(|one| one.as_ref().clone()));
        for n in 0..200 {
            let id = id(&format!("sn-{n}"));
            let mut input = AllocationInput::new(&id, id.as_str());
            input.allowed = Some(&allowed);
            let setting = Setting::new(&all, &rules);
            let place = outcome(decide(&input, &Selection::All, &setting)).ok();
            assert_eq!(place, chosen(n, &alone, &rules));
        }
    }
}

#[test]
fn an_access_point_that_is_put_again_or_removed_counts_at_once() {
    let (mut all, rules) = (points(weighted(&[1, 1])), hashed());
    let at = |all: &AccessPoints, name: &str| {
        let places = (0..50).filter_map(|n| chosen(n, all, &rules));
        places.filter(|place| place == name).count()
    };
    let before = at(&all, "ap-0");
    assert!(0 < before && before < 50);
    let mut closed = point("ap-0");
    closed.accepts_new = false;
    all.put(closed);
    assert_eq!((at(&all, "ap-0"), at(&all, "ap-1")), (0, 50));
    all.put(point("ap-0"));
    assert_eq!(at(&all, "ap-0"), before);
    assert_eq!(all.remove(&access_point_id("ap-1")), Some(point("ap-1")));
    assert_eq!((at(&all, "ap-0"), at(&all, "ap-1")), (50, 0));
}

/// A policy with weights of its own, of which some are of access points that are not there.
#[test]
fn weights_of_access_points_that_are_gone_get_nothing() {
    let all = points(weighted(&[1, 1]));
    let named = ["ap-0", "gone"].map(|id| (access_point_id(id), weight(1)));
    let rule = Rule::Hashed {
        weights: named.into(),
        application: None,
    };
    let rules = policies([policy("p", 1, rule)]);
    assert!((0..50).all(|n| chosen(n, &all, &rules).as_deref() == Some("ap-0")));
}

#[test]
fn the_weights_of_a_policy_that_is_put_again_count_at_once() {
    let all = points(weighted(&[1, 1]));
    let one = |id: &str| {
        let weights = BTreeMap::from([(access_point_id(id), weight(1))]);
        let application = None;
        let rule = Rule::Hashed {
            weights,
            application,
        };
        policy("p", 1, rule)
    };
    let mut rules = policies([one("ap-0")]);
    assert_eq!(chosen(1, &all, &rules).as_deref(), Some("ap-0"));
    rules.put(one("ap-1"));
    assert_eq!(chosen(1, &all, &rules).as_deref(), Some("ap-1"));
}

proptest! {
    /// The same device is given the same place, and what is removed moves only what was there.
    #[test]
    fn removing_one_moves_only_its_own_devices(weights in prop::collection::vec(0_u16..=1000, 2..12), gone in any::<prop::sample::Index>()) {
        let list = weighted(&weights);
        let gone = format!("ap-{}", gone.index(list.len()));
        let rules = hashed();
        let before = points(list.clone());
        let mut after = before.clone();
        after.remove(&access_point_id(&gone));
        let mut draining = before.clone();
        for mut point in list {
            if point.id.as_str() == gone {
                point.accepts_new = false;
                draining.put(point);
            }
        }
        for n in 0..100 {
            let was = chosen(n, &before, &rules);
            prop_assert_eq!(&was, &chosen(n, &before, &rules));
            let is = chosen(n, &after, &rules);
            prop_assert_eq!(&is, &chosen(n, &draining, &rules));
            if was.as_deref() == Some(gone.as_str()) {
                prop_assert_ne!(was, is);
            } else {
                prop_assert_eq!(was, is);
            }
        }
    }

    /// What is added takes devices from the others, and gives none away.
    #[test]
    fn adding_one_moves_devices_only_to_it(weights in prop::collection::vec(0_u16..=1000, 1..12), new in 1_u16..=1000) {
        let rules = hashed();
        let before = points(weighted(&weights));
        let mut after = before.clone();
        let mut added = point("another");
        added.weight = weight(new);
        after.put(added);
        for n in 0..100 {
            let is = chosen(n, &after, &rules);
            if is.as_deref() != Some("another") {
                prop_assert_eq!(chosen(n, &before, &rules), is);
            }
        }
    }

    /// Whatever gets a greater weight takes devices from the others, and gives none away.
    #[test]
    fn raising_a_weight_moves_devices_only_towards_it(weights in prop::collection::vec(1_u16..=1000, 2..12), raised in any::<prop::sample::Index>(), by in 1_u16..1000) {
        let raised = raised.index(weights.len());
        let mut heavier = weights.clone();
        heavier[raised] = (heavier[raised] + by).min(1000);
        let rules = hashed();
        let (before, after) = (points(weighted(&weights)), points(weighted(&heavier)));
        for n in 0..100 {
            let is = chosen(n, &after, &rules).unwrap();
            if is != format!("ap-{raised}") {
                prop_assert_eq!(chosen(n, &before, &rules).unwrap(), is);
            }
        }
    }

    /// Those that are full count as if they were not there.
    #[test]
    fn full_ones_are_passed_over(weights in prop::collection::vec(0_u16..=1000, 1..40), full in prop::collection::vec(any::<bool>(), 40)) {
        let mut list = weighted(&weights);
        let mut load = BTreeMap::new();
        let mut free = Vec::new();
        for (point, full) in list.iter_mut().zip(full) {
            point.capacity = Some(1);
            load.insert(point.id.clone(), u64::from(full));
            if !full {
                free.push(point.clone());
            }
        }
        let (all, free, rules) = (points(list), points(free), hashed());
        for n in 0..50 {
            let id = id(&format!("sn-{n}"));
            let mut setting = Setting::new(&all, &rules);
            setting.load = Some(&load);
            let place = outcome(decide(&AllocationInput::new(&id, "x"), &Selection::All, &setting)).ok();
            prop_assert_eq!(place, chosen(n, &free, &rules));
        }
    }
}
