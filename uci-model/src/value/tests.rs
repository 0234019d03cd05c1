use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use super::*;
use crate::{Content, ContentFormat};

fn cbor(hex: &str) -> Result<Value, ErrorKind> {
    Value::from_cbor(&unhex(hex), &Limits::default()).map_err(|error| error.kind())
}

fn json(text: &str) -> Result<Value, ErrorKind> {
    Value::from_json(text.as_bytes(), &Limits::default()).map_err(|error| error.kind())
}

fn as_json(value: &Value) -> String {
    String::from_utf8(value.to_json().unwrap()).unwrap()
}

/// What a message becomes without a tree in between.
fn straight(from: ContentFormat, bytes: &[u8], to: ContentFormat) -> Vec<u8> {
    let content = Content::new(from, bytes.to_vec().into());
    let converted = content.in_format(to, &Limits::default()).unwrap();
    converted.body().to_vec()
}

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn what_only_cbor_has_becomes_json() {
    for (hex, expected) in [
        ("420102", r#""AQI=""#),
        ("f97e00", "null"),
        ("f97c00", "null"),
        ("fbfff0000000000000", "null"),
        ("f7", "null"),
        ("e0", "null"),
        ("f820", "null"),
        ("a10102", r#"{"1":2}"#),
        ("a12002", r#"{"-1":2}"#),
        (
            "c074323031332d30332d32315432303a30343a30305a",
            r#""2013-03-21T20:04:00Z""#,
        ),
        ("c11a514b67b0", "1363896240"),
        ("fa3fc00000", "1.5"),
        ("c249010000000000000000", r#""18446744073709551616""#),
        ("c24100", "0"),
        ("c340", "-1"),
        ("3bffffffffffffffff", r#""-18446744073709551616""#),
        ("3b7fffffffffffffff", "-9223372036854775808"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("d54401fbff00", r#""Afv_AA""#),
        ("d64401fbff00", r#""Afv/AA==""#),
        ("d74401fbff00", r#""01FBFF00""#),
        ("d5814401fbff00", r#"["Afv_AA"]"#),
        ("d9d9f7a0", "{}"),
        ("d8254150", r#""UA==""#),
        ("fb4035000000000000", "21.0"),
        ("f93c00", "1.0"),
        ("15", "21"),
    ] {
        assert_eq!(as_json(&cbor(hex).unwrap()), expected, "{hex}");
        let straight = straight(ContentFormat::OcfCbor, &unhex(hex), ContentFormat::Json);
        assert_eq!(straight, expected.as_bytes(), "{hex}");
    }
}

#[test]
fn what_both_formats_have_goes_both_ways() {
    for (hex, text) in [
        ("f4", "false"),
        ("f5", "true"),
        ("f6", "null"),
        ("00", "0"),
        ("20", "-1"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("3b7fffffffffffffff", "-9223372036854775808"),
        ("fb4035000000000000", "21.0"),
        ("fbbff8000000000000", "-1.5"),
        ("60", "\"\""),
        ("633c3e26", "\"<>&\""),
        ("62c3bc", "\"ü\""),
        ("80", "[]"),
        ("8201fb4004000000000000", "[1,2.5]"),
        ("a0", "{}"),
        ("a2616101616202", r#"{"a":1,"b":2}"#),
    ] {
        assert_eq!(as_json(&cbor(hex).unwrap()), text, "{hex}");
        assert_eq!(json(text).unwrap().to_cbor(), unhex(hex), "{text}");
        let (as_json, as_cbor) = (ContentFormat::Json, ContentFormat::OcfCbor);
        assert_eq!(straight(as_cbor, &unhex(hex), as_json), text.as_bytes());
        assert_eq!(straight(as_json, text.as_bytes(), as_cbor), unhex(hex));
    }
}

#[test]
fn indefinite_lengths_are_read_and_never_written() {
    let value = cbor(
        "bf6161 9f0102ff 6162 7f61786179ff 6163 5f41014102ff ff"
            .replace(' ', "")
            .as_str(),
    );
    let expected = "a3616182010261626278796163420102";
    assert_eq!(value.unwrap().to_cbor(), unhex(expected));
}

#[test]
fn what_is_not_one_item_is_refused() {
    for hex in [
        "",
        "0000",
        "18",
        "6261",
        "61ff",
        "7f6161",
        "7f4161ff",
        "5f6161ff",
        "7f7f6161ffff",
        "ff",
        "82",
        "8201",
        "a1",
        "a16161",
        "bf6161ff",
        "a2616101616102",
        "a20102613103",
        "a1f501",
        "a1410001",
        "a18001",
        "f818",
        "f800",
        "1c",
        "3d",
        "c2",
        "c26131",
        "d8",
        "7bffffffffffffffff",
        "9bffffffffffffffff",
        "bbffffffffffffffff",
    ] {
        assert_eq!(cbor(hex), Err(ErrorKind::Malformed), "{hex}");
    }
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,\"a\":2}",
        "1 2",
        "01",
        "+1",
        "NaN",
        "1e400",
        "'a'",
        "{a:1}",
        "\u{1}",
        "\"\u{1}\"",
        "[1]x",
        "nul",
        r#""\ud800""#,
    ] {
        assert_eq!(json(text), Err(ErrorKind::Malformed), "{text:?}");
    }
    assert!(Value::from_json(b"\"\xff\"", &Limits::default()).is_err());
}

#[test]
fn integers_and_floats_stay_apart() {
    for text in [
        "21",
        "21.0",
        "-1",
        "-1.5",
        "1e-7",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "5e-324",
        "123456789.12345679",
        "0.30000000000000004",
    ] {
        let value = json(text).unwrap();
        let back = Value::from_cbor(&value.to_cbor(), &Limits::default()).unwrap();
        assert_eq!(back, value);
        assert_eq!(as_json(&back), text);
    }
    assert_eq!(json("1e3"), Ok(Value::Float(1000.0)));
    assert_eq!(
        json("18446744073709551616"),
        Ok(Value::Float(18_446_744_073_709_551_616.0))
    );
}

#[test]
fn devices_get_64_bit_floats_and_arrays_of_one_kind() {
    let value = json(r#"{"a":[1,2.5],"b":[1,2],"c":1.0,"d":[[1],1.0]}"#).unwrap();
    let expected = "a4\
        6161 82 fb3ff0000000000000 fb4004000000000000\
        6162 82 01 02\
        6163 fb3ff0000000000000\
        6164 82 8101 fb3ff0000000000000";
    assert_eq!(value.to_device_cbor(), unhex(&expected.replace(' ', "")));
    // Between clouds nothing is changed.
    let value = json("[1,2.5]").unwrap();
    assert_eq!(value.to_cbor(), unhex("8201fb4004000000000000"));
}

#[test]
fn cbor_that_devices_read_stays_as_it_is() {
    const SAME: &str = "";
    for (hex, expected) in [
        // Indefinite lengths, tags, keys, undefined, and the longest integers are a matter of form.
        ("bf616101ff", SAME),
        ("5f41014102ff", SAME),
        ("7f6161ff", SAME),
        ("9f0102ff", SAME),
        ("c11a514b67b0", SAME),
        ("d5420102", SAME),
        ("d9d9f7bfff", SAME),
        ("a10102", SAME),
        ("a201fb400400000000000002fb4004000000000000", SAME),
        ("a26162016161f7", SAME),
        ("3b7fffffffffffffff", SAME),
        ("1bffffffffffffffff", SAME),
        ("1800", SAME),
        ("828101fb4004000000000000", SAME),
        ("82fb4004000000000000fb7ff8000000000000", SAME),
        // Short floats, mixed arrays, bignums and what is below 64 bits are not.
        ("f93c00", "fb3ff0000000000000"),
        ("fa3fc00000", "fb3ff8000000000000"),
        ("bf6161f93c00ff", "a16161fb3ff0000000000000"),
        (
            "8201fb4004000000000000",
            "82fb3ff0000000000000fb4004000000000000",
        ),
        (
            "9ffb400400000000000001ff",
            "82fb4004000000000000fb3ff0000000000000",
        ),
        (
            "82c101fb4004000000000000",
            "82fb3ff0000000000000fb4004000000000000",
        ),
        (
            "a1616182fb400400000000000020",
            "a1616182fb4004000000000000fbbff0000000000000",
        ),
        ("c24101", "01"),
        ("81c34101", "8121"),
        (
            "3bffffffffffffffff",
            "752d3138343436373434303733373039353531363136",
        ),
    ] {
        let content = Content::new(ContentFormat::OcfCbor, unhex(hex).into());
        let device = content.for_device(&Limits::default()).unwrap();
        let untouched = device.body().as_ptr() == content.body().as_ptr();
        assert_eq!(untouched, expected == SAME, "{hex}");
        if expected != SAME {
            assert_eq!(device.body().as_ref(), unhex(expected), "{hex}");
        }
    }
    for hex in ["", "8201", "0101", "a2616101616102", "61ff", "82f93c00"] {
        let content = Content::new(ContentFormat::OcfCbor, unhex(hex).into());
        let error = content.for_device(&Limits::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{hex}");
    }
}

#[test]
fn limits_hold_in_both_formats() {
    let limits = Limits {
        max_depth: 2,
        max_items: 4,
        max_length: 64,
    };
    let kind = |result: Result<Value, Error>| result.map_err(|error| error.kind());
    for (text, fits) in [
        ("[[1]]", true),
        ("[[[1]]]", false),
        ("[1,2,3]", true),
        ("[1,2,3,4]", false),
        (r#"{"a":{"b":1}}"#, true),
        (r#"{"a":{"b":{"c":1}}}"#, false),
    ] {
        let bytes = json(text).unwrap().to_cbor();
        let expected = if fits {
            json(text)
        } else {
            Err(ErrorKind::LimitExceeded)
        };
        assert_eq!(
            kind(Value::from_json(text.as_bytes(), &limits)),
            expected,
            "{text}"
        );
        assert_eq!(kind(Value::from_cbor(&bytes, &limits)), expected, "{text}");
    }
    let long = format!("{:65}", 1);
    assert_eq!(
        kind(Value::from_json(long.as_bytes(), &limits)),
        Err(ErrorKind::LimitExceeded)
    );
    assert_eq!(
        kind(Value::from_cbor(&[0xd9; 65], &limits)),
        Err(ErrorKind::LimitExceeded)
    );
}

#[test]
fn the_deepest_nesting_is_an_error_and_no_overflow() {
    let limits = Limits {
        max_depth: usize::MAX,
        ..Limits::default()
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let text = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(Value::from_json(text.as_bytes(), &limits).is_err());
    }
    for byte in [0x81, 0x9f, 0xc6, 0xa1] {
        assert!(Value::from_cbor(&vec![byte; 100_000], &limits).is_err());
    }
}

#[test]
fn a_mismatch_does_not_quote_the_peer() {
    let value = Value::from([("di", "s3cret")]);
    let error = value.deserialized::<crate::DeviceProperties>().unwrap_err();
    let cause = core::error::Error::source(&error).unwrap().to_string();
    assert!(!cause.contains("s3cret"), "{cause}");
    let error = Value::from("s3cret").deserialized::<Vec<u8>>().unwrap_err();
    let cause = core::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "expected a sequence");
}

#[test]
fn types_with_all_kinds_of_members_come_and_go() {
    #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
    enum Mode {
        Auto,
    }
    #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
    struct Sample {
        mode: Mode,
        none: Option<i8>,
        some: Option<u64>,
        low: i64,
        pair: (bool, f64),
        by_number: BTreeMap<i64, char>,
        rest: Value,
    }
    let sample = Sample {
        mode: Mode::Auto,
        none: None,
        some: Some(u64::MAX),
        low: i64::MIN,
        pair: (true, 0.5),
        by_number: BTreeMap::new(),
        rest: Value::Bytes(vec![1, 2]),
    };
    let value = Value::serialized(&sample).unwrap();
    assert_eq!(value.get("rest"), Some(&Value::Bytes(vec![1, 2])));
    assert_eq!(value.deserialized::<Sample>().unwrap(), sample);
    assert!(Value::serialized(&BTreeMap::from([(true, 1)])).is_err());
    assert!(Value::serialized(&u128::MAX).is_err());
}
