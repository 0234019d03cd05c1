//! Whether the time that a comparison takes tells how much of a guess is right (OAUTH-R028).
//!
//! A guess that is wrong in its first byte and one that is wrong in its last are judged in random order, as an attacker would
//! have it, and the means of their times are compared. Times over the ninetieth percentile of both are left out: they are those
//! in which the machine did something else. Both kinds are copied to the same place before they are judged, so that where they
//! lie in memory makes no difference.
//!
//! Each comparison of a type may differ by a tenth of its time, of which a comparison that stops early differs by nine: the
//! test shows that it finds such a one. Through the whole server, where a hash or a MAC stands before every comparison, Welch's t
//! is told and, with `LONG=1`, must stay below 10, for 40,000 guesses of each kind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::wildcard_imports,
    missing_docs
)]

#[path = "server/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "server/store.rs"]
#[allow(dead_code)]
mod store;

use std::hint::black_box;
use std::time::Instant;

use account_linking::{AccessToken, AuthorizationCode, ClientSecret, Password, RefreshToken};

use harness::*;

/// Beyond this nobody says chance.
const BOUND: f64 = 10.0;
/// As long as a secret may be, so that a comparison that stops early has much to save.
const LENGTH: usize = 8192;

fn is_long() -> bool {
    std::env::var_os("LONG").is_some()
}

/// What two kinds of guesses take.
struct Times {
    means: [f64; 2],
    t: f64,
}

impl Times {
    /// By how much they differ, as a part of the longer.
    fn difference(&self) -> f64 {
        let [one, other] = self.means;
        (one - other).abs() / one.max(other).max(f64::MIN_POSITIVE)
    }
}

/// Measures `judge`, which is told the kind and says how many nanoseconds it took.
fn measure(rounds: usize, mut judge: impl FnMut(usize) -> f64) -> Times {
    let mut times = [Vec::new(), Vec::new()];
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let kind = usize::from(dice >> 40 & 1 == 1);
        let took = judge(kind);
        // Those at the beginning find cold caches.
        if round >= rounds / 20 {
            times[kind].push(took);
        }
    }
    let mut all = times.concat();
    all.sort_by(f64::total_cmp);
    let limit = all[all.len() * 9 / 10];
    let [(n, mean, variance), (other_n, other_mean, other_variance)] = times.map(|times| {
        let kept: Vec<_> = times.into_iter().filter(|time| *time <= limit).collect();
        let n = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / n;
        let squares = kept.iter().map(|time| (time - mean).powi(2));
        (n, mean, squares.sum::<f64>() / (n - 1.0))
    });
    let error = (variance / n + other_variance / other_n).sqrt();
    Times {
        means: [mean, other_mean],
        t: (mean - other_mean) / error.max(f64::MIN_POSITIVE),
    }
}

fn clocked(work: impl FnOnce() -> bool) -> f64 {
    let begun = Instant::now();
    let equal = black_box(work());
    let took = begun.elapsed().as_nanos() as f64;
    assert!(!equal, "a wrong guess is believed");
    took
}

/// The secret, and guesses that are wrong in the first and in the last byte.
fn texts() -> (String, [String; 2]) {
    let right = "a".repeat(LENGTH);
    let first = format!("b{}", &right[1..]);
    let last = format!("{}b", &right[1..]);
    (right, [first, last])
}

/// How long `is_equal` takes for the two kinds; the guess always lies at the same place.
fn compared<T>(make: impl Fn(&str) -> T, is_equal: impl Fn(&T, &T) -> bool) -> Times {
    let (right, guesses) = texts();
    let right = make(&right);
    let mut lent = make(&guesses[0]);
    measure(1_000, |kind| {
        // The one before is freed first, so that the next takes its place.
        let place = core::mem::replace(&mut lent, make("-"));
        drop(place);
        lent = make(&guesses[kind]);
        clocked(|| is_equal(black_box(&lent), black_box(&right)))
    })
}

/// What no secret may be compared by.
fn stops_early(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one == other)
}

/// Of several measurements the one with the least difference: a noisy moment is none of the comparison's.
fn best(mut measure: impl FnMut() -> Times) -> Times {
    let mut all: Vec<_> = (0..3).map(|_| measure()).collect();
    all.sort_by(|one, other| one.difference().total_cmp(&other.difference()));
    all.swap_remove(0)
}

#[test]
fn a_guess_that_is_nearly_right_takes_no_longer_to_refuse() {
    macro_rules! judged {
        ($($secret:ident),+) => {
            [$((
                stringify!($secret),
                best(|| compared(|text| $secret::new(text).unwrap(), |one, other| one == other)),
            )),+]
        };
    }
    let all = judged!(
        AccessToken,
        RefreshToken,
        AuthorizationCode,
        ClientSecret,
        Password
    );
    for (name, times) in all {
        println!("{name}: {:.0?} ns, t = {:.1}", times.means, times.t);
        assert!(times.difference() < 0.1, "{name}: {:?}", times.means);
    }
}

#[test]
fn the_measurement_finds_a_comparison_that_stops_early() {
    let bytewise = best(|| {
        compared(str::to_owned, |one, other| {
            stops_early(one.as_bytes(), other.as_bytes())
        })
    });
    let words = best(|| compared(str::to_owned, |one, other| one == other));
    for (name, times) in [("byte by byte", bytewise), ("as texts", words)] {
        println!("{name}: {:.0?} ns, t = {:.1}", times.means, times.t);
        assert!(times.difference() > 0.3, "{name}: {:?}", times.means);
        assert!(times.means[0] < times.means[1], "{name}: {:?}", times.means);
    }
}

/// A text with another character in this place.
fn spoiled(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[test]
fn the_server_takes_no_longer_for_a_guess_that_is_nearly_right() {
    let (mut world, secrets) = World::with_clients(&[confidential()]);
    let secret = secrets[0].clone().unwrap();
    let held = tokens(&{
        let code = obtain_code(&mut world, "client-acme", "user-1", &[]);
        redeem(&mut world, Some(&secret), "client-acme", &code)
    });
    let held = held.refresh.unwrap();
    let rounds = if is_long() { 80_000 } else { 800 };
    // The last 43 characters are the MAC; of the very last one, four bits may not count.
    let (mac, end) = (held.len() - 42, held.len() - 2);
    let guesses = [
        (
            "secret of a client",
            [
                (spoiled(&secret, 0), held.clone()),
                (spoiled(&secret, secret.len() - 2), held.clone()),
            ],
        ),
        (
            "MAC of a refresh token",
            [
                (secret.clone(), spoiled(&held, mac)),
                (secret.clone(), spoiled(&held, end)),
            ],
        ),
    ];
    for (name, kinds) in guesses {
        let times = measure(rounds, |kind| {
            let (secret, token) = kinds[kind].clone();
            clocked(|| {
                let answer = refresh(&mut world, Some(&secret), "client-acme", &token);
                answer.status() == 200
            })
        });
        world.shown.clear();
        world.events.clear();
        println!("{name}: {:.0?} ns, t = {:.1}", times.means, times.t);
        assert!(
            !is_long() || times.t.abs() < BOUND,
            "{name}: t = {}",
            times.t
        );
    }
    let good = refresh(&mut world, Some(&secret), "client-acme", &held);
    assert_eq!(
        good.status(),
        200,
        "all of them were guesses at what is right"
    );
}
