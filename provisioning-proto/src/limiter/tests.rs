//! What is let through, and what it costs others.
#![allow(clippy::arithmetic_side_effects, clippy::disallowed_methods)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn tenant(text: &str) -> TenantId {
    text.parse().unwrap()
}

fn device(number: usize) -> RegistrationId {
    format!("sn-{number}").parse().unwrap()
}

fn address(number: u32) -> IpAddr {
    IpAddr::V4(number.into())
}

fn small() -> Config {
    Config {
        source: Rate::new(3, Duration::from_secs(1)),
        device: Rate::new(2, Duration::from_secs(2)),
        tenant: Rate::new(10, Duration::from_millis(100)),
        buckets: 8,
        longest_delay: Duration::from_secs(3),
    }
}

#[test]
fn a_retry_storm_from_one_source_is_delayed_and_then_dropped() {
    let mut limiter = Limiter::new(Config::default());
    let start = Instant::now();
    let (mut allowed, mut delayed, mut dropped) = (0, 0, 0);
    for n in 0..1000 {
        let at = start + Duration::from_millis(n);
        match limiter.admit(&Charged::source(address(7)), at) {
            Verdict::Allow => allowed += 1,
            Verdict::Delay(wait) => {
                assert!(!wait.is_zero() && wait <= Duration::from_secs(2));
                delayed += 1;
            }
            Verdict::Drop => dropped += 1,
        }
    }
    assert_eq!((allowed, delayed, dropped), (20, 2, 978));
}

#[test]
fn a_wrong_password_costs_as_much_again_but_never_more_than_is_dropped_anyway() {
    let mut limiter = Limiter::new(Config::default());
    let (now, charged) = (Instant::now(), Charged::source(address(7)));
    let mut allowed = 0;
    for _ in 0..1000 {
        if limiter.admit(&charged, now) == Verdict::Allow {
            allowed += 1;
        }
        limiter.charge(&charged, now);
    }
    assert_eq!(allowed, 10);
    assert_eq!(limiter.admit(&charged, now), Verdict::Drop);
    // 20 tokens and what was held for 2 seconds: after that many intervals everything is as it was.
    let later = now + Duration::from_secs(22);
    let again = (0..100).filter(|_| limiter.admit(&charged, later) == Verdict::Allow);
    assert_eq!(again.count(), 20);
}

#[test]
fn a_refused_try_costs_the_other_buckets_nothing() {
    let mut limiter = Limiter::new(small());
    let now = Instant::now();
    let (one, noisy) = (tenant("t"), device(1));
    let noise =
        (0..100).filter(|_| limiter.admit(&Charged::device(&one, &noisy), now) != Verdict::Drop);
    assert_eq!(
        noise.count(),
        3,
        "two at once, and one held for two seconds"
    );
    // The third was held, and keeps its place: the tenant has 7 of its 10 left, from then on.
    let rest = (10..17).map(|n| limiter.admit(&Charged::device(&one, &device(n)), now));
    assert!(rest.into_iter().all(|verdict| verdict != Verdict::Drop));
}

#[test]
fn more_devices_than_the_table_holds_share_one_bucket() {
    let mut limiter = Limiter::new(small());
    let now = Instant::now();
    let from = |n| Charged::source(address(n));
    let first: Vec<Verdict> = (0..8).map(|n| limiter.admit(&from(n), now)).collect();
    assert_eq!(first, [Verdict::Allow; 8]);
    let late = (8..100).filter(|n| limiter.admit(&from(*n), now) == Verdict::Allow);
    assert_eq!(late.count(), 3);
    assert_eq!(
        limiter.admit(&from(0), now),
        Verdict::Allow,
        "who was there keeps its own"
    );
    assert!(limiter.buckets() <= 9);
    let later = now + Duration::from_secs(10);
    let again: Vec<Verdict> = (100..104).map(|n| limiter.admit(&from(n), later)).collect();
    assert_eq!(again, [Verdict::Allow; 4], "full buckets are forgotten");
}

#[test]
fn ten_thousand_devices_at_once_starve_no_other_tenant_and_take_bounded_memory() {
    let config = Config {
        buckets: 4096,
        ..Config::default()
    };
    let mut limiter = Limiter::new(config);
    let start = Instant::now();
    let (large, small) = (tenant("large"), tenant("small"));
    let mut of_small = 0;
    let mut admitted: Vec<Instant> = Vec::new();
    let mut waiting: BTreeSet<(Instant, usize)> = (0..10_000).map(|n| (start, n)).collect();
    while let Some((now, n)) = waiting.pop_first() {
        match limiter.admit(&Charged::device(&large, &device(n)), now) {
            Verdict::Allow => admitted.push(now),
            Verdict::Delay(wait) => admitted.push(now + wait),
            // A device comes back by itself, each after another while.
            Verdict::Drop => {
                waiting.insert((now + Duration::from_millis(10_000 + n as u64), n));
            }
        }
        assert!(limiter.buckets() <= 2 * 4096 + 8);
        if n % 100 == 0 && of_small < 100 {
            let charged = Charged {
                source: None,
                tenant: Some(&small),
                device: None,
            };
            assert_eq!(limiter.admit(&charged, now), Verdict::Allow);
            of_small += 1;
        }
    }
    admitted.sort();
    assert_eq!((admitted.len(), of_small), (10_000, 100));
    let took = admitted.last().unwrap().duration_since(start);
    assert!(took <= Duration::from_secs(240), "{took:?}");
}

#[test]
fn addresses_of_one_ipv6_network_share_a_bucket() {
    let mut limiter = Limiter::new(small());
    let now = Instant::now();
    let verdicts = (1..=9).map(|n| {
        let address = format!("2001:db8::{n}").parse().unwrap();
        limiter.admit(&Charged::source(address), now)
    });
    assert_eq!(
        verdicts
            .filter(|verdict| *verdict == Verdict::Allow)
            .count(),
        3
    );
    let mapped = |text: &str| network(text.parse().unwrap());
    assert_eq!(mapped("::ffff:192.0.2.1"), mapped("192.0.2.1"));
}

proptest! {
    /// Of every window, at most burst + window / interval are let through, for whomever, whatever comes in between.
    #[test]
    fn no_window_holds_more_than_its_rate(tries in prop::collection::vec((0_u64..700, 0_u32..8, any::<bool>()), 1..200)) {
        let mut limiter = Limiter::new(small());
        let start = Instant::now();
        let mut now = start;
        // It knows what time it is.
        limiter.admit(&Charged { source: None, tenant: None, device: None }, start);
        let shared = tenant("t");
        let mut allowed: BTreeMap<u32, Vec<Instant>> = BTreeMap::new();
        for (millis, source, back) in tries {
            // A clock that steps back gives nothing away.
            let said = if back { now - Duration::from_millis(millis.min(1)) } else { now + Duration::from_millis(millis) };
            now = now.max(said);
            let begin = match limiter.admit(&Charged { source: Some(address(source)), tenant: Some(&shared), device: None }, said) {
                Verdict::Allow => now,
                Verdict::Delay(wait) => now + wait,
                Verdict::Drop => continue,
            };
            allowed.entry(source).or_default().push(begin);
        }
        for times in allowed.values_mut() {
            times.sort();
            for (first, from) in times.iter().enumerate() {
                for (last, to) in times.iter().enumerate().skip(first) {
                    let window = to.duration_since(*from).as_millis();
                    prop_assert!((last - first + 1) as u128 <= 3 + window / 1000);
                }
            }
        }
    }

    /// What one source does changes nothing for another as long as the table has room.
    #[test]
    fn a_flood_of_one_source_changes_nothing_for_another(tries in prop::collection::vec((0_u64..900, 0_u32..3), 1..100)) {
        let verdicts = |flood: bool| {
            let mut limiter = Limiter::new(small());
            let mut now = Instant::now();
            let mut of_two = Vec::new();
            for (millis, source) in &tries {
                now += Duration::from_millis(*millis);
                if *source == 2 {
                    of_two.push(limiter.admit(&Charged::source(address(2)), now));
                } else if flood {
                    limiter.admit(&Charged::source(address(*source)), now);
                }
            }
            of_two
        };
        prop_assert_eq!(verdicts(true), verdicts(false));
    }
}
