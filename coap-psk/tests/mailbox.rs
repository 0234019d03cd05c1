//! Commands that wait for EnOS devices, and the answers of EnOS access.
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

use std::net::{Ipv4Addr, SocketAddr};

use coap_psk::codec::parse;
use coap_psk::identity::DeviceName;
use coap_psk::{
    CoapOption, Code, Config, ErrorKind, ExchangeId, Output, Request, Response, option,
};

use records::Cloud;

const SET: &str = "/topic/sys/MuGsF6W4/15bBZlRknc/thing/service/measurepoint/set";
const GET: &str = "/topic/sys/MuGsF6W4/15bBZlRknc/thing/service/measurepoint/get";

fn source(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn device(key: &str) -> DeviceName {
    DeviceName::new("MuGsF6W4".parse().unwrap(), key.parse().unwrap())
}

fn cloud() -> Cloud {
    let mut cloud = Cloud::new(Config::default());
    cloud.connect(source(1), "MuGsF6W4,15bBZlRknc,2,3600");
    cloud.connect(source(2), "MuGsF6W4,another,2,3600");
    assert_eq!(cloud.taken().handshakes, 2);
    cloud
}

/// The device at `from` asks for a path of two segments; the request that comes of it.
fn ask(cloud: &mut Cloud, from: SocketAddr, id: u8, path: [&str; 2]) -> (ExchangeId, Request) {
    let mut message = vec![0x40, 0x01, 0x00, id];
    for (segment, delta) in path.into_iter().zip([0xb0, 0x00]) {
        message.push(delta | u8::try_from(segment.len()).unwrap());
        message.extend(segment.as_bytes());
    }
    cloud.message(from, &message);
    match cloud.outputs.pop() {
        Some(Output::Request {
            exchange, request, ..
        }) => (exchange, request),
        other => panic!("{other:?}"),
    }
}

/// The device at `from` asks and is answered; the code, the waiting command and the payload that it gets.
fn answered(
    cloud: &mut Cloud,
    from: SocketAddr,
    id: u8,
    response: Response,
) -> (Code, Option<String>, usize) {
    let (exchange, _) = ask(cloud, from, id, ["topic", "sys"]);
    cloud
        .endpoint
        .respond(exchange, response, cloud.now)
        .unwrap();
    cloud.drain();
    let (to, datagram) = cloud.sent.pop().unwrap();
    assert_eq!(to, from);
    let message = parse(&datagram).unwrap();
    let mut named = message
        .options()
        .filter(|(number, _)| *number == option::ENOS_MAILBOX);
    let command = named
        .next()
        .map(|(_, value)| String::from_utf8(value.to_vec()).unwrap());
    assert_eq!(named.next(), None);
    (message.code(), command, message.payload().len())
}

#[test]
fn responses_name_the_command_that_waits_for_their_device_while_it_waits() {
    let mut cloud = cloud();
    let done = || Response::new(Code::CHANGED).with_payload(50, &b"{}"[..]);
    let (one, other) = (source(1), source(2));
    assert_eq!(
        answered(&mut cloud, one, 1, done()),
        (Code::CHANGED, None, 2)
    );
    let name = device("15bBZlRknc");
    cloud.endpoint.announce(&name, Some(SET)).unwrap();
    let waiting = (Code::CHANGED, Some(SET.to_owned()), 2);
    assert_eq!(answered(&mut cloud, one, 2, done()), waiting);
    assert_eq!(answered(&mut cloud, one, 3, done()), waiting);
    assert_eq!(
        answered(&mut cloud, other, 3, done()),
        (Code::CHANGED, None, 2)
    );
    // An error names it too: any response will do.
    let error = answered(&mut cloud, one, 4, Response::new(Code::NOT_FOUND));
    assert_eq!(error, (Code::NOT_FOUND, Some(SET.to_owned()), 0));
    // What the application says itself stands.
    let own = CoapOption::new(option::ENOS_MAILBOX, GET.as_bytes());
    let named = answered(&mut cloud, one, 5, done().with_option(own));
    assert_eq!(named.1.as_deref(), Some(GET));
    cloud.endpoint.announce(&name, Some(GET)).unwrap();
    let named = answered(&mut cloud, one, 6, done());
    assert_eq!(named.1.as_deref(), Some(GET));
    cloud.endpoint.announce(&name, None).unwrap();
    assert_eq!(
        answered(&mut cloud, one, 7, done()),
        (Code::CHANGED, None, 2)
    );
}

#[test]
fn a_command_waits_through_a_new_session_and_ends_with_the_last() {
    let mut cloud = cloud();
    let name = device("15bBZlRknc");
    cloud.endpoint.announce(&name, Some(SET)).unwrap();
    let session = cloud.connect(source(3), "MuGsF6W4,15bBZlRknc,2,3600");
    let named = answered(&mut cloud, source(3), 1, Response::new(Code::CHANGED));
    assert_eq!(named.1.as_deref(), Some(SET));
    let kept = |cloud: &Cloud| format!("{:?}", cloud.endpoint);
    assert!(kept(&cloud).contains("mailboxes: 1"));
    cloud.endpoint.close(session, cloud.now);
    cloud.drain();
    assert!(kept(&cloud).contains("mailboxes: 0"));
    let refused = cloud.endpoint.announce(&name, Some(SET)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::UnknownSession);
    cloud.connect(source(4), "MuGsF6W4,15bBZlRknc,2,3600");
    let named = answered(&mut cloud, source(4), 1, Response::new(Code::CHANGED));
    assert_eq!(named.1, None);
}

#[test]
fn a_command_for_another_device_is_refused_and_changes_nothing() {
    let mut cloud = cloud();
    let name = device("15bBZlRknc");
    cloud.endpoint.announce(&name, Some(GET)).unwrap();
    for command in ["/topic/sys/MuGsF6W4/another/thing/service/x", "/a", "a"] {
        let refused = cloud.endpoint.announce(&name, Some(command)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Path);
    }
    let named = answered(&mut cloud, source(1), 1, Response::new(Code::CHANGED));
    assert_eq!(named.1.as_deref(), Some(GET));
}

#[test]
fn blocks_on_the_way_name_nothing_and_the_answer_does() {
    let mut cloud = cloud();
    let name = device("15bBZlRknc");
    cloud.endpoint.announce(&name, Some(SET)).unwrap();
    // PUT /a with Block1: number 0 of 16 bytes and more to come.
    let block = [
        &[0x40, 0x03, 0x00, 0x01, 0xb1, b'a', 0xd1, 0x03, 0x08, 0xff][..],
        &[1; 16],
    ]
    .concat();
    cloud.message(source(1), &block);
    let (_, datagram) = cloud.sent.pop().unwrap();
    let message = parse(&datagram).unwrap();
    assert_eq!(message.code(), Code::CONTINUE);
    assert!(
        message
            .options()
            .all(|(number, _)| number == option::BLOCK1)
    );
}

#[test]
fn errors_of_enos_access_are_codes_alone_and_others_may_say_more() {
    let mut cloud = cloud();
    let error = |code| Response::new(code).with_payload(50, &b"{\"code\":1220}"[..]);
    for (id, code) in (10..).zip([
        Code::BAD_REQUEST,
        Code::UNAUTHORIZED,
        Code::FORBIDDEN,
        Code::NOT_FOUND,
        Code::METHOD_NOT_ALLOWED,
        Code::INTERNAL_SERVER_ERROR,
    ]) {
        let got = answered(&mut cloud, source(1), id, error(code));
        assert_eq!(got, (code, None, 0));
    }
    let (exchange, request) = ask(&mut cloud, source(1), 30, ["oic", "rd"]);
    assert_eq!(request.path, ["oic", "rd"]);
    let response = error(Code::BAD_REQUEST);
    cloud
        .endpoint
        .respond(exchange, response, cloud.now)
        .unwrap();
    cloud.drain();
    let (_, datagram) = cloud.sent.pop().unwrap();
    assert_eq!(parse(&datagram).unwrap().payload(), b"{\"code\":1220}");
}
