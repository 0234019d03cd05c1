//! Whether the time that a forged record of the CBC suite takes tells what is wrong with it.
//!
//! With the MAC over what is encrypted (RFC 7366) a forgery is refused before anything is decrypted, and the comparison of the
//! MAC takes the same time wherever it fails. So forgeries of one length must take the same time, whether the padding behind
//! the MAC would have been right or not. Two kinds are given to an endpoint in random order, as an attacker would, and Welch's t
//! says how unlikely their times are if they have the same mean. Times over the ninetieth percentile of both are left out:
//! they are those in which the machine did something else.
//!
//! `LONG=1 cargo test --release -p coap-psk --features psk-dtls --test psk_dtls_timing -- --nocapture` measures a million records of
//! each pair of kinds and fails when |t| is over 10, which a leak of a few nanoseconds would reach; without it a few thousand
//! records are measured and t is only reported. Either way the measurement must tell records of different length apart.
#![cfg(feature = "psk-dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::disallowed_methods,
    clippy::print_stdout,
    missing_docs
)]

#[path = "support/psk_pair.rs"]
#[allow(dead_code)]
mod psk_pair;

use std::hint::black_box;
use std::time::Instant;

use coap_psk::CipherSuite;
use coap_psk::dtls::DtlsEndpoint;
use coap_psk::dtls::psk::PskConfig;

use psk_pair::{Pair, Side, client_at};

const MAC_LEN: usize = 32;
/// Beyond this nobody says chance.
const BOUND: f64 = 10.0;

fn is_long() -> bool {
    std::env::var_os("LONG").is_some()
}

/// A session in the CBC suite, and a record of the client of this length that the server has not seen.
fn session(text: usize) -> (Pair, Vec<u8>) {
    let mut config = PskConfig::default();
    config.suites = vec![CipherSuite::PskAes128CbcSha256];
    config.max_rejected = u32::MAX;
    let (mut pair, at_client, _) = Pair::established_with(config.clone(), config);
    pair.client
        .send(at_client, &vec![7; text], pair.now)
        .unwrap();
    let genuine = pair.take_wire(Side::Client).remove(0);
    (pair, genuine)
}

fn flipped(record: &[u8], from_end: usize) -> Vec<u8> {
    let mut forged = record.to_vec();
    let at = forged.len() - from_end;
    forged[at] ^= 0x55;
    forged
}

/// Welch's t of the times that the two kinds take at the server.
fn t_of(pair: &mut Pair, kinds: [&[u8]; 2], rounds: usize) -> f64 {
    let mut times = [Vec::new(), Vec::new()];
    let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..rounds {
        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        let kind = usize::from(dice >> 40 & 1 == 1);
        let begun = Instant::now();
        pair.server
            .handle_datagram(client_at(), black_box(kinds[kind]), pair.now);
        let took = begun.elapsed().as_nanos() as f64;
        assert_eq!(pair.server.poll_event(), None, "a forgery is believed");
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
    println!("  {mean:.0} ns and {other_mean:.0} ns on average, error {error:.1} ns");
    (mean - other_mean) / error.max(f64::MIN_POSITIVE)
}

#[test]
fn what_is_wrong_with_a_forged_record_cannot_be_told_from_its_time() {
    let rounds = if is_long() { 1_000_000 } else { 4_000 };
    let (mut pair, genuine) = session(200);
    let mac_end = flipped(&genuine, 1);
    // The padding stays right, and so does what is before it.
    let mac_start = flipped(&genuine, MAC_LEN);
    // The last block: the padding would be wrong.
    let padding = flipped(&genuine, MAC_LEN + 1);
    // The block before the last: the last byte of the padding would be wrong alone.
    let padding_len = flipped(&genuine, MAC_LEN + 17);
    for (what, other) in [
        ("MAC wrong at its end or at its start", &mac_start),
        ("MAC wrong or padding wrong", &padding),
        ("MAC wrong or length of the padding wrong", &padding_len),
    ] {
        let t = t_of(&mut pair, [&mac_end, other], rounds);
        println!("{what}: t = {t:.2}");
        assert!(!is_long() || t.abs() < BOUND, "{what}: t = {t}");
    }
    pair.server.handle_datagram(client_at(), &genuine, pair.now);
    assert!(
        pair.server.poll_event().is_some(),
        "all of them were forgeries of a good record"
    );
}

#[test]
fn the_measurement_tells_a_difference_when_there_is_one() {
    let (mut pair, short) = session(100);
    let (_, long) = session(14_000);
    let t = t_of(&mut pair, [&flipped(&short, 1), &flipped(&long, 1)], 4_000);
    println!("a short one or a long one: t = {t:.2}");
    assert!(t < -BOUND, "t = {t}");
}
