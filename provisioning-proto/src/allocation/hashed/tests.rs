use proptest::prelude::*;

use super::numbers::nth;
use super::*;

fn spread(weights: &[u16]) -> Spread {
    let ids: Vec<AccessPointId> = (0..weights.len())
        .map(|n| format!("ap-{n}").parse().unwrap())
        .collect();
    let weights = weights.iter().map(|weight| Weight::new(*weight).unwrap());
    Spread::weighted(ids.iter().zip(weights))
}

fn probes_of(device: &str) -> [u64; PLACES] {
    probes(&device.parse().unwrap())
}

fn id(owner: Owner<'_>) -> &str {
    owner.share().unwrap().id.as_str()
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
                choice.map(id)
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
    assert!(spread(&[]).choose(&device, None, |_| true).is_none());
    assert!(spread(&[0, 0]).choose(&device, None, |_| true).is_none());
    assert!(spread(&[1; 500]).choose(&device, None, |_| false).is_none());
}

#[test]
fn one_that_takes_part_in_no_probe_is_chosen_where_it_is_alone() {
    let all = spread(&[1; 2000]);
    // There are some: (15 / 16) to the power of 256 is one in fifteen million, so a probe is asked alone.
    let probe = &probes_of("sn-1")[..1];
    let takes_part = |owner: &Owner<'_>| {
        let mut places = places(owner.share().unwrap().seed).into_iter();
        places.any(|place| accepts(probe[0], place))
    };
    let idle = all.owners().find(|owner| !takes_part(owner)).unwrap();
    assert_eq!(each([idle].into_iter(), probe).map(id), Some(id(idle)));
    let beside = all.owners().find(takes_part).unwrap();
    let found = each([idle, beside].into_iter(), probe);
    assert_eq!(found.map(id), Some(id(beside)));
}

#[test]
fn the_access_point_of_every_share_is_found_and_no_other() {
    for count in [0, 1, 2, 7, 8, 9, 100, 5000] {
        let spread = spread(&vec![1; count]);
        let points = spread.shares.iter().map(|share| {
            let point = AccessPoint::new(share.id.clone(), "An access point");
            Arc::new(point)
        });
        let points: Vec<_> = points.collect();
        let index = Index::new(points.iter());
        for owner in spread.owners() {
            let found = owner.point(|| &index).unwrap();
            assert_eq!(found.id.as_str(), id(owner));
        }
        for owner in Spread::new(points.iter().rev()).owners() {
            let found = owner.point(|| unreachable!("it is known")).unwrap();
            assert_eq!(found.id.as_str(), id(owner));
        }
        for n in 0..100 {
            let other: AccessPointId = format!("other-{n}").parse().unwrap();
            assert!(index.get(&other, seed(&other)).is_none());
        }
        // Another id of the same hash.
        if let Some(share) = spread.shares.first() {
            assert!(index.get(&"other".parse().unwrap(), share.seed).is_none());
        }
    }
}

#[test]
fn where_a_number_stands_is_what_a_search_says() {
    let mut all: Vec<u64> = (0..3000).map(|n| nth(7, n)).collect();
    // At both ends, twice, and a crowd where one would be.
    all.extend([0, 0, 1, u64::MAX, u64::MAX]);
    all.extend((0..50).map(|n| (1 << 63) + n));
    all.sort_unstable();
    for count in [0, 1, 8, 9, all.len()] {
        let some: Vec<_> = all[..count].iter().copied().zip(0..).collect();
        let sorted = sorted::Sorted::new(some.clone());
        let near = |number: &u64| [number.wrapping_sub(1), *number, number.wrapping_add(1)];
        for number in all.iter().flat_map(near) {
            let first = some.partition_point(|one| one.0 < number);
            let slots = sorted.first(number)..sorted.len();
            let mut behind: Vec<_> = slots
                .map(|slot| (sorted.number(slot).unwrap(), *sorted.value(slot).unwrap()))
                .collect();
            behind.dedup();
            assert_eq!(behind, some[first..], "{number} of {count}");
        }
    }
}

/// What a decision costs is the same however many there are, but for where they are in memory.
#[test]
fn a_search_looks_at_no_more_places_among_ten_thousand_than_among_ten() {
    let looked_at = |spread: &Spread, device: usize| {
        let probes = probes_of(&format!("sn-{device}"));
        let enough = |steps| spread.search(&probes, steps, |_| true).is_some();
        (1..=4096)
            .collect::<Vec<_>>()
            .partition_point(|steps| !enough(*steps))
    };
    let mean = |count: usize| {
        let spread = spread(&vec![1; count]);
        let all: usize = (0..300).map(|device| looked_at(&spread, device)).sum();
        all / 300
    };
    let (ten, thousand, ten_thousand) = (mean(10), mean(1000), mean(10_000));
    assert!((20..100).contains(&ten), "{ten}");
    assert!(thousand * 10 <= ten * 11, "{thousand} beside {ten}");
    assert!(ten_thousand * 10 <= ten * 11, "{ten_thousand} beside {ten}");
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
        let can = |owner: Owner<'_>| usable[id(owner)[3..].parse::<usize>().unwrap()];
        let probes = probes_of(&device);
        let found = spread.search(&probes, usize::MAX, can).map(id);
        let least = each(spread.owners().filter(|owner| can(*owner)), &probes).map(id);
        prop_assert_eq!(found, least);
        let chosen = spread.choose(&device.parse().unwrap(), None, can).map(id);
        prop_assert_eq!(chosen, least);
    }

    /// A search that may take few steps gives up, and nothing else comes of it.
    #[test]
    fn a_search_that_gives_up_finds_nothing_else(count in 1_usize..40, steps in 0_usize..300) {
        let spread = spread(&vec![7; count]);
        let probes = probes_of("sn-1");
        let all = spread.search(&probes, usize::MAX, |_| true);
        let some = spread.search(&probes, steps, |_| true);
        if let Some(some) = some {
            prop_assert_eq!(Some(id(some)), all.map(id));
        }
    }
}
