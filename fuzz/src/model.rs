//! Targets of `uci-model`.

use bytes::Bytes;
use uci_model::event::{NotificationHeaders, Signature, SignedMessage, SigningKey};
use uci_model::{
    Content, ContentFormat, CorrelationId, Device, DeviceContentAll, DeviceId, Event, EventType,
    EventsUrl, Href, Limits, ResourceLink, SubscribeBody, SubscriptionId, SubscriptionLevel, Value,
};

use crate::text::Parts;

mod endpoints;

pub use self::endpoints::endpoints;

const FORMATS: [ContentFormat; 2] = [ContentFormat::Json, ContentFormat::OcfCbor];

fn contents(bytes: &[u8]) -> [Content; 2] {
    FORMATS.map(|format| Content::new(format, Bytes::copy_from_slice(bytes)))
}

/// What reads as JSON is written as JSON that reads as the same.
pub fn value_json(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(value) = Value::from_json(bytes, &limits) {
        let written = value
            .to_json()
            .expect("a value that was read can be written");
        let again = Value::from_json(&written, &limits).expect("what was written can be read");
        assert_eq!(value, again);
    }
}

/// What reads as CBOR is written as CBOR that reads and writes as the same; a NaN equals nothing, so bytes are compared.
pub fn value_cbor(bytes: &[u8]) {
    let limits = Limits::default();
    if let Ok(value) = Value::from_cbor(bytes, &limits) {
        let written = value.to_cbor();
        let again = Value::from_cbor(&written, &limits).expect("what was written can be read");
        assert_eq!(written, again.to_cbor());
        let device = value.to_device_cbor();
        let again = Value::from_cbor(&device, &limits).expect("what a device gets can be read");
        assert_eq!(device, again.to_device_cbor());
        let content = Content::new(ContentFormat::OcfCbor, Bytes::copy_from_slice(bytes));
        let received = content.for_device(&limits).expect("what was read is CBOR");
        let read = received.decode(&limits).expect("a device gets CBOR");
        assert_eq!(device, read.to_device_cbor());
        assert_eq!(received.for_device(&limits).ok(), Some(received));
    }
}

/// Content that decodes can be had in the other format, and once there and back it no longer changes.
pub fn transcode(bytes: &[u8]) {
    let limits = Limits::default();
    for content in contents(bytes) {
        if content.decode(&limits).is_err() {
            continue;
        }
        let other = if content.format() == ContentFormat::Json {
            ContentFormat::OcfCbor
        } else {
            ContentFormat::Json
        };
        // Text that stands for bytes or a number in JSON can be longer than what it stands for.
        let Ok(there) = content.in_format(other, &limits) else {
            continue;
        };
        let Ok(back) = there.in_format(content.format(), &limits) else {
            continue;
        };
        let again = back
            .in_format(other, &limits)
            .expect("what came back can go again");
        assert_eq!(there.body(), again.body());
    }
}

fn there_and_back<T>(bytes: &[u8])
where
    T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug,
{
    let limits = Limits::default();
    for content in contents(bytes) {
        if let Ok(read) = content.decode_as::<T>(&limits) {
            let written = Content::encode(content.format(), &read).expect("can be written");
            let again: T = written.decode_as(&limits).expect("can be read again");
            let rewritten = Content::encode(content.format(), &again).expect("can be written");
            assert_eq!(written, rewritten);
        }
    }
}

/// Resource links.
pub fn link(bytes: &[u8]) {
    there_and_back::<ResourceLink>(bytes);
}

/// Devices with links, and with representations.
pub fn device(bytes: &[u8]) {
    there_and_back::<Device>(bytes);
    there_and_back::<DeviceContentAll>(bytes);
}

/// Subscribe requests at each level.
pub fn subscribe_body(bytes: &[u8]) {
    let limits = Limits::default();
    for level in [
        SubscriptionLevel::Devices,
        SubscriptionLevel::Device,
        SubscriptionLevel::Resource,
    ] {
        for content in contents(bytes) {
            if let Ok(body) = SubscribeBody::decode(level, &content, &limits) {
                let written = body.encode().expect("can be written");
                let again = SubscribeBody::decode(level, &written, &limits).expect("can be read");
                assert_eq!(written, again.encode().expect("can be written"));
            }
        }
    }
}

/// The headers of a notification and its signature, after a first line that does not matter.
pub fn event_headers(bytes: &[u8]) {
    let Some(parts) = Parts::read(bytes) else {
        return;
    };
    let header = |name: &str| parts.header(name);
    let parsed = NotificationHeaders::parse(header);
    let part = |name: &str| header(name).unwrap_or_default().as_bytes();
    let message = SignedMessage {
        content_type: part("content-type"),
        event_type: part(NotificationHeaders::EVENT_TYPE),
        subscription_id: part(NotificationHeaders::SUBSCRIPTION_ID),
        sequence_number: part(NotificationHeaders::SEQUENCE_NUMBER),
        event_timestamp: part(NotificationHeaders::EVENT_TIMESTAMP),
        body: &parts.body,
    };
    let secret = "0123456789abcdef0123456789abcdef".to_owned();
    let key = SigningKey::new(&secret.try_into().expect("a secret of 32 characters"));
    let right = key.sign(&message);
    key.verify(&message, &right)
        .expect("our own signature verifies");
    if let Some(Ok(signature)) =
        header(NotificationHeaders::EVENT_SIGNATURE).map(str::parse::<Signature>)
    {
        assert_eq!(key.verify(&message, &signature).is_ok(), signature == right);
    }
    if let Ok(parsed) = parsed {
        // Canonical numbers only: what was read is what would be written.
        assert_eq!(
            header(NotificationHeaders::SEQUENCE_NUMBER),
            Some(&*parsed.sequence_number.to_string())
        );
        assert_eq!(
            header(NotificationHeaders::EVENT_TYPE),
            Some(parsed.event_type.as_str())
        );
    }
}

/// The bodies of notifications of every type.
pub fn event_body(bytes: &[u8]) {
    let limits = Limits::default();
    for name in [
        "devices_registered",
        "devices_unregistered",
        "devices_online",
        "devices_offline",
        "resources_published",
        "resources_unpublished",
        "resource_contentchanged",
        "subscription_cancelled",
    ] {
        let event_type = EventType::from(name);
        for content in contents(bytes) {
            if let Ok(event) = Event::decode(&event_type, Some(&content), &limits) {
                let written = event
                    .encode(content.format(), &limits)
                    .expect("can be written");
                let again =
                    Event::decode(&event_type, written.as_ref(), &limits).expect("can be read");
                assert_eq!(
                    written,
                    again
                        .encode(content.format(), &limits)
                        .expect("can be written")
                );
            }
        }
    }
}

/// Everything that is read from a line of text.
pub fn text(bytes: &[u8]) {
    fn same<T: std::str::FromStr + std::fmt::Display>(text: &str) {
        if let Ok(read) = text.parse::<T>() {
            let written = read.to_string();
            let again = written
                .parse::<T>()
                .ok()
                .expect("what was written can be read");
            assert_eq!(written, again.to_string());
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    same::<DeviceId>(text);
    same::<SubscriptionId>(text);
    same::<CorrelationId>(text);
    same::<Href>(text);
    same::<Signature>(text);
    let _ = EventsUrl::try_from(text.to_owned());
    let _ = ContentFormat::from_content_type(text);
}
