//! Every kind of error and the status and code it is answered with.
#![allow(clippy::unwrap_used, clippy::panic)]

use http::{Request, Response};
use uci_model::{
    ContentFormat, DeviceId, Error, ErrorKind, Fault, Limits, Value,
    api::{self, AuthScheme, IncomingRequest, decode_response},
    event::{Signature, SignedMessage, SigningKey},
};

const DEVICE: &str = "53080a4f-5e3e-4291-802f-3436238232d2";

/// One way to each kind, so that the table is over errors that really occur.
fn errors() -> Vec<Error> {
    let get = |uri: &str| {
        Request::get(format!("https://cloud.example/api/v1{uri}"))
            .body(bytes::Bytes::new())
            .unwrap()
    };
    let mut shallow = Limits::default();
    shallow.max_depth = 0;
    let refused = Response::builder()
        .status(504)
        .body("offline".into())
        .unwrap();
    let key = SigningKey::new(&"k".repeat(32).try_into().unwrap());
    let message = SignedMessage {
        content_type: b"",
        event_type: b"",
        subscription_id: b"",
        sequence_number: b"",
        event_timestamp: b"",
        body: b"",
    };
    let other: Signature = "0".repeat(64).parse().unwrap();
    vec![
        Value::from_json(b"{", &Limits::default()).unwrap_err(),
        Value::Null.deserialized::<DeviceId>().unwrap_err(),
        Value::from_json(b"[1]", &shallow).unwrap_err(),
        api::retrieve_devices::Request::try_from_http_request(&get("/devices?content=foo"), &[])
            .unwrap_err(),
        "text/plain".parse::<ContentFormat>().unwrap_err(),
        api::retrieve_device::Request::try_from_http_request(&get("/devices/x"), &["x"])
            .unwrap_err(),
        api::BearerToken::extract(&get("/devices")).unwrap_err(),
        key.verify(&message, &other).unwrap_err(),
        decode_response::<api::Unsubscribed>(&refused).unwrap_err(),
        Value::serialized(&u128::MAX).unwrap_err(),
    ]
}

#[test]
fn every_kind_has_its_status_code_and_fault() {
    let table: Vec<_> = errors()
        .iter()
        .map(|error| {
            (
                error.kind(),
                error.status().as_u16(),
                error.coap_code(),
                error.fault(),
            )
        })
        .collect();
    assert_eq!(
        table,
        [
            (ErrorKind::Malformed, 400, 0x80, Fault::Remote),
            (ErrorKind::Invalid, 400, 0x80, Fault::Remote),
            (ErrorKind::LimitExceeded, 400, 0x80, Fault::Remote),
            (ErrorKind::InvalidHeader, 400, 0x80, Fault::Remote),
            (ErrorKind::UnsupportedFormat, 415, 0x8f, Fault::Remote),
            (ErrorKind::NotFound, 404, 0x84, Fault::Remote),
            (ErrorKind::Unauthorized, 401, 0x81, Fault::Remote),
            (ErrorKind::SignatureMismatch, 400, 0x80, Fault::Remote),
            (ErrorKind::Status(504), 502, 0xa2, Fault::Remote),
            (ErrorKind::Encode, 500, 0xa0, Fault::Local),
        ]
    );
}

#[test]
fn the_body_of_a_refusal_is_kept_short_and_out_of_the_message() {
    let response = Response::builder()
        .status(503)
        .body(bytes::Bytes::from(vec![b'x'; 10_000]))
        .unwrap();
    let error = decode_response::<api::Unsubscribed>(&response).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Status(503));
    assert_eq!(error.response_body().len(), 4096);
    assert!(!error.to_string().contains('x'));
    // Redirects are no success either: no request may be repeated elsewhere.
    let redirect = Response::builder()
        .status(301)
        .body(bytes::Bytes::new())
        .unwrap();
    assert!(decode_response::<api::Unsubscribed>(&redirect).is_err());
}

#[test]
fn messages_say_this_level_only() {
    for error in errors() {
        let text = error.to_string();
        assert!(!text.ends_with('.') && !text.contains(DEVICE), "{text}");
        if let Some(source) = std::error::Error::source(&error) {
            assert!(!text.contains(&source.to_string()), "{text}");
        }
    }
}
