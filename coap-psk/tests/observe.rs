//! Observation, message by message. (RFC 7641)
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

use coap_psk::codec::parse;
use coap_psk::dtls::SessionId;
use coap_psk::{Code, Config, Event, ExchangeId, Method, Output, Request, Response, option};

use wire::{Pair, Side};

/// Gives the cloud a message as if the device of the established session had sent it.
fn inject(pair: &mut Pair, message: &[u8]) {
    let nonce: u64 = (1 << 32) | 1;
    let datagram = [&[4][..], &nonce.to_be_bytes(), message].concat();
    let (from, now) = (pair.device_address, pair.now);
    pair.cloud.handle_datagram(from, &datagram, now);
    pair.drain();
}

/// Has the device register for `/a` with this message id and token; the answer's bytes.
fn register(pair: &mut Pair, message_id: u8, token: u8) -> Vec<u8> {
    inject(pair, &[0x41, 1, 0, message_id, token, 0x60, 0x51, b'a']);
    let mut asked = None;
    pair.outputs.retain(|(_, output)| match output {
        Output::Request { exchange, .. } => {
            asked = Some(*exchange);
            false
        }
        _ => true,
    });
    let now = pair.now;
    pair.cloud.respond(asked.unwrap(), state(), now).unwrap();
    pair.drain();
    pair.records.pop().unwrap().1
}

fn state() -> Response {
    Response::new(Code::CONTENT)
        .with_payload(60, vec![1])
        .observable()
}

/// Tells the observers of `/a` a state; how many they are, and the messages that went out at once.
fn notify(pair: &mut Pair, cloud: SessionId) -> (usize, Vec<Vec<u8>>) {
    pair.records.clear();
    let now = pair.now;
    let count = pair.cloud.notify(cloud, "/a", &state(), now).unwrap();
    pair.drain();
    let sent = pair.records.drain(..).map(|(_, bytes)| bytes).collect();
    (count, sent)
}

fn unobserved(pair: &mut Pair) -> Vec<ExchangeId> {
    let mut gone = Vec::new();
    pair.take(|side, output| {
        if let (Side::Cloud, Output::Event(Event::Unobserved { exchange })) = (side, output) {
            gone.push(*exchange);
        }
    });
    gone
}

fn observe_option(message: &[u8]) -> bool {
    let mut options = parse(message).unwrap().options();
    options.any(|(number, _)| number == option::OBSERVE)
}

#[test]
fn the_same_token_replaces_and_deregistering_removes() {
    let (mut pair, _, cloud) = Pair::online(Config::default());
    assert!(observe_option(&register(&mut pair, 1, 9)));
    register(&mut pair, 2, 9);
    assert_eq!(unobserved(&mut pair).len(), 1);
    register(&mut pair, 3, 8);
    assert_eq!(notify(&mut pair, cloud).0, 2);
    // GET /a with Observe 1 and the first token.
    inject(&mut pair, &[0x41, 1, 0, 4, 9, 0x61, 1, 0x51, b'a']);
    assert_eq!(unobserved(&mut pair).len(), 1);
    assert_eq!(notify(&mut pair, cloud).0, 1);
}

#[test]
fn a_registration_whose_first_state_there_is_no_room_for_is_none() {
    let mut config = Config::default();
    config.max_transfer_bytes = 1_999;
    let (mut pair, _, cloud) = Pair::online(config);
    inject(&mut pair, &[0x41, 1, 0, 1, 9, 0x60, 0x51, b'a']);
    let asked = pair.outputs.iter().find_map(|(_, output)| match output {
        Output::Request { exchange, .. } => Some(*exchange),
        _ => None,
    });
    let (long, now) = (state().with_payload(60, vec![1; 2_000]), pair.now);
    pair.cloud.respond(asked.unwrap(), long, now).unwrap();
    pair.drain();
    let answer = pair.records.pop().unwrap().1;
    assert_eq!(parse(&answer).unwrap().code(), Code::SERVICE_UNAVAILABLE);
    assert!(!observe_option(&answer));
    assert_eq!(unobserved(&mut pair), [asked.unwrap()]);
    assert_eq!(notify(&mut pair, cloud).0, 0);
}

#[test]
fn a_reset_and_a_notification_that_is_never_acknowledged_remove_the_observer() {
    let (mut pair, _, cloud) = Pair::online(Config::default());
    register(&mut pair, 1, 9);
    let (_, sent) = notify(&mut pair, cloud);
    let notification = parse(&sent[0]).unwrap();
    let [high, low] = notification.message_id().to_be_bytes();
    inject(&mut pair, &[0x70, 0, high, low]);
    assert_eq!(unobserved(&mut pair).len(), 1);
    assert_eq!(notify(&mut pair, cloud).0, 0);

    register(&mut pair, 2, 8);
    pair.weather.loss = 100;
    assert_eq!(notify(&mut pair, cloud).0, 1);
    pair.run_for(Duration::from_secs(94));
    assert_eq!(unobserved(&mut pair).len(), 1);
    assert_eq!(notify(&mut pair, cloud).0, 0);
}

#[test]
fn over_the_cap_there_is_an_answer_but_no_registration_and_the_session_ends_all() {
    let mut config = Config::default();
    config.max_observers = 1;
    let (mut pair, _, cloud) = Pair::online(config);
    assert!(observe_option(&register(&mut pair, 1, 9)));
    assert!(!observe_option(&register(&mut pair, 2, 8)));
    assert_eq!(notify(&mut pair, cloud).0, 1);
    let now = pair.now;
    pair.cloud.close(cloud, now);
    pair.drain();
    assert_eq!(unobserved(&mut pair).len(), 1);
}

#[test]
fn an_answer_without_observe_ends_an_observation_with_its_whole_body() {
    let (mut pair, _, cloud) = Pair::online(Config::default());
    let get = Request::new(Method::Get, "/t").unwrap();
    let now = pair.now;
    let observation = pair.cloud.observe(cloud, get, now).unwrap();
    pair.drain();
    let request = pair.records.pop().unwrap().1;
    let (id, token) = ([request[2], request[3]], request[4]);
    // 2.05 with Observe 1 and one byte; then, Non-confirmable and without Observe, the first 16 bytes of 17.
    inject(
        &mut pair,
        &[0x61, 0x45, id[0], id[1], token, 0x61, 1, 0xff, 7],
    );
    let first = [
        &[0x51, 0x45, 0, 1, token, 0xd1, 10, 0x08, 0xff][..],
        &[7; 16],
    ]
    .concat();
    inject(&mut pair, &first);
    let request = pair.records.pop().unwrap().1;
    let (id, token) = ([request[2], request[3]], request[4]);
    inject(
        &mut pair,
        &[0x61, 0x45, id[0], id[1], token, 0xd1, 10, 0x10, 0xff, 7],
    );
    let mut seen = Vec::new();
    pair.take(|_, output| match output {
        Output::Event(Event::Notification { exchange, response }) => {
            seen.push((*exchange, "notified", response.payload.len()));
        }
        Output::Event(Event::Response { exchange, response }) => {
            seen.push((*exchange, "answered", response.payload.len()));
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(
        seen,
        [(observation, "notified", 1), (observation, "answered", 17)]
    );
}
