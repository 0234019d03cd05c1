//! Requests, responses and notifications over TCP, message by message.
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

use coap_psk::tcp::Config;
use coap_psk::{CoapOption, Code, ErrorKind, Instant, Method, Request, Response, option};

use frames::{CSM, after, answer_of, changed, connected, drain, get, option, secs, write};

const GET: Code = Code::new(0, 1);
const PUT: Code = Code::new(0, 3);

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
    // A peer may ask for several blocks in a message from one that takes only short messages itself.
    let mut connection = connected(changed(|config| config.max_message_size = 1_152));
    after(&mut connection, CSM);
    assert_eq!(answer_of(&mut connection, &[], 20_000).payload.len(), 8_192);
    let next = write(GET, b"u", &[(option::BLOCK2, &[0x87])], b"");
    let part = after(&mut connection, &next).sent.remove(0);
    assert_eq!(option(&part, option::BLOCK2), Some(&[0x8f][..]));

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
    // One that is not whole blocks, though more follows.
    let seen = after(&mut connection, &block(0, 1, 1_025));
    assert_eq!(seen.sent[0].code, Code::BAD_REQUEST);
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
fn an_observer_is_one_whoever_asks_twice_and_an_error_is_its_last_state() {
    let mut connection = connected(Config::default());
    let state = Response::new(Code::CONTENT).observable();
    let mut register = |code: Code, response: &Response| {
        let request = write(code, b"o", &[(option::OBSERVE, &[])], b"");
        let (exchange, request) = after(&mut connection, &request).requests.remove(0);
        connection
            .respond(exchange, response.clone(), Instant::ZERO)
            .unwrap();
        let words = drain(&mut connection).words;
        let told = connection.notify("/", &state, Instant::ZERO).unwrap();
        drain(&mut connection);
        (request.observe, words.len(), told)
    };
    // The second registration takes the place of the first, and an answer that cannot be observed ends both.
    assert_eq!(register(GET, &state), (true, 0, 1));
    assert_eq!(register(GET, &state), (true, 1, 1));
    assert_eq!(register(GET, &Response::new(Code::CONTENT)), (true, 1, 0));
    // What changes something cannot be observed.
    assert_eq!(register(PUT, &state), (false, 0, 0));
    assert_eq!(register(GET, &state), (true, 0, 1));

    let gone = Response::new(Code::NOT_FOUND);
    assert_eq!(connection.notify("/", &gone, Instant::ZERO).unwrap(), 1);
    let seen = drain(&mut connection);
    assert_eq!(seen.words, ["unobserved"]);
    assert_eq!(seen.sent[0].code, Code::NOT_FOUND);
    assert_eq!(option(&seen.sent[0], option::OBSERVE), None);
    assert_eq!(connection.notify("/", &gone, Instant::ZERO).unwrap(), 0);
}

#[test]
fn a_state_without_room_for_its_rest_is_left_out() {
    let mut connection = connected(changed(|config| config.max_transfer_bytes = 4_000));
    let state = |len: usize| {
        Response::new(Code::CONTENT)
            .with_payload(0, vec![1; len])
            .observable()
    };
    let mut register = |token: &[u8], len: usize| {
        let request = write(GET, token, &[(option::OBSERVE, &[])], b"");
        let (exchange, _) = after(&mut connection, &request).requests.remove(0);
        connection
            .respond(exchange, state(len), Instant::ZERO)
            .unwrap();
        let seen = drain(&mut connection);
        (seen.sent[0].code, seen.words.len())
    };
    // A registration whose first state there is no room for is none.
    assert_eq!(register(b"a", 4_001), (Code::SERVICE_UNAVAILABLE, 1));
    assert_eq!(register(b"b", 1), (Code::CONTENT, 0));
    for (len, sent) in [(4_001, 0), (4_000, 1), (2, 1)] {
        let told = connection.notify("/", &state(len), Instant::ZERO).unwrap();
        assert_eq!(
            (told, drain(&mut connection).sent.len()),
            (1, sent),
            "{len}"
        );
    }
}

#[test]
fn a_long_state_is_fetched_unless_a_newer_one_comes_before() {
    let mut connection = connected(Config::default());
    connection.observe(get(), Instant::ZERO).unwrap();
    let observation = drain(&mut connection).sent[0].token;
    // Two blocks of 16 bytes: the first one with the notification, the second one on demand.
    let first = |etag: &[u8], byte: u8| {
        let options = [
            (option::ETAG, etag),
            (option::OBSERVE, &[1][..]),
            (option::BLOCK2, &[0x08]),
        ];
        write(Code::CONTENT, observation.as_bytes(), &options, &[byte; 16])
    };
    let second = |token: &[u8], etag: &[u8]| {
        let options = [(option::ETAG, etag), (option::BLOCK2, &[0x10][..])];
        write(Code::CONTENT, token, &options, &[9; 4])
    };
    let old = after(&mut connection, &first(b"a", 1)).sent.remove(0);
    assert_eq!(option(&old, option::BLOCK2), Some(&[0x10][..]));
    assert_eq!(option(&old, option::OBSERVE), None);
    // While the rest of the old state is asked for, a new one comes.
    let new = after(&mut connection, &first(b"b", 2)).sent.remove(0);
    assert_ne!(old.token, new.token);
    let late = after(&mut connection, &second(old.token.as_bytes(), b"a"));
    assert!(late.words.is_empty() && late.sent.is_empty());
    let seen = after(&mut connection, &second(new.token.as_bytes(), b"b"));
    assert_eq!(seen.words, ["notified 20"]);

    // A rest that cannot be had is no state, and not the end.
    let asked = after(&mut connection, &first(b"c", 3)).sent.remove(0);
    let lost = write(
        Code::REQUEST_ENTITY_INCOMPLETE,
        asked.token.as_bytes(),
        &[],
        b"",
    );
    assert!(after(&mut connection, &lost).words.is_empty());
    // One without Observe is the last, and takes the place of what is being fetched.
    let asked = after(&mut connection, &first(b"d", 4)).sent.remove(0);
    let options = [(option::ETAG, &b"e"[..]), (option::BLOCK2, &[0x08])];
    let last = write(Code::CONTENT, observation.as_bytes(), &options, &[5; 16]);
    let rest = after(&mut connection, &last).sent.remove(0);
    assert_ne!(asked.token, rest.token);
    let seen = after(&mut connection, &second(rest.token.as_bytes(), b"e"));
    assert_eq!(seen.words, ["2.05 20"]);
    let seen = after(&mut connection, &last);
    assert!(seen.words.is_empty() && seen.sent.is_empty());
}

#[test]
fn a_challenge_is_answered_with_the_same_request_and_the_value_once() {
    let mut connection = connected(Config::default());
    connection.request(get(), Instant::ZERO).unwrap();
    let first = drain(&mut connection).sent.remove(0);
    let challenge = |token: &[u8], value: &[u8]| {
        write(Code::UNAUTHORIZED, token, &[(option::ECHO, value)], b"")
    };
    let seen = after(&mut connection, &challenge(first.token.as_bytes(), b"once"));
    assert!(seen.words.is_empty());
    let second = &seen.sent[0];
    assert_eq!(option(second, option::ECHO), Some(&b"once"[..]));
    assert_eq!(
        (second.code, option(second, option::URI_PATH)),
        (GET, Some(&b"a"[..]))
    );
    assert_ne!(first.token, second.token);
    let seen = after(
        &mut connection,
        &challenge(second.token.as_bytes(), b"twice"),
    );
    assert_eq!(
        (seen.sent.len(), seen.words),
        (0, vec!["4.01 0".to_owned()])
    );
}

#[test]
fn a_body_goes_on_when_its_last_block_has_arrived() {
    let mut connection = connected(Config::default());
    let put = Request::new(Method::Put, "/a").unwrap();
    let put = put.with_payload(0, vec![1; 1_500]);
    connection.request(put, Instant::ZERO).unwrap();
    let first = drain(&mut connection).sent.remove(0);
    assert_eq!(option(&first, option::BLOCK1), Some(&[0x0e][..]));
    assert_eq!(option(&first, option::SIZE1), Some(&[0x05, 0xdc][..]));
    let answer = |token: &[u8], code: Code, block1: u8| {
        write(code, token, &[(option::BLOCK1, &[block1])], b"")
    };
    // The peer wants smaller blocks from here on: the offset stays.
    let more = answer(first.token.as_bytes(), Code::CONTINUE, 0x0d);
    let second = after(&mut connection, &more).sent.remove(0);
    assert_eq!(option(&second, option::BLOCK1), Some(&[0x25][..]));
    assert_eq!(second.payload.len(), 476);
    assert_eq!(
        option(&first, option::REQUEST_TAG),
        option(&second, option::REQUEST_TAG)
    );
    assert_ne!(first.token, second.token);
    // The token of the first block means nothing any more.
    let done = |token: &[u8]| answer(token, Code::CHANGED, 0x25);
    let seen = after(&mut connection, &done(first.token.as_bytes()));
    assert!(seen.words.is_empty());
    let seen = after(&mut connection, &done(second.token.as_bytes()));
    assert_eq!(seen.words, ["2.04 0"]);
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
    let observe = [(option::OBSERVE, &[][..])];
    let (exchange, _) = after(&mut connection, &write(GET, b"t", &observe, b""))
        .requests
        .remove(0);
    let location = CoapOption::new(option::LOCATION_PATH, long.into_bytes());
    let response = Response::new(Code::CONTENT).with_option(location);
    connection
        .respond(exchange, response.observable(), Instant::ZERO)
        .unwrap();
    let seen = drain(&mut connection);
    assert_eq!(seen.sent[0].code, Code::INTERNAL_SERVER_ERROR);
    assert_eq!(seen.sent[0].token.as_bytes(), b"t");
    // An error is no beginning of an observation.
    assert_eq!(seen.words, ["unobserved"]);
}
