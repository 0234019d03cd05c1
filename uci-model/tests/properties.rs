//! What holds for every value, link, href and id.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use uci_model::{
    Content, ContentFormat, DeviceId, Href, Limits, LinkPolicy, ResourceLink, Value, value::Map,
};

/// Short texts of what JSON must escape and of every UTF-8 length.
const TEXT: &str = "[a-c\"\\\\/<&\u{0}\n\u{fc}\u{2028}\u{10151}]{0,6}";

/// Values that both formats have: no byte strings, no NaN, no infinity.
fn json_value() -> impl Strategy<Value = Value> {
    value(prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO)
            .prop_map(Value::from),
        TEXT.prop_map(Value::from),
    ])
}

/// Values that CBOR has.
fn cbor_value() -> impl Strategy<Value = Value> {
    value(prop_oneof![
        json_value(),
        Just(Value::Float(f64::INFINITY)),
        any::<Vec<u8>>().prop_map(Value::Bytes),
    ])
}

fn value(leaf: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::btree_map(TEXT, inner, 0..6).prop_map(Value::Map),
        ]
    })
}

fn link() -> impl Strategy<Value = ResourceLink> {
    (
        "(/[a-zü](%3f|%23|%25|%20|[a-z.ü]){0,6}){1,4}",
        prop::collection::vec("oic\\.r\\.[a-z]{1,20}", 0..3),
        any::<u64>(),
        any::<Option<[u8; 16]>>(),
        prop::collection::btree_map("x-[a-z]{1,8}", json_value(), 0..3),
    )
        .prop_filter_map(
            "not every text is an href",
            |(href, types, bits, id, extra)| {
                let types = types
                    .into_iter()
                    .map(|text| text.parse().unwrap())
                    .collect();
                let mut link = ResourceLink::new(href.parse().ok()?, types, Vec::new());
                link.policy = LinkPolicy::new(bits);
                link.device_id = id.map(DeviceId::from_bytes);
                link.extra = Map::from_iter(extra);
                Some(link)
            },
        )
}

fn limits() -> Limits {
    Limits::default()
}

proptest! {
    #[test]
    fn json_survives_cbor(value in json_value()) {
        let json = value.to_json().unwrap();
        let read = Value::from_json(&json, &limits()).unwrap();
        prop_assert_eq!(&read, &value);
        let cbor = Value::from_cbor(&read.to_cbor(), &limits()).unwrap();
        prop_assert_eq!(cbor.to_json().unwrap(), json);
    }

    #[test]
    fn converted_content_says_what_the_tree_says(value in cbor_value()) {
        for (from, to) in [
            (ContentFormat::Json, ContentFormat::OcfCbor),
            (ContentFormat::OcfCbor, ContentFormat::Json),
        ] {
            let content = Content::encode(from, &value).unwrap();
            let read = content.decode(&limits()).unwrap();
            let straight = content.in_format(to, &limits()).unwrap();
            let through_tree = Content::encode(to, &read).unwrap();
            let again = |content: &Content| content.decode(&limits()).unwrap().to_cbor();
            prop_assert_eq!(again(&straight), again(&through_tree));
            let device = content.for_device(&limits()).unwrap();
            prop_assert_eq!(again(&device), Content::encode_for_device(&read).decode(&limits()).unwrap().to_cbor());
            prop_assert!(content.check(&limits()).is_ok());
        }
    }

    #[test]
    fn every_reader_agrees_on_what_can_be_read(bytes in any::<Vec<u8>>()) {
        for format in [ContentFormat::Json, ContentFormat::OcfCbor] {
            let content = Content::new(format, bytes.clone().into());
            let kind = |error: uci_model::Error| error.kind();
            let tree = content.decode(&limits()).map_err(kind);
            prop_assert_eq!(content.check(&limits()).map_err(kind), tree.clone().map(drop));
            prop_assert_eq!(content.for_device(&limits()).map_err(kind).map(drop), tree.clone().map(drop));
            let typed: Result<Value, _> = content.decode_as(&limits()).map_err(kind);
            prop_assert_eq!(typed.map(|value| value.to_cbor()), tree.clone().map(|value| value.to_cbor()));
            for to in [ContentFormat::Json, ContentFormat::OcfCbor] {
                if to != format {
                    prop_assert_eq!(content.in_format(to, &limits()).map_err(kind).map(drop), tree.clone().map(drop));
                }
            }
        }
    }

    #[test]
    fn cbor_reads_as_it_was_written(value in cbor_value()) {
        let bytes = value.to_cbor();
        let read = Value::from_cbor(&bytes, &limits()).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(read.to_cbor(), bytes);
    }

    #[test]
    fn what_is_written_is_what_others_read(value in cbor_value()) {
        let theirs: ciborium::Value = ciborium::from_reader(&*value.to_cbor()).unwrap();
        prop_assert_eq!(Value::serialized(&theirs).unwrap(), value.clone());
        let json: serde_json::Value = serde_json::from_slice(&value.to_json().unwrap()).unwrap();
        prop_assert_eq!(json.is_object(), value.as_map().is_some());
    }

    #[test]
    fn what_others_write_is_read(value in cbor_value()) {
        let mut bytes = Vec::new();
        // Shortened floats, which we never write ourselves.
        ciborium::into_writer(&value, &mut bytes).unwrap();
        prop_assert_eq!(Value::from_cbor(&bytes, &limits()).unwrap(), value);
    }

    #[test]
    fn reading_is_total_and_writing_again_is_stable(bytes in any::<Vec<u8>>()) {
        if let Ok(value) = Value::from_cbor(&bytes, &limits()) {
            let canonical = value.to_cbor();
            // Byte for byte: a NaN is not equal to itself.
            let again = Value::from_cbor(&canonical, &limits()).unwrap();
            prop_assert_eq!(again.to_cbor(), canonical);
            let json = value.to_json().unwrap();
            let again = Value::from_json(&json, &limits()).unwrap();
            prop_assert_eq!(again.to_json().unwrap(), json);
        }
        let _ = Value::from_json(&bytes, &limits());
    }

    #[test]
    fn no_byte_may_follow_an_item(value in cbor_value(), more in any::<u8>()) {
        let mut bytes = value.to_cbor();
        bytes.push(more);
        prop_assert!(Value::from_cbor(&bytes, &limits()).is_err());
    }

    #[test]
    fn no_item_may_end_early(value in cbor_value(), at in any::<prop::sample::Index>()) {
        let bytes = value.to_cbor();
        prop_assert!(Value::from_cbor(&bytes[..at.index(bytes.len())], &limits()).is_err());
    }

    #[test]
    fn arrays_for_devices_are_of_one_kind(numbers in prop::collection::vec(
        prop_oneof![any::<i32>().prop_map(|n| Value::from(i64::from(n))), any::<f32>()
            .prop_filter("NaN is not equal to itself", |n| !n.is_nan())
            .prop_map(|n| Value::from(f64::from(n)))], 0..8))
    {
        let bytes = Value::Array(numbers.clone()).to_device_cbor();
        let read = Value::from_cbor(&bytes, &limits()).unwrap();
        let items = read.as_array().unwrap();
        let floats = items.iter().filter(|item| item.as_integer().is_none()).count();
        prop_assert!(floats == 0 || floats == items.len());
        let same = items.iter().zip(&numbers).all(|(a, b)| a.as_f64() == b.as_f64());
        prop_assert!(same && items.len() == numbers.len());
    }

    #[test]
    fn a_device_gets_the_same_bytes_unless_it_could_not_read_them(value in cbor_value()) {
        let written = value.to_device_cbor();
        let mut shortened = Vec::new();
        ciborium::into_writer(&value, &mut shortened).unwrap();
        for bytes in [shortened, value.to_cbor(), written.clone()] {
            let content = Content::new(ContentFormat::OcfCbor, bytes.into());
            let received = content.for_device(&limits()).unwrap();
            let read = received.decode(&limits()).unwrap();
            prop_assert_eq!(read.to_device_cbor(), written.clone());
            let untouched = received.body().as_ptr() == content.body().as_ptr();
            prop_assert_eq!(untouched, content.body() == received.body());
            let again = received.for_device(&limits()).unwrap();
            prop_assert_eq!(again.body().as_ptr(), received.body().as_ptr());
        }
    }

    #[test]
    fn links_survive_both_formats(link in link()) {
        for format in [ContentFormat::Json, ContentFormat::OcfCbor] {
            let content = Content::encode(format, &link).unwrap();
            prop_assert_eq!(content.decode_as::<ResourceLink>(&limits()).unwrap(), link.clone());
        }
    }

    #[test]
    fn hrefs_have_one_spelling(text in "/?([a-zA-Z0-9%/?#. ü~:@-]|%[0-9a-fA-F]{2}){0,40}") {
        if let Ok(href) = text.parse::<Href>() {
            prop_assert_eq!(&href.as_str().parse::<Href>().unwrap(), &href);
            let rebuilt: String = href.segments().map(|s| format!("/{}", s.replace('%', "%25")
                .replace('?', "%3F").replace('#', "%23"))).collect();
            prop_assert_eq!(&rebuilt.parse::<Href>().unwrap(), &href);
            let uri: http::Uri = format!("https://cloud.example{href}").parse().unwrap();
            prop_assert_eq!(uri.path(), href.as_str());
        }
    }

    #[test]
    fn ids_survive_their_text_in_either_case(bytes in any::<[u8; 16]>()) {
        let id = DeviceId::from_bytes(bytes);
        prop_assert_eq!(id.to_string().parse::<DeviceId>().unwrap(), id);
        prop_assert_eq!(id.to_string().to_uppercase().parse::<DeviceId>().unwrap(), id);
    }
}
