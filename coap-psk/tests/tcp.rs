//! A connection over TCP and its peer: capabilities, signals, format errors, the end.
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

use coap_psk::tcp::{Config, Connection, Output, Release};
use coap_psk::{Code, ErrorKind, Instant, Response, option};

use frames::{CSM, Seen, after, answer_of, changed, connected, drain, get, option, secs, write};

const SECOND: Duration = Duration::from_secs(1);
const GET: Code = Code::new(0, 1);
const PONG: Code = Code::new(7, 3);
const ABORT: Code = Code::new(7, 5);

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
    // It is said once, however often the peer says it.
    assert!(after(&mut connection, &[0x00, 0xe4]).words.is_empty());
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
