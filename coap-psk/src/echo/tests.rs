use super::*;
use alloc::vec::Vec;
use proptest::prelude::*;

fn peer(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 5683).into()
}

fn at(secs: u64) -> Instant {
    Instant::ZERO.saturating_add(Duration::from_secs(secs))
}

fn freshness(entropy: u8) -> Freshness {
    Freshness::new(Config::default(), [entropy; 32])
}

#[test]
fn values_are_as_computed_elsewhere() {
    // Python, for t in (9, 3_600): key = hmac.digest(bytes([7] * 32), (t // 3600).to_bytes(8, "big"), "sha256");
    // address = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1]) + (5683).to_bytes(2, "big"); time = t.to_bytes(4, "big");
    // time + hmac.digest(key, time + address, "sha256")[:8]
    let first = [
        0x00, 0x00, 0x00, 0x09, 0xeb, 0xa1, 0xfb, 0xa2, 0x18, 0x27, 0xf3, 0x49,
    ];
    let second = [
        0x00, 0x00, 0x0e, 0x10, 0x84, 0x83, 0x1a, 0xaf, 0x31, 0xe7, 0x73, 0xb2,
    ];
    assert_eq!(freshness(7).value(peer(1), at(9)), first);
    assert_eq!(
        freshness(7).value(peer(1), at(3_600)),
        second,
        "the next key"
    );
}

#[test]
fn a_value_is_fresh_for_its_window_and_not_before_it_was_made() {
    let freshness = freshness(7);
    let value = freshness.value(peer(1), at(1_000));
    for (second, fresh) in [
        (0, false),
        (999, false),
        (1_000, true),
        (1_059, true),
        (1_060, false),
        (1_000 + (1 << 31), false),
    ] {
        assert_eq!(
            freshness.is_fresh(peer(1), &value, at(second)),
            fresh,
            "{second}"
        );
    }
}

#[test]
fn a_value_of_another_peer_port_or_server_is_not_fresh() {
    let value = freshness(7).value(peer(1), at(5));
    assert!(!freshness(7).is_fresh(peer(2), &value, at(5)));
    let other_port: SocketAddr = ([192, 0, 2, 1], 5684).into();
    assert!(!freshness(7).is_fresh(other_port, &value, at(5)));
    assert!(!freshness(8).is_fresh(peer(1), &value, at(5)));
    let mapped: SocketAddr = "[::ffff:192.0.2.1]:5683".parse().unwrap();
    assert!(
        freshness(7).is_fresh(mapped, &value, at(5)),
        "a socket for both families sees the same peer"
    );
}

#[test]
fn the_values_of_the_last_key_stay_good_for_their_window() {
    let freshness = freshness(7);
    let before = freshness.value(peer(1), at(3_599));
    let after = freshness.value(peer(1), at(3_600));
    assert!(freshness.is_fresh(peer(1), &before, at(3_600)));
    assert!(freshness.is_fresh(peer(1), &after, at(3_600)));
    let short = Config {
        key_period: Duration::ZERO,
        window: Duration::from_secs(1),
        ..Config::default()
    };
    let short = Freshness::new(short, [7; 32]);
    assert!(short.is_fresh(peer(1), &short.value(peer(1), at(8)), at(8)));
}

#[test]
fn an_address_is_verified_once_and_the_oldest_is_forgotten() {
    let config = Config {
        max_verified: 2,
        ..Config::default()
    };
    let mut freshness = Freshness::new(config, [7; 32]);
    for last in [1, 1, 2, 1, 3] {
        let value = freshness.value(peer(last), at(1));
        assert!(freshness.verify(peer(last), &value, at(2)));
        assert!(freshness.is_verified(peer(last)));
        assert!(freshness.verified.len() <= 2);
    }
    assert!(!freshness.is_verified(peer(1)));
    assert!(freshness.is_verified(peer(2)) && freshness.is_verified(peer(3)));
    assert!(!freshness.verify(peer(4), &[0; VALUE_LEN], at(2)));
    assert!(!freshness.is_verified(peer(4)));
}

proptest! {
    #[test]
    fn no_forged_value_is_fresh(bytes: Vec<u8>, flipped in 0..VALUE_LEN * 8, second in 0_u64..u64::from(u32::MAX)) {
        let freshness = freshness(7);
        prop_assert!(!freshness.is_fresh(peer(1), &bytes, at(second)));
        let mut value = freshness.value(peer(1), at(second));
        prop_assert!(freshness.is_fresh(peer(1), &value, at(second)));
        prop_assert!(!freshness.is_fresh(peer(1), &value[..VALUE_LEN - 1], at(second)));
        value[flipped / 8] ^= 1 << (flipped % 8);
        prop_assert!(!freshness.is_fresh(peer(1), &value, at(second)));
    }
}
