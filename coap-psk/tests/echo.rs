//! A request that is answered with 4.01 and an Echo value is repeated with it, once. (RFC 9175, 2.3)
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
use coap_psk::{
    CoapOption, Code, Config, Event, ExchangeId, Method, Output, Request, Response, option,
};

use wire::{Pair, Side};

const SECOND: Duration = Duration::from_secs(1);

fn challenge(value: &'static [u8]) -> Response {
    Response::new(Code::UNAUTHORIZED).with_option(CoapOption::new(option::ECHO, value))
}

fn echo_of(request: &Request) -> Option<&[u8]> {
    let mut values = request
        .options
        .iter()
        .filter(|it| it.number == option::ECHO);
    let value = values.next().map(|it| &it.value[..]);
    assert_eq!(values.next(), None);
    value
}

/// Runs a while; the request that reached the cloud in the meantime.
fn next_request(pair: &mut Pair) -> (ExchangeId, Request) {
    pair.run_for(SECOND / 2);
    let mut requests = Vec::new();
    pair.take(|side, output| match output {
        Output::Request {
            exchange, request, ..
        } if side == Side::Cloud => requests.push((*exchange, request.clone())),
        other => panic!("{other:?}"),
    });
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

/// The cloud answers the request that comes next, which must carry this Echo value.
fn answer_next(pair: &mut Pair, echo: Option<&[u8]>, response: Response) -> Request {
    let (exchange, request) = next_request(pair);
    assert_eq!(echo_of(&request), echo);
    let now = pair.now;
    pair.cloud.respond(exchange, response, now).unwrap();
    request
}

/// What the device heard in the end.
fn outcome(pair: &mut Pair) -> Vec<String> {
    pair.run_for(SECOND);
    let mut words = Vec::new();
    pair.take(|_, output| {
        words.push(match output {
            Output::Event(Event::Response { response, .. }) => {
                format!("{} {}", response.code, response.payload.len())
            }
            Output::Event(Event::Notification { response, .. }) => {
                format!("notified {}", response.payload.len())
            }
            other => panic!("{other:?}"),
        });
    });
    words
}

fn online() -> (Pair, SessionId) {
    let (pair, device, _) = Pair::online(Config::default());
    (pair, device)
}

fn post(len: usize) -> Request {
    Request::new(Method::Post, "/unlock?now")
        .unwrap()
        .with_payload(50, vec![5; len])
}

#[test]
fn a_challenge_is_answered_with_the_same_request_and_the_value() {
    for confirmable in [true, false] {
        let (mut pair, device) = online();
        let mut request = post(9);
        request.confirmable = confirmable;
        pair.device.request(device, request, pair.now).unwrap();
        let first = answer_next(&mut pair, None, challenge(b"value-1"));
        let mut second = answer_next(&mut pair, Some(b"value-1"), Response::new(Code::CHANGED));
        second.options.clear();
        assert_eq!(first, second);
        assert_eq!(outcome(&mut pair), ["2.04 0"]);
        let ids: Vec<_> = pair
            .records
            .iter()
            .filter(|(side, _)| *side == Side::Device)
            .map(|(_, bytes)| {
                let message = parse(bytes).unwrap();
                (message.message_id(), message.token())
            })
            .collect();
        assert!(ids.len() == 2 && ids[0].0 != ids[1].0 && ids[0].1 != ids[1].1);
    }
}

#[test]
fn a_second_challenge_is_the_answer() {
    let (mut pair, device) = online();
    pair.device.request(device, post(9), pair.now).unwrap();
    answer_next(&mut pair, None, challenge(b"value-1"));
    answer_next(&mut pair, Some(b"value-1"), challenge(b"value-2"));
    assert_eq!(outcome(&mut pair), ["4.01 0"]);
}

#[test]
fn other_answers_with_an_echo_value_and_a_4_01_without_one_are_final() {
    let preemptive =
        Response::new(Code::CHANGED).with_option(CoapOption::new(option::ECHO, &b"value-1"[..]));
    let empty = challenge(b"");
    for (response, said) in [
        (preemptive, "2.04 0"),
        (Response::new(Code::UNAUTHORIZED), "4.01 0"),
        (empty, "4.01 0"),
    ] {
        let (mut pair, device) = online();
        pair.device.request(device, post(9), pair.now).unwrap();
        answer_next(&mut pair, None, response);
        assert_eq!(outcome(&mut pair), [said]);
    }
}

#[test]
fn a_value_of_the_application_gives_way_to_that_of_the_challenge() {
    let (mut pair, device) = online();
    let request = post(9).with_option(CoapOption::new(option::ECHO, &b"older"[..]));
    pair.device.request(device, request, pair.now).unwrap();
    answer_next(&mut pair, Some(b"older"), challenge(b"value-1"));
    answer_next(&mut pair, Some(b"value-1"), Response::new(Code::CHANGED));
    assert_eq!(outcome(&mut pair), ["2.04 0"]);
}

#[test]
fn a_body_in_blocks_is_sent_again_from_its_beginning() {
    let (mut pair, device) = online();
    pair.device.request(device, post(3_000), pair.now).unwrap();
    answer_next(&mut pair, None, challenge(b"value-1"));
    let body = vec![6; 2_500];
    let response = Response::new(Code::CHANGED).with_payload(50, body);
    let request = answer_next(&mut pair, Some(b"value-1"), response);
    assert_eq!(request.payload, vec![5; 3_000]);
    assert_eq!(outcome(&mut pair), ["2.04 2500"]);
    let echoes = pair
        .records
        .iter()
        .filter(|(side, _)| *side == Side::Device)
        .map(|(_, bytes)| {
            let message = parse(bytes).unwrap();
            message.options().any(|(number, _)| number == option::ECHO)
        });
    // Three blocks without the value, then three of the body and two for the rest of the answer with it.
    assert_eq!(
        echoes.collect::<Vec<_>>(),
        [false, false, false, true, true, true, true, true]
    );
}

/// The cloud lets the next request, a registration, observe the state.
fn accept_next(pair: &mut Pair, echo: Option<&[u8]>) -> ExchangeId {
    let (exchange, request) = next_request(pair);
    assert!(request.observe);
    assert_eq!(echo_of(&request), echo);
    let state = Response::new(Code::CONTENT).with_payload(50, vec![1; 4]);
    let now = pair.now;
    pair.cloud
        .respond(exchange, state.observable(), now)
        .unwrap();
    assert_eq!(outcome(pair), ["notified 4"]);
    exchange
}

#[test]
fn a_registration_that_is_challenged_is_made_again() {
    let (mut pair, device) = online();
    let get = Request::new(Method::Get, "/state").unwrap();
    pair.device.observe(device, get, pair.now).unwrap();
    assert!(answer_next(&mut pair, None, challenge(b"value-1")).observe);
    accept_next(&mut pair, Some(b"value-1"));
}

#[test]
fn an_error_that_ends_an_observation_is_no_challenge() {
    let (mut pair, device) = online();
    let get = Request::new(Method::Get, "/state").unwrap();
    pair.device.observe(device, get, pair.now).unwrap();
    let exchange = accept_next(&mut pair, None);
    let now = pair.now;
    let reached = pair
        .cloud
        .notify(exchange.session(), "/state", &challenge(b"value-1"), now);
    assert_eq!(reached.unwrap(), 1);
    pair.drain();
    pair.take(|side, output| {
        assert!(
            side == Side::Cloud && matches!(output, Output::Event(Event::Unobserved { .. })),
            "{output:?}"
        );
    });
    assert_eq!(outcome(&mut pair), ["4.01 0"]);
}
