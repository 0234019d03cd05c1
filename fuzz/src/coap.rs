//! Targets of `coap-psk`.

mod endpoint;
mod measurepoint;

pub use endpoint::endpoint;
pub use measurepoint::measurepoint;

use std::net::SocketAddr;

use coap_psk::activation::{self, ActivateInfo};
use coap_psk::amplification::Budget;
use coap_psk::dtls::{DtlsEndpoint as _, DtlsEvent};
use coap_psk::echo::VALUE_LEN;
use coap_psk::message::Message;
use coap_psk::tcp::frame::{self, FrameError, Frames};
use coap_psk::tcp::{Config, Connection, Output};
use coap_psk::{
    Code, Instant, Method, PskIdentity, Request, Response, codec, measurepoint as points,
};
use dtls_dimpl::{DimplEndpoint, Limits};

/// A datagram: what parses is written as something that parses as the same.
pub fn message(bytes: &[u8]) {
    if let Ok(read) = codec::parse(bytes) {
        let message = read.to_message();
        let written = codec::encode(&message).expect("what was read can be written");
        let again = codec::parse(&written)
            .expect("what was written can be read")
            .to_message();
        assert_eq!(message, again);
        // Whatever answer it gets while its sender is not verified is worth no more than the request.
        if let Some(budget) = Budget::of(&read, bytes.len()) {
            let answer = budget.answer(again, &[0; VALUE_LEN], 0);
            assert!(answer.is_ok_and(|answer| answer.len() <= budget.bytes()));
        }
    }
}

/// The answer to an activation request, as a device reads it.
pub fn activate_info(bytes: &[u8]) {
    if let Ok(info) = ActivateInfo::from_json(bytes) {
        let written = info.to_json().expect("what was read can be written");
        assert_eq!(ActivateInfo::from_json(&written).ok(), Some(info));
    }
}

/// The target of a request, as a program writes it and as an activation is recognized.
pub fn request_target(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(request) = Request::new(Method::Get, text) {
        let again =
            Request::new(Method::Get, &request.target()).expect("a target that was written");
        assert_eq!(again.target(), request.target());
        if let Some(device) = activation::device_of(&request) {
            assert!(activation::permits(&device, &request));
        }
        if let Some(device) = points::device_of(&request) {
            assert_eq!(points::path(&device), request.target());
        }
    }
}

/// The PSK identity that a device sends: what parses is printed exactly as it came.
pub fn identity(bytes: &[u8]) {
    if let Ok(identity) = PskIdentity::parse(bytes) {
        assert_eq!(identity.to_string().as_bytes(), bytes);
    }
}

/// Datagrams at the DTLS listener of the examples, each after its length in two bytes, from two addresses in turn.
pub fn dtls(bytes: &[u8]) {
    // The engine's clock has no meaning here: the same moment for all keeps a run repeatable.
    let mut endpoint = DimplEndpoint::new(Limits::default(), std::time::Instant::now());
    let addresses = [1_u16, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
    let mut rest = bytes;
    for address in addresses.into_iter().cycle() {
        let Some((length, tail)) = rest.split_first_chunk::<2>() else {
            break;
        };
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (datagram, tail) = tail.split_at(length);
        rest = tail;
        let now = Instant::ZERO;
        endpoint.handle_datagram(address, datagram, now);
        while let Some(event) = endpoint.poll_event() {
            match event {
                DtlsEvent::NeedKey { handshake, .. } => endpoint.provide_key(handshake, None, now),
                DtlsEvent::Established { .. } => panic!("a session without a key"),
                _ => {}
            }
        }
        while endpoint.poll_transmit().is_some() {}
    }
}

/// What a peer sends over TCP: read and acted on alike whether it comes whole or byte by byte, and what was read can be
/// written.
pub fn tcp_frames(bytes: &[u8]) {
    const LIMIT: usize = 4_096;
    let (messages, end) = frames_of([bytes], LIMIT);
    assert_eq!(frames_of(bytes.chunks(1), LIMIT), (messages.clone(), end));
    let mut written = Vec::new();
    for message in &messages {
        written.extend(frame::encode(message).expect("what was read can be written"));
    }
    assert_eq!(frames_of([written.as_slice()], LIMIT), (messages, Ok(())));
    assert_eq!(outputs_of([bytes]), outputs_of(bytes.chunks(1)));
}

fn frames_of<'b>(
    pieces: impl IntoIterator<Item = &'b [u8]>,
    limit: usize,
) -> (Vec<Message>, Result<(), FrameError>) {
    let (mut frames, mut messages) = (Frames::default(), Vec::new());
    for mut piece in pieces {
        loop {
            match frames.next(&mut piece, limit) {
                Ok(Some(message)) => messages.push(message.to_message()),
                Ok(None) => break,
                Err(error) => return (messages, Err(error)),
            }
        }
    }
    (messages, Ok(()))
}

/// What a connection with a request and an observation of its own puts out: bytes to send as they are, the rest in words.
fn outputs_of<'b>(pieces: impl IntoIterator<Item = &'b [u8]>) -> Vec<Vec<u8>> {
    let now = Instant::ZERO;
    let mut connection = Connection::new(Config::default(), now);
    let request = || Request::new(Method::Get, "/a").expect("a target");
    connection.request(request(), now).expect("room for one");
    connection.observe(request(), now).expect("room for two");
    for piece in pieces {
        connection.handle_bytes(piece, now);
    }
    let mut outputs = Vec::new();
    while let Some(output) = connection.poll_output() {
        outputs.push(match &output {
            Output::Send(bytes) => {
                let (messages, end) = frames_of([bytes.as_slice()], usize::MAX);
                assert_eq!((messages.len(), end), (1, Ok(())), "one whole frame");
                bytes.clone()
            }
            other => format!("{other:?}").into_bytes(),
        });
        if let Output::Request { exchange, .. } = output {
            let response = Response::new(Code::CONTENT).with_payload(0, vec![0; 20_000]);
            let answered = connection.respond(exchange, response.observable(), now);
            answered.expect("a response that CoAP can carry");
        }
    }
    outputs
}
