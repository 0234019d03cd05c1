//! Two connections over a stream that loses nothing, but cuts and delays as it likes.
#![cfg(feature = "tcp")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "support/pipe.rs"]
mod pipe;

use coap_psk::tcp::{Config, Event, Output, Release};
use coap_psk::{Code, Method, Request, Response};
use proptest::prelude::*;

use pipe::{Pair, Side};

fn config(max_message_size: u32) -> Config {
    let mut config = Config::default();
    config.max_message_size = max_message_size;
    config.max_transfer_bytes = 1 << 20;
    config
}

fn body(len: usize, seed: u8) -> Vec<u8> {
    (0..len)
        .map(|index| seed ^ u8::try_from(index % 251).unwrap())
        .collect()
}

/// What one side asks: the length of the body it sends, and of the one it is answered with.
#[derive(Clone, Debug)]
struct Ask {
    from_device: bool,
    up: usize,
    down: usize,
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let len = || {
        prop_oneof![
            0_usize..40,
            900..1_300_usize,
            2_000..9_000_usize,
            9_000..40_000_usize
        ]
    };
    let ask = (any::<bool>(), len(), len()).prop_map(|(from_device, up, down)| Ask {
        from_device,
        up,
        down,
    });
    proptest::collection::vec(ask, 1..6)
}

/// Max-Message-Sizes, more often at the border of what allows several blocks in a message.
fn sizes() -> impl Strategy<Value = u32> {
    prop_oneof![1 => 1_152_u32..1_156, 2 => 1_152_u32..9_000]
}

fn side(from_device: bool) -> Side {
    if from_device {
        Side::Device
    } else {
        Side::Cloud
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Both ask at once, with bodies of any length; the largest message of each is within what the other takes.
    #[test]
    fn every_request_has_its_answer_whatever_the_stream_does(
        asks in asks(),
        sizes in (sizes(), sizes()),
        seed: u64,
        longest in prop_oneof![1 => 1..3_u64, 4 => 3..3_000_u64],
    ) {
        let mut pair = Pair::new(config(sizes.0), config(sizes.1), seed, longest);
        let mut expected = Vec::new();
        for (index, ask) in asks.iter().enumerate() {
            let seed = u8::try_from(index).unwrap();
            let request = Request::new(Method::Post, &format!("/{index}")).unwrap().with_payload(42, body(ask.up, seed));
            let now = pair.now;
            let exchange = pair.end(side(ask.from_device)).request(request, now).unwrap();
            expected.push((ask.from_device, exchange));
        }
        let (mut answered, mut served) = (vec![0; asks.len()], vec![0; asks.len()]);
        pair.run(|pair, at, output| match output {
            Output::Request { exchange, request } => {
                let index: usize = request.path[0].parse().unwrap();
                served[index] += 1;
                let seed = u8::try_from(index).unwrap();
                assert_eq!(request.payload, body(asks[index].up, seed));
                let response = Response::new(Code::CONTENT).with_payload(42, body(asks[index].down, !seed));
                let now = pair.now;
                pair.end(at).respond(exchange, response, now).unwrap();
            }
            Output::Event(Event::Response { exchange, response }) => {
                let index = expected.iter().position(|it| *it == (at == Side::Device, exchange)).unwrap();
                answered[index] += 1;
                assert_eq!(response.code, Code::CONTENT);
                assert_eq!(response.payload, body(asks[index].down, !u8::try_from(index).unwrap()));
            }
            other => panic!("{other:?}"),
        });
        prop_assert!(answered.iter().chain(&served).all(|count| *count == 1), "{:?} {:?}", answered, served);
        prop_assert!(pair.longest_frame(Side::Device) <= usize::try_from(sizes.1).unwrap());
        prop_assert!(pair.longest_frame(Side::Cloud) <= usize::try_from(sizes.0).unwrap());
        for side in [Side::Device, Side::Cloud] {
            // Half sent responses would still have a deadline.
            prop_assert_eq!(pair.end(side).next_deadline(), None);
        }
    }
}

#[test]
fn an_observation_brings_every_state_in_order_and_a_release_ends_it() {
    let mut pair = Pair::new(config(2_304), config(8_448), 7, 40);
    let now = pair.now;
    let lamp = || Request::new(Method::Get, "/lamp").unwrap();
    let observation = pair.cloud.observe(lamp(), now).unwrap();
    let (mut states, mut observer) = (Vec::new(), None);
    let response = |len| {
        Response::new(Code::CONTENT)
            .with_payload(42, body(len, 1))
            .observable()
    };
    let mut step = |pair: &mut Pair| {
        pair.run(|pair, at, output| match (at, output) {
            (Side::Device, Output::Request { exchange, request }) if request.observe => {
                observer = Some(exchange);
                let now = pair.now;
                pair.end(at).respond(exchange, response(3), now).unwrap();
            }
            (Side::Cloud, Output::Event(Event::Notification { exchange, response })) => {
                assert_eq!((exchange, response.code), (observation, Code::CONTENT));
                states.push(response.payload.len());
            }
            other => panic!("{other:?}"),
        });
    };
    step(&mut pair);
    // The third needs blocks of the cloud's size, the last one follows it.
    for len in [4, 2_000, 30_000, 5] {
        let now = pair.now;
        let told = pair.device.notify("/lamp", &response(len), now).unwrap();
        assert_eq!(told, 1);
        step(&mut pair);
    }
    assert_eq!(states, [3, 4, 2_000, 30_000, 5]);

    let now = pair.now;
    pair.device.release(Release::new(), now).unwrap();
    let mut words = Vec::new();
    pair.run(|_, at, output| words.push(format!("{at:?} {output:?}")));
    assert_eq!(
        words,
        [
            "Cloud Event(Released(Release { alternatives: [], hold_off: None }))",
            "Cloud Event(Failed { exchange: ExchangeId(1), failure: Closed })",
            "Cloud Event(Closed { why: Released })",
            "Device Event(Unobserved { exchange: ExchangeId(1) })",
            "Device Event(Closed { why: Local })",
        ]
    );
    assert!(pair.device.is_closed() && pair.cloud.is_closed());
}
