//! One scenario a rule, in virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs
)]

#[path = "rig/rig.rs"]
mod rig;

use std::time::Duration;

use http::{Method, StatusCode};
use rig::{
    LIGHT, World, account, cbor, device, granted, json, link, post, principal, request, seen,
    subscribe_request,
};
use serde_json::json as value;
use uci_server_core::account::{Change, EndCause, Fact};
use uci_server_core::{Authentication, Config, ErrorKind, Occurrence};

const PUBLISHED: &[&str] = &["resources_published", "resources_unpublished"];
const CHANGED: &[&str] = &["resource_contentchanged"];
const DEVICES: &[&str] = &[
    "devices_registered",
    "devices_unregistered",
    "devices_online",
    "devices_offline",
];

fn path(number: u8, href: &str) -> String {
    format!("/{}{href}", device(number))
}

#[path = "scenarios/accounts.rs"]
mod accounts;
#[path = "scenarios/grants.rs"]
mod grants;
#[path = "scenarios/listing.rs"]
mod listing;
#[path = "scenarios/ownership.rs"]
mod ownership;

mod requests {
    use super::*;

    #[test]
    fn without_credentials_there_is_a_challenge() {
        let mut world = World::new();
        let all = request(Method::GET, "");
        for (who, challenge) in [
            (Authentication::Missing, "Bearer"),
            (Authentication::Invalid, "Bearer error=\"invalid_token\""),
        ] {
            let response = world.call(&all, who);
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(response.headers()["www-authenticate"], challenge);
        }
        let mut expired = principal("alice", "g1", "r:*");
        expired.expires = world.wall;
        let response = world.call(&all, Authentication::Granted(expired));
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn a_missing_scope_is_forbidden_and_the_device_sees_nothing() {
        let mut world = World::new();
        world.light();
        let update = post(&path(1, LIGHT), "application/json", r#"{"state":false}"#);
        for scope in ["r:*", "w:*"] {
            let who = Authentication::Granted(principal("alice", "g1", scope));
            let response = world.call(&update, who);
            assert_eq!(response.status(), StatusCode::FORBIDDEN);
            let challenge = response.headers()["www-authenticate"].to_str().unwrap();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
        }
        assert!(world.asks.is_empty());
        let who = Authentication::Granted(principal("alice", "g1", "user:read"));
        assert_eq!(
            world.call(&request(Method::GET, ""), who).status(),
            StatusCode::FORBIDDEN
        );
    }

    #[test]
    fn a_user_without_devices_has_an_empty_list() {
        let mut world = World::new();
        assert_eq!(world.get_json(""), value!([]));
        assert_eq!(world.get_json("?content=all"), value!([]));
    }

    #[test]
    fn devices_are_listed_with_links_or_representations() {
        let mut world = World::new();
        world.light();
        world.report(device(2), Occurrence::Registered);
        let (one, two) = (device(1).to_string(), device(2).to_string());
        let properties = |di: &str| value!({"di": di, "n": "", "rt": ["oic.wk.d"], "dmn": [{"language": "en", "value": ""}]});
        let links = value!([{
            "href": format!("/{one}/light/1"), "di": one, "p": {"bm": 0},
            "rt": ["oic.r.switch.binary"], "if": ["oic.if.rw", "oic.if.baseline"],
        }]);
        let base = value!([
            {"device": properties(&one), "status": "online", "links": links},
            {"device": properties(&two), "status": "offline", "links": []},
        ]);
        assert_eq!(world.get_json(""), base);
        assert_eq!(world.get_json("?content=base&x=1&content=base"), base);
        assert_eq!(world.get_json(&format!("/{one}")), base[0]);
        let all = value!({
            "device": properties(&one), "status": "online",
            "links": [{"href": format!("/{one}/light/1"), "rep": {"state": true}}],
        });
        assert_eq!(world.get_json("?content=all")[0], all);
        assert_eq!(world.get_json(&format!("/{one}?content=all")), all);
        // Offline it is data like any other.
        world.report(device(1), Occurrence::Offline);
        let offline = world.get_json(&format!("/{one}?content=all"));
        assert_eq!(
            (&offline["status"], &offline["links"]),
            (&value!("offline"), &all["links"])
        );
    }

    #[test]
    fn an_unknown_batch_format_is_a_bad_request() {
        let mut world = World::new();
        for query in ["?content=foo", "?content=base&content=all", "?content="] {
            assert_eq!(
                world.get(query).status(),
                StatusCode::BAD_REQUEST,
                "{query}"
            );
        }
        assert_eq!(world.get("?rt=oic.d.light").status(), StatusCode::OK);
    }

    #[test]
    fn answers_are_negotiated_and_say_so() {
        let mut world = World::new();
        world.light();
        let mut cbor = request(Method::GET, "");
        cbor.headers_mut()
            .insert("accept", "application/vnd.ocf+cbor".parse().unwrap());
        let response = world.call(&cbor, granted("alice", "g1"));
        assert_eq!(
            response.headers()["content-type"],
            "application/vnd.ocf+cbor"
        );
        assert_eq!(response.headers()["vary"], "Accept");
        for path in ["", "?content=all", &path(1, ""), &path(1, LIGHT)] {
            let mut html = request(Method::GET, path);
            html.headers_mut()
                .insert("accept", "text/html".parse().unwrap());
            let response = world.call(&html, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE, "{path}");
            assert_eq!(response.headers()["vary"], "Accept");
        }
        assert!(world.asks.is_empty());
    }

    #[test]
    fn a_correlation_id_comes_back() {
        let mut world = World::new();
        let mut correlated = request(Method::GET, "/nothing");
        correlated
            .headers_mut()
            .insert("correlation-id", "abc".parse().unwrap());
        let response = world.call(&correlated, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()["correlation-id"], "abc");
        assert!(world.get("").headers().get("correlation-id").is_none());
    }

    #[test]
    fn another_users_things_do_not_exist() {
        let mut world = World::new();
        world.light();
        let id = world.subscribe("", DEVICES);
        let bob = || granted("bob", "b1");
        assert_eq!(
            world.call(&request(Method::GET, ""), bob()).body().as_ref(),
            b"[]"
        );
        let nothing = world.call(&request(Method::GET, &path(9, LIGHT)), bob());
        assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
        let tries = [
            request(Method::GET, &path(1, "")),
            request(Method::GET, &path(1, LIGHT)),
            post(&path(1, LIGHT), "application/json", "{}"),
            subscribe_request(&path(1, ""), PUBLISHED),
            subscribe_request(&path(1, LIGHT), CHANGED),
            request(Method::DELETE, &format!("/subscriptions/{id}")),
        ];
        for mut request in tries {
            request.headers_mut().remove("correlation-id");
            let response = world.call(&request, bob());
            assert_eq!(response.status(), nothing.status(), "{request:?}");
            assert_eq!(response.body(), nothing.body(), "{request:?}");
            assert_eq!(response.headers(), nothing.headers(), "{request:?}");
        }
    }

    #[test]
    fn a_foreign_method_is_not_allowed() {
        let mut world = World::new();
        let response = world.call(&request(Method::PUT, ""), granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "GET");
    }
}

mod devices {
    use super::*;

    #[test]
    fn a_read_asks_the_device_and_converts_its_answer() {
        let mut world = World::new();
        world.light();
        let query = format!("{}?if=oic.if.baseline", path(1, LIGHT));
        let id = world.start(&request(Method::GET, &query), granted("alice", "g1"));
        let asked = world.answer_ask(69, Some(cbor(r#"{"state":true,"power":21.0}"#)));
        assert_eq!(asked.href.as_str(), LIGHT);
        assert_eq!(asked.interface.unwrap().as_str(), "oic.if.baseline");
        let response = &world.responses[&id];
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["vary"], "Accept");
        assert_eq!(response.body().as_ref(), br#"{"power":21.0,"state":true}"#);
        let mut native = request(Method::GET, &path(1, LIGHT));
        native
            .headers_mut()
            .insert("accept", "application/vnd.ocf+cbor".parse().unwrap());
        let id = world.start(&native, granted("alice", "g1"));
        // Bytes that were not re-encoded: an indefinite length map.
        let content = uci_model::Content::new(
            uci_model::ContentFormat::OcfCbor,
            bytes::Bytes::from_static(&[0xbf, 0xff]),
        );
        world.answer_ask(69, Some(content));
        assert_eq!(world.responses[&id].body().as_ref(), [0xbf, 0xff]);
    }

    #[test]
    fn an_update_reaches_a_cbor_device_as_cbor() {
        let mut world = World::new();
        world.light();
        let update = post(
            &path(1, LIGHT),
            "application/json; charset=utf-8",
            r#"{"t":21.0,"n":[1,2.5]}"#,
        );
        let id = world.start(&update, granted("alice", "g1"));
        let asked = world.answer_ask(68, None);
        let uci_server_core::Operation::Update(content) = asked.operation else {
            panic!("an update")
        };
        // Integers in an array with floats become floats, and floats have 64 bits.
        let expected = uci_model::Content::encode_for_device(
            &json(r#"{"t":21.0,"n":[1.0,2.5]}"#)
                .decode(&uci_model::Limits::default())
                .unwrap(),
        );
        assert_eq!(content, expected);
        let response = &world.responses[&id];
        assert_eq!(
            (response.status(), response.body().len()),
            (StatusCode::OK, 0)
        );
    }

    #[test]
    fn an_update_is_answered_in_the_negotiated_format() {
        let mut world = World::new();
        world.light();
        for (accept, body) in [
            ("application/json", json(r#"{"state":false}"#)),
            ("application/vnd.ocf+cbor", cbor(r#"{"state":false}"#)),
        ] {
            let mut update = post(&path(1, LIGHT), "application/json", r#"{"state":false}"#);
            update
                .headers_mut()
                .insert("accept", accept.parse().unwrap());
            let id = world.start(&update, granted("alice", "g1"));
            world.answer_ask(68, Some(cbor(r#"{"state":false}"#)));
            let response = &world.responses[&id];
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()["content-type"], accept);
            assert_eq!(response.headers()["vary"], "Accept");
            assert_eq!(response.body(), body.body());
        }
    }

    #[test]
    fn a_malformed_update_never_reaches_the_device() {
        let mut world = World::new();
        world.light();
        for body in ["", "{", "{}x", r#"{"a":1,"a":2}"#, "{}{}"] {
            let update = post(&path(1, LIGHT), "application/json", body);
            let response = world.call(&update, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        }
        for content_type in ["text/plain", "application/cbor", "application/octet-stream"] {
            let update = post(&path(1, LIGHT), content_type, "{}");
            let response = world.call(&update, granted("alice", "g1"));
            assert_eq!(
                response.status(),
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{content_type}"
            );
        }
        let mut bare = post(&path(1, LIGHT), "text/plain", "{}");
        bare.headers_mut().remove("content-type");
        let response = world.call(&bare, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let mut html = post(&path(1, LIGHT), "application/json", "{}");
        html.headers_mut()
            .insert("accept", "text/html".parse().unwrap());
        let response = world.call(&html, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::NOT_ACCEPTABLE);
        assert!(world.asks.is_empty());
    }

    #[test]
    fn an_offline_device_is_answered_for_at_once() {
        let mut world = World::new();
        world.light();
        world.report(device(1), Occurrence::Offline);
        let update = post(&path(1, LIGHT), "application/json", "{}");
        for request in [request(Method::GET, &path(1, LIGHT)), update] {
            let response = world.call(&request, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
            assert_eq!(response.headers()["retry-after"], "60");
            assert!(!response.body().is_empty());
        }
        assert!(world.asks.is_empty());
    }

    #[test]
    fn the_last_known_representation_can_be_served_instead() {
        let mut config = Config::default();
        config.serve_offline_from_cache = true;
        let mut world = World::with(config);
        world.light();
        world.report(device(1), Occurrence::Offline);
        assert_eq!(world.get_json(&path(1, LIGHT)), value!({"state": true}));
    }

    #[test]
    fn what_does_not_exist_is_not_found() {
        let mut world = World::new();
        world.light();
        for path in [
            path(9, ""),
            path(9, LIGHT),
            path(1, "/nothing"),
            path(1, "/x/subscriptions"),
        ] {
            assert_eq!(world.get(&path).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn a_silent_device_is_a_gateway_timeout() {
        let mut world = World::new();
        world.light();
        let id = world.start(
            &request(Method::GET, &path(1, LIGHT)),
            granted("alice", "g1"),
        );
        world.pass(Duration::from_secs(9));
        assert!(world.responses.is_empty());
        world.pass(Duration::from_secs(1));
        let response = &world.responses[&id];
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
        assert!(response.headers().contains_key("retry-after"));
        // A late answer is nobody's any more.
        world.answer_ask(69, None);
        assert_eq!(world.responses.len(), 1);
    }

    #[test]
    fn device_codes_become_http_statuses() {
        let mut world = World::new();
        world.light();
        let second = Some(Duration::from_millis(7500));
        for (code, max_age, status, retry) in [
            (132, None, 404, None),
            (131, None, 403, None),
            (128, None, 400, None),
            (129, None, 403, None),
            (143, None, 415, None),
            (134, None, 406, None),
            (160, None, 502, None),
            (163, second, 503, Some("8")),
            (163, None, 503, Some("60")),
            (164, None, 504, Some("60")),
        ] {
            let id = world.start(
                &request(Method::GET, &path(1, LIGHT)),
                granted("alice", "g1"),
            );
            world.answer_ask_with(code, None, max_age);
            let response = &world.responses[&id];
            assert_eq!(response.status(), status, "{code}");
            let seen = response
                .headers()
                .get("retry-after")
                .map(|value| value.to_str().unwrap());
            assert_eq!(seen, retry, "{code}");
            assert!(!response.body().is_empty());
        }
    }

    #[test]
    fn a_collection_is_an_array() {
        let mut world = World::new();
        world.light();
        let id = world.start(
            &request(Method::GET, &path(1, LIGHT)),
            granted("alice", "g1"),
        );
        world.answer_ask(69, Some(cbor(r#"[{"href":"/a","rep":{}}]"#)));
        assert_eq!(
            world.responses[&id].body().as_ref(),
            br#"[{"href":"/a","rep":{}}]"#
        );
    }

    #[test]
    fn reports_of_a_former_ownership_are_refused() {
        let mut world = World::new();
        world.light();
        world
            .report_as("alice", device(1), 2, Occurrence::Registered)
            .unwrap();
        let old = world.report_as("alice", device(1), 1, Occurrence::Offline);
        assert_eq!(old, Err(ErrorKind::Superseded));
        assert_eq!(world.get_json("")[0]["status"], "online");
        let unknown = world.report_as("alice", device(7), 1, Occurrence::Online);
        assert_eq!(unknown, Err(ErrorKind::NotFound));
    }

    #[test]
    fn a_device_moves_between_accounts_in_one_append() {
        let mut world = World::new();
        world.light();
        let stolen = world.report_as("bob", device(1), 1, Occurrence::Registered);
        assert_eq!(stolen, Err(ErrorKind::Superseded));
        let before = world.journal.appends;
        world
            .report_as("bob", device(1), 2, Occurrence::Registered)
            .unwrap();
        assert_eq!(world.journal.appends, before + 1);
        assert_eq!(world.get_json(""), value!([]));
        let response = world.call(&request(Method::GET, ""), granted("bob", "b1"));
        assert!(!response.body().starts_with(b"[]"));
        let late = world.report_as("alice", device(1), 1, Occurrence::Offline);
        assert_eq!(late, Err(ErrorKind::NotFound));
        assert_eq!(
            world.report_as("alice", device(1), 1, Occurrence::Unregistered),
            Err(ErrorKind::NotFound)
        );
        world
            .report_as("bob", device(1), 2, Occurrence::Unregistered)
            .unwrap();
        let response = world.call(&request(Method::GET, ""), granted("bob", "b1"));
        assert_eq!(response.body().as_ref(), b"[]");
    }

    #[test]
    fn what_follows_a_hand_over_stays_after_it() {
        let mut world = World::new();
        world.light();
        // Bob's carrier tells both at once; whose the device was is known only when its own stream is loaded.
        let report = |what| uci_server_core::DeviceReport::new(account("bob"), device(1), 2, what);
        let ids = [Occurrence::Registered, Occurrence::Online].map(|what| {
            world
                .cloud
                .handle_report(report(what), world.wall, world.now)
        });
        world.settle();
        for id in ids {
            assert_eq!(world.reported.remove(&id), Some(Ok(())));
        }
        let response = world.call(&request(Method::GET, ""), granted("bob", "b1"));
        let list: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(list[0]["status"], "online");
    }

    #[test]
    fn representations_are_held_to_the_configured_limits() {
        let mut config = Config::default();
        config.content.max_length = 100;
        let mut world = World::with(config);
        world.light();
        let what = Occurrence::RepresentationChanged {
            href: LIGHT.parse().unwrap(),
            content: json(&format!(r#"{{"text":"{}"}}"#, "a".repeat(100))),
        };
        let refused = world.report_as("alice", device(1), 1, what);
        assert_eq!(refused, Err(ErrorKind::Malformed));
    }

    #[test]
    fn a_device_cannot_call_itself_another() {
        let mut world = World::new();
        world.light();
        let mut properties = uci_model::DeviceProperties::new(device(7));
        properties.name = "Lamp".to_owned();
        properties.resource_types.clear();
        properties.manufacturer_name.clear();
        let described = Occurrence::Described(Box::new(properties));
        world.report(device(1), described.clone());
        let listed = world.get_json(&path(1, ""))["device"].clone();
        assert_eq!(
            listed,
            value!({
                "di": device(1).to_string(), "n": "Lamp", "rt": ["oic.wk.d"],
                "dmn": [{"language": "en", "value": ""}],
            })
        );
        let before = world.journal.appends;
        world.report(device(1), described);
        assert_eq!(world.journal.appends, before);
    }

    #[test]
    fn what_could_not_be_read_again_is_never_written() {
        let mut world = World::new();
        world.light();
        let deep = (0..100).fold(uci_model::Value::Null, |inside, _| vec![inside].into());
        let mut bad = link("/deep");
        bad.extra.insert("x".to_owned(), deep.clone());
        let mut properties = uci_model::DeviceProperties::new(device(1));
        properties.extra.insert("x".to_owned(), deep);
        // Long enough only for the link of another device's cloud.
        let long = link(&format!("/{}/{}", device(7), "a".repeat(250)));
        for what in [
            Occurrence::LinksPublished(vec![bad]),
            Occurrence::LinksPublished(vec![long]),
            Occurrence::Described(Box::new(properties)),
        ] {
            let refused = world.report_as("alice", device(1), 1, what);
            assert_eq!(refused, Err(ErrorKind::Malformed));
        }
        world.restart();
        assert_eq!(world.get("").status(), StatusCode::OK);
    }

    #[test]
    fn unreadable_content_is_refused() {
        let mut world = World::new();
        world.light();
        let href: uci_model::Href = LIGHT.parse().unwrap();
        for content in [json("{"), json("{}{}"), json(r#"{"a":1,"a":1}"#)] {
            let what = Occurrence::RepresentationChanged {
                href: href.clone(),
                content,
            };
            let refused = world.report_as("alice", device(1), 1, what);
            assert_eq!(refused, Err(ErrorKind::Malformed));
        }
    }
}

mod subscriptions {
    use super::*;

    #[test]
    fn first_notifications_carry_the_present_state() {
        let mut world = World::new();
        world.light();
        world.report(device(2), Occurrence::Registered);
        let (one, two) = (device(1).to_string(), device(2).to_string());
        let id = world.subscribe("", DEVICES);
        let told = world.receive_all();
        assert!(told.iter().all(|told| told.subscription == id));
        let bodies: Vec<_> = told
            .iter()
            .map(|told| (told.sequence, told.event.as_str(), told.json()))
            .collect();
        assert_eq!(
            bodies,
            [
                (0, "devices_registered", value!([{"di": one}, {"di": two}])),
                (1, "devices_unregistered", value!([])),
                (2, "devices_online", value!([{"di": one}])),
                (3, "devices_offline", value!([{"di": two}])),
            ]
        );
        world.subscribe(&path(1, ""), PUBLISHED);
        let told = world.receive_all();
        let links = world.get_json(&path(1, ""))["links"].clone();
        assert_eq!((told[0].json(), told[1].json()), (links, value!([])));
        world.subscribe(&path(1, LIGHT), CHANGED);
        let told = world.receive_all();
        assert_eq!((told.len(), told[0].json()), (1, value!({"state": true})));
    }

    #[test]
    fn the_answer_is_out_before_the_first_notification() {
        let mut world = World::new();
        world.light();
        world.journal_silent = true;
        let id = world.start(&subscribe_request("", DEVICES), granted("alice", "g1"));
        assert!(world.responses.is_empty() && world.deliveries.is_empty());
        let append = world.unanswered.remove(0);
        assert_eq!(
            world.journal.append(&append),
            uci_server_core::Appended::Done
        );
        let done = uci_server_core::Appended::Done;
        world
            .cloud
            .handle_appended(append.id, done, world.wall, world.now);
        let outputs: Vec<_> = std::iter::from_fn(|| world.cloud.poll_output()).collect();
        let uci_server_core::Output::Respond { request, response } = &outputs[0] else {
            panic!("{outputs:?}")
        };
        assert_eq!((*request, response.status()), (id, StatusCode::CREATED));
        assert!(matches!(
            outputs[1],
            uci_server_core::Output::Deliver { .. }
        ));
        assert_eq!(outputs.len(), 2);
    }

    #[test]
    fn a_notification_is_complete_and_signed() {
        let mut world = World::new();
        world.light();
        let id = world.subscribe(&path(1, LIGHT), CHANGED);
        let (_, request) = world.deliveries[0].clone();
        assert_eq!(
            (request.method(), request.uri().to_string()),
            (&Method::POST, rig::EVENTS.into())
        );
        let headers = request.headers();
        assert_eq!(headers["event-type"], "resource_contentchanged");
        assert_eq!(headers["subscription-id"], id.as_str());
        assert_eq!(headers["sequence-number"], "0");
        assert_eq!(headers["event-timestamp"], "1800000000");
        assert_eq!(headers["correlation-id"], rig::CORRELATION);
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers.len(), 7);
        // The rig verifies the signature over what was sent.
        assert_eq!(
            rig::read_notification(&request).json(),
            value!({"state": true})
        );
    }

    #[test]
    fn a_change_is_told_as_it_would_be_read() {
        let mut world = World::new();
        world.light();
        for accept in ["application/json", "application/vnd.ocf+cbor"] {
            let accept: http::HeaderValue = accept.parse().unwrap();
            let mut subscribe = subscribe_request(&path(1, LIGHT), CHANGED);
            subscribe.headers_mut().insert("accept", accept.clone());
            let response = world.call(&subscribe, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::CREATED);
            world.receive_all();
            let content = cbor(&format!(r#"{{"power":21.0,"for":"{}"}}"#, accept.len()));
            world.change(device(1), LIGHT, content.clone());
            let mut read = request(Method::GET, &path(1, LIGHT));
            read.headers_mut().insert("accept", accept.clone());
            let id = world.start(&read, granted("alice", "g1"));
            world.answer_ask(69, Some(content));
            let read = world.responses.remove(&id).unwrap();
            assert_eq!(read.headers()["content-type"], accept);
            let told = world.receive_all();
            let same = told
                .iter()
                .find(|told| told.content_type.as_deref() == accept.to_str().ok());
            assert_eq!(&same.unwrap().body, read.body());
        }
    }

    #[test]
    fn accept_chooses_the_format_of_notifications_only() {
        let mut world = World::new();
        world.light();
        let mut subscribe = subscribe_request(&path(1, LIGHT), CHANGED);
        subscribe
            .headers_mut()
            .insert("accept", "application/vnd.ocf+cbor".parse().unwrap());
        let response = world.call(&subscribe, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()["content-type"], "application/json");
        let told = world.receive_all();
        assert_eq!(
            told[0].content_type.as_deref(),
            Some("application/vnd.ocf+cbor")
        );
        assert_eq!(&told[0].body, cbor(r#"{"state":true}"#).body());
    }

    #[test]
    fn changes_are_told_in_order_and_only_to_whom_they_concern() {
        let mut world = World::new();
        world.light();
        world.report(device(2), Occurrence::Registered);
        world.subscribe("", &["devices_online", "devices_offline"]);
        world.subscribe(&path(2, ""), PUBLISHED);
        assert_eq!(world.receive().len(), 4);
        world.report(device(1), Occurrence::Offline);
        // Once a transition: the same again tells nobody anything.
        world.report(device(1), Occurrence::Offline);
        world.report(device(1), Occurrence::Online);
        world.report(device(1), Occurrence::Online);
        world.report(device(1), Occurrence::LinksPublished(vec![link("/other")]));
        assert_eq!(
            world.receive(),
            seen(&[(2, "devices_offline"), (3, "devices_online")])
        );
        world.report(
            device(2),
            Occurrence::LinksPublished(vec![link("/a"), link("/b")]),
        );
        world.report(device(2), Occurrence::LinksPublished(vec![link("/a")]));
        world.report(
            device(2),
            Occurrence::LinksWithdrawn(vec!["/b".parse().unwrap()]),
        );
        let told = world.receive_all();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].json().as_array().unwrap().len(), 2);
        let gone = told[1].json();
        assert_eq!(told[1].event, "resources_unpublished");
        assert_eq!(gone[0]["href"], format!("/{}/b", device(2)));
        assert_eq!(gone[0]["rt"], value!(["oic.r.switch.binary"]));
        assert!(gone[0]["if"].is_array());
    }

    #[test]
    fn registering_and_unregistering_are_told() {
        let mut world = World::new();
        world.subscribe("", &["devices_registered", "devices_unregistered"]);
        assert_eq!(world.receive().len(), 2);
        world.report(device(1), Occurrence::Registered);
        world.report(device(1), Occurrence::Registered);
        world.report(device(1), Occurrence::Unregistered);
        let told = world.receive_all();
        let di = value!([{"di": device(1).to_string()}]);
        let seen: Vec<_> = told
            .iter()
            .map(|t| (t.sequence, t.event.as_str(), t.json()))
            .collect();
        let expected = [
            (2, "devices_registered", di.clone()),
            (3, "devices_unregistered", di),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn unsubscribing_sends_one_cancellation_and_nothing_after_it() {
        let mut world = World::new();
        world.light();
        let id = world.subscribe("", DEVICES);
        world.receive();
        assert_eq!(world.unsubscribe("", &id), StatusCode::ACCEPTED);
        world.report(device(1), Occurrence::Offline);
        let told = world.receive_all();
        assert_eq!(told.len(), 1);
        assert_eq!(
            (told[0].sequence, told[0].event.as_str()),
            (4, "subscription_cancelled")
        );
        assert_eq!((&told[0].content_type, told[0].body.len()), (&None, 0));
        assert_eq!(world.unsubscribe("", &id), StatusCode::NOT_FOUND);
        world.pass(Duration::from_secs(3600));
        assert!(world.deliveries.is_empty());
        assert_eq!(world.cloud.next_deadline(), None);
    }

    #[test]
    fn unsubscribing_is_accepted_when_the_receiver_is_dead() {
        let mut world = World::new();
        world.light();
        let id = world.subscribe(&path(1, LIGHT), CHANGED);
        let (delivery, _) = world.next_delivery().unwrap();
        world.fail_delivery(delivery);
        assert_eq!(
            world.unsubscribe(&path(1, LIGHT), &id),
            StatusCode::ACCEPTED
        );
        assert_eq!(
            world.unsubscribe(&path(1, LIGHT), &id),
            StatusCode::NOT_FOUND
        );
        world.pass(Duration::from_secs(2));
        // What may have been received already keeps its number and goes first.
        let expected = seen(&[
            (0, "resource_contentchanged"),
            (1, "subscription_cancelled"),
        ]);
        assert_eq!(world.receive(), expected);
    }

    #[test]
    fn only_the_same_path_and_the_same_grant_unsubscribe() {
        let mut world = World::new();
        world.light();
        let id = world.subscribe(&path(1, LIGHT), CHANGED);
        for path in [
            String::new(),
            path(1, ""),
            path(1, "/light"),
            path(2, LIGHT),
        ] {
            assert_eq!(
                world.unsubscribe(&path, &id),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        let delete = request(
            Method::DELETE,
            &format!("{}/subscriptions/{id}", path(1, LIGHT)),
        );
        let other = world.call(&delete, granted("alice", "g2"));
        assert_eq!(other.status(), StatusCode::NOT_FOUND);
        let upper = id.to_uppercase();
        assert_eq!(
            world.unsubscribe(&path(1, LIGHT), &upper),
            StatusCode::ACCEPTED
        );
    }

    #[test]
    fn a_delete_with_a_token_header_works() {
        let mut world = World::new();
        let id = world.subscribe("", DEVICES);
        let mut delete = request(Method::DELETE, &format!("/subscriptions/{id}"));
        delete
            .headers_mut()
            .insert("token", "linked-account".parse().unwrap());
        assert_eq!(
            world.call(&delete, granted("alice", "g1")).status(),
            StatusCode::ACCEPTED
        );
    }

    #[test]
    fn equal_requests_make_independent_subscriptions() {
        let mut world = World::new();
        let first = world.subscribe("", DEVICES);
        let second = world.subscribe("", DEVICES);
        assert_ne!(first, second);
        assert!(first.parse::<uci_model::SubscriptionId>().is_ok());
        world.receive();
        assert_eq!(world.unsubscribe("", &first), StatusCode::ACCEPTED);
        world.receive();
        world.report(device(1), Occurrence::Registered);
        assert_eq!(world.receive(), seen(&[(4, "devices_registered")]));
        assert_eq!(world.unsubscribe("", &second), StatusCode::ACCEPTED);
    }

    #[test]
    fn bad_subscribe_requests_make_nothing() {
        let mut world = World::new();
        world.light();
        let good =
            value!({"eventsUrl": rig::EVENTS, "eventTypes": DEVICES, "signingSecret": rig::SECRET});
        let with = |name: &str, to: serde_json::Value| {
            let mut body = good.clone();
            match to {
                serde_json::Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
                to => body[name] = to,
            }
            body.to_string()
        };
        let null = serde_json::Value::Null;
        for body in [
            with("eventsUrl", null.clone()),
            with("eventTypes", null.clone()),
            with("signingSecret", null),
            with("eventTypes", value!([])),
            with("eventTypes", value!(["resources_published"])),
            with(
                "eventTypes",
                value!(["devices_online", "resource_contentchanged"]),
            ),
            with("signingSecret", value!("a".repeat(31))),
            with("signingSecret", value!("a".repeat(257))),
            with("eventsUrl", value!("http://events.example.com/")),
            with("eventsUrl", value!("https://user@events.example.com/")),
            with("eventsUrl", value!("https://10.0.0.1/")),
            with("eventsUrl", value!("https://[::1]/")),
            "{".to_owned(),
        ] {
            let request = post("/subscriptions", "application/json", &body);
            let response = world.call(&request, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{body}");
        }
        let cbor = post(
            "/subscriptions",
            "application/vnd.ocf+cbor",
            &good.to_string(),
        );
        let response = world.call(&cbor, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        for (path, types) in [
            (path(9, ""), PUBLISHED),
            (path(9, LIGHT), CHANGED),
            (path(1, "/nothing"), CHANGED),
        ] {
            let response = world.call(&subscribe_request(&path, types), granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        }
        assert!(world.deliveries.is_empty());
        for body in [
            with("more", value!(1)),
            with("signingSecret", value!("a".repeat(44))),
        ] {
            let request = post("/subscriptions", "application/json", &body);
            let response = world.call(&request, granted("alice", "g1"));
            assert_eq!(response.status(), StatusCode::CREATED, "{body}");
        }
    }

    #[test]
    fn reading_is_enough_to_subscribe_and_unsubscribe() {
        let mut world = World::new();
        world.light();
        let reader = || Authentication::Granted(principal("alice", "g1", "r:*"));
        for (path, types) in [
            (String::new(), DEVICES),
            (path(1, ""), PUBLISHED),
            (path(1, LIGHT), CHANGED),
        ] {
            let response = world.call(&subscribe_request(&path, types), reader());
            assert_eq!(response.status(), StatusCode::CREATED, "{path}");
            let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            let id = body["subscriptionId"].as_str().unwrap();
            let delete = request(Method::DELETE, &format!("{path}/subscriptions/{id}"));
            assert_eq!(
                world.call(&delete, reader()).status(),
                StatusCode::ACCEPTED,
                "{path}"
            );
        }
    }

    #[test]
    fn an_unregistered_device_takes_its_subscriptions_with_it() {
        let mut world = World::new();
        world.light();
        world.subscribe(&path(1, ""), PUBLISHED);
        world.subscribe(&path(1, LIGHT), CHANGED);
        world.receive();
        world.report(device(1), Occurrence::Unregistered);
        let cancelled = seen(&[(2, "subscription_cancelled"), (1, "subscription_cancelled")]);
        let mut received = world.receive();
        received.sort_by_key(|(sequence, _)| std::cmp::Reverse(*sequence));
        assert_eq!(received, cancelled);
    }

    #[test]
    fn the_end_of_a_grant_ends_its_subscriptions_and_its_tokens() {
        let mut world = World::new();
        world.light();
        world.subscribe("", DEVICES);
        let (first, _) = world.next_delivery().unwrap();
        world.fail_delivery(first);
        let other = world.call(&subscribe_request("", DEVICES), granted("alice", "g2"));
        assert_eq!(other.status(), StatusCode::CREATED);
        world.end_grant("g1");
        // The other consent's notifications go on.
        assert_eq!(world.receive().len(), 4);
        world.pass(Duration::from_secs(5));
        assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
        assert_eq!(world.get("").status(), StatusCode::UNAUTHORIZED);
        let again = world.call(&subscribe_request("", DEVICES), granted("alice", "g1"));
        assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
        world.report(device(1), Occurrence::Offline);
        assert_eq!(world.receive(), seen(&[(4, "devices_offline")]));
        world.end_grant("g1");
        assert!(world.deliveries.is_empty());
    }

    #[test]
    fn every_end_of_a_subscription_is_noted_once_with_its_cause() {
        let mut config = Config::default();
        config.queue.limit = 8;
        let mut world = World::with(config);
        world.light();
        let unsubscribed = world.subscribe("", DEVICES);
        assert_eq!(world.unsubscribe("", &unsubscribed), StatusCode::ACCEPTED);
        let overflowed = world.subscribe("", DEVICES);
        for _ in 0..4 {
            world.report(device(1), Occurrence::Offline);
            world.report(device(1), Occurrence::Online);
        }
        let withdrawn = world.subscribe("", DEVICES);
        world.end_grant("g1");
        let expected = [
            (unsubscribed, EndCause::Unsubscribed),
            (overflowed, EndCause::Overflow),
            (withdrawn, EndCause::GrantEnded),
        ];
        assert_eq!(world.ended, expected);
    }

    #[test]
    fn a_cancellation_follows_the_attempt_that_was_under_way() {
        let mut world = World::new();
        world.light();
        world.subscribe(&path(1, LIGHT), CHANGED);
        let (under_way, told) = world.next_delivery().unwrap();
        assert_eq!(told.sequence, 0);
        world.end_grant("g1");
        assert!(world.deliveries.is_empty());
        world.answer_delivery(under_way, 200);
        assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
        assert_eq!(world.cloud.next_deadline(), None);
    }

    #[test]
    fn an_ended_grant_is_remembered_also_when_the_clock_steps_back() {
        let mut world = World::new();
        let (now, later) = (world.wall, Duration::from_secs(10 * 86_400));
        world.wall += later;
        world.light();
        world.wall = now;
        world.end_grant("g1");
        world.end_grant("g2");
        assert_eq!(world.get("").status(), StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn a_bad_subscribe_request_is_told_what_is_wrong() {
        let mut world = World::new();
        let body =
            value!({"eventsUrl": rig::EVENTS, "eventTypes": DEVICES, "signingSecret": "short"});
        let request = post("/subscriptions", "application/json", &body.to_string());
        let response = world.call(&request, granted("alice", "g1"));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let text = std::str::from_utf8(response.body()).unwrap();
        assert!(text.contains("signing secret is too short"), "{text}");
    }

    #[test]
    fn an_account_has_only_so_many_subscriptions() {
        let mut config = Config::default();
        config.account.subscriptions = 2;
        let mut world = World::with(config);
        world.subscribe("", DEVICES);
        world.subscribe("", DEVICES);
        let third = world.call(&subscribe_request("", DEVICES), granted("alice", "g1"));
        assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    }
}

mod deliveries {
    use super::*;

    /// A world with one subscription to a light, whose first notification waits for an answer.
    fn watched() -> World {
        let mut world = World::new();
        world.light();
        world.subscribe(&path(1, LIGHT), CHANGED);
        world
    }

    fn set(world: &mut World, power: u32) {
        world.change(device(1), LIGHT, cbor(&format!(r#"{{"power":{power}}}"#)));
    }

    #[test]
    fn failures_are_retried_with_growing_delays_and_the_same_number() {
        for status in [408, 429, 500, 503, 404, 301] {
            let mut world = watched();
            let mut waits = Vec::new();
            for _ in 0..5 {
                let (id, told) = world.next_delivery().unwrap();
                assert_eq!((told.sequence, told.json()), (0, value!({"state": true})));
                world.answer_delivery(id, status);
                assert!(world.deliveries.is_empty(), "no delay after {status}");
                let wait = world.cloud.next_deadline().unwrap() - world.now;
                waits.push(wait);
                world.pass(wait);
            }
            for (failures, wait) in waits.iter().enumerate() {
                let whole = Duration::from_secs(1 << failures);
                assert!(
                    *wait >= whole / 2 && *wait <= whole,
                    "{status} {failures} {wait:?}"
                );
            }
            assert_eq!(world.receive().len(), 1);
        }
    }

    #[test]
    fn any_success_is_a_delivery() {
        for status in [200, 201, 202, 204, 299] {
            let mut world = watched();
            let (id, _) = world.next_delivery().unwrap();
            world.answer_delivery(id, status);
            assert_eq!(world.cloud.next_deadline(), None, "{status}");
        }
    }

    #[test]
    fn retry_after_is_honored() {
        let mut world = watched();
        let (id, _) = world.next_delivery().unwrap();
        let response = http::Response::builder()
            .status(503)
            .header("retry-after", "120")
            .body(bytes::Bytes::new())
            .unwrap();
        let outcome = uci_server_core::DeliveryOutcome::from_response(&response);
        world
            .cloud
            .handle_delivery(id, Ok(outcome), world.wall, world.now);
        world.settle();
        assert_eq!(
            world.cloud.next_deadline(),
            Some(world.now + Duration::from_secs(120))
        );
    }

    #[test]
    fn gone_removes_the_subscription_without_a_word() {
        let mut world = watched();
        set(&mut world, 1);
        let (id, _) = world.next_delivery().unwrap();
        world.answer_delivery(id, 410);
        set(&mut world, 2);
        world.pass(Duration::from_secs(3600));
        assert!(world.deliveries.is_empty());
        assert_eq!(world.cloud.next_deadline(), None);
    }

    #[test]
    fn gone_is_final_even_before_it_is_durable() {
        let mut world = watched();
        // A registration waits for a stream that does not load, and all of the account waits behind it.
        let what = Occurrence::Registered;
        let report = uci_server_core::DeviceReport::new(account("alice"), device(5), 1, what);
        world.cloud.handle_report(report, world.wall, world.now);
        assert!(matches!(
            world.cloud.poll_output(),
            Some(uci_server_core::Output::Load { .. })
        ));
        let (id, _) = world.next_delivery().unwrap();
        world.answer_delivery(id, 410);
        world.pass(Duration::from_secs(5));
        assert!(world.deliveries.is_empty());
        world.pass(Duration::from_secs(3600));
        assert!(world.deliveries.is_empty());
        assert_eq!(world.cloud.next_deadline(), None);
    }

    #[test]
    fn a_notification_that_is_refused_too_often_cancels_its_subscription() {
        let mut world = watched();
        set(&mut world, 1);
        for _ in 0..5 {
            let (id, told) = world.next_delivery().unwrap();
            assert_eq!(told.sequence, 0);
            world.answer_delivery(id, 400);
            world.pass(Duration::from_secs(300));
        }
        assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
    }

    #[test]
    fn a_refused_notification_does_not_hold_up_the_cancellation() {
        let mut world = World::new();
        world.light();
        let subscription = world.subscribe(&path(1, LIGHT), CHANGED);
        assert_eq!(
            world.unsubscribe(&path(1, LIGHT), &subscription),
            StatusCode::ACCEPTED
        );
        for _ in 0..5 {
            let (id, told) = world.next_delivery().unwrap();
            assert_eq!(told.sequence, 0);
            world.answer_delivery(id, 400);
            world.pass(Duration::from_secs(300));
        }
        assert_eq!(world.receive(), seen(&[(1, "subscription_cancelled")]));
        assert_eq!(world.ended, [(subscription, EndCause::Unsubscribed)]);
        assert_eq!(world.cloud.next_deadline(), None);
    }

    #[test]
    fn newer_representations_replace_what_waits_behind_the_head() {
        let mut world = watched();
        for power in 1..=5 {
            set(&mut world, power);
        }
        let told = world.receive_all();
        let seen: Vec<_> = told
            .iter()
            .map(|told| (told.sequence, told.json()))
            .collect();
        assert_eq!(
            seen,
            [(0, value!({"state": true})), (1, value!({"power": 5}))]
        );
        set(&mut world, 6);
        assert_eq!(world.receive_all()[0].sequence, 2);
    }

    #[test]
    fn without_coalescing_every_change_is_told() {
        let mut config = Config::default();
        config.queue.coalesce = false;
        let mut world = World::with(config);
        world.light();
        world.subscribe(&path(1, LIGHT), CHANGED);
        for power in 1..=5 {
            set(&mut world, power);
        }
        let sequences: Vec<_> = world
            .receive_all()
            .iter()
            .map(|told| told.sequence)
            .collect();
        assert_eq!(sequences, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_next_one_is_sent_only_when_the_last_is_marked_durably() {
        let mut world = watched();
        set(&mut world, 1);
        let (id, _) = world.next_delivery().unwrap();
        world.journal_silent = true;
        world.answer_delivery(id, 200);
        assert!(world.deliveries.is_empty());
        let append = world.unanswered.remove(0);
        world.journal_silent = false;
        let appended = world.journal.append(&append);
        world
            .cloud
            .handle_appended(append.id, appended, world.wall, world.now);
        world.settle();
        assert_eq!(world.next_delivery().unwrap().1.sequence, 1);
    }

    #[test]
    fn a_full_queue_cancels_and_numbers_have_no_gap() {
        let mut config = Config::default();
        config.queue.limit = 8;
        let mut world = World::with(config);
        world.light();
        world.subscribe("", &["devices_online", "devices_offline"]);
        for _ in 0..10 {
            world.report(device(1), Occurrence::Offline);
            world.report(device(1), Occurrence::Online);
        }
        let expected = seen(&[(0, "devices_online"), (1, "subscription_cancelled")]);
        assert_eq!(world.receive(), expected);
    }

    #[test]
    fn an_old_notification_cancels_its_subscription() {
        let mut world = watched();
        let mut last = None;
        for _ in 0..2000 {
            let Some((id, told)) = world.next_delivery() else {
                break;
            };
            last = Some(told.event.clone());
            world.fail_delivery(id);
            world.pass(Duration::from_secs(300));
        }
        // The cancellation was tried for its own while and then given up.
        assert_eq!(last.as_deref(), Some("subscription_cancelled"));
        assert_eq!(world.cloud.next_deadline(), None);
        set(&mut world, 1);
        assert!(world.deliveries.is_empty());
    }

    #[test]
    fn a_dead_receiver_delays_nobody_else() {
        let mut world = watched();
        let (dead, _) = world.next_delivery().unwrap();
        world.subscribe(&path(1, LIGHT), CHANGED);
        assert_eq!(world.receive(), seen(&[(0, "resource_contentchanged")]));
        set(&mut world, 1);
        assert_eq!(world.receive(), seen(&[(1, "resource_contentchanged")]));
        world.fail_delivery(dead);
        set(&mut world, 2);
        assert_eq!(world.receive(), seen(&[(2, "resource_contentchanged")]));
    }

    #[test]
    fn an_attempt_without_an_answer_is_repeated() {
        let mut world = watched();
        let (lost, _) = world.next_delivery().unwrap();
        world.pass(Duration::from_secs(30));
        world.pass(Duration::from_secs(1));
        let (id, told) = world.next_delivery().unwrap();
        assert_eq!(told.sequence, 0);
        // The late answer of the first attempt says nothing about the second.
        world.answer_delivery(lost, 410);
        world.answer_delivery(id, 200);
        set(&mut world, 1);
        assert_eq!(world.receive(), seen(&[(1, "resource_contentchanged")]));
    }

    #[test]
    fn everything_survives_a_restart() {
        let mut world = watched();
        let id = world.subscribe("", DEVICES);
        set(&mut world, 1);
        set(&mut world, 2);
        world.restart();
        assert_eq!(world.presumed, [(account("alice"), device(1), 1)]);
        let told = world.receive_all();
        let light: Vec<_> = told
            .iter()
            .filter(|told| told.event == "resource_contentchanged")
            .map(|told| (told.sequence, told.json()))
            .collect();
        assert_eq!(
            light,
            [(0, value!({"state": true})), (1, value!({"power": 2}))]
        );
        assert_eq!(told.len(), 6);
        world.report(device(1), Occurrence::Offline);
        assert_eq!(world.receive(), seen(&[(4, "devices_offline")]));
        assert_eq!(world.unsubscribe("", &id), StatusCode::ACCEPTED);
    }
}

mod storage {
    use super::*;

    #[test]
    fn a_journal_that_does_not_answer_is_a_503() {
        let mut world = World::new();
        world.light();
        world.journal_silent = true;
        let id = world.start(&subscribe_request("", DEVICES), granted("alice", "g1"));
        // The same append is repeated, and given up after its last attempt.
        let name = world.unanswered[0].id;
        world.pass(Duration::from_secs(2));
        assert_eq!(world.unanswered.len(), 2);
        assert!(world.unanswered.iter().all(|append| append.id == name));
        for _ in 0..4 {
            world.pass(Duration::from_secs(2));
        }
        let response = &world.responses[&id];
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "60");
        world.journal_silent = false;
        assert_eq!(world.get("").status(), StatusCode::OK);
    }

    #[test]
    fn a_conflict_is_decided_again_on_what_is_there() {
        let mut world = World::new();
        world.light();
        // Another node appended behind this one's back.
        let name = "account/alice";
        let mut change = Change::decode(&world.journal.streams[name][1]).unwrap();
        change.fact = Fact::DeviceOffline { device: device(1) };
        let bytes = change.encode().unwrap();
        world.journal.streams.get_mut(name).unwrap().push(bytes);
        world.subscribe("", &["devices_offline"]);
        let told = world.receive_all();
        assert_eq!(told[0].json(), value!([{"di": device(1).to_string()}]));
    }

    #[test]
    fn an_account_that_another_node_owns_is_forgotten() {
        let mut world = World::new();
        world.light();
        world.journal_silent = true;
        let id = world.start(&subscribe_request("", DEVICES), granted("alice", "g1"));
        let append = world.unanswered.remove(0);
        let fenced = uci_server_core::Appended::Fenced;
        world
            .cloud
            .handle_appended(append.id, fenced, world.wall, world.now);
        let mut saw = Vec::new();
        while let Some(output) = world.cloud.poll_output() {
            saw.push(format!("{output:?}"));
        }
        assert!(
            saw[0].contains("503") && saw[0].contains(&format!("{id:?}")),
            "{saw:?}"
        );
        assert!(saw[1].contains("Fenced"), "{saw:?}");
        assert_eq!(saw.len(), 2);
    }

    #[test]
    fn snapshots_shorten_loading_and_change_nothing() {
        let mut config = Config::default();
        config.snapshot_every = 3;
        let mut world = World::with(config);
        world.light();
        world.subscribe(&path(1, LIGHT), CHANGED);
        for power in 0..9 {
            world.change(device(1), LIGHT, cbor(&format!(r#"{{"power":{power}}}"#)));
        }
        let before = world.get_json("?content=all");
        assert!(world.journal.snapshots["account/alice"].version > 6);
        world.restart();
        assert_eq!(world.get_json("?content=all"), before);
        assert_eq!(world.receive().len(), 2);
    }

    #[test]
    fn nothing_is_answered_from_what_is_not_durable() {
        let mut world = World::new();
        world.light();
        world.journal_silent = true;
        let what = Occurrence::Offline;
        let report = uci_server_core::DeviceReport::new(account("alice"), device(1), 1, what);
        let report = world.cloud.handle_report(report, world.wall, world.now);
        let list = world.start(&request(Method::GET, ""), granted("alice", "g1"));
        assert!(world.reported.is_empty() && world.responses.is_empty());
        let append = world.unanswered.remove(0);
        let appended = world.journal.append(&append);
        world
            .cloud
            .handle_appended(append.id, appended, world.wall, world.now);
        world.settle();
        assert_eq!(world.reported.get(&report), Some(&Ok(())));
        let list: serde_json::Value =
            serde_json::from_slice(world.responses[&list].body()).unwrap();
        assert_eq!(list[0]["status"], "offline");
    }

    #[test]
    fn an_account_that_could_not_be_loaded_goes_on_when_it_is_woken() {
        let mut world = World::new();
        world.light();
        world.subscribe(&path(1, LIGHT), CHANGED);
        world.journal_silent = true;
        world.restart();
        assert_eq!(world.get("").status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(world.stalled, [account("alice"), account("alice")]);
        assert!(world.deliveries.is_empty());
        world.journal_silent = false;
        world.cloud.wake(account("alice"), world.wall, world.now);
        world.settle();
        assert_eq!(world.receive(), seen(&[(0, "resource_contentchanged")]));
    }

    #[test]
    fn a_cancelled_request_is_never_answered() {
        let mut world = World::new();
        world.light();
        let id = world.start(
            &request(Method::GET, &path(1, LIGHT)),
            granted("alice", "g1"),
        );
        world.cloud.cancel_request(id);
        world.answer_ask(69, None);
        world.pass(Duration::from_secs(60));
        assert!(world.responses.is_empty());
        assert_eq!(world.cloud.next_deadline(), None);
    }

    #[test]
    fn too_many_requests_at_once_are_turned_away() {
        let mut config = Config::default();
        config.max_pending = 1;
        let mut world = World::with(config);
        world.light();
        let first = world.start(
            &request(Method::GET, &path(1, LIGHT)),
            granted("alice", "g1"),
        );
        let second = world.start(&request(Method::GET, ""), granted("alice", "g1"));
        assert_eq!(
            world.responses[&second].status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
        assert!(!world.responses.contains_key(&first));
    }
}
