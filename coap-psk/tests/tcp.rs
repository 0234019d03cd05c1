//! What single messages of a peer lead to on a connection over TCP, byte for byte.
#![cfg(feature = "tcp")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/frames.rs"]
mod frames;

use std::time::Duration;

use coap_psk::message::Message;
use coap_psk::tcp::{Config, Connection, Output, Release};
use coap_psk::{Code, ErrorKind, Instant, Method, Request, Response, option};

use frames::{Seen, drain, option, write};

const SECOND: Duration = Duration::from_secs(1);
const GET: Code = Code::new(0, 1);
const PUT: Code = Code::new(0, 3);
const PONG: Code = Code::new(7, 3);
const ABORT: Code = Code::new(7, 5);

/// CSM with Block-Wise-Transfer and a Max-Message-Size of 8,448.
const CSM: &[u8] = &[0x40, 0xe1, 0x22, 0x21, 0x00, 0x20];

fn secs(secs: u64) -> Instant {
    Instant::ZERO.saturating_add(Duration::from_secs(secs))
}

/// A connection whose own CSM has been taken.
fn connected(config: Config) -> Connection {
    let mut connection = Connection::new(config, Instant::ZERO);
    drain(&mut connection);
    connection
}

fn changed(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// What `connection` puts out when these bytes arrive.
fn after(connection: &mut Connection, bytes: &[u8]) -> Seen {
    connection.handle_bytes(bytes, Instant::ZERO);
    drain(connection)
}

/// The answer to a GET that comes with these options, when the application answers with `len` bytes.
fn answer_of(connection: &mut Connection, options: &[(u16, &[u8])], len: usize) -> Message {
    let (exchange, _) = after(connection, &write(GET, b"t", options, b""))
        .requests
        .remove(0);
    let response = Response::new(Code::CONTENT).with_payload(60, vec![7; len]);
    connection
        .respond(exchange, response, Instant::ZERO)
        .unwrap();
    drain(connection).sent.remove(0)
}

fn get() -> Request {
    Request::new(Method::Get, "/a").unwrap()
}

#[test]
fn the_first_thing_sent_is_a_csm_with_both_capabilities() {
    let mut connection = Connection::new(Config::default(), Instant::ZERO);
    connection.request(get(), Instant::ZERO).unwrap();
    let Some(Output::Send(bytes)) = connection.poll_output() else {
        panic!("nothing is sent");
    };
    assert_eq!(bytes, CSM);
    // The request does not wait for the peer's CSM.
    assert_eq!(drain(&mut connection).sent[0].code, GET);
    // A peer may send 1,152 bytes before it knows better, so less than that is not announced.
    let small = changed(|config| config.max_message_size = 100);
    let mut connection = Connection::new(small, Instant::ZERO);
    let csm = drain(&mut connection).sent.remove(0);
    assert_eq!(option(&csm, 2), Some(&[0x04, 0x80][..]));
}

#[test]
fn a_peer_without_a_csm_is_served_unless_the_settings_say_otherwise() {
    let mut tolerant = connected(Config::default());
    assert_eq!(answer_of(&mut tolerant, &[], 5).payload.len(), 5);
    tolerant.handle_timeout(secs(1_000_000));
    assert!(!tolerant.is_closed());

    let strict = || connected(changed(|config| config.csm_timeout = Some(10 * SECOND)));
    let missing = |seen: &Seen| {
        assert_eq!(seen.sent[0].code, ABORT);
        assert_eq!(seen.sent[0].payload, b"CSM missing"[..]);
        assert_eq!(seen.words, ["close", "closed Violation(NoCsm)"]);
    };
    for first in [write(GET, b"", &[], b""), vec![0x00, 0xe2]] {
        missing(&after(&mut strict(), &first));
    }
    let mut late = strict();
    late.handle_timeout(secs(9));
    assert_eq!(late.next_deadline(), Some(secs(10)));
    late.handle_timeout(secs(10));
    missing(&drain(&mut late));

    let mut good = strict();
    // An Empty message is no message at all.
    after(&mut good, &[&[0x00, 0x00][..], CSM].concat());
    assert_eq!(answer_of(&mut good, &[], 5).payload.len(), 5);
    assert_eq!(good.next_deadline(), None);
}

#[test]
fn the_csm_decides_how_a_long_response_is_cut() {
    const BLOCK_WISE: &[u8] = &[0x10, 0xe1, 0x40];
    let size = |bytes: [u8; 2]| vec![0x30, 0xe1, 0x22, bytes[0], bytes[1]];
    // 8,448 bytes is 0x2100; 1,152 is 0x0480, 1,153 is 0x0481, 512 is 0x0200. Block2 0x0e is 0/1/1024, 0x0f is 0/1/BERT.
    for (csm, len, block2, part) in [
        // The base values: 1,152 bytes, and plain blocks.
        (vec![], 1_000, None, 1_000),
        (vec![], 5_000, Some(&[0x0e][..]), 1_024),
        (BLOCK_WISE.to_vec(), 5_000, Some(&[0x0e]), 1_024),
        // Several blocks in a message need both.
        (size([0x21, 0x00]), 8_000, None, 8_000),
        (size([0x21, 0x00]), 20_000, Some(&[0x0e]), 1_024),
        (CSM.to_vec(), 8_000, None, 8_000),
        (CSM.to_vec(), 20_000, Some(&[0x0f]), 8_192),
        (
            [BLOCK_WISE, &size([0x21, 0x00])].concat(),
            20_000,
            Some(&[0x0f]),
            8_192,
        ),
        (
            [BLOCK_WISE, &size([0x04, 0x81])].concat(),
            20_000,
            Some(&[0x0f]),
            1_024,
        ),
        (
            [BLOCK_WISE, &size([0x04, 0x80])].concat(),
            20_000,
            Some(&[0x0e]),
            1_024,
        ),
        // A later one takes back what the first one said about the size, and nothing else.
        (
            [CSM, &size([0x04, 0x80])].concat(),
            20_000,
            Some(&[0x0e]),
            1_024,
        ),
        ([CSM, &[0x00, 0xe1]].concat(), 20_000, Some(&[0x0f]), 8_192),
        (size([0x02, 0x00]), 1_000, Some(&[0x0c]), 256),
    ] {
        let mut connection = connected(Config::default());
        after(&mut connection, &csm);
        let answer = answer_of(&mut connection, &[], len);
        assert_eq!(
            (option(&answer, option::BLOCK2), answer.payload.len()),
            (block2, part),
            "{csm:x?} {len}"
        );
    }
}

#[test]
fn the_blocks_of_a_long_response_are_those_the_peer_asks_for() {
    let mut connection = connected(Config::default());
    after(&mut connection, CSM);
    let first = answer_of(&mut connection, &[(option::BLOCK2, &[0x07])], 20_000);
    assert_eq!(option(&first, option::BLOCK2), Some(&[0x0f][..]));
    assert_eq!(first.payload.len(), 8_192);
    // From block 8 on with BERT, from block 8 on without, and the last one.
    for (wanted, block2, len) in [
        (&[0x87][..], &[0x8f][..], 8_192),
        (&[0x86], &[0x8e], 1_024),
        (&[0x01, 0x36], &[0x01, 0x36], 544),
    ] {
        let seen = after(
            &mut connection,
            &write(GET, b"u", &[(option::BLOCK2, wanted)], b""),
        );
        let part = &seen.sent[0];
        assert_eq!(option(part, option::BLOCK2), Some(block2), "{wanted:x?}");
        assert_eq!(part.payload.len(), len);
        assert_eq!(option(part, option::ETAG), option(&first, option::ETAG));
    }
    let mut connection = connected(Config::default());
    answer_of(&mut connection, &[], 20_000);
    let past_the_end = write(GET, b"u", &[(option::BLOCK2, &[0x01, 0x46])], b"");
    let refused = after(&mut connection, &past_the_end).sent.remove(0);
    assert_eq!(refused.code, Code::BAD_REQUEST);
}

#[test]
fn a_body_may_come_in_several_blocks_a_message() {
    let block = |number: u32, more: u32, len: usize| {
        let value = (number << 4 | more << 3 | 7).to_be_bytes();
        let value = &value[value.iter().take_while(|byte| **byte == 0).count()..];
        write(PUT, b"t", &[(option::BLOCK1, value)], &vec![1; len])
    };
    // RFC 8323, 6.2, with smaller messages: 1:0/1/BERT(8192), 1:8/1/BERT(1024), 1:9/0/BERT(5683).
    let mut connection = connected(Config::default());
    for (first, len, echo) in [(0, 8_192, &[0x0f][..]), (8, 1_024, &[0x8f])] {
        let seen = after(&mut connection, &block(first, 1, len));
        assert_eq!(seen.sent[0].code, Code::CONTINUE);
        assert_eq!(option(&seen.sent[0], option::BLOCK1), Some(echo));
    }
    let seen = after(&mut connection, &block(9, 0, 5_683));
    let (exchange, request) = &seen.requests[0];
    assert_eq!(request.payload.len(), 8_192 + 1_024 + 5_683);
    connection
        .respond(*exchange, Response::new(Code::CHANGED), Instant::ZERO)
        .unwrap();
    let answer = drain(&mut connection).sent.remove(0);
    assert_eq!(option(&answer, option::BLOCK1), Some(&[0x97][..]));
    // One that is not whole blocks, though more follows; then all of it when we have not said that we take it.
    let seen = after(&mut connection, &block(0, 1, 1_025));
    assert_eq!(seen.sent[0].code, Code::BAD_REQUEST);
    let mut plain = connected(changed(|config| config.max_message_size = 1_152));
    let seen = after(&mut plain, &block(0, 1, 1_024));
    assert_eq!(seen.sent[0].code, Code::BAD_REQUEST);
}

#[test]
fn a_message_over_our_limit_is_refused_at_its_header() {
    let config = changed(|config| config.max_message_size = 2_000);
    for (header, refused) in [
        // 1 + 2 + 1 bytes of header and 269 + 1,727 of options and payload: 2,000.
        (&[0xe0, 0x06, 0xbf][..], false),
        (&[0xe0, 0x06, 0xc0], true),
        (&[0xe1, 0x06, 0xbf], true),
        (&[0xf0, 0x00, 0x00, 0x00, 0x00], true),
        (&[0xf8, 0xff, 0xff, 0xff, 0xff], true),
    ] {
        let mut connection = connected(config.clone());
        connection.request(get(), Instant::ZERO).unwrap();
        drain(&mut connection);
        let seen = after(&mut connection, header);
        assert_eq!(connection.is_closed(), refused, "{header:x?}");
        if refused {
            assert_eq!(seen.sent[0].code, ABORT);
            assert_eq!(seen.sent[0].payload, b"message over Max-Message-Size"[..]);
            let words = ["close", "failed Closed", "closed Violation(TooLarge)"];
            assert_eq!(seen.words, words);
        }
    }
}

#[test]
fn a_message_that_breaks_the_format_aborts_the_connection() {
    for bytes in [
        &[0x09][..],
        &[0x10, 0x01, 0xff],
        &[0x00, 0x20],
        &[0x00, 0xc0],
    ] {
        let mut connection = connected(Config::default());
        let seen = after(&mut connection, bytes);
        assert_eq!(seen.sent[0].code, ABORT, "{bytes:x?}");
        assert_eq!(seen.words, ["close", "closed Violation(Malformed)"]);
        // What follows is not looked at.
        let seen = after(&mut connection, &write(GET, b"", &[], b""));
        assert!(seen.sent.is_empty() && seen.requests.is_empty());
    }
}

#[test]
fn a_ping_gets_a_pong_with_its_token_and_empty_messages_get_nothing() {
    let mut connection = connected(Config::default());
    let seen = after(&mut connection, &[0x00, 0x00, 0x02, 0xe2, 0xab, 0xcd]);
    assert_eq!(seen.sent.len(), 1);
    let pong = &seen.sent[0];
    assert_eq!(
        (pong.code, pong.token.as_bytes()),
        (PONG, &[0xab, 0xcd][..])
    );
    assert_eq!(option(pong, 2), None);
    // A Pong nobody asked for, and a signal nobody knows.
    assert!(
        after(&mut connection, &[0x00, 0xe3, 0x00, 0xff])
            .sent
            .is_empty()
    );
}

#[test]
fn a_ping_that_asks_for_custody_waits_until_what_came_before_is_answered() {
    let mut connection = connected(Config::default());
    let ping = |token: u8| [0x11, 0xe2, token, 0x20];
    let seen = after(&mut connection, &ping(1));
    assert_eq!(option(&seen.sent[0], 2), Some(&[][..]));

    let two = [write(GET, b"a", &[], b""), write(GET, b"b", &[], b"")].concat();
    let requests = after(&mut connection, &two).requests;
    assert!(after(&mut connection, &ping(2)).sent.is_empty());
    // One that came behind the Ping does not hold it up.
    let behind = after(&mut connection, &write(GET, b"c", &[], b"")).requests;
    let mut answer = |(exchange, _): &(_, _)| {
        let response = Response::new(Code::CONTENT);
        connection
            .respond(*exchange, response, Instant::ZERO)
            .unwrap();
        let sent = drain(&mut connection).sent;
        sent.iter().map(|it| it.code).collect::<Vec<_>>()
    };
    assert_eq!(answer(&requests[1]), [Code::CONTENT]);
    assert_eq!(answer(&requests[0]), [Code::CONTENT, PONG]);
    assert_eq!(answer(&behind[0]), [Code::CONTENT]);
}

#[test]
fn an_unknown_critical_option_in_a_signal_aborts_the_connection() {
    for (signal, bad_csm_option) in [
        // CSM with option 3, Ping with option 1, an unknown signal with option 1.
        (&[0x10, 0xe1, 0x30][..], Some(&[0x03][..])),
        (&[0x10, 0xe2, 0x10], None),
        (&[0x10, 0xff, 0x10], None),
    ] {
        let mut connection = connected(Config::default());
        let seen = after(&mut connection, signal);
        assert_eq!(seen.sent[0].code, ABORT);
        assert_eq!(option(&seen.sent[0], 2), bad_csm_option, "{signal:x?}");
        assert!(seen.words[1].starts_with("closed Violation(UnknownOption("));
    }
    // Elective ones are nothing to abort for.
    let mut connection = connected(Config::default());
    after(&mut connection, &[0x10, 0xe1, 0x60]);
    assert!(!connection.is_closed());
}

#[test]
fn an_abort_of_the_peer_ends_everything_at_once() {
    let mut connection = connected(Config::default());
    connection.request(get(), Instant::ZERO).unwrap();
    after(&mut connection, &write(GET, b"a", &[], b""));
    let seen = after(&mut connection, b"\x50\xe5\x21\x02\xffno");
    assert!(seen.sent.is_empty());
    assert_eq!(
        seen.words,
        [
            "close",
            "failed Closed",
            "closed Aborted { bad_csm_option: Some(2), diagnostic: \"no\" }"
        ]
    );
}

#[test]
fn a_release_of_the_peer_closes_when_both_have_their_answers() {
    let mut connection = connected(Config::default());
    connection.request(get(), Instant::ZERO).unwrap();
    let token = drain(&mut connection).sent[0].token;
    let requests = after(&mut connection, &write(GET, b"a", &[], b"")).requests;
    let seen = after(&mut connection, b"\x60\xe4\x23b:1\x21\x05");
    assert_eq!(
        seen.words,
        ["released Release { alternatives: [\"b:1\"], hold_off: Some(5) }"]
    );
    let refused = connection.request(get(), Instant::ZERO).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    connection
        .respond(requests[0].0, Response::new(Code::CONTENT), Instant::ZERO)
        .unwrap();
    let seen = drain(&mut connection);
    assert_eq!((seen.sent.len(), seen.words.len()), (1, 0));
    let seen = after(
        &mut connection,
        &write(Code::CONTENT, token.as_bytes(), &[], b""),
    );
    assert_eq!(seen.words, ["2.05 0", "close", "closed Released"]);
}

#[test]
fn a_release_that_nobody_finishes_ends_by_time() {
    let mut ours = connected(Config::default());
    let mut release = Release::new();
    release.hold_off = Some(1 << 24);
    let refused = ours.release(release.clone(), Instant::ZERO).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Path);
    release.hold_off = Some(7);
    ours.release(release, Instant::ZERO).unwrap();
    let seen = drain(&mut ours);
    assert_eq!(seen.sent[0].code, Code::new(7, 4));
    assert_eq!(option(&seen.sent[0], 4), Some(&[7][..]));
    let again = ours.release(Release::new(), Instant::ZERO).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Refused);
    // Requests of the peer that were on their way are served.
    assert_eq!(answer_of(&mut ours, &[], 3).payload.len(), 3);
    ours.handle_timeout(secs(60));
    assert_eq!(drain(&mut ours).words, ["close", "closed Local"]);

    let mut theirs = connected(Config::default());
    after(&mut theirs, &write(GET, b"a", &[], b""));
    after(&mut theirs, &[0x00, 0xe4]);
    theirs.handle_timeout(secs(60));
    let seen = drain(&mut theirs);
    assert_eq!(seen.words, ["close", "closed Released"]);
}

#[test]
fn pending_requests_and_observers_end_with_the_stream() {
    let mut connection = connected(Config::default());
    connection.request(get(), Instant::ZERO).unwrap();
    connection.observe(get(), Instant::ZERO).unwrap();
    let observe = write(GET, b"o", &[(option::OBSERVE, &[])], b"");
    let requests = after(&mut connection, &observe).requests;
    let state = Response::new(Code::CONTENT).observable();
    connection
        .respond(requests[0].0, state.clone(), Instant::ZERO)
        .unwrap();
    drain(&mut connection);
    connection.handle_closed(Instant::ZERO);
    assert_eq!(
        drain(&mut connection).words,
        [
            "failed Closed",
            "failed Closed",
            "unobserved",
            "closed Ended"
        ]
    );
    assert_eq!(connection.next_deadline(), None);
    assert_eq!(connection.notify("/", &state, Instant::ZERO).unwrap(), 0);
    let over = connection.request(get(), Instant::ZERO).unwrap_err();
    assert_eq!(over.kind(), ErrorKind::UnknownSession);
    connection.close(Instant::ZERO);
    connection.handle_closed(Instant::ZERO);
    assert!(connection.poll_output().is_none());
}

#[test]
fn nothing_is_a_duplicate_and_every_response_has_its_request() {
    let mut connection = connected(Config::default());
    let twice = [write(GET, b"a", &[], b""), write(GET, b"a", &[], b"")].concat();
    assert_eq!(after(&mut connection, &twice).requests.len(), 2);
    // Two requests of ours, answered in the other order; an answer to neither, and a second one.
    connection.request(get(), Instant::ZERO).unwrap();
    connection.request(get(), Instant::ZERO).unwrap();
    let sent = drain(&mut connection).sent;
    assert_ne!(sent[0].token, sent[1].token);
    let respond = |token: &[u8], len: usize| write(Code::CONTENT, token, &[], &vec![1; len]);
    let stream = [
        respond(b"nobody", 1),
        respond(sent[1].token.as_bytes(), 2),
        respond(sent[1].token.as_bytes(), 3),
        respond(sent[0].token.as_bytes(), 4),
    ];
    let seen = after(&mut connection, &stream.concat());
    assert_eq!(seen.words, ["2.05 2", "2.05 4"]);
    assert!(seen.sent.is_empty());
}

#[test]
fn notifications_count_in_the_order_of_their_arrival() {
    let mut connection = connected(Config::default());
    let observation = connection.observe(get(), Instant::ZERO).unwrap();
    let register = drain(&mut connection).sent.remove(0);
    assert_eq!(option(&register, option::OBSERVE), Some(&[][..]));
    let token = register.token;
    let notify = |sequence: &[u8], len: usize| {
        let options = [(option::OBSERVE, sequence)];
        write(Code::CONTENT, token.as_bytes(), &options, &vec![1; len])
    };
    // A value that falls, one that repeats, and none.
    let stream = [
        notify(&[9], 1),
        notify(&[3], 2),
        notify(&[3], 3),
        notify(&[], 4),
    ];
    let seen = after(&mut connection, &stream.concat());
    let words = ["notified 1", "notified 2", "notified 3", "notified 4"];
    assert_eq!(seen.words, words);
    // Without a Reset, the end is asked for with the token of the beginning.
    connection.cancel(observation, Instant::ZERO);
    let seen = drain(&mut connection);
    let end = &seen.sent[0];
    assert_eq!((end.code, end.token), (GET, token));
    assert_eq!(option(end, option::OBSERVE), Some(&[1][..]));
    assert_eq!(seen.words, ["failed Cancelled"]);
    assert!(after(&mut connection, &notify(&[10], 5)).words.is_empty());
}

#[test]
fn an_observer_is_told_and_can_leave() {
    let mut connection = connected(Config::default());
    let register = |value: &[u8]| write(GET, b"o", &[(option::OBSERVE, value)], b"");
    let (exchange, request) = after(&mut connection, &register(&[])).requests.remove(0);
    assert!(request.observe);
    let state = Response::new(Code::CONTENT).observable();
    connection
        .respond(exchange, state.clone(), Instant::ZERO)
        .unwrap();
    let told = connection.notify("/", &state, Instant::ZERO).unwrap();
    assert_eq!(told, 1);
    let sent = drain(&mut connection).sent;
    assert!(sent.iter().all(|it| option(it, option::OBSERVE).is_some()));
    assert!(sent.iter().all(|it| it.token.as_bytes() == b"o"));
    // It leaves, and is answered as anybody who asks.
    let seen = after(&mut connection, &register(&[1]));
    assert_eq!(
        (seen.words, seen.requests.len()),
        (vec!["unobserved".to_owned()], 1)
    );
    assert_eq!(connection.notify("/", &state, Instant::ZERO).unwrap(), 0);
}

#[test]
fn bad_requests_have_the_answers_of_the_standard() {
    for (code, options, payload_len, answer) in [
        // An unknown critical option, an unknown method, a proxy.
        (GET, &[(9, &b""[..])][..], 0, Code::BAD_OPTION),
        (Code::new(0, 30), &[], 0, Code::METHOD_NOT_ALLOWED),
        (
            GET,
            &[(option::PROXY_URI, b"coap://a")],
            0,
            Code::PROXYING_NOT_SUPPORTED,
        ),
        // A body over the limit, as it is and as it is announced.
        (PUT, &[], 2_001, Code::REQUEST_ENTITY_TOO_LARGE),
        (
            PUT,
            &[(option::SIZE1, &[0x07, 0xd1])],
            1,
            Code::REQUEST_ENTITY_TOO_LARGE,
        ),
        // A block that is not the first.
        (
            PUT,
            &[(option::BLOCK1, &[0x16])],
            1,
            Code::REQUEST_ENTITY_INCOMPLETE,
        ),
    ] {
        let mut connection = connected(changed(|config| config.max_body = 2_000));
        let seen = after(
            &mut connection,
            &write(code, b"t", options, &vec![1; payload_len]),
        );
        assert_eq!(seen.sent[0].code, answer, "{options:?}");
        assert_eq!(seen.sent[0].token.as_bytes(), b"t");
        assert!(seen.requests.is_empty() && !connection.is_closed());
        let size1 = option(&seen.sent[0], option::SIZE1);
        let is_too_large = answer == Code::REQUEST_ENTITY_TOO_LARGE;
        assert_eq!(size1, is_too_large.then_some(&[0x07, 0xd0][..]));
    }
    // One that wants no success learns of none; one that wants no error learns of success.
    let mut connection = connected(Config::default());
    for (no_response, code, sent) in [
        (2, Code::CONTENT, 0),
        (26, Code::NOT_FOUND, 0),
        (8, Code::CONTENT, 1),
    ] {
        let request = write(GET, b"t", &[(option::NO_RESPONSE, &[no_response])], b"");
        let (exchange, _) = after(&mut connection, &request).requests.remove(0);
        connection
            .respond(exchange, Response::new(code), Instant::ZERO)
            .unwrap();
        assert_eq!(
            drain(&mut connection).sent.len(),
            sent,
            "{no_response} {code}"
        );
    }
}

#[test]
fn caps_hold_and_slow_answers_are_given_up() {
    let mut connection = connected(changed(|config| {
        config.max_inbound = 2;
        config.max_outbound = 1;
    }));
    let stream = [b"a", b"b", b"c"].map(|token| write(GET, token, &[], b""));
    let seen = after(&mut connection, &stream.concat());
    assert_eq!((seen.requests.len(), seen.sent.len()), (2, 1));
    let busy = &seen.sent[0];
    assert_eq!(
        (busy.code, busy.token.as_bytes()),
        (Code::SERVICE_UNAVAILABLE, &b"c"[..])
    );
    assert_eq!(option(busy, option::MAX_AGE), Some(&[5][..]));
    connection.request(get(), Instant::ZERO).unwrap();
    let full = connection.request(get(), Instant::ZERO).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Full);
    drain(&mut connection);
    connection.handle_timeout(secs(60));
    let seen = drain(&mut connection);
    assert_eq!(seen.words, ["failed TimedOut"]);
    let codes: Vec<_> = seen.sent.iter().map(|it| it.code).collect();
    assert_eq!(codes, [Code::SERVICE_UNAVAILABLE; 2]);
    // The application is late: nobody waits for that any more.
    let late = Response::new(Code::CONTENT);
    let (exchange, _) = &after(&mut connection, &stream[0]).requests[0];
    connection
        .respond(*exchange, late.clone(), secs(60))
        .unwrap();
    connection.respond(*exchange, late, secs(60)).unwrap();
    assert_eq!(drain(&mut connection).sent.len(), 1);
}

#[test]
fn a_message_that_the_peer_does_not_take_is_not_sent() {
    // Max-Message-Size 40.
    let mut connection = connected(Config::default());
    after(&mut connection, &[0x20, 0xe1, 0x21, 40]);
    let long = "a".repeat(60);
    let target = format!("/{long}");
    let request = Request::new(Method::Get, &target).unwrap();
    connection.request(request, Instant::ZERO).unwrap();
    let seen = drain(&mut connection);
    assert_eq!(
        (seen.sent.len(), seen.words),
        (0, vec!["failed TooLarge".to_owned()])
    );
    let (exchange, _) = after(&mut connection, &write(GET, b"t", &[], b""))
        .requests
        .remove(0);
    let location = coap_psk::CoapOption::new(option::LOCATION_PATH, long.into_bytes());
    let response = Response::new(Code::CREATED).with_option(location);
    connection
        .respond(exchange, response, Instant::ZERO)
        .unwrap();
    let sent = drain(&mut connection).sent;
    assert_eq!(sent[0].code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(sent[0].token.as_bytes(), b"t");
}

#[test]
fn a_silent_peer_is_asked_for_a_sign_of_life() {
    let config = changed(|config| {
        config.keepalive = Some(100 * SECOND);
        config.pong_timeout = 10 * SECOND;
    });
    let mut connection = connected(config);
    assert_eq!(connection.next_deadline(), Some(secs(100)));
    connection.handle_bytes(&[0x00, 0x00], secs(50));
    assert_eq!(connection.next_deadline(), Some(secs(150)));
    connection.handle_timeout(secs(150));
    let ping = drain(&mut connection).sent.remove(0);
    assert_eq!(ping.code, Code::new(7, 2));
    assert_eq!(connection.next_deadline(), Some(secs(160)));
    connection.handle_bytes(&write(PONG, ping.token.as_bytes(), &[], b""), secs(155));
    assert_eq!(connection.next_deadline(), Some(secs(255)));
    connection.handle_timeout(secs(255));
    connection.handle_timeout(secs(264));
    assert!(!connection.is_closed());
    connection.handle_timeout(secs(265));
    assert_eq!(drain(&mut connection).words, ["close", "closed Silent"]);
}
