//! Every endpoint through `http` messages and back.
#![allow(clippy::unwrap_used, clippy::panic)]

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use uci_model::{
    Content, ContentFormat, CorrelationId, Device, DeviceContentAll, DeviceId, DeviceProperties,
    DeviceStatus, ErrorKind, Event, EventType, EventTypes, EventsUrl, Href, Interface, Limits,
    ResourceContent, ResourceLink, SigningSecret, SubscribeBody, SubscriptionId, SubscriptionLevel,
    UnixSeconds, Value,
    api::{
        self, AccessToken, AuthScheme, BatchFormat, BearerToken, Endpoint, EventSignature,
        IncomingRequest, IncomingResponse, OutgoingRequest, OutgoingResponse, RequestOptions,
        decode_response, match_path,
    },
    event::{NotificationHeaders, SigningKey},
};

const PREFIX: &str = "/c2c/gw/api/v1";
const D: &str = "53080a4f-5e3e-4291-802f-3436238232d2";
const S: &str = "1eeb465c-5e8d-4305-a366-bbf035fff671";

fn device_id() -> DeviceId {
    D.parse().unwrap()
}

fn subscription_id() -> SubscriptionId {
    S.parse().unwrap()
}

fn href() -> Href {
    "/light/1".parse().unwrap()
}

fn token() -> AccessToken {
    String::from("abc.DEF-_~+/==").try_into().unwrap()
}

fn options() -> RequestOptions {
    let mut options = RequestOptions::accepting(ContentFormat::OcfCbor);
    options.correlation_id = Some("request-7".parse().unwrap());
    options
}

fn body(level: SubscriptionLevel) -> SubscribeBody {
    SubscribeBody::new(
        "https://client.example/events?a=b".parse().unwrap(),
        EventTypes::all(level),
        SigningSecret::from_entropy([7; 20]),
    )
}

/// Sends a request and receives it; what is received must send the same again.
fn there_and_back<R>(request: R, line: &str) -> R
where
    R: Clone + IncomingRequest + OutgoingRequest + Endpoint<Authentication = BearerToken>,
    R::Response: IncomingResponse + OutgoingResponse,
{
    let base: Uri = format!("https://cloud.example{PREFIX}/").parse().unwrap();
    let sent = request.try_into_http_request(&base, &token()).unwrap();
    assert_eq!(sent.uri().host(), Some("cloud.example"));
    let target = sent.uri().path_and_query().unwrap().as_str();
    assert_eq!(
        format!("{} {}", sent.method(), target.strip_prefix(PREFIX).unwrap()),
        line
    );
    assert_eq!(
        BearerToken::extract(&sent).unwrap().expose(),
        token().expose()
    );

    let path = sent.uri().path().strip_prefix(PREFIX).unwrap();
    let path_args = match_path(R::PATH, path).unwrap();
    let received = R::try_from_http_request(&sent, &path_args).unwrap();
    let again = received
        .clone()
        .try_into_http_request(&base, &token())
        .unwrap();
    assert_eq!(again.uri(), sent.uri());
    assert_eq!(again.headers(), sent.headers());
    assert_eq!(again.body(), sent.body());
    received
}

fn answered<R: OutgoingResponse + IncomingResponse>(
    answer: R,
    status: u16,
) -> (R, Response<Bytes>) {
    let response = answer.try_into_http_response().unwrap();
    assert_eq!(response.status().as_u16(), status);
    (decode_response(&response).unwrap(), response)
}

#[test]
fn retrieve_devices() {
    let mut request = api::retrieve_devices::Request::new(BatchFormat::All);
    request.options = options();
    let received = there_and_back(request.clone(), "GET /devices?content=all");
    assert_eq!(received, request);
    let base = api::retrieve_devices::Request::new(BatchFormat::Base);
    there_and_back(base, "GET /devices?content=base");
}

#[test]
fn the_content_query_is_base_all_or_nothing() {
    let read = |query: &str| {
        let request = Request::get(format!("https://cloud.example/api/v1/devices{query}"))
            .body(Bytes::new())
            .unwrap();
        api::retrieve_devices::Request::try_from_http_request(&request, &[])
            .map(|request| request.batch_format)
            .map_err(|error| error.status().as_u16())
    };
    for (query, expected) in [
        ("", Ok(BatchFormat::Base)),
        ("?content=base", Ok(BatchFormat::Base)),
        ("?content=all", Ok(BatchFormat::All)),
        ("?content=%61ll", Ok(BatchFormat::All)),
        ("?rt=x&content=all&y", Ok(BatchFormat::All)),
        ("?content=all&content=all", Ok(BatchFormat::All)),
        ("?content=all&content=base", Err(400)),
        ("?content=foo", Err(400)),
        ("?content=", Err(400)),
        ("?content=%zz", Err(400)),
    ] {
        assert_eq!(read(query), expected, "{query}");
    }
}

#[test]
fn retrieve_device_and_its_answers() {
    let request = api::retrieve_device::Request::new(device_id(), BatchFormat::All);
    let received = there_and_back(request.clone(), &format!("GET /devices/{D}?content=all"));
    assert_eq!(received, request);

    let link = ResourceLink::new(
        href(),
        vec!["oic.r.light".parse().unwrap()],
        vec![Interface::BASELINE],
    )
    .for_cloud(device_id());
    let properties = DeviceProperties::new(device_id());
    let base = Device::new(properties.clone(), DeviceStatus::Online, vec![link.clone()]);
    let rep = Value::from([("power", Value::from(1.0))]);
    let content = ResourceContent::new(link.href, rep);
    let all = DeviceContentAll::new(properties, DeviceStatus::Offline, vec![content]);
    for format in [ContentFormat::Json, ContentFormat::OcfCbor] {
        let answer = api::retrieve_device::Response::base(format, &base).unwrap();
        let (read, response) = answered(answer, 200);
        assert_eq!(response.headers()[header::CONTENT_TYPE], format.as_str());
        assert_eq!(response.headers()[header::VARY], "Accept");
        assert_eq!(read.decode_base(&Limits::default()).unwrap(), base);
        let (read, _) = answered(
            api::retrieve_device::Response::all(format, &all).unwrap(),
            200,
        );
        assert_eq!(read.decode_all(&Limits::default()).unwrap(), all);

        let list = [base.clone(), base.clone()];
        let (read, _) = answered(
            api::retrieve_devices::Response::base(format, &list).unwrap(),
            200,
        );
        assert_eq!(read.decode_base(&Limits::default()).unwrap(), list);
        let list = [all.clone()];
        let (read, _) = answered(
            api::retrieve_devices::Response::all(format, &list).unwrap(),
            200,
        );
        assert_eq!(read.decode_all(&Limits::default()).unwrap(), list);
    }
}

#[test]
fn a_device_is_written_with_all_that_is_required() {
    let device = Device::new(
        DeviceProperties::new(device_id()),
        DeviceStatus::Offline,
        Vec::new(),
    );
    let answer = api::retrieve_devices::Response::base(ContentFormat::Json, &[device]).unwrap();
    let text = String::from_utf8(answer.content.body().to_vec()).unwrap();
    assert_eq!(
        text,
        format!(
            r#"[{{"device":{{"di":"{D}","n":"","rt":["oic.wk.d"],"dmn":[{{"language":"en","value":""}}]}},"status":"offline","links":[]}}]"#
        )
    );
}

#[test]
fn a_representation_of_content_all_stands_alone() {
    let content = ResourceContent::new(href().with_device(device_id()), Value::Array(Vec::new()));
    let all = DeviceContentAll::new(
        DeviceProperties::new(device_id()),
        DeviceStatus::Online,
        vec![content],
    );
    let answer = api::retrieve_device::Response::all(ContentFormat::Json, &all).unwrap();
    let tree = answer.content.decode(&Limits::default()).unwrap();
    let item = tree
        .get("links")
        .unwrap()
        .as_array()
        .unwrap()
        .first()
        .unwrap();
    let expected = Value::from([
        ("href", Value::from(format!("/{D}/light/1"))),
        ("rep", Value::Array(Vec::new())),
    ]);
    assert_eq!(item, &expected);
}

#[test]
fn retrieve_resource_with_an_interface() {
    let mut request = api::retrieve_resource::Request::new(device_id(), href());
    there_and_back(request.clone(), &format!("GET /devices/{D}/light/1"));
    request.interface = Some(Interface::BASELINE);
    let received = there_and_back(
        request.clone(),
        &format!("GET /devices/{D}/light/1?if=oic.if.baseline"),
    );
    assert_eq!(received, request);
    // Characters that would end the query are encoded.
    request.interface = Some("a&b=c+d#e".parse().unwrap());
    let line = format!("GET /devices/{D}/light/1?if=a%26b%3Dc%2Bd%23e");
    assert_eq!(there_and_back(request.clone(), &line), request);
}

#[test]
fn the_href_of_a_cloud_link_addresses_its_resource() {
    let linked = href().with_device(device_id());
    let request = api::retrieve_resource::Request::new(device_id(), linked.clone());
    let received = there_and_back(request, &format!("GET /devices/{D}/light/1"));
    assert_eq!(received.href, href());
    let plain = Request::get("https://cloud.example/")
        .body(Bytes::new())
        .unwrap();
    for tail in ["light%2F1", "light//1/", linked.as_str()] {
        let read = api::retrieve_resource::Request::try_from_http_request(&plain, &[D, tail]);
        assert_eq!(read.unwrap().href, href(), "{tail}");
    }
}

#[test]
fn paths_that_name_nothing_are_404_and_those_that_mislead_400() {
    let plain = Request::get("https://cloud.example/")
        .body(Bytes::new())
        .unwrap();
    for (args, status) in [
        (&["x", "light"][..], 404),
        (&[D][..], 404),
        (&[D, "a/../b"], 400),
        (&[D, "a%00"], 400),
        (&[D, "a%f"], 400),
        (&[D, ""], 400),
    ] {
        let read = api::retrieve_resource::Request::try_from_http_request(&plain, args);
        assert_eq!(read.unwrap_err().status().as_u16(), status, "{args:?}");
    }
    let read = api::unsubscribe_from_devices::Request::try_from_http_request(&plain, &["1"]);
    assert_eq!(read.unwrap_err().status(), StatusCode::NOT_FOUND);
}

#[test]
fn update_resource_carries_bytes_untouched() {
    // Not even well-formed: what it means is for the server to find out.
    let content = Content::new(ContentFormat::Json, "{ 1".into());
    let mut request = api::update_resource::Request::new(device_id(), href(), content.clone());
    request.options = options();
    let received = there_and_back(request.clone(), &format!("POST /devices/{D}/light/1"));
    assert_eq!(received, request);
    let (read, response) = answered(api::Representation::new(Some(content.clone())), 200);
    assert_eq!(read.content, Some(content));
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    let (read, response) = answered(api::Representation::new(None), 200);
    assert_eq!(read.content, None);
    assert!(response.headers().get(header::CONTENT_TYPE).is_none());
}

#[test]
fn update_resource_takes_the_two_formats_only() {
    let read = |content_type: Option<&str>| {
        let mut request = Request::post("https://cloud.example/")
            .body(Bytes::from_static(b"{}"))
            .unwrap();
        if let Some(value) = content_type {
            request
                .headers_mut()
                .insert(header::CONTENT_TYPE, value.parse().unwrap());
        }
        api::update_resource::Request::try_from_http_request(&request, &[D, "light/1"])
            .map(|request| request.content.format())
            .map_err(|error| error.status().as_u16())
    };
    assert_eq!(
        read(Some("application/json; charset=utf-8")),
        Ok(ContentFormat::Json)
    );
    assert_eq!(
        read(Some("Application/VND.OCF+CBOR")),
        Ok(ContentFormat::OcfCbor)
    );
    assert_eq!(read(Some("text/plain")), Err(415));
    assert_eq!(read(None), Err(415));
}

#[test]
fn subscribing_and_unsubscribing_at_all_levels() {
    use api::{
        subscribe_to_device as device, subscribe_to_devices as devices,
        subscribe_to_resource as resource, unsubscribe_from_device as no_device,
        unsubscribe_from_devices as no_devices, unsubscribe_from_resource as no_resource,
    };
    let mut request = devices::Request::new(body(SubscriptionLevel::Devices));
    request.options = options();
    let received = there_and_back(request, "POST /devices/subscriptions");
    assert_eq!(received.options, options());
    assert_eq!(
        received.body.event_types,
        EventTypes::all(SubscriptionLevel::Devices)
    );
    assert_eq!(
        received.body.events_url.as_str(),
        "https://client.example/events?a=b"
    );
    let request = device::Request::new(device_id(), body(SubscriptionLevel::Device));
    there_and_back(request, &format!("POST /devices/{D}/subscriptions"));
    let request = resource::Request::new(device_id(), href(), body(SubscriptionLevel::Resource));
    there_and_back(request, &format!("POST /devices/{D}/light/1/subscriptions"));

    let request = no_devices::Request::new(subscription_id());
    assert_eq!(
        there_and_back(
            request.clone(),
            &format!("DELETE /devices/subscriptions/{S}")
        ),
        request
    );
    let request = no_device::Request::new(device_id(), subscription_id());
    let line = format!("DELETE /devices/{D}/subscriptions/{S}");
    assert_eq!(there_and_back(request.clone(), &line), request);
    let request = no_resource::Request::new(device_id(), href(), subscription_id());
    let line = format!("DELETE /devices/{D}/light/1/subscriptions/{S}");
    assert_eq!(there_and_back(request.clone(), &line), request);

    let (read, response) = answered(api::Subscribed::new(subscription_id()), 201);
    assert_eq!(read.subscription_id, subscription_id());
    assert_eq!(
        response.body(),
        format!(r#"{{"subscriptionId":"{S}"}}"#).as_bytes()
    );
    let (_, response) = answered(api::Unsubscribed::default(), 202);
    assert!(response.body().is_empty());
}

fn subscribe(json: &str) -> Result<SubscribeBody, ErrorKind> {
    let content = Content::new(ContentFormat::Json, Bytes::copy_from_slice(json.as_bytes()));
    SubscribeBody::decode(SubscriptionLevel::Devices, &content, &Limits::default())
        .map_err(|error| error.kind())
}

fn subscribe_json(url: &str, types: &str, secret: &str) -> String {
    format!(r#"{{"eventsUrl":"{url}","eventTypes":[{types}],"signingSecret":"{secret}","more":1}}"#)
}

#[test]
fn subscribe_bodies_are_checked() {
    let (url, types, secret) = ("https://c.example/e", r#""devices_online""#, "s".repeat(32));
    let read = subscribe(&subscribe_json(url, types, &secret)).unwrap();
    assert_eq!(
        read.event_types.iter().collect::<Vec<_>>(),
        [&EventType::DevicesOnline]
    );
    assert!(subscribe(&subscribe_json(url, types, &"s".repeat(44))).is_ok());
    let wrong = [
        subscribe_json(url, types, &"s".repeat(31)),
        subscribe_json(url, types, &"s".repeat(257)),
        subscribe_json(url, "", &secret),
        subscribe_json(url, r#""devices_online","resources_published""#, &secret),
        subscribe_json(url, r#""subscription_cancelled""#, &secret),
        subscribe_json(url, r#""device_online""#, &secret),
        subscribe_json("", types, &secret),
        subscribe_json("ftp://c.example/e", types, &secret),
        subscribe_json("https:///e", types, &secret),
        subscribe_json("https://c.example/ e", types, &secret),
        format!(r#"{{"eventTypes":[{types}],"signingSecret":"{secret}"}}"#),
        format!(r#"{{"eventsUrl":"{url}","signingSecret":"{secret}"}}"#),
        format!(r#"{{"eventsUrl":"{url}","eventTypes":[{types}]}}"#),
        String::from("[]"),
    ];
    for json in wrong {
        assert_eq!(subscribe(&json).unwrap_err(), ErrorKind::Invalid, "{json}");
    }
    let cbor = Content::new(ContentFormat::OcfCbor, Bytes::from_static(&[0xa0]));
    let read = SubscribeBody::decode(SubscriptionLevel::Devices, &cbor, &Limits::default());
    assert_eq!(read.unwrap_err().status().as_u16(), 415);
}

#[test]
fn secrets_do_not_print() {
    let printed = format!("{:?} {:?}", body(SubscriptionLevel::Device), token());
    assert!(
        !printed.contains(SigningSecret::from_entropy([7; 20]).expose()),
        "{printed}"
    );
    assert!(
        printed.contains("SigningSecret(..)") && printed.contains("AccessToken(..)"),
        "{printed}"
    );
    let other = SigningSecret::from_entropy([8; 20]);
    assert_eq!(other.expose().len(), 32);
    assert_ne!(
        other.expose(),
        SigningSecret::from_entropy([7; 20]).expose()
    );
}

#[test]
fn bearer_tokens_are_read_in_any_case_and_refused_when_malformed() {
    let read = |value: &[u8]| {
        let mut request = Request::new(Bytes::new());
        request.headers_mut().insert(
            header::AUTHORIZATION,
            HeaderValue::from_bytes(value).unwrap(),
        );
        BearerToken::extract(&request)
            .map(|token| String::from(token.expose()))
            .map_err(|error| error.status().as_u16())
    };
    for good in ["Bearer abc", "bearer abc", "BEARER  abc"] {
        assert_eq!(read(good.as_bytes()).as_deref(), Ok("abc"), "{good}");
    }
    for bad in [
        "",
        "abc",
        "Bearer",
        "Bearer ",
        "Bearer a b",
        "Bearer a,b",
        "Bearer ==",
        "Basic abc",
        "Bearer a=b",
    ] {
        assert_eq!(read(bad.as_bytes()), Err(401), "{bad}");
    }
    assert_eq!(read(b"Bearer \xff"), Err(401));
    assert_eq!(
        BearerToken::extract(&Request::new(Bytes::new()))
            .unwrap_err()
            .status()
            .as_u16(),
        401
    );
}

fn notification(event: &Event) -> (api::notify::Request, SigningKey) {
    let mut headers = NotificationHeaders::new(
        event.event_type(),
        subscription_id(),
        u64::MAX,
        UnixSeconds::new(1_577_836_800),
    );
    headers.correlation_id = Some(CorrelationId::from_entropy([1; 16]));
    let content = event
        .encode(ContentFormat::OcfCbor, &Limits::default())
        .unwrap();
    let key = SigningKey::new(&SigningSecret::from_entropy([7; 20]));
    (api::notify::Request::new(headers, content), key)
}

#[test]
fn notifications_are_signed_and_verify() {
    let url: EventsUrl = "https://client.example/events?a=b".parse().unwrap();
    for event in [
        Event::DevicesOnline(vec![device_id()]),
        Event::ResourcesPublished(vec![ResourceLink::new(href(), vec![], vec![])]),
        Event::ResourceContentChanged(Content::new(ContentFormat::Json, "[]".into())),
        Event::SubscriptionCancelled,
    ] {
        let (request, key) = notification(&event);
        let sent = request
            .clone()
            .try_into_http_request(&url.as_str().parse().unwrap(), &key)
            .unwrap();
        assert_eq!(sent.uri(), url.as_str());
        assert_eq!(
            sent.headers().contains_key(header::CONTENT_TYPE),
            request.content.is_some()
        );
        EventSignature::extract(&sent)
            .unwrap()
            .verify(&key)
            .unwrap();
        let received = api::notify::Request::try_from_http_request(&sent, &[]).unwrap();
        assert_eq!(received, request);

        let mut forged = sent.clone();
        forged
            .headers_mut()
            .insert("sequence-number", HeaderValue::from_static("0"));
        let signed = EventSignature::extract(&forged).unwrap();
        assert_eq!(
            signed.verify(&key).unwrap_err().kind(),
            ErrorKind::SignatureMismatch
        );
        let mut repeated = sent;
        repeated
            .headers_mut()
            .append("sequence-number", HeaderValue::from_static("0"));
        assert!(EventSignature::extract(&repeated).is_err());
    }
    let (_, response) = answered(api::notify::Response::default(), 200);
    assert!(response.body().is_empty());
    let accepted = Response::builder().status(204).body(Bytes::new()).unwrap();
    assert!(decode_response::<api::notify::Response>(&accepted).is_ok());
}

#[test]
fn notifications_with_missing_or_malformed_headers_are_400() {
    let (request, key) = notification(&Event::DevicesOnline(vec![]));
    let good = request
        .try_into_http_request(&"https://client.example/".parse().unwrap(), &key)
        .unwrap();
    let status = |request: &Request<Bytes>| {
        api::notify::Request::try_from_http_request(request, &[])
            .map(|request| request.headers)
            .map_err(|error| error.status().as_u16())
    };
    let with = |name: &'static str, value: Option<&str>| {
        let mut request = good.clone();
        request.headers_mut().remove(name);
        if let Some(value) = value {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        status(&request)
    };
    for name in [
        "event-type",
        "subscription-id",
        "sequence-number",
        "event-timestamp",
        "content-type",
    ] {
        assert_eq!(with(name, None), Err(400), "{name}");
    }
    for (name, value) in [
        ("subscription-id", "c"),
        ("sequence-number", "007"),
        ("sequence-number", "18446744073709551616"),
        ("event-timestamp", "+5"),
        ("event-timestamp", "-5"),
        ("content-type", "text/plain"),
    ] {
        assert_eq!(with(name, Some(value)), Err(400), "{name}: {value}");
    }
    // As plgd sends it when the subscribe request had none.
    assert_eq!(
        with("correlation-id", Some("")).unwrap().correlation_id,
        None
    );
    let unsigned = {
        let mut request = good.clone();
        request.headers_mut().remove("event-signature");
        EventSignature::extract(&request).unwrap_err()
    };
    assert_eq!(unsigned.status().as_u16(), 400);
}

#[test]
fn a_relative_api_root_is_our_own_mistake() {
    let request = api::retrieve_devices::Request::new(BatchFormat::Base);
    let error = request.try_into_http_request(&Uri::from_static("/api/v1"), &token());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Encode);
}
