//! A device and a cloud over a wire in virtual time.
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

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use coap_psk::codec::parse;
use coap_psk::dtls::SessionId;
use coap_psk::limit::Rate;
use coap_psk::message::Kind;
use coap_psk::{
    CoapOption, Code, Config, Event, ExchangeId, Method, OfflineReason, Output, PskKey, Request,
    Response, activation, option,
};

use wire::{Pair, Side, Weather, cloud_address, identity, key};

const SECOND: Duration = Duration::from_secs(1);

fn post(len: usize) -> Request {
    let target = "/topic/sys/MuGsF6W4/15bBZlRknc/thing/measurepoint/post";
    Request::new(Method::Post, target)
        .unwrap()
        .with_payload(50, body(len))
}

fn body(len: usize) -> Vec<u8> {
    (0..len)
        .map(|index| u8::try_from(index % 251).unwrap())
        .collect()
}

/// The outputs so far, in words, with the requests among them.
fn words(pair: &mut Pair) -> (Vec<String>, Vec<(Side, ExchangeId, Request)>) {
    let (mut words, mut requests) = (Vec::new(), Vec::new());
    pair.take(|side, output| {
        words.push(match output {
            Output::Request {
                exchange, request, ..
            } => {
                requests.push((side, *exchange, request.clone()));
                format!("{side:?} request {}", request.payload.len())
            }
            Output::Event(Event::Response { response, .. }) => {
                format!("{side:?} {} {}", response.code, response.payload.len())
            }
            Output::Event(Event::Notification { response, .. }) => {
                format!("{side:?} notified {}", response.payload.len())
            }
            Output::Event(Event::Failed { failure, .. }) => format!("{side:?} failed {failure:?}"),
            Output::Event(Event::Online { replaced, .. }) => format!(
                "{side:?} online{}",
                if replaced.is_some() { " again" } else { "" }
            ),
            Output::Event(Event::Offline { why, .. }) => format!("{side:?} offline {why:?}"),
            Output::Event(Event::Undelivered { .. }) => format!("{side:?} undelivered"),
            Output::Event(Event::Unobserved { .. }) => format!("{side:?} unobserved"),
            Output::Event(Event::Moved { .. }) => format!("{side:?} moved"),
            other => panic!("{other:?}"),
        });
    });
    (words, requests)
}

/// Runs until the other side gets one request, answers it, and runs on.
fn answer_next(pair: &mut Pair, response: &Response) -> Request {
    let limit = pair.now.saturating_add(300 * SECOND);
    loop {
        pair.drain();
        let index = pair
            .outputs
            .iter()
            .position(|(_, output)| matches!(output, Output::Request { .. }));
        if let Some(index) = index {
            let (
                side,
                Output::Request {
                    exchange, request, ..
                },
            ) = pair.outputs.remove(index)
            else {
                unreachable!()
            };
            let now = pair.now;
            pair.end(side)
                .respond(exchange, response.clone(), now)
                .unwrap();
            return request;
        }
        assert!(pair.step(limit), "no request came");
    }
}

#[test]
fn a_prompt_answer_rides_in_the_acknowledgement() {
    let (mut pair, session, _) = Pair::online(Config::default());
    pair.device.request(session, post(20), pair.now).unwrap();
    let request = answer_next(
        &mut pair,
        &Response::new(Code::CHANGED).with_payload(50, body(7)),
    );
    pair.run_for(SECOND);
    assert_eq!(request.payload, body(20));
    assert_eq!(words(&mut pair).0, ["Device 2.04 7"]);
    assert_eq!(pair.records.len(), 2);
    let answer = parse(&pair.records[1].1).unwrap();
    assert_eq!(answer.kind(), Kind::Acknowledgement);
    assert_eq!(
        answer.message_id(),
        parse(&pair.records[0].1).unwrap().message_id()
    );
}

#[test]
fn a_late_answer_is_acknowledged_first_and_comes_as_a_message_of_its_own() {
    let (mut pair, session, _) = Pair::online(Config::default());
    pair.device.request(session, post(20), pair.now).unwrap();
    pair.run_for(5 * SECOND);
    let (_, requests) = words(&mut pair);
    let now = pair.now;
    pair.cloud
        .respond(requests[0].1, Response::new(Code::CHANGED), now)
        .unwrap();
    pair.run_for(5 * SECOND);
    assert_eq!(words(&mut pair).0, ["Device 2.04 0"]);
    let kinds: Vec<Kind> = pair
        .records
        .iter()
        .map(|(_, bytes)| parse(bytes).unwrap().kind())
        .collect();
    assert_eq!(
        kinds,
        [
            Kind::Confirmable,
            Kind::Acknowledgement,
            Kind::Confirmable,
            Kind::Acknowledgement
        ]
    );
    let (request, answer) = (
        parse(&pair.records[0].1).unwrap(),
        parse(&pair.records[2].1).unwrap(),
    );
    assert_eq!(request.token(), answer.token());
}

#[test]
fn a_request_that_the_application_forgets_gets_unavailable() {
    let (mut pair, session, _) = Pair::online(Config::default());
    pair.device.request(session, post(20), pair.now).unwrap();
    pair.run_for(70 * SECOND);
    let (said, requests) = words(&mut pair);
    assert_eq!(said, ["Cloud request 20", "Device 5.03 0"]);
    let now = pair.now;
    pair.cloud
        .respond(requests[0].1, Response::new(Code::CHANGED), now)
        .unwrap();
    pair.run_for(SECOND);
    assert!(words(&mut pair).0.is_empty(), "the late answer is ignored");
}

#[test]
fn the_cloud_asks_the_device_on_the_same_session() {
    let (mut pair, _, session) = Pair::online(Config::default());
    pair.cloud
        .request(
            session,
            Request::new(Method::Get, "/thermostat").unwrap(),
            pair.now,
        )
        .unwrap();
    answer_next(
        &mut pair,
        &Response::new(Code::CONTENT).with_payload(60, body(9)),
    );
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud 2.05 9"]);
}

#[test]
fn long_bodies_go_both_ways_in_blocks() {
    let (mut pair, session, _) = Pair::online(Config::default());
    pair.device.request(session, post(5_000), pair.now).unwrap();
    let request = answer_next(
        &mut pair,
        &Response::new(Code::CONTENT).with_payload(60, body(7_000)),
    );
    assert_eq!(request.payload, body(5_000));
    let mut answer = None;
    pair.run_for(10 * SECOND);
    pair.take(|_, output| match output {
        Output::Event(Event::Response { response, .. }) => answer = Some(response.clone()),
        other => panic!("{other:?}"),
    });
    let answer = answer.unwrap();
    assert_eq!(
        (answer.content_format, &answer.payload[..]),
        (Some(60), &body(7_000)[..])
    );
    assert!(pair.records.iter().all(|(_, record)| record.len() <= 1152));
}

#[test]
fn a_body_over_the_limit_is_refused_at_its_first_block() {
    let mut small = Config::default();
    small.max_body = 2_000;
    let (mut pair, session, _) = Pair::online(Config::default());
    pair.cloud = coap_psk::Endpoint::new(small, plain::Plain::new(2), [2; 32]);
    let _ = session;
    let session = pair
        .device
        .connect(cloud_address(), &identity(), key(), pair.now)
        .unwrap();
    pair.run_for(SECOND);
    words(&mut pair);
    pair.records.clear();
    pair.device.request(session, post(2_001), pair.now).unwrap();
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Device 4.13 0"]);
    let refusal = parse(&pair.records[1].1).unwrap();
    assert!(
        refusal
            .options()
            .any(|(number, value)| number == option::SIZE1 && value == [0x07, 0xd0])
    );
}

#[test]
fn no_weather_runs_a_handler_twice_or_leaves_a_request_without_an_end() {
    for seed in 0..60 {
        let mut config = Config::default();
        // All six bodies of a side may be in transfer at one time.
        config.max_transfers = 6;
        let (mut pair, device, cloud) = Pair::online(config);
        pair.weather = Weather {
            loss: 5 * (seed % 9),
            duplicates: 20,
            delay: 3_000,
        };
        let mut open = BTreeMap::new();
        for index in 0..6 {
            let len = [10, 1_500, 3_000][index % 3];
            open.insert(
                (
                    Side::Device,
                    pair.device.request(device, post(len), pair.now).unwrap(),
                ),
                0,
            );
            open.insert(
                (
                    Side::Cloud,
                    pair.cloud.request(cloud, post(len), pair.now).unwrap(),
                ),
                0,
            );
        }
        let limit = pair.now.saturating_add(4_000 * SECOND);
        let mut handled = BTreeMap::new();
        while pair.step(limit) {
            for (side, output) in std::mem::take(&mut pair.outputs) {
                match output {
                    Output::Request {
                        exchange, request, ..
                    } => {
                        *handled.entry(side).or_insert(0) += 1;
                        assert_eq!(request.payload, body(request.payload.len()), "seed {seed}");
                        let response = Response::new(Code::CONTENT)
                            .with_payload(60, body(request.payload.len() * 2));
                        let now = pair.now;
                        pair.end(side).respond(exchange, response, now).unwrap();
                    }
                    Output::Event(Event::Response { exchange, response }) => {
                        assert_eq!(
                            response.payload,
                            body(response.payload.len()),
                            "seed {seed}"
                        );
                        *open.get_mut(&(side, exchange)).unwrap() += 1;
                    }
                    Output::Event(Event::Failed { exchange, .. }) => {
                        *open.get_mut(&(side, exchange)).unwrap() += 1;
                    }
                    Output::Event(
                        Event::Undelivered { .. } | Event::Offline { .. } | Event::Online { .. },
                    ) => {}
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
        }
        assert!(
            open.values().all(|ends| *ends == 1),
            "seed {seed}: {open:?}"
        );
        assert!(
            handled.values().all(|count| *count <= 6),
            "seed {seed}: {handled:?}"
        );
        if pair.weather.loss == 0 {
            assert!(
                handled.values().all(|count| *count == 6),
                "seed {seed}: {handled:?}"
            );
        }
    }
}

#[test]
fn an_observer_gets_the_newest_state_in_any_weather() {
    for seed in 0..30 {
        let (mut pair, _, cloud) = Pair::online(Config::default());
        let observation = pair
            .cloud
            .observe(
                cloud,
                Request::new(Method::Get, "/t?if=a").unwrap(),
                pair.now,
            )
            .unwrap();
        answer_next(
            &mut pair,
            &Response::new(Code::CONTENT)
                .with_payload(60, body(1))
                .observable(),
        );
        pair.run_for(SECOND);
        assert_eq!(words(&mut pair).0, ["Cloud notified 1"]);
        pair.weather = Weather {
            loss: seed,
            duplicates: 20,
            delay: 2_500,
        };
        let device = SessionId(1);
        let mut seen = vec![1];
        for len in 2..=40 {
            let state = Response::new(Code::CONTENT).with_payload(60, body(len));
            assert_eq!(
                pair.device
                    .notify(device, "/t?if=a", &state, pair.now)
                    .unwrap(),
                1
            );
            pair.run_for(SECOND / 2);
        }
        pair.run_for(200 * SECOND);
        pair.take(|_, output| match output {
            Output::Event(Event::Notification { exchange, response }) => {
                assert_eq!(*exchange, observation);
                seen.push(response.payload.len());
            }
            other => panic!("seed {seed}: {other:?}"),
        });
        assert_eq!(seen.last(), Some(&40), "seed {seed}: {seen:?}");
        assert!(
            seen.windows(2).all(|pair| pair[0] < pair[1]),
            "seed {seed}: {seen:?}"
        );
    }
}

#[test]
fn a_long_notification_is_fetched_in_blocks_and_cancelling_ends_the_observation() {
    let (mut pair, device, cloud) = Pair::online(Config::default());
    let observation = pair
        .cloud
        .observe(cloud, Request::new(Method::Get, "/t").unwrap(), pair.now)
        .unwrap();
    answer_next(
        &mut pair,
        &Response::new(Code::CONTENT)
            .with_payload(60, body(2_500))
            .observable(),
    );
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud notified 2500"]);
    let state = Response::new(Code::CONTENT).with_payload(60, body(3_000));
    pair.device.notify(device, "/t", &state, pair.now).unwrap();
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud notified 3000"]);
    pair.cloud.cancel(observation, pair.now);
    pair.run_for(SECOND);
    assert_eq!(
        words(&mut pair).0[..2],
        ["Cloud failed Cancelled", "Device unobserved"]
    );
    assert_eq!(
        pair.device.notify(device, "/t", &state, pair.now).unwrap(),
        0
    );
}

#[test]
fn a_resource_that_is_not_observable_answers_once_and_an_error_is_the_last_notification() {
    let (mut pair, device, cloud) = Pair::online(Config::default());
    pair.cloud
        .observe(cloud, Request::new(Method::Get, "/t").unwrap(), pair.now)
        .unwrap();
    answer_next(
        &mut pair,
        &Response::new(Code::CONTENT).with_payload(60, body(1)),
    );
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud 2.05 1"]);
    pair.cloud
        .observe(cloud, Request::new(Method::Get, "/t").unwrap(), pair.now)
        .unwrap();
    answer_next(
        &mut pair,
        &Response::new(Code::CONTENT)
            .with_payload(60, body(1))
            .observable(),
    );
    pair.run_for(SECOND);
    pair.device
        .notify(device, "/t", &Response::new(Code::NOT_FOUND), pair.now)
        .unwrap();
    pair.run_for(SECOND);
    assert_eq!(
        words(&mut pair).0,
        ["Cloud notified 1", "Device unobserved", "Cloud 4.04 0"]
    );
}

#[test]
fn an_activation_session_may_ask_for_its_secret_and_nothing_else() {
    let mut pair = Pair::new(Config::default(), 1);
    let identity = "MuGsF6W4,15bBZlRknc,3,3600".parse().unwrap();
    let session = pair
        .device
        .connect(cloud_address(), &identity, key(), pair.now)
        .unwrap();
    pair.run_for(SECOND);
    assert_eq!(
        words(&mut pair).0,
        ["Device online"],
        "the cloud does not count it as online"
    );
    pair.device.request(session, post(20), pair.now).unwrap();
    let other = activation::path(&coap_psk::DeviceName::new(
        "MuGsF6W4".parse().unwrap(),
        "someone-else".parse().unwrap(),
    ));
    pair.device
        .request(
            session,
            Request::new(Method::Get, &other).unwrap(),
            pair.now,
        )
        .unwrap();
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Device 4.03 0", "Device 4.03 0"]);
    pair.device
        .request(
            session,
            activation::request(identity.device()).unwrap(),
            pair.now,
        )
        .unwrap();
    let request = answer_next(
        &mut pair,
        &Response::new(Code::CONTENT).with_payload(50, body(30)),
    );
    assert_eq!(
        activation::device_of(&request).as_ref(),
        Some(identity.device())
    );
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Device 2.05 30"]);
    pair.run_for(61 * SECOND);
    assert_eq!(words(&mut pair).0, ["Device offline Closed"]);
}

#[test]
fn a_slow_activation_answer_ends_the_session_when_it_is_acknowledged() {
    let mut pair = Pair::new(Config::default(), 1);
    let identity = "MuGsF6W4,15bBZlRknc,3,3600".parse().unwrap();
    let session = pair
        .device
        .connect(cloud_address(), &identity, key(), pair.now)
        .unwrap();
    pair.run_for(SECOND);
    pair.device
        .request(
            session,
            activation::request(identity.device()).unwrap(),
            pair.now,
        )
        .unwrap();
    pair.run_for(5 * SECOND);
    let (_, requests) = words(&mut pair);
    pair.cloud
        .respond(
            requests[0].1,
            Response::new(Code::CONTENT).with_payload(50, body(30)),
            pair.now,
        )
        .unwrap();
    pair.run_for(SECOND);
    assert_eq!(
        words(&mut pair).0,
        ["Device 2.05 30", "Device offline Closed"]
    );
}

#[test]
fn silence_takes_a_device_offline_and_a_message_brings_it_back() {
    let (mut pair, session, _) = Pair::online(Config::default());
    pair.run_for(3_590 * SECOND);
    assert!(words(&mut pair).0.is_empty());
    pair.run_for(10 * SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud offline Silent"]);
    pair.device.request(session, post(1), pair.now).unwrap();
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud online", "Cloud request 1"]);
    pair.run_for(3_700 * SECOND);
    pair.run_for(86_400 * SECOND);
    let (said, _) = words(&mut pair);
    assert_eq!(
        said,
        [
            "Device 5.03 0",
            "Cloud offline Silent",
            "Cloud offline Closed",
            "Device offline Closed"
        ],
        "the end of a silent session is told"
    );
}

#[test]
fn a_new_session_replaces_the_old_one_once_it_is_established() {
    let (mut pair, old, _) = Pair::online(Config::default());
    pair.device
        .connect(
            cloud_address(),
            &identity(),
            PskKey::new([0xee; 16]),
            pair.now,
        )
        .unwrap();
    pair.run_for(2 * SECOND);
    assert_eq!(
        words(&mut pair).0,
        ["Device offline Refused"],
        "a wrong key harms nobody"
    );
    pair.device.request(old, post(1), pair.now).unwrap();
    answer_next(&mut pair, &Response::new(Code::CHANGED));
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Device 2.04 0"]);
    let new = pair
        .device
        .connect(cloud_address(), &identity(), key(), pair.now)
        .unwrap();
    pair.run_for(2 * SECOND);
    let mut said = words(&mut pair).0;
    said.sort();
    assert_eq!(
        said,
        [
            "Cloud online again",
            "Device offline Closed",
            "Device online"
        ]
    );
    pair.device.request(new, post(1), pair.now).unwrap();
    answer_next(&mut pair, &Response::new(Code::CHANGED));
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Device 2.04 0"]);
}

#[test]
fn an_unknown_device_looks_like_a_wrong_key() {
    let mut transcripts = Vec::new();
    for identity in ["MuGsF6W4,someone-else,2,3600", "MuGsF6W4,15bBZlRknc,2,3600"] {
        let mut pair = Pair::new(Config::default(), 1);
        let identity = identity.parse().unwrap();
        pair.device
            .connect(
                cloud_address(),
                &identity,
                PskKey::new([0xee; 16]),
                pair.now,
            )
            .unwrap();
        pair.run_for(2 * SECOND);
        transcripts.push(words(&mut pair).0);
    }
    assert_eq!(transcripts[0], ["Device offline Refused"]);
    assert_eq!(transcripts[0], transcripts[1]);
}

#[test]
fn a_malformed_identity_goes_on_with_a_random_key_and_nobody_is_asked() {
    for identity in [
        &b"product,device"[..],
        b"product,device,2,29",
        b"\xff",
        &[b'a'; 1000],
        b"",
    ] {
        let mut pair = Pair::new(Config::default(), 1);
        let hello = [&[1, 0, 0, 0, 0, 0, 0, 0, 7][..], identity].concat();
        pair.cloud
            .handle_datagram(pair.device_address, &hello, pair.now);
        let Some(Output::Event(Event::MalformedIdentity { peer, len })) = pair.cloud.poll_output()
        else {
            panic!("not told")
        };
        assert_eq!((peer, len), (pair.device_address, identity.len()));
        let Some(Output::Transmit(proof)) = pair.cloud.poll_output() else {
            panic!("no answer")
        };
        assert_eq!((proof.datagram[0], &proof.datagram[9..]), (2, &[0; 16][..]));
        assert!(pair.cloud.poll_output().is_none());
    }
}

#[test]
fn malformed_identities_beyond_the_rate_of_their_network_are_not_told() {
    let mut config = Config::default();
    config.limits.handshakes = Rate::new(1, Duration::from_secs(60));
    let mut pair = Pair::new(config, 1);
    for _ in 0..3 {
        let hello = [&[1, 0, 0, 0, 0, 0, 0, 0, 7][..], b"\xff"].concat();
        pair.cloud
            .handle_datagram(pair.device_address, &hello, pair.now);
    }
    let outputs = std::iter::from_fn(|| pair.cloud.poll_output());
    let told = outputs
        .filter(|output| matches!(output, Output::Event(Event::MalformedIdentity { .. })))
        .count();
    assert_eq!(told, 1);
}

#[test]
fn a_key_lookup_that_never_ends_fails_the_handshake() {
    let mut pair = Pair::new(Config::default(), 1);
    pair.device
        .connect(cloud_address(), &identity(), key(), pair.now)
        .unwrap();
    let datagram = loop {
        if let Some(Output::Transmit(transmit)) = pair.device.poll_output() {
            break transmit.datagram;
        }
    };
    pair.cloud
        .handle_datagram(pair.device_address, &datagram, pair.now);
    let Some(Output::KeyWanted { handshake, .. }) = pair.cloud.poll_output() else {
        panic!("no key wanted")
    };
    assert_eq!(
        pair.cloud.next_deadline(),
        Some(pair.now.saturating_add(5 * SECOND))
    );
    pair.cloud
        .handle_timeout(pair.now.saturating_add(5 * SECOND));
    pair.cloud.provide_key(handshake, Some(key()), pair.now);
    let Some(Output::Transmit(proof)) = pair.cloud.poll_output() else {
        panic!("no proof")
    };
    assert_ne!(&proof.datagram[9..], key().expose());
    assert!(
        pair.cloud.poll_output().is_none(),
        "the late key is ignored"
    );
}

#[test]
fn ending_a_session_ends_its_exchanges() {
    let (mut pair, device, cloud) = Pair::online(Config::default());
    pair.device.request(device, post(1), pair.now).unwrap();
    pair.cloud
        .observe(cloud, Request::new(Method::Get, "/t").unwrap(), pair.now)
        .unwrap();
    pair.run_for(SECOND);
    pair.cloud.close(cloud, pair.now);
    pair.run_for(SECOND);
    let (said, _) = words(&mut pair);
    let ends = [
        "Cloud failed Closed",
        "Cloud offline Closed",
        "Device failed Closed",
        "Device offline Closed",
    ];
    assert_eq!(
        said.iter()
            .filter(|word| !word.contains("request"))
            .collect::<Vec<_>>(),
        ends.iter().collect::<Vec<_>>()
    );
    let refused = pair.cloud.request(cloud, post(1), pair.now).unwrap_err();
    assert_eq!(refused.kind(), coap_psk::ErrorKind::UnknownSession);
}

#[test]
fn requests_without_an_answer_fail_and_caps_hold() {
    let (mut pair, device, _) = Pair::online(Config::default());
    pair.weather.loss = 100;
    for _ in 0..64 {
        pair.device.request(device, post(1), pair.now).unwrap();
    }
    let over = pair.device.request(device, post(1), pair.now).unwrap_err();
    assert_eq!(over.kind(), coap_psk::ErrorKind::Full);
    pair.run_for(300 * SECOND);
    let (said, _) = words(&mut pair);
    assert_eq!(
        said.iter()
            .filter(|word| *word == "Device failed TimedOut")
            .count(),
        64
    );
}

#[test]
fn a_silent_peer_gets_non_confirmable_requests_at_the_probing_rate_and_a_present_one_as_they_come()
{
    let (mut pair, device, _) = Pair::online(Config::default());
    let began = pair.now;
    let mut non = post(300);
    non.confirmable = false;
    for _ in 0..3 {
        pair.device.request(device, non.clone(), pair.now).unwrap();
    }
    let changed = Response::new(Code::CHANGED);
    for _ in 0..3 {
        answer_next(&mut pair, &changed);
    }
    let took = pair.now.saturating_duration_since(began);
    assert!(took < SECOND, "answered ones wait for nothing: {took:?}");

    // Whatever the application does about its failures.
    pair.run_for(SECOND);
    pair.records.clear();
    pair.weather.loss = 100;
    let (began, hour) = (pair.now, 3_600 * SECOND);
    let mut asked = 0;
    while pair.now.saturating_duration_since(began) < hour {
        if let Ok(exchange) = pair.device.request(device, non.clone(), pair.now) {
            asked += 1;
            if asked % 2 == 0 {
                pair.device.cancel(exchange, pair.now);
            }
        }
        pair.run_for(10 * SECOND);
    }
    let sizes: Vec<_> = pair
        .records
        .iter()
        .map(|(_, record)| record.len())
        .collect();
    let (total, largest) = (sizes.iter().sum::<usize>(), sizes.iter().max().unwrap());
    let (least, most) = (3_600 - 2 * largest, 3_600 + largest);
    assert!((least..=most).contains(&total), "{total} bytes in an hour");
}

#[test]
fn an_uplink_answer_names_the_waiting_command() {
    let (mut pair, device, _) = Pair::online(Config::default());
    pair.device.request(device, post(10), pair.now).unwrap();
    let mailbox = CoapOption::new(
        option::ENOS_MAILBOX,
        &b"/topic/sys/MuGsF6W4/15bBZlRknc/thing/service/x"[..],
    );
    answer_next(
        &mut pair,
        &Response::new(Code::CHANGED).with_option(mailbox.clone()),
    );
    pair.run_for(SECOND);
    let mut named = None;
    pair.take(|_, output| {
        if let Output::Event(Event::Response { response, .. }) = output {
            named = response.options.first().cloned();
        }
    });
    assert_eq!(named, Some(mailbox));
}

#[test]
fn a_connection_to_nobody_times_out() {
    let mut pair = Pair::new(Config::default(), 1);
    pair.weather.loss = 100;
    pair.device
        .connect(cloud_address(), &identity(), key(), pair.now)
        .unwrap();
    pair.run_for(100 * SECOND);
    let mut reasons = Vec::new();
    pair.take(|_, output| {
        if let Output::Event(Event::Offline { why, .. }) = output {
            reasons.push(*why);
        }
    });
    assert_eq!(reasons, [OfflineReason::TimedOut]);
}

#[test]
fn every_block_is_an_exchange_of_its_own_and_no_token_comes_back() {
    let (mut pair, session, _) = Pair::online(Config::default());
    for _ in 0..3 {
        pair.device.request(session, post(5_000), pair.now).unwrap();
        answer_next(
            &mut pair,
            &Response::new(Code::CONTENT).with_payload(60, body(7_000)),
        );
        pair.run_for(SECOND);
    }
    let requests: Vec<_> = pair
        .records
        .iter()
        .filter(|(side, _)| *side == Side::Device)
        .map(|(_, bytes)| parse(bytes).unwrap())
        .collect();
    // Five blocks up, and six more down behind the one that comes with the last of them.
    assert_eq!(requests.len(), 3 * (5 + 6));
    let message_ids: BTreeSet<_> = requests.iter().map(|it| it.message_id()).collect();
    let tokens: BTreeSet<_> = requests.iter().map(|it| it.token()).collect();
    assert_eq!((message_ids.len(), tokens.len()), (33, 33));
}

#[test]
fn a_response_that_is_never_acknowledged_is_given_up_and_holds_nobody_up() {
    let (mut pair, device, cloud) = Pair::online(Config::default());
    pair.device.request(device, post(1), pair.now).unwrap();
    pair.run_for(2 * SECOND);
    let (_, requests) = words(&mut pair);
    pair.weather.loss = 100;
    let now = pair.now;
    pair.cloud
        .respond(requests[0].1, Response::new(Code::CHANGED), now)
        .unwrap();
    let get = Request::new(Method::Get, "/t").unwrap();
    pair.cloud.request(cloud, get, now).unwrap();
    pair.run_for(94 * SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud undelivered"]);
    pair.weather.loss = 0;
    answer_next(&mut pair, &Response::new(Code::CONTENT));
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Cloud 2.05 0"]);
}

#[test]
fn a_session_that_we_begin_has_its_place_although_others_come_first() {
    let mut one = Config::default();
    one.max_sessions = 1;
    let mut pair = Pair::new(Config::default(), 1);
    pair.cloud = coap_psk::Endpoint::new(one, plain::Plain::new(2), [2; 32]);
    let (to, now) = (pair.device_address, pair.now);
    pair.weather.loss = 100;
    let ours = pair.cloud.connect(to, &identity(), key(), now).unwrap();
    pair.run_for(SECOND / 2);
    pair.weather.loss = 0;
    pair.device
        .connect(cloud_address(), &identity(), key(), now)
        .unwrap();
    pair.run_for(3 * SECOND);
    let mut online = Vec::new();
    pair.take(|side, output| {
        if let (Side::Cloud, Output::Event(Event::Online { session, .. })) = (side, output) {
            online.push(*session);
        }
    });
    assert_eq!(online, [ours]);
}

#[test]
fn observations_given_up_do_not_pile_up_behind_a_peer_that_is_gone() {
    let mut config = Config::default();
    config.max_outbound = 2;
    let (mut pair, _, cloud) = Pair::online(config);
    pair.weather.loss = 100;
    for _ in 0..10 {
        let get = Request::new(Method::Get, "/t").unwrap();
        let now = pair.now;
        let observation = pair.cloud.observe(cloud, get, now).unwrap();
        pair.cloud.cancel(observation, now);
    }
    pair.run_for(400 * SECOND);
    let ends: BTreeSet<u16> = pair
        .records
        .iter()
        .map(|(_, bytes)| parse(bytes).unwrap())
        .filter(|it| {
            it.options()
                .any(|option| option == (option::OBSERVE, &[1][..]))
        })
        .map(|it| it.message_id())
        .collect();
    assert_eq!(ends.len(), 3, "one in flight and two that wait");
}

#[test]
fn an_answer_with_options_of_the_message_layer_is_refused_and_the_request_waits() {
    let (mut pair, session, cloud) = Pair::online(Config::default());
    pair.device.request(session, post(1), pair.now).unwrap();
    pair.run_for(SECOND / 2);
    let (_, requests) = words(&mut pair);
    let odd = Response::new(Code::CHANGED).with_option(CoapOption::from_uint(option::BLOCK2, 6));
    let now = pair.now;
    let refused = pair.cloud.respond(requests[0].1, odd.clone(), now);
    assert_eq!(refused.unwrap_err().kind(), coap_psk::ErrorKind::Path);
    let refused = pair.cloud.notify(cloud, "/t", &odd, now);
    assert_eq!(refused.unwrap_err().kind(), coap_psk::ErrorKind::Path);
    pair.cloud
        .respond(requests[0].1, Response::new(Code::CHANGED), now)
        .unwrap();
    pair.run_for(SECOND);
    assert_eq!(words(&mut pair).0, ["Device 2.04 0"]);
}
