//! Mbed TLS with itself and with our own engine, each as client and as server, in both suites, with and without connection ids.

use coap_psk::CipherSuite::{self, PskAes128CbcSha256, PskAes128Ccm8};

use crate::kind::{mbedtls, own};
use crate::wire::{
    Engine, Wire, find_each_other_through_loss, refuse_the_wrong_key, understand_each_other,
};

type Make = fn(&[CipherSuite], u8) -> Engine;

/// Client, server, and the suite that the client offers.
const PAIRS: [(Make, Make, CipherSuite); 6] = [
    (mbedtls, mbedtls, PskAes128Ccm8),
    (mbedtls, mbedtls, PskAes128CbcSha256),
    (mbedtls, own, PskAes128Ccm8),
    (mbedtls, own, PskAes128CbcSha256),
    (own, mbedtls, PskAes128Ccm8),
    (own, mbedtls, PskAes128CbcSha256),
];

/// Every pair, as often as Mbed TLS has ways with connection ids.
fn pairs() -> impl Iterator<Item = (impl Fn(u8) -> Wire, String)> {
    (0..PAIRS.len()).flat_map(|number| {
        (0..3_u8).map(move |ids| {
            let (client, server, suite) = PAIRS[number];
            let make = move |seed: u8| {
                let seed = 3 * (seed % 80) + ids;
                let client = client(&[suite], seed);
                let server = server(&CipherSuite::ALL, seed);
                Wire::new(client, server, seed, |_| {})
            };
            (make, format!("pair {number}, ids {ids}, {suite}"))
        })
    })
}

#[test]
fn they_understand_each_other() {
    // With an id, our engine leaves a byte of a record to the type.
    let lengths = [1, 15, 16, 17, 1_152, (1 << 14) - 1];
    for (make, pair) in pairs() {
        understand_each_other(make(1), &lengths, &pair);
    }
}

#[test]
fn none_takes_a_wrong_key_of_another() {
    for (make, pair) in pairs() {
        refuse_the_wrong_key(|| make(1), &pair);
    }
}

#[test]
fn they_find_each_other_through_loss() {
    for (make, pair) in pairs() {
        find_each_other_through_loss(make, &pair);
    }
}
