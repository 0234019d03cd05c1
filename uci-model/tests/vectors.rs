//! Vectors from the standard's ecosystem against signature, codec and events.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

#[path = "support/hex.rs"]
mod hex;

use hex::unhex;
use uci_model::{
    Content, ContentFormat, Event, EventType, Limits, SigningSecret, Value,
    event::{Signature, SignedMessage, SigningKey},
};

struct Vector {
    key: SigningKey,
    prefix: Vec<String>,
    body: Vec<u8>,
    expected: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        let file: serde_json::Value =
            serde_json::from_str(include_str!("vectors/signature.json")).unwrap();
        let text = |vector: &serde_json::Value, name: &str| -> String {
            vector[name].as_str().unwrap().into()
        };
        let read = |vector: &serde_json::Value| Self {
            key: SigningKey::new(&SigningSecret::try_from(text(vector, "secret")).unwrap()),
            prefix: text(vector, "prefix").split(':').map(Into::into).collect(),
            body: unhex(&text(vector, "body")),
            expected: text(vector, "expected"),
        };
        let vectors: Vec<_> = file.as_array().unwrap().iter().map(read).collect();
        assert_eq!(vectors.len(), 6);
        vectors
    }

    fn message(&self) -> SignedMessage<'_> {
        SignedMessage {
            content_type: self.prefix[0].as_bytes(),
            event_type: self.prefix[1].as_bytes(),
            subscription_id: self.prefix[2].as_bytes(),
            sequence_number: self.prefix[3].as_bytes(),
            event_timestamp: self.prefix[4].as_bytes(),
            body: &self.body,
        }
    }

    fn event(&self) -> Event {
        let content = ContentFormat::from_content_type(&self.prefix[0])
            .map(|format| Content::new(format, self.body.clone().into()));
        let event_type = EventType::from(self.prefix[1].as_str());
        Event::decode(&event_type, content.as_ref(), &Limits::default()).unwrap()
    }
}

#[test]
fn signatures_equal_the_vectors() {
    for vector in Vector::all() {
        let signature = vector.key.sign(&vector.message());
        assert_eq!(signature.to_string(), vector.expected);
    }
}

#[test]
fn signatures_verify_in_either_case_and_only_over_the_same_message() {
    for vector in Vector::all() {
        for text in [vector.expected.clone(), vector.expected.to_uppercase()] {
            let signature: Signature = text.parse().unwrap();
            vector.key.verify(&vector.message(), &signature).unwrap();
            let changed = [
                SignedMessage {
                    content_type: b"text/plain",
                    ..vector.message()
                },
                SignedMessage {
                    event_type: b"devices_online",
                    ..vector.message()
                },
                SignedMessage {
                    subscription_id: b"",
                    ..vector.message()
                },
                SignedMessage {
                    sequence_number: b"00",
                    ..vector.message()
                },
                SignedMessage {
                    event_timestamp: b"+1577836800",
                    ..vector.message()
                },
                SignedMessage {
                    body: b"x",
                    ..vector.message()
                },
            ];
            for message in changed {
                assert!(vector.key.verify(&message, &signature).is_err());
            }
        }
    }
}

#[test]
fn what_is_no_signature_is_refused() {
    let good = "d52188a6d8d6084152a9693415dce4e2466a236cada4a189a5880fd62dfe5228";
    for text in [
        "",
        &good[1..],
        &format!("{good}0"),
        &good.replace('d', "g"),
        &good.replace('d', "+"),
    ] {
        assert!(text.parse::<Signature>().is_err(), "{text:?}");
    }
}

#[test]
fn bodies_of_the_vectors_are_the_bodies_that_are_written() {
    for vector in Vector::all() {
        let event = vector.event();
        let Some(format) = ContentFormat::from_content_type(&vector.prefix[0]) else {
            assert_eq!(event, Event::SubscriptionCancelled);
            assert_eq!(
                event
                    .encode(ContentFormat::Json, &Limits::default())
                    .unwrap(),
                None
            );
            continue;
        };
        let content = event.encode(format, &Limits::default()).unwrap().unwrap();
        // Key order is free: compare the trees.
        let theirs = Content::new(format, vector.body.clone().into());
        assert_eq!(
            content.decode(&Limits::default()).unwrap(),
            theirs.decode(&Limits::default()).unwrap()
        );
    }
}

#[test]
fn both_forms_of_an_event_list_are_read() {
    let read = |json: &'static str| {
        let content = Content::new(ContentFormat::Json, json.into());
        Event::decode(
            &EventType::DevicesOnline,
            Some(&content),
            &Limits::default(),
        )
    };
    let id = "53080a4f-5e3e-4291-802f-3436238232d2".parse().unwrap();
    let expected = Event::DevicesOnline(vec![id]);
    let bare = r#"[{"di":"53080A4F-5E3E-4291-802F-3436238232D2","n":"ignored"}]"#;
    assert_eq!(read(bare).unwrap(), expected);
    let object = r#"{"content":[{"di":"53080a4f-5e3e-4291-802f-3436238232d2"}]}"#;
    assert_eq!(read(object).unwrap(), expected);
    assert_eq!(read("[]").unwrap(), Event::DevicesOnline(vec![]));
    for wrong in ["{}", "1", r#"[{"di":"x"}]"#, r#"{"content":{}}"#] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn unpublished_links_may_have_null_types() {
    let cbor = unhex(
        "81a4626469782435333038306134662d356533652d343239312d383032662d333433363233383233326432\
         6468726566622f786269 66f6627274f6"
            .replace(' ', "")
            .as_str(),
    );
    let content = Content::new(ContentFormat::OcfCbor, cbor.into());
    let event = Event::decode(
        &EventType::ResourcesUnpublished,
        Some(&content),
        &Limits::default(),
    );
    let Event::ResourcesUnpublished(links) = event.unwrap() else {
        panic!("wrong event");
    };
    assert_eq!(links[0].href.as_str(), "/x");
    assert!(links[0].resource_types.is_empty() && links[0].interfaces.is_empty());
    let written = Event::ResourcesUnpublished(links)
        .encode(ContentFormat::Json, &Limits::default())
        .unwrap()
        .unwrap()
        .decode(&Limits::default())
        .unwrap();
    for name in ["href", "rt", "if"] {
        assert!(written.as_array().unwrap()[0].get(name).is_some(), "{name}");
    }
}

#[test]
fn a_changed_representation_is_carried_as_it_came() {
    let body = bytes::Bytes::from_static(b"{ \"b\":1, \"a\":2 }");
    let content = Content::new(ContentFormat::Json, body.clone());
    let event = Event::decode(
        &EventType::ResourceContentChanged,
        Some(&content),
        &Limits::default(),
    );
    let sent = event
        .unwrap()
        .encode(ContentFormat::Json, &Limits::default())
        .unwrap();
    assert_eq!(sent.unwrap().body(), &body);
    let broken = Content::new(ContentFormat::Json, "{".into());
    assert!(
        Event::decode(
            &EventType::ResourceContentChanged,
            Some(&broken),
            &Limits::default()
        )
        .is_err()
    );
}

#[test]
fn rfc_8949_examples_read_as_their_json() {
    for (hex, json) in [
        ("1a000f4240", "1000000"),
        ("1bffffffffffffffff", "18446744073709551615"),
        ("3903e7", "-1000"),
        ("f93e00", "1.5"),
        ("fa47c35000", "100000.0"),
        ("fb7e37e43c8800759c", "1e300"),
        ("f90001", "5.960464477539063e-8"),
        ("fbc010666666666666", "-4.1"),
        ("62c3bc", "\"\u{fc}\""),
        ("64f0908591", "\"\u{10151}\""),
        ("8301820203820405", "[1,[2,3],[4,5]]"),
        ("bf61610161629f0203ffff", r#"{"a":1,"b":[2,3]}"#),
        ("7f657374726561646d696e67ff", "\"streaming\""),
        ("826161bf61626163ff", r#"["a",{"b":"c"}]"#),
    ] {
        let value = Value::from_cbor(&unhex(hex), &Limits::default()).unwrap();
        assert_eq!(
            value,
            Value::from_json(json.as_bytes(), &Limits::default()).unwrap(),
            "{hex}"
        );
    }
}
