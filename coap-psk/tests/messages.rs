//! What single messages of a device lead to, byte for byte.
#![cfg(feature = "dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/plain.rs"]
mod plain;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use coap_psk::{Code, Config, Output, Response, option};

use wire::{Pair, Side};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Gives the cloud a message as if the device of the established session had sent it.
fn inject(pair: &mut Pair, message: &str) {
    let nonce: u64 = (1 << 32) | 1;
    let datagram = [&[4][..], &nonce.to_be_bytes(), &hex(message)].concat();
    let (from, now) = (pair.device_address, pair.now);
    pair.cloud.handle_datagram(from, &datagram, now);
    pair.drain();
}

/// What the cloud sent since, and how many requests its application got.
fn outcome(pair: &mut Pair) -> (Vec<Vec<u8>>, usize) {
    let sent = pair
        .records
        .drain(..)
        .filter(|(side, _)| *side == Side::Cloud)
        .map(|(_, bytes)| bytes)
        .collect();
    let mut requests = 0;
    pair.take(|side, output| {
        requests += usize::from(side == Side::Cloud && matches!(output, Output::Request { .. }));
    });
    (sent, requests)
}

#[test]
fn messages_that_never_reach_the_application_are_answered_as_the_standard_says() {
    for (why, message, answer) in [
        ("another version", "80 01 0001", None),
        ("too short", "40 01 00", None),
        ("malformed CON: Reset", "40 01 0001 ff", Some("70 00 0001")),
        (
            "token of 9 in a CON: Reset",
            "49 01 0001 000000000000000000",
            Some("70 00 0001"),
        ),
        ("malformed NON: dropped", "50 01 0001 ff", None),
        ("malformed ACK: dropped", "60 45 0001 ff", None),
        ("malformed RST: dropped", "70 00 0001 ff", None),
        ("ping", "40 00 0001", Some("70 00 0001")),
        ("Empty NON", "50 00 0001", None),
        ("reserved class 1", "40 21 0001", Some("70 00 0001")),
        ("reserved class 6", "40 c1 0001", Some("70 00 0001")),
        ("class 7 is for TCP", "40 e1 0001", Some("70 00 0001")),
        ("reserved class in a NON", "50 21 0001", None),
        ("ACK of nothing", "60 00 0001", None),
        ("RST of nothing", "70 00 0001", None),
        (
            "response CON without a request: Reset",
            "41 45 0001 09",
            Some("70 00 0001"),
        ),
        ("response NON without a request", "51 45 0001 09", None),
        ("response ACK without a request", "61 45 0001 09", None),
        ("request in an ACK", "60 01 0001", None),
        ("unknown method", "41 1f 0001 09", Some("61 85 0001 09")),
        (
            "unknown critical option in a CON",
            "41 01 0001 09 d1 e6 00",
            Some("61 82 0001 09"),
        ),
        (
            "unknown critical option in a NON",
            "51 01 0001 09 d1 e6 00",
            None,
        ),
        ("Q-Block1", "41 03 0001 09 d0 06", Some("61 82 0001 09")),
        ("Q-Block2", "41 01 0001 09 d0 12", Some("61 82 0001 09")),
        (
            "Accept twice",
            "41 01 0001 09 d1 04 00 01 00",
            Some("61 82 0001 09"),
        ),
        ("Proxy-Uri", "41 01 0001 09 d1 16 61", Some("61 a5 0001 09")),
        (
            "Block1 with size exponent 7",
            "41 03 0001 09 d1 0e 07",
            Some("61 80 0001 09"),
        ),
        (
            "Block1 with more to come but too short",
            "41 03 0001 09 d1 0e 08 ff 01",
            Some("61 80 0001 09 d1 0e 08"),
        ),
        (
            "Block1 that begins in the middle",
            "41 03 0001 09 d1 0e 10 ff 01",
            Some("61 88 0001 09 d1 0e 10"),
        ),
        (
            "Block2 of a POST that nobody made",
            "41 02 0001 09 d1 0a 10",
            Some("61 88 0001 09"),
        ),
        (
            "Size1 over the limit",
            "41 03 0001 09 d3 2f 01 00 01",
            Some("61 8d 0001 09 d3 2f 01 00 00"),
        ),
    ] {
        let (mut pair, _, _) = Pair::online(Config::default());
        inject(&mut pair, message);
        let answers: Vec<Vec<u8>> = answer.into_iter().map(hex).collect();
        assert_eq!(outcome(&mut pair), (answers, 0), "{why}");
    }
}

#[test]
fn a_duplicate_con_gets_the_same_bytes_and_the_handler_runs_once() {
    let (mut pair, _, _) = Pair::online(Config::default());
    let post = "41 02 0001 09 b1 61 ff 01";
    inject(&mut pair, post);
    inject(&mut pair, post);
    let exchange = match &pair.outputs[0].1 {
        Output::Request { exchange, .. } => *exchange,
        other => panic!("{other:?}"),
    };
    let now = pair.now;
    pair.cloud
        .respond(exchange, Response::new(Code::CHANGED), now)
        .unwrap();
    pair.drain();
    inject(&mut pair, post);
    assert_eq!(outcome(&mut pair), (vec![hex("61 44 0001 09"); 2], 1));
    pair.run_for(Duration::from_secs(248));
    inject(&mut pair, post);
    assert_eq!(
        outcome(&mut pair).1,
        1,
        "after the exchange lifetime it is a new message"
    );
}

#[test]
fn a_duplicate_while_the_handler_is_slow_gets_the_empty_acknowledgement_again() {
    let (mut pair, _, _) = Pair::online(Config::default());
    let post = "41 02 0001 09 b1 61 ff 01";
    inject(&mut pair, post);
    pair.run_for(Duration::from_secs(2));
    inject(&mut pair, post);
    assert_eq!(outcome(&mut pair), (vec![hex("60 00 0001"); 2], 1));
}

#[test]
fn a_duplicate_non_is_dropped_and_its_answer_is_a_non_with_the_token() {
    let (mut pair, _, _) = Pair::online(Config::default());
    let post = "51 02 0001 09 b1 61 ff 01";
    inject(&mut pair, post);
    inject(&mut pair, post);
    let exchange = match &pair.outputs[0].1 {
        Output::Request { exchange, .. } => *exchange,
        other => panic!("{other:?}"),
    };
    let now = pair.now;
    pair.cloud
        .respond(exchange, Response::new(Code::CHANGED), now)
        .unwrap();
    pair.drain();
    let (sent, requests) = outcome(&mut pair);
    assert_eq!((sent.len(), requests), (1, 1));
    assert_eq!((&sent[0][..2], sent[0][4]), (&[0x51, 0x44][..], 0x09));
}

#[test]
fn a_response_that_is_not_wanted_leaves_the_acknowledgement() {
    // No-Response 2: no 2.xx, please. 258 - 11 = 247 = 13 + 234.
    for (code, answer) in [
        (Code::CHANGED, "60 00 0001"),
        (Code::NOT_FOUND, "61 84 0001 09"),
    ] {
        let (mut pair, _, _) = Pair::online(Config::default());
        inject(&mut pair, "41 02 0001 09 b1 61 d1 ea 02");
        let exchange = match &pair.outputs[0].1 {
            Output::Request { exchange, .. } => *exchange,
            other => panic!("{other:?}"),
        };
        let now = pair.now;
        pair.cloud
            .respond(exchange, Response::new(code), now)
            .unwrap();
        pair.drain();
        assert_eq!(outcome(&mut pair).0, [hex(answer)]);
    }
}

#[test]
fn uploads_with_different_tags_do_not_mix() {
    let (mut pair, _, _) = Pair::online(Config::default());
    let block = |id: u8, tag: u8, option: u8, len: usize| {
        // PUT /a, Block1, Request-Tag: 27 - 11 = 16 = 13 + 3; 292 - 27 = 265 = 13 + 252.
        format!(
            "41 03 00{id:02x} {id:02x} b1 61 d1 03 {option:02x} d1 fc {tag:02x} ff {}",
            format!("{tag:02x}").repeat(len)
        )
    };
    inject(&mut pair, &block(1, 0xaa, 0x08, 16));
    inject(&mut pair, &block(2, 0xbb, 0x08, 16));
    inject(&mut pair, &block(3, 0xaa, 0x10, 1));
    let bodies: Vec<Vec<u8>> = pair
        .outputs
        .iter()
        .filter_map(|(_, output)| match output {
            Output::Request { request, .. } => Some(request.payload.to_vec()),
            _ => None,
        })
        .collect();
    assert_eq!(bodies, [vec![0xaa; 17]]);
}

#[test]
fn what_only_the_application_can_judge_reaches_it_and_its_code_goes_back() {
    for code in [
        Code::NOT_FOUND,
        Code::NOT_ACCEPTABLE,
        Code::PRECONDITION_FAILED,
        Code::UNSUPPORTED_CONTENT_FORMAT,
    ] {
        let (mut pair, _, _) = Pair::online(Config::default());
        // PUT /a with If-Match "x", Content-Format 60 and Accept 50.
        inject(&mut pair, "41 03 0001 09 11 78 a1 61 11 3c 51 32 ff 01");
        let exchange = match &pair.outputs[0].1 {
            Output::Request {
                exchange, request, ..
            } => {
                assert_eq!(request.path, ["a"]);
                assert_eq!(
                    (request.content_format, request.accept),
                    (Some(60), Some(50))
                );
                let [condition] = &request.options[..] else {
                    panic!("{:?}", request.options)
                };
                assert_eq!(
                    (condition.number, &condition.value[..]),
                    (option::IF_MATCH, &b"x"[..])
                );
                *exchange
            }
            other => panic!("{other:?}"),
        };
        let now = pair.now;
        pair.cloud
            .respond(exchange, Response::new(code), now)
            .unwrap();
        pair.drain();
        let answer = [&hex("61")[..], &[code.as_byte()], &hex("0001 09")].concat();
        assert_eq!(outcome(&mut pair).0, [answer]);
    }
}

#[test]
fn a_seventeenth_open_request_is_told_to_wait() {
    let (mut pair, _, _) = Pair::online(Config::default());
    for id in 0..17 {
        inject(&mut pair, &format!("41 01 00{id:02x} {id:02x} b1 61"));
    }
    let (sent, requests) = outcome(&mut pair);
    assert_eq!((sent, requests), (vec![hex("61 a3 0010 10 d1 01 05")], 16));
}
