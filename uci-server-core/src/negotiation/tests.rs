use http::HeaderValue;

use super::*;

fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(ACCEPT, HeaderValue::from_str(line).unwrap());
    }
    headers
}

const JSON: Option<ContentFormat> = Some(ContentFormat::Json);
const CBOR: Option<ContentFormat> = Some(ContentFormat::OcfCbor);

#[test]
fn responses_follow_the_accept_header() {
    let table: &[(&[&str], Option<ContentFormat>)] = &[
        (&[], JSON),
        (&[""], JSON),
        (&["application/json"], JSON),
        (&["application/vnd.ocf+cbor"], CBOR),
        (&["Application/VND.OCF+CBOR"], CBOR),
        (&["*/*"], JSON),
        (&["application/*"], JSON),
        (&["application/json,application/vnd.ocf+cbor"], JSON),
        (&["application/json, application/vnd.ocf+cbor"], JSON),
        (&["application/vnd.ocf+cbor, application/json"], JSON),
        (&["application/json;q=0.9"], JSON),
        (&["application/json;q=0"], None),
        (&["application/json;q=0, */*"], CBOR),
        (
            &["application/vnd.ocf+cbor;q=0.5, application/json;q=0.8"],
            JSON,
        ),
        (
            &["application/vnd.ocf+cbor;q=0.8", "application/json;q=0.5"],
            CBOR,
        ),
        (
            &["application/*;q=0.2, application/vnd.ocf+cbor; Q=0.3"],
            CBOR,
        ),
        (&["application/json;charset=utf-8"], JSON),
        (&["text/html"], None),
        (&["application/cbor"], None),
        (&["application/json;q=1.001"], None),
        (&["application/json;q=0.1234"], None),
        (
            &["application/json;q=x, application/vnd.ocf+cbor;q=0.001"],
            CBOR,
        ),
        (&["application"], None),
        (&["*/json"], None),
        (&["text/html;x=\",application/json\""], None),
        (&[",, ,application/json"], JSON),
    ];
    for (lines, expected) in table {
        assert_eq!(response_format(&headers(lines)), *expected, "{lines:?}");
    }
}

#[test]
fn notifications_follow_the_order_of_the_list_and_default_to_json() {
    let table: &[(&[&str], ContentFormat)] = &[
        (&[], ContentFormat::Json),
        (&["text/html"], ContentFormat::Json),
        (&["*/*"], ContentFormat::Json),
        (&["application/vnd.ocf+cbor"], ContentFormat::OcfCbor),
        (
            &["application/json,application/vnd.ocf+cbor"],
            ContentFormat::Json,
        ),
        (
            &["application/vnd.ocf+cbor, application/json"],
            ContentFormat::OcfCbor,
        ),
        (
            &["application/vnd.ocf+cbor;q=0.5, application/json"],
            ContentFormat::Json,
        ),
        (&["application/json;q=0"], ContentFormat::Json),
    ];
    for (lines, expected) in table {
        assert_eq!(notification_format(&headers(lines)), *expected, "{lines:?}");
    }
}

#[test]
fn an_unreadable_header_accepts_nothing() {
    let mut headers = HeaderMap::new();
    headers.insert(
        ACCEPT,
        HeaderValue::from_bytes(b"application/json\xff").unwrap(),
    );
    assert_eq!(response_format(&headers), None);
}
