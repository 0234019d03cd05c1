use std::collections::BTreeMap;

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
}
