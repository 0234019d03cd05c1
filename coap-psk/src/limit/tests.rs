use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn at(millis: u64) -> Instant {
    Instant::from_micros(millis * 1_000)
}

/// Three at once, then one a second.
fn limiter() -> SourceLimiter {
    let rate = Rate::new(3, Duration::from_secs(3));
    SourceLimiter::new(rate, Prefixes::default(), 100)
}

#[test]
fn a_burst_is_followed_by_one_whenever_its_share_has_passed() {
    let mut limiter = limiter();
    let mut admitted = |millis| limiter.admit(SOURCE, at(millis));
    assert!(admitted(0) && admitted(0) && admitted(0));
    // What is refused is not counted.
    assert!(!admitted(0) && !admitted(999));
    assert!(admitted(1_000) && !admitted(1_000));
    assert!(admitted(9_000) && admitted(9_000) && admitted(9_000) && !admitted(9_000));
}

#[test]
fn asking_counts_nothing_and_what_is_given_back_is_free_again() {
    let mut limiter = limiter();
    for _ in 0..3 {
        assert!(limiter.would_admit(SOURCE, at(0)) && limiter.admit(SOURCE, at(0)));
    }
    assert!(!limiter.would_admit(SOURCE, at(0)));
    limiter.give_back(SOURCE, at(0));
    assert!(limiter.admit(SOURCE, at(0)) && !limiter.admit(SOURCE, at(0)));
    for _ in 0..5 {
        limiter.give_back(SOURCE, at(0));
    }
    // Nobody gets more than the whole allowance.
    assert_eq!(limiter.networks(), 0);
    assert_eq!((0..9).filter(|_| limiter.admit(SOURCE, at(0))).count(), 3);
}

#[test]
fn sources_of_one_network_share_an_allowance_and_others_do_not() {
    let mut limiter = limiter();
    for (source, network) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2ff:3::4", "2001:db8:1:200::"),
        ("2001:db8:1:2aa::", "2001:db8:1:200::"),
    ] {
        let network: IpAddr = network.parse().unwrap();
        assert_eq!(
            Prefixes::default().network_of(source.parse().unwrap()),
            network
        );
    }
    let wide = Prefixes { ipv4: 24, ipv6: 0 };
    let last: IpAddr = "192.0.2.255".parse().unwrap();
    assert_eq!(wide.network_of(last), wide.network_of(SOURCE));
    assert_eq!(
        wide.network_of("2001:db8::1".parse().unwrap()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    );
    while limiter.admit(SOURCE, at(0)) {}
    assert!(limiter.admit("192.0.2.2".parse().unwrap(), at(0)));
    assert!(!limiter.admit("::ffff:192.0.2.1".parse().unwrap(), at(0)));
}

#[test]
fn extreme_rates_admit_everything_or_nothing() {
    for (rate, admitted) in [
        (Rate::UNLIMITED, 50),
        (Rate::new(0, Duration::from_secs(1)), 0),
        (Rate::new(0, Duration::ZERO), 0),
        (Rate::new(7, Duration::MAX), 7),
    ] {
        let mut limiter = SourceLimiter::new(rate, Prefixes::default(), 9);
        let count = (0..50).filter(|_| limiter.admit(SOURCE, at(1))).count();
        assert_eq!(count, admitted, "{rate:?}");
    }
}

#[test]
fn a_hundred_thousand_spoofed_sources_take_no_more_memory_than_is_set() {
    let mut limiter = limiter();
    while limiter.admit(SOURCE, at(0)) {}
    for spoofed in 0..100_000_u32 {
        let source = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + spoofed));
        assert!(limiter.admit(source, at(0)));
        assert!(limiter.networks() <= 100 && limiter.recovering.len() == limiter.networks());
    }
    assert!(
        !limiter.admit(SOURCE, at(0)),
        "who asked most is remembered longest"
    );
    assert!(limiter.admit(SOURCE, at(10_000)));
    assert_eq!(limiter.networks(), 1);
}

proptest! {
    /// Within any span no more is admitted than the burst and what the span earns.
    #[test]
    fn the_rate_is_never_exceeded(
        count in 1_u32..20,
        per in 1_u64..20_000,
        waits in proptest::collection::vec(0_u64..3_000, 1..200),
    ) {
        let per = Duration::from_micros(per);
        let mut limiter = SourceLimiter::new(Rate::new(count, per), Prefixes::default(), 1);
        let (mut now, mut admitted) = (1, Vec::new());
        for wait in waits {
            now += wait;
            if limiter.admit(SOURCE, Instant::from_micros(now)) {
                admitted.push(now);
            }
        }
        for (index, first) in admitted.iter().enumerate() {
            for (extra, last) in admitted[index..].iter().enumerate() {
                let earned = u128::from(last - first) * u128::from(count) / per.as_micros();
                let allowed = u128::from(count) + earned;
                prop_assert!(u128::try_from(extra + 1).unwrap() <= allowed);
            }
        }
    }
}
