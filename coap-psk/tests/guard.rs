//! Sources that ask too much are refused, and those that have a session do not notice.
#![cfg(feature = "dtls")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/records.rs"]
mod records;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use coap_psk::limit::Rate;
use coap_psk::{Code, Config, Counters, Event, Method, Output, Request, Response};
use proptest::prelude::*;

use records::{Cloud, Taken};

const SECOND: Duration = Duration::from_secs(1);
const IDENTITY: &str = "product,device,2,300";

fn source(network: u32, port: u16) -> SocketAddr {
    (Ipv4Addr::from_bits(0x0a00_0000 + network), port).into()
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// A POST of the message id, as a CON without token.
fn post(id: u8) -> [u8; 8] {
    [0x40, 0x02, 0x00, id, 0xb1, b'a', 0xff, id]
}

/// Answers all requests with 2.04 and a payload; how many they were.
fn answer_requests(cloud: &mut Cloud, payload: usize) -> usize {
    let mut count = 0;
    for output in std::mem::take(&mut cloud.outputs) {
        if let Output::Request { exchange, .. } = output {
            count += 1;
            let mut response = Response::new(Code::CHANGED);
            response.payload = vec![7; payload].into();
            cloud
                .endpoint
                .respond(exchange, response, cloud.now)
                .unwrap();
        }
    }
    cloud.drain();
    count
}

#[test]
fn a_flood_of_hellos_is_dropped_and_a_session_of_the_same_network_goes_on() {
    let mut cloud = Cloud::new(config(|it| it.limits.hellos = Rate::new(5, 5 * SECOND)));
    let device = source(1, 1);
    cloud.connect(device, IDENTITY);
    for port in 2..100 {
        cloud.hello(source(1, port));
    }
    assert_eq!(cloud.taken().hellos, 5);
    assert_eq!(cloud.endpoint.counters().hellos_dropped, 94);
    cloud.message(device, &post(1));
    assert_eq!(answer_requests(&mut cloud, 0), 1);
    assert_eq!(cloud.sent, [(device, vec![0x60, 0x44, 0x00, 0x01])]);
    cloud.hello(source(2, 1));
    assert_eq!(cloud.taken().hellos, 1, "another network has its own rate");
    cloud.now = cloud.now.saturating_add(SECOND);
    cloud.hello(source(1, 200));
    cloud.hello(source(1, 201));
    assert_eq!(cloud.taken().hellos, 1, "one more for each share of time");
}

#[test]
fn handshakes_that_fail_close_the_door_to_their_network_and_those_that_succeed_do_not() {
    let rate = Rate::new(3, 300 * SECOND);
    let mut cloud = Cloud::new(config(|it| it.limits.handshakes = rate));
    for _ in 0..20 {
        cloud.connect(source(1, 1), IDENTITY);
    }
    assert_eq!(cloud.taken().handshakes, 20);
    for port in 10..14 {
        cloud.hello(source(2, port));
    }
    for port in 10..14 {
        cloud.name(source(2, port), IDENTITY);
    }
    // Those under way when the rate is spent look like the others: their key is wrong.
    assert_eq!(cloud.answer_keys(false), 3);
    let taken = Taken {
        hellos: 4,
        handshakes: 4,
        refused: 4,
    };
    assert_eq!(cloud.taken(), taken);
    cloud.hello(source(2, 15));
    assert_eq!(cloud.taken().hellos, 0);
    let counters = cloud.endpoint.counters();
    assert_eq!(
        (counters.handshakes_refused, counters.hellos_dropped),
        (1, 1)
    );
    // The session of another device there is not concerned, and neither is a later attempt.
    cloud.connect(source(1, 2), "product,other,2,300");
    cloud.now = cloud.now.saturating_add(100 * SECOND);
    cloud.connect(source(2, 16), "product,third,2,300");
}

#[test]
fn malformed_identities_count_as_failed_handshakes() {
    let rate = Rate::new(2, 300 * SECOND);
    let mut cloud = Cloud::new(config(|it| it.limits.handshakes = rate));
    for port in 1..5 {
        cloud.hello(source(1, port));
        cloud.name(source(1, port), "no identity");
    }
    let taken = cloud.taken();
    assert_eq!((taken.hellos, taken.refused), (2, 4));
    // Nobody was asked for a key, and the application learns of those that were let in.
    let told = |output: &Output| matches!(output, Output::Event(Event::MalformedIdentity { .. }));
    assert!(cloud.outputs.iter().all(told), "{:?}", cloud.outputs);
    assert_eq!(cloud.outputs.len(), 2);
}

#[test]
fn messages_that_break_the_format_get_so_many_resets_and_what_is_in_order_its_answer() {
    let mut cloud = Cloud::new(config(|it| {
        it.limits.format_errors = Rate::new(3, 3 * SECOND);
    }));
    let (one, other) = (source(1, 1), source(1, 2));
    cloud.connect(one, IDENTITY);
    cloud.connect(other, "product,other,2,300");
    for id in 0..9 {
        // A payload marker without a payload, and a class that means nothing.
        let code = if id % 2 == 0 { 0x01 } else { 0x21 };
        cloud.message(
            one,
            &[0x40, code, 0x00, id, 0xff][..5 - usize::from(id % 2)],
        );
    }
    let reset = |to, id| (to, vec![0x70, 0x00, 0x00, id]);
    assert_eq!(cloud.sent, [reset(one, 0), reset(one, 1), reset(one, 2)]);
    assert_eq!(cloud.endpoint.counters().resets_withheld, 6);
    cloud.sent.clear();
    for device in [one, other] {
        // A ping is in order, and so is a request.
        cloud.message(device, &[0x40, 0x00, 0x00, 0x63]);
        cloud.message(device, &post(100));
        assert_eq!(answer_requests(&mut cloud, 0), 1);
        let answer = (device, vec![0x60, 0x44, 0x00, 100]);
        assert_eq!(
            std::mem::take(&mut cloud.sent),
            [reset(device, 0x63), answer]
        );
    }
}

#[test]
fn strangers_get_no_message_of_any_kind_without_a_handshake() {
    let mut cloud = Cloud::new(Config::default());
    for message in [&post(1)[..], b"\x40\x00\x00\x01", b"\x40\x01\x00\x01\xff"] {
        cloud.message(source(1, 1), message);
        let mut bare = message.to_vec();
        bare.resize(14, 0);
        cloud.datagram(source(1, 1), &bare);
    }
    assert!(cloud.sent.is_empty() && cloud.outputs.is_empty());
}

#[test]
fn a_hundred_thousand_spoofed_sources_do_not_touch_a_session_or_the_next_device() {
    let mut cloud = Cloud::new(config(|it| {
        it.limits.max_networks = 100;
        it.limits.hellos = Rate::new(2, 2 * SECOND);
    }));
    let device = source(0, 1);
    cloud.connect(device, IDENTITY);
    for network in 1..=100_000 {
        cloud.hello(source(network, 1));
        cloud.name(source(network, 1), "product,spoofed,2,300");
    }
    assert_eq!(
        cloud.outputs.len(),
        1_000,
        "so many keys are looked for at one time"
    );
    assert_eq!(cloud.answer_keys(false), 1_000);
    cloud.message(device, &post(1));
    assert_eq!(answer_requests(&mut cloud, 0), 1);
    cloud.connect(source(200_000, 1), "product,other,2,300");
    assert_eq!(cloud.endpoint.counters(), Counters::default());
}

#[test]
fn what_all_sessions_remember_has_one_bound_and_the_oldest_goes_first() {
    let mut cloud = Cloud::new(config(|it| {
        it.max_remembered_bytes = 4_000;
        it.max_remembered = 1_000;
    }));
    let devices = [source(1, 1), source(2, 1), source(3, 1)];
    for (index, device) in devices.into_iter().enumerate() {
        cloud.connect(device, &format!("product,device-{index},2,300"));
    }
    // One request that is never answered: it must be known however much comes after it.
    cloud.message(devices[0], &post(0));
    cloud.outputs.clear();
    for id in 1..=60 {
        cloud.now = cloud.now.saturating_add(Duration::from_millis(1));
        cloud.message(devices[usize::from(id) % 3], &post(id));
        assert_eq!(answer_requests(&mut cloud, 200), 1);
    }
    let dropped = cloud.endpoint.counters().remembered_dropped;
    cloud.sent.clear();
    cloud.message(devices[0], &post(0));
    assert!(cloud.outputs.is_empty(), "the handler runs once");
    let mut known = Vec::new();
    for id in (1..=60).rev() {
        // Of the newest backwards, so that those which are new push out only those behind them.
        cloud.message(devices[usize::from(id) % 3], &post(id));
        if cloud.outputs.is_empty() {
            known.push(id);
        }
        cloud.outputs.clear();
    }
    assert_eq!(u64::try_from(60 - known.len()).unwrap(), dropped);
    let newest: Vec<u8> = (1..=60).rev().take(known.len()).collect();
    assert_eq!(known, newest);
    // A reply has four bytes of header, a marker and its payload.
    let (len, cap) = (known.len(), 4_000 / 205);
    assert!(len > cap / 2 && len <= cap, "{len} of {cap}");
    assert_eq!(
        cloud.sent.len(),
        len,
        "each duplicate gets its reply, the open one none"
    );
}

#[test]
fn a_session_that_sends_too_much_loses_what_is_too_much_and_others_do_not_notice() {
    let mut cloud = Cloud::new(config(|it| it.limits.messages = Rate::new(3, 3 * SECOND)));
    let (one, other) = (source(1, 1), source(1, 2));
    cloud.connect(one, IDENTITY);
    cloud.connect(other, "product,other,2,300");
    for id in 0..5 {
        cloud.message(one, &post(id));
    }
    cloud.message(other, &post(0));
    assert_eq!(answer_requests(&mut cloud, 0), 3 + 1);
    assert_eq!(cloud.endpoint.counters().messages_dropped, 2);
    cloud.now = cloud.now.saturating_add(SECOND);
    cloud.message(one, &post(3));
    cloud.message(one, &post(4));
    assert_eq!(answer_requests(&mut cloud, 0), 1);
    assert_eq!(cloud.endpoint.counters().messages_dropped, 3);
}

#[test]
fn message_ids_mean_nothing_in_another_session() {
    let mut cloud = Cloud::new(Config::default());
    let (one, other) = (source(1, 1), source(1, 2));
    let session = cloud.connect(one, IDENTITY);
    cloud.connect(other, "product,other,2,300");
    cloud.message(one, &post(7));
    cloud.message(other, &post(7));
    assert_eq!(answer_requests(&mut cloud, 0), 2, "no duplicate");
    cloud.sent.clear();

    let request = Request::new(Method::Get, "/a").unwrap();
    cloud.endpoint.request(session, request, cloud.now).unwrap();
    cloud.drain();
    let (_, asked) = cloud.sent.remove(0);
    for kind in [0x60, 0x70] {
        cloud.message(other, &[kind, 0x00, asked[2], asked[3]]);
    }
    let until = cloud.now.saturating_add(4 * SECOND);
    while cloud.sent.is_empty() && cloud.now < until {
        cloud.now = cloud.endpoint.next_deadline().unwrap();
        cloud.endpoint.handle_timeout(cloud.now);
        cloud.drain();
    }
    assert_eq!(cloud.sent, [(one, asked.clone())], "it is sent again");
    cloud.sent.clear();
    cloud.message(one, &[0x60, 0x00, asked[2], asked[3]]);
    cloud.now = cloud.now.saturating_add(90 * SECOND);
    cloud.endpoint.handle_timeout(cloud.now);
    cloud.drain();
    assert!(cloud.sent.is_empty(), "its own acknowledgement counts");
}

#[test]
fn a_request_tag_ties_nothing_together_across_sessions() {
    let mut cloud = Cloud::new(Config::default());
    let (one, other) = (source(1, 1), source(1, 2));
    cloud.connect(one, IDENTITY);
    cloud.connect(other, "product,other,2,300");
    // PUT /a with Block1 and Request-Tag "t": number 0 of 16 bytes and more to come, then number 1, the last.
    let block = |id: u8, block1: u8, body: &[u8]| {
        let head = [
            0x40, 0x03, 0x00, id, 0xb1, b'a', 0xd1, 0x03, block1, 0xd1, 0xfc, b't', 0xff,
        ];
        [&head[..], body].concat()
    };
    cloud.message(one, &block(1, 0x08, &[1; 16]));
    cloud.message(other, &block(1, 0x10, &[2]));
    assert!(cloud.outputs.is_empty());
    assert_eq!(cloud.sent[0].1[1], Code::CONTINUE.as_byte());
    assert_eq!(
        cloud.sent[1].1[1],
        Code::REQUEST_ENTITY_INCOMPLETE.as_byte()
    );
    cloud.message(one, &block(2, 0x10, &[1]));
    assert_eq!(answer_requests(&mut cloud, 0), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whoever asks what and when: of no network are more ClientHellos taken, or keys asked for, than the rates allow, and a
    /// session of every network is served all the while.
    #[test]
    fn no_network_gets_more_than_its_rates(
        steps in proptest::collection::vec((0_u32..3, any::<bool>(), any::<bool>(), 0_u64..1_500), 1..120),
    ) {
        let mut cloud = Cloud::new(config(|it| {
            it.limits.hellos = Rate::new(4, 4 * SECOND);
            it.limits.handshakes = Rate::new(2, 10 * SECOND);
        }));
        let mut id = 0;
        for network in 0..3 {
            cloud.connect(source(network, 1), &format!("product,device-{network},2,300"));
        }
        cloud.taken();
        let (start, mut spent) = (cloud.now, BTreeMap::<u32, (usize, usize)>::new());
        for (network, names, known, wait) in steps {
            cloud.now = cloud.now.saturating_add(Duration::from_millis(wait));
            let from = source(network, 2);
            cloud.hello(from);
            if names {
                cloud.name(from, &format!("product,visitor-{network},2,300"));
            }
            let asked = cloud.answer_keys(known);
            let (hellos, failed) = spent.entry(network).or_default();
            *hellos += cloud.taken().hellos;
            *failed += if known { 0 } else { asked };
            let elapsed = cloud.now.saturating_duration_since(start).as_secs_f64();
            prop_assert!(*hellos as f64 <= 4.0 + elapsed);
            prop_assert!(*failed as f64 <= 2.0 + elapsed / 5.0);
            cloud.outputs.clear();
            id += 1;
            cloud.message(source(network, 1), &post(id));
            prop_assert_eq!(answer_requests(&mut cloud, 0), 1);
        }
    }
}
