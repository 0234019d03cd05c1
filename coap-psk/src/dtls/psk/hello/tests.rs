use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::super::key_exchange;
use super::super::message::fragments;
use super::*;

const EXTENSIONS: Extensions<'_> = Extensions {
    encrypt_then_mac: true,
    extended_master_secret: true,
    renegotiation_info: true,
    connection_id: Some(b"id"),
    others: false,
};

fn written() -> Vec<u8> {
    client_hello(
        &[7; 32],
        b"cookie",
        [0xc0a8, 0x00ae].into_iter(),
        EXTENSIONS,
    )
}

/// Offsets in what [`written`] gives.
const SESSION_ID: usize = 34;
const SUITES: usize = 42;
const COMPRESSIONS: usize = 50;
const LIST: usize = 52;

#[test]
fn what_is_written_is_read() {
    let bytes = written();
    let hello = ClientHello::parse(&bytes).unwrap();
    assert!(hello.speaks_dtls_1_2() && hello.offers_no_compression());
    assert!(
        hello.offers_suite(0xc0a8) && hello.offers_suite(0x00ae) && !hello.offers_suite(0xa800)
    );
    assert!(hello.knows_renegotiation_info());
    assert_eq!((hello.random, hello.cookie), ([7; 32], &b"cookie"[..]));
    assert_eq!(hello.extensions, EXTENSIONS);
    let other = client_hello(&[7; 32], b"", [0xc0a8, 0x00ae].into_iter(), EXTENSIONS);
    assert_eq!(
        hello.parameters,
        ClientHello::parse(&other).unwrap().parameters
    );

    let hello = ServerHello::new([9; 32], 0xc0a8, EXTENSIONS);
    assert_eq!(ServerHello::parse(&hello.encode()), Some(hello));
    assert!(hello.chose_no_compression());
    let request = hello_verify_request(b"cookie");
    assert_eq!(parse_hello_verify_request(&request), Some(&b"cookie"[..]));
    assert_eq!(
        key_exchange::parse(&key_exchange::encode(b"a,b")),
        Some(&b"a,b"[..])
    );
}

#[test]
fn a_client_hello_that_breaks_a_rule_is_refused() {
    let good = written();
    assert!(ClientHello::parse(&good).is_some());
    let with = |at: usize, take: usize, put: &[u8]| {
        let mut bytes = good.clone();
        bytes.splice(at..at + take, put.iter().copied());
        bytes
    };
    let long_session_id = [&[33][..], &[0; 33]].concat();
    let cases: [(&str, Vec<u8>); 12] = [
        (
            "session id over 32 bytes",
            with(SESSION_ID, 1, &long_session_id),
        ),
        ("no suites", with(SUITES, 8, &[0, 0])),
        ("half a suite", with(SUITES, 8, &[0, 3, 0xc0, 0xa8, 0])),
        ("no compression method at all", with(COMPRESSIONS, 2, &[0])),
        ("list longer than the message", with(LIST, 2, &[0, 99])),
        ("list shorter than the message", with(LIST, 2, &[0, 4])),
        (
            "twice the same extension",
            with(LIST, good.len() - LIST, &[0, 8, 0, 23, 0, 0, 0, 23, 0, 0]),
        ),
        (
            "extension with a body it must not have",
            with(LIST, good.len() - LIST, &[0, 5, 0, 23, 0, 1, 0]),
        ),
        (
            "twice a connection id",
            with(
                LIST,
                good.len() - LIST,
                &[0, 10, 0, 54, 0, 1, 0, 0, 54, 0, 1, 0],
            ),
        ),
        (
            "connection id shorter than said",
            with(LIST, good.len() - LIST, &[0, 6, 0, 54, 0, 2, 2, 7]),
        ),
        (
            "connection id longer than said",
            with(LIST, good.len() - LIST, &[0, 6, 0, 54, 0, 2, 0, 7]),
        ),
        (
            "renegotiation",
            with(LIST, good.len() - LIST, &[0, 7, 0xff, 1, 0, 3, 2, 0, 0]),
        ),
    ];
    for (what, bytes) in cases {
        assert!(ClientHello::parse(&bytes).is_none(), "{what}");
    }
    for len in 0..good.len() {
        // Before the extensions, which older clients leave out, it is whole.
        assert_eq!(
            ClientHello::parse(&good[..len]).is_some(),
            len == LIST,
            "{len}"
        );
    }
}

#[test]
fn unknown_extensions_and_newer_versions_are_no_fault_and_older_versions_are_not_spoken() {
    let mut bytes = written();
    bytes.splice(LIST.., [0, 4, 0x12, 0x34, 0, 0]);
    let hello = ClientHello::parse(&bytes).unwrap();
    assert!(hello.extensions.others && !hello.extensions.extended_master_secret);
    for (version, spoken) in [
        ([0xfe, 0xfd], true),
        ([0xfe, 0xfc], true),
        ([0xfe, 0xff], false),
        ([3, 3], false),
    ] {
        bytes[..2].copy_from_slice(&version);
        assert_eq!(
            ClientHello::parse(&bytes).unwrap().speaks_dtls_1_2(),
            spoken
        );
    }
}

#[test]
fn other_messages_that_break_a_rule_are_refused() {
    let hello = ServerHello::new([9; 32], 0xc0a8, Extensions::default()).encode();
    for len in 0..hello.len() {
        assert_eq!(ServerHello::parse(&hello[..len]), None, "{len}");
    }
    let mut long_session_id = hello.clone();
    long_session_id.splice(SESSION_ID..=SESSION_ID, [&[33][..], &[0; 33]].concat());
    assert_eq!(ServerHello::parse(&long_session_id), None);
    for bad in [
        &b""[..],
        b"\xfe",
        b"\xfe\xfd",
        b"\xfe\xfd\x02a",
        b"\xfe\xfd\x01ab",
    ] {
        assert_eq!(parse_hello_verify_request(bad), None, "{bad:?}");
    }
    for bad in [&b""[..], b"\0", b"\0\x02a", b"\0\x01ab"] {
        assert_eq!(key_exchange::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn fragments_that_break_a_rule_end_the_record_and_unknown_types_are_passed_over() {
    let good = [14, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0];
    assert_eq!(fragments(&good).count(), 1);
    let mut unknown = good;
    unknown[0] = 11;
    assert_eq!(fragments(&[unknown, good].concat()).count(), 1);
    for len in 0..good.len() {
        assert_eq!(fragments(&good[..len]).count(), 0, "{len}");
    }
    let mut beyond = vec![12, 0, 0, 4, 0, 5, 0, 0, 3, 0, 0, 2];
    beyond.extend([1, 2]);
    assert_eq!(fragments(&[beyond, good.to_vec()].concat()).count(), 0);
}

proptest! {
    #[test]
    fn anything_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200), head in 0..3_usize) {
        let mut bytes = bytes;
        // A good beginning now and then, so that the end is reached.
        let good = written();
        let len = [0, SUITES, LIST][head].min(bytes.len());
        bytes[..len].copy_from_slice(&good[..len]);
        let _ = ClientHello::parse(&bytes);
        let _ = ServerHello::parse(&bytes);
        let _ = parse_hello_verify_request(&bytes);
        let _ = key_exchange::parse(&bytes);
        fragments(&bytes).for_each(drop);
    }
}
