//! What a connection over TCP puts out, taken apart, and frames of a peer.

use std::time::Duration;

use coap_psk::message::{Kind, Message, Token};
use coap_psk::tcp::frame::{self, Frames};
use coap_psk::tcp::{Config, Connection, Event, ExchangeId, Output};
use coap_psk::{CoapOption, Code, Instant, Method, Request, Response};

/// CSM with Block-Wise-Transfer and a Max-Message-Size of 8,448.
pub(crate) const CSM: &[u8] = &[0x40, 0xe1, 0x22, 0x21, 0x00, 0x20];

/// What a connection put out since the last look.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: Vec<Message>,
    pub(crate) requests: Vec<(ExchangeId, Request)>,
    /// The events and the wish to close the stream, in words.
    pub(crate) words: Vec<String>,
}

pub(crate) fn drain(connection: &mut Connection) -> Seen {
    let mut seen = Seen::default();
    while let Some(output) = connection.poll_output() {
        match output {
            Output::Send(bytes) => seen.sent.extend(read_all(&bytes)),
            Output::Request { exchange, request } => seen.requests.push((exchange, request)),
            Output::Close => seen.words.push("close".into()),
            Output::Event(event) => seen.words.push(word(&event)),
        }
    }
    seen
}

fn word(event: &Event) -> String {
    match event {
        Event::Response { response, .. } => {
            format!("{} {}", response.code, response.payload.len())
        }
        Event::Notification { response, .. } => format!("notified {}", response.payload.len()),
        Event::Failed { failure, .. } => format!("failed {failure:?}"),
        Event::Unobserved { .. } => "unobserved".into(),
        Event::Released(release) => format!("released {release:?}"),
        Event::Closed { why } => format!("closed {why:?}"),
        other => panic!("{other:?}"),
    }
}

/// The messages of whole frames.
pub(crate) fn read_all(bytes: &[u8]) -> Vec<Message> {
    let (mut frames, mut rest, mut messages) = (Frames::default(), bytes, Vec::new());
    while let Some(message) = frames.next(&mut rest, usize::MAX).unwrap() {
        messages.push(message.to_message());
    }
    assert!(!frames.is_midway());
    messages
}

/// A frame with these options, in the order of their numbers.
pub(crate) fn write(code: Code, token: &[u8], options: &[(u16, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut message = Message::new(Kind::Confirmable, code, 0, Token::new(token).unwrap());
    message.options = options
        .iter()
        .map(|(number, value)| CoapOption::new(*number, value.to_vec()))
        .collect();
    message.payload = payload.to_vec().into();
    frame::encode(&message).unwrap()
}

/// The value of the first option with this number.
pub(crate) fn option(message: &Message, number: u16) -> Option<&[u8]> {
    let option = message.options.iter().find(|it| it.number == number)?;
    Some(&option.value)
}

pub(crate) fn secs(secs: u64) -> Instant {
    Instant::ZERO.saturating_add(Duration::from_secs(secs))
}

/// A connection whose own CSM has been taken.
pub(crate) fn connected(config: Config) -> Connection {
    let mut connection = Connection::new(config, Instant::ZERO);
    drain(&mut connection);
    connection
}

pub(crate) fn changed(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

/// What `connection` puts out when these bytes arrive.
pub(crate) fn after(connection: &mut Connection, bytes: &[u8]) -> Seen {
    connection.handle_bytes(bytes, Instant::ZERO);
    drain(connection)
}

/// The answer to a GET that comes with these options, when the application answers with `len` bytes.
pub(crate) fn answer_of(
    connection: &mut Connection,
    options: &[(u16, &[u8])],
    len: usize,
) -> Message {
    let (exchange, _) = after(connection, &write(Method::Get.code(), b"t", options, b""))
        .requests
        .remove(0);
    let response = Response::new(Code::CONTENT).with_payload(60, vec![7; len]);
    connection
        .respond(exchange, response, Instant::ZERO)
        .unwrap();
    drain(connection).sent.remove(0)
}

pub(crate) fn get() -> Request {
    Request::new(Method::Get, "/a").unwrap()
}
