//! Known answers. That of the function itself is the one published for TLS 1.2 with SHA-256 (IETF TLS mailing list, 2008);
//! the others were computed with Python's `hmac` and with the ciphers of its `cryptography` package, which are OpenSSL's.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::super::prf::{hmac, prf};
use super::super::protection::{KeyPair, Protection};
use super::super::record::{ContentType, Header, records};
use super::*;
use crate::random::Random;

const TEXT: &[u8] = b"CoAP over DTLS";
const HEADER: Header<'_> = Header {
    content: ContentType::ApplicationData,
    epoch: 1,
    sequence: 5,
    connection_id: &[],
};

struct Known {
    extended: bool,
    finished: [&'static str; 2],
    ccm: [&'static str; 2],
    cbc: [&'static str; 2],
}

const KNOWN: [Known; 2] = [
    Known {
        extended: true,
        finished: ["fc041a0c4d7327a74e040b25", "cd4b37331aaee78562484c1e"],
        ccm: [
            "17fefd0001000000000005001e00010000000000054c09c02f47c3404e8c1fa9ed371e461099ce5d840cc8",
            "17fefd0001000000000005001e000100000000000518897f5371ef6c83b561363f938cde35e55ea8d32feb",
        ],
        cbc: [
            "17fefd000100000000000500406465666768696a6b6c6d6e6f70717273a0f01717a48e06f95308596164165fcabd3ff9e56a32a396f9720cafc0921eb7d8ac51973f006a7b6242e772cb212130",
            "17fefd000100000000000500406465666768696a6b6c6d6e6f7071727395124283a73af4c1151a926abe97200c5018167699e0539e2cc874bcf7eefd1a5d697c468a7560c813b38a0037c97e43",
        ],
    },
    Known {
        extended: false,
        finished: ["3eb58166062d9302280c8e24", "482a345d565be7546cdb13ec"],
        ccm: [
            "17fefd0001000000000005001e000100000000000526a31d16acab48d288afb06b58a2da69ce7a52e61a98",
            "17fefd0001000000000005001e00010000000000057cd9e206c15f31a814b8b7bb119d76edb73203744014",
        ],
        cbc: [
            "17fefd000100000000000500406465666768696a6b6c6d6e6f7071727374403f3eff7f37bd4a7def5ba98929766700c246773b23402f65467ececa16733ec48c0674713e24b5ea260f908d3484",
            "17fefd000100000000000500406465666768696a6b6c6d6e6f7071727347a09c326bbc751b523b18e210856f1bd412601fbdc933528f93a67ea3e30b9467ba122ebdb8bf34c91eb47db3632235",
        ],
    },
];

fn hex(text: &str) -> Vec<u8> {
    let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16).unwrap()).unwrap();
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    pairs
        .iter()
        .map(|[high, low]| digit(high) << 4 | digit(low))
        .collect()
}

fn randoms() -> Randoms {
    Randoms {
        client: core::array::from_fn(|at| u8::try_from(at).unwrap()),
        server: core::array::from_fn(|at| u8::try_from(at).unwrap() | 64),
    }
}

fn master(extended: bool) -> (MasterSecret, Sha256) {
    let psk = PskKey::new(hex("43e307fffce19a0176803de3445fe0e3").try_into().unwrap());
    let transcript = Sha256::new_with_prefix(b"the messages so far");
    let master = MasterSecret::derive(&psk, extended, &randoms(), &transcript);
    (master, transcript)
}

#[test]
fn the_function_gives_the_published_bytes() {
    let mut out = [0; 100];
    prf(
        &hmac(&hex("9bbe436ba940f017b17652849a71db35")),
        b"test label",
        &[&hex("a0ba9f936cda3118"), &hex("27a6f796ffd5198c")],
        &mut out,
    );
    let expected = "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa0\
        22f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66";
    assert_eq!(out.as_slice(), hex(expected));
}

#[test]
fn master_secret_and_finished_are_those_of_another_implementation() {
    for known in &KNOWN {
        let (master, transcript) = master(known.extended);
        for (side, expected) in [Side::Client, Side::Server].into_iter().zip(known.finished) {
            let data = master.verify_data(side, &transcript);
            assert_eq!(
                data.as_slice(),
                hex(expected),
                "{side:?} {}",
                known.extended
            );
        }
    }
}

#[test]
fn records_are_those_of_another_implementation() {
    for known in &KNOWN {
        for (suite, expected) in [
            (CipherSuite::PskAes128Ccm8, known.ccm),
            (CipherSuite::PskAes128CbcSha256, known.cbc),
        ] {
            let KeyPair { client, server } = master(known.extended).0.key_pair(suite, &randoms());
            for (keys, expected) in [client, server].iter().zip(expected) {
                let expected = hex(expected);
                let record = records(&expected, 0).next().unwrap();
                assert_eq!(record.header, HEADER);
                assert_eq!(keys.open(&record).unwrap(), TEXT);
                check_sealing(keys, &expected);
            }
        }
    }
}

/// CCM gives the same bytes; CBC has an initialization vector of its own, and so the same length.
fn check_sealing(keys: &Protection, expected: &[u8]) {
    let mut sealed = Vec::new();
    keys.seal(HEADER, [TEXT, &[]], &mut Random::new([1; 32]), &mut sealed)
        .unwrap();
    match keys {
        Protection::Ccm8(_) => assert_eq!(sealed, expected),
        Protection::CbcSha256(_) => assert_eq!(sealed.len(), expected.len()),
    }
    assert_eq!(
        keys.open(&records(&sealed, 0).next().unwrap()).unwrap(),
        TEXT
    );
}
