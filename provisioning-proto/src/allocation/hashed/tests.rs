use proptest::prelude::*;

use super::*;

fn spread(weights: &[u16]) -> Spread {
    let ids: Vec<AccessPointId> = (0..weights.len())
        .map(|n| format!("ap-{n}").parse().unwrap())
        .collect();
    let weights = weights.iter().map(|weight| Weight::new(*weight).unwrap());
    Spread::weighted(ids.iter().zip(weights))
}

fn probes(device: &str) -> Vec<u64> {
    let device = hash("registration", device);
    (0..PLACES).map(|n| nth(device, n)).collect()
}

#[test]
fn the_sequence_is_that_of_splitmix64() {
    // As printed by the reference implementation for the seed 0.
    let first = [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4];
    assert_eq!([nth(0, 0), nth(0, 1)], first);
}

#[test]
fn a_choice_never_changes_between_releases() {
    let ids: Vec<AccessPointId> = ["a", "b", "c"]
        .iter()
        .map(|id| id.parse().unwrap())
        .collect();
    let chosen = |weights: [u16; 3], count: usize| -> String {
        let weights = weights.map(|weight| Weight::new(weight).unwrap());
        let spread = Spread::weighted(ids.iter().zip(weights));
        (0..count)
            .filter_map(|n| {
                let choice = spread.choose(&format!("sn-{n}").parse().unwrap(), None, |_| true);
                choice.map(|share| share.id.as_str())
            })
            .collect()
    };
    // By another implementation, in Python with fractions.
    assert_eq!(chosen([1, 1, 2], 32), "ababbacbacccaccacacaccabbcabccab");
    let heavy = chosen([1, 10, 1000], 400);
    let light = |sign: &(usize, char)| sign.1 != 'c';
    let light: Vec<_> = heavy.chars().enumerate().filter(light).collect();
    assert_eq!((heavy.len(), light), (400, vec![(110, 'b')]));
}

#[test]
fn nobody_is_chosen_where_nobody_takes_a_share_or_can_be_used() {
    let device = "sn-1".parse().unwrap();
    assert_eq!(spread(&[]).choose(&device, None, |_| true), None);
    assert_eq!(spread(&[0, 0]).choose(&device, None, |_| true), None);
    assert_eq!(spread(&[1; 500]).choose(&device, None, |_| false), None);
}

#[test]
fn one_that_takes_part_in_no_probe_is_chosen_where_it_is_alone() {
    let all = spread(&[1; 2000]);
    // There are some: (15 / 16) to the power of 256 is one in fifteen million, so a probe is asked alone.
    let probe = probes("sn-1").into_iter().take(1).collect::<Vec<_>>();
    let idle = all.shares.iter().find(|share| {
        let mut places = (0..PLACES).map(|n| nth(share.seed, n));
        !places.any(|place| accepts(probe[0], place))
    });
    let idle = idle.unwrap();
    assert_eq!(each([idle].into_iter(), &probe), Some(idle));
    let beside = all.shares.iter().find(|share| {
        let mut places = (0..PLACES).map(|n| nth(share.seed, n));
        places.any(|place| accepts(probe[0], place))
    });
    let beside = beside.unwrap();
    assert_eq!(each([idle, beside].into_iter(), &probe), Some(beside));
}

#[test]
fn the_access_point_of_every_share_is_found_and_no_other() {
    for count in [0, 1, 2, 7, 8, 9, 100, 5000] {
        let shares = spread(&vec![1; count]).shares;
        let points = shares.iter().map(|share| {
            let point = AccessPoint::new(share.id.clone(), "An access point");
            std::sync::Arc::new(point)
        });
        let points: Vec<_> = points.collect();
        let index = Index::new(points.iter());
        for share in &shares {
            assert_eq!(index.get(share).map(|point| &point.id), Some(&share.id));
        }
        for n in 0..100 {
            let id: AccessPointId = format!("other-{n}").parse().unwrap();
            let seed = hash("access point", id.as_str());
            assert!(
                index
                    .get(&Share {
                        id,
                        weight: 1,
                        seed
                    })
                    .is_none()
            );
        }
        // Another id of the same hash.
        if let Some(share) = shares.first() {
            let mut other = share.clone();
            other.id = "other".parse().unwrap();
            assert!(index.get(&other).is_none());
        }
    }
}

#[test]
fn where_a_number_stands_is_what_a_search_says() {
    let mut numbers: Vec<u64> = (0..3000).map(|n| nth(7, n)).collect();
    numbers.extend([0, 1, u64::MAX, u64::MAX]);
    numbers.sort_unstable();
    for count in [0, 1, 8, 9, numbers.len()] {
        let some = numbers[..count].to_vec();
        let sorted = sorted::Sorted::new(some.clone());
        let near = |number: &u64| [number.wrapping_sub(1), *number, number.wrapping_add(1)];
        for number in numbers.iter().flat_map(near) {
            let first = some.partition_point(|one| *one < number);
            assert_eq!(sorted.first(number), first, "{number} of {count}");
        }
    }
}

proptest! {
    /// A search stops early and finds what going through all finds, whoever can be used.
    #[test]
    fn a_search_finds_the_least_of_all_draws(
        weights in prop::collection::vec(prop_oneof![Just(1_u16), 0..=1000_u16, 0..=3_u16], 0..60),
        usable in prop::collection::vec(any::<bool>(), 60),
        device in "[a-z]{1,8}",
    ) {
        let spread = spread(&weights);
        let can = |share: &Share| usable[share.id.as_str()[3..].parse::<usize>().unwrap()];
        let probes = probes(&device);
        let found = spread.search(&probes, usize::MAX, |_, share| can(share));
        let least = each(spread.shares.iter().filter(|share| can(share)), &probes);
        prop_assert_eq!(found, least);
        let chosen = spread.choose(&device.parse().unwrap(), None, can);
        prop_assert_eq!(chosen, least);
    }

    /// A search that may take few steps gives up, and nothing else comes of it.
    #[test]
    fn a_search_that_gives_up_finds_nothing_else(count in 1_usize..40, steps in 0_usize..300) {
        let spread = spread(&vec![7; count]);
        let probes = probes("sn-1");
        let all = spread.search(&probes, usize::MAX, |_, _| true);
        let some = spread.search(&probes, steps, |_, _| true);
        if let Some(some) = some {
            prop_assert_eq!(Some(&some.id), all.map(|share| &share.id));
        }
    }
}
